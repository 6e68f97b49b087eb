# SPDX-License-Identifier: Apache-2.0
"""Identity Center's quotas that a run can meet ("Quotas and limits", IAM Identity Center User Guide)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CenterQuotas:
    """The defaults. Where one was raised, somebody has to say so, as the APIs don't tell.

    ``permission_sets``: of an instance. ``sets_per_account``: provisioned in an account. ``groups_per_set``: assigned
    one set in one account. ``policies_per_set``: managed policies of either kind.
    """

    permission_sets: int = 3500
    sets_per_account: int = 500
    groups_per_set: int = 100
    policies_per_set: int = 20
