# SPDX-License-Identifier: Apache-2.0
"""Snapshots: the record of a user that is made durable before anything is changed."""
