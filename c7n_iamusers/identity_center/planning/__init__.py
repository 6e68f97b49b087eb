# SPDX-License-Identifier: Apache-2.0
"""What is to change, and what access it gives. Pure."""
