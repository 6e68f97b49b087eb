# SPDX-License-Identifier: Apache-2.0
"""The content of an account, invented (``seed``) or read from documents (``load``), and its writer."""
