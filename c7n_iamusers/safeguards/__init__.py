# SPDX-License-Identifier: Apache-2.0
"""Checks right before a change that may leave a user alone; shared by deletion and quarantine."""
