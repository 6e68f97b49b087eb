# SPDX-License-Identifier: Apache-2.0
"""What people read: one account's evidence, and the reference of findings."""
