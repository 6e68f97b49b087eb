# SPDX-License-Identifier: Apache-2.0
"""The single writer of a run: ready queue and quotas, execution of one change, and the loop over all changes."""
