# SPDX-License-Identifier: Apache-2.0
"""Which code manages a user or a key: a stack, a Terraform state, or another tool, by tags and by asking."""
