# SPDX-License-Identifier: Apache-2.0
"""The record of who was addressed about which IAM user, and when."""
