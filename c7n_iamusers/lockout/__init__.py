# SPDX-License-Identifier: Apache-2.0
"""The Deny-all on a user: its forms, the record in it, and what the journals show that this package did."""
