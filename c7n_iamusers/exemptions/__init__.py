# SPDX-License-Identifier: Apache-2.0
"""Rules that protect users, and the lists they come from. Pure."""
