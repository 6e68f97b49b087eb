# SPDX-License-Identifier: Apache-2.0
"""Documents of a real account, read into the records that the local organization is filled with."""
