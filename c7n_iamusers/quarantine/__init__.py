# SPDX-License-Identifier: Apache-2.0
"""The reversible quarantine of a user: its plan, and what puts it on and gives it back."""
