# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision``, which applies the intents of all accounts as the single writer. See ``commands``."""
