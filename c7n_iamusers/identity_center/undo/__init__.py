# SPDX-License-Identifier: Apache-2.0
"""Taking back what a run made."""
