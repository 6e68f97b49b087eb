# SPDX-License-Identifier: Apache-2.0
"""The daily cycle over a workspace: its settings, its steps, and what of them is due. Pure."""
