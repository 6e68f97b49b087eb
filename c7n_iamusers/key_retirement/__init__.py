# SPDX-License-Identifier: Apache-2.0
"""Retiring single access keys: parking one, giving it back, and deleting it."""
