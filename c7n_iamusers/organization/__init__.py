# SPDX-License-Identifier: Apache-2.0
"""The organization around the accounts: who owns each account, and whether all is ready for a run."""
