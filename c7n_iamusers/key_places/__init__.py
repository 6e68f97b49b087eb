# SPDX-License-Identifier: Apache-2.0
"""Where the ids of access keys stand in the configuration of an account."""
