# SPDX-License-Identifier: Apache-2.0
"""What uses which managed policy, counted where it is asked for, since AWS's policies are shared by all accounts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Usage:
    """By policy ARN: to how many users, groups and roles it is attached, and how many users and roles it bounds."""

    attachments: Counter[str]
    boundaries: Counter[str]


#: Of a policy that is new.
UNUSED = Usage(Counter(), Counter())


def usage_in(account: Any) -> Usage:
    """The usage in one account, given its IAM backend."""
    bounded = [*account.users.values(), *account.roles.values()]
    entities = [*bounded, *account.groups.values()]
    return Usage(
        Counter(arn for entity in entities for arn in entity.managed_policies),
        Counter(entity.permissions_boundary_arn for entity in bounded if entity.permissions_boundary_arn),
    )
