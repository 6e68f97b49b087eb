# SPDX-License-Identifier: Apache-2.0
"""Access through IAM Identity Center instead of IAM users."""
