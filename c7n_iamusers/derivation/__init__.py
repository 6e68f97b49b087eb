# SPDX-License-Identifier: Apache-2.0
"""Permission sets from the policies of IAM users, with a proof that a set grants no more than its user has. Pure."""
