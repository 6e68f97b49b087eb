# SPDX-License-Identifier: Apache-2.0
"""Which changes to make, and which access they give. Pure."""
