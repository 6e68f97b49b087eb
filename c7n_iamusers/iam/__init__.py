# SPDX-License-Identifier: Apache-2.0
"""IAM itself: the table of attachment kinds, users, accounts, permissions."""
