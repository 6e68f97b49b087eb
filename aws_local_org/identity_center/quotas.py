# SPDX-License-Identifier: Apache-2.0
"""The quotas that are enforced (IAM Identity Center User Guide, "Quotas and limits"; IAM User Guide, "IAM quotas")."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quotas:
    """policies_per_role and roles_per_account are IAM's, in each target account, where they surface only as the
    FailureReason of an assignment; all others are Identity Center's own and refuse the call."""

    permission_sets: int = 3500
    provisioned_sets_per_account: int = 500
    groups_per_set_and_account: int = 100
    policies_per_set: int = 20
    inline_policy_bytes: int = 32_768
    inline_policy_characters: int = 10_240
    outstanding_assignments: int = 15
    concurrent_provisionings: int = 3
    tags_per_resource: int = 50
    policies_per_role: int = 10
    roles_per_account: int = 1000
