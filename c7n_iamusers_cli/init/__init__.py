# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers init``: a workspace, with all files and stacks that an organization needs for its first day."""
