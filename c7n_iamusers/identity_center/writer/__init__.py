# SPDX-License-Identifier: Apache-2.0
"""The one writer of a run: the order of changes and what may be sent, one change's progress, the loop over both."""
