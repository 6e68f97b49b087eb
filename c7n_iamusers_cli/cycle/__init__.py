# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers cycle`` and ``approve``: what is due over a workspace today, and the plans that wait."""
