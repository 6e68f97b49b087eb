# SPDX-License-Identifier: Apache-2.0
"""Who calls AWS with an access key, from where, and what: by CloudTrail, or by files with its events."""
