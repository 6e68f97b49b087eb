# SPDX-License-Identifier: Apache-2.0
"""Identity Center over all accounts: intents merged, the difference planned, and applied by one writer."""
