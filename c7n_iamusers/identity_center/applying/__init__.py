# SPDX-License-Identifier: Apache-2.0
"""A run: its lock, its records, its changes."""
