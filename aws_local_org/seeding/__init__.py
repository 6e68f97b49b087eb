# SPDX-License-Identifier: Apache-2.0
"""What an account is filled with, invented (``seed``) or read from documents (``load``), and how it is written."""
