# SPDX-License-Identifier: Apache-2.0
"""From what users may do to permission sets that grant no more."""
