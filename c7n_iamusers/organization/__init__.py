# SPDX-License-Identifier: Apache-2.0
"""The organization around the accounts: who owns each account, and whether it is ready for a run."""
