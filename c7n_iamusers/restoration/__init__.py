# SPDX-License-Identifier: Apache-2.0
"""Bringing a deleted user back from its snapshot, as far as AWS allows."""
