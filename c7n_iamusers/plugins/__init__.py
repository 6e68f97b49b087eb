# SPDX-License-Identifier: Apache-2.0
"""What Cloud Custodian sees: source, filters and actions, one file a plugin."""
