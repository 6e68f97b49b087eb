# SPDX-License-Identifier: Apache-2.0
"""The policies of an account's resources, such as buckets and keys: which name a user, and what is left of it there."""
