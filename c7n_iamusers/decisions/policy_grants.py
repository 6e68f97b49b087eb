# SPDX-License-Identifier: Apache-2.0
"""Which policies apply to a user: its own and those of its groups. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from c7n_iamusers.model.evidence import Grant
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.inventory import Inventory
from c7n_iamusers.model.policy_documents import objects


def grants_of(user: IamUser, inventory: Inventory) -> tuple[Grant, ...] | None:
    """Every policy in force for ``user``, boundary aside; None where not all of them are known."""
    attached, inline = user.attachments.get("attached-policy"), user.attachments.get("inline-policy")
    if attached is None or inline is None or user.groups is None or inventory.groups is None:
        return None
    groups = [inventory.groups.get(name) for name in user.groups]
    if None in groups:
        return None
    return (
        *_attached(attached, inventory.policies),
        *_inline(inline),
        *(grant for group in groups if group for grant in _of_group(group, inventory.policies)),
    )


def _of_group(group: Item, documents: Mapping[str, Any]) -> Iterator[Grant]:
    name = str(group["GroupName"])
    yield from _attached(objects(group.get("AttachedManagedPolicies")), documents, name)
    yield from _inline(objects(group.get("GroupPolicyList")), name)


def _attached(policies: Iterable[Item], documents: Mapping[str, Any], group: str = "") -> Iterator[Grant]:
    for policy in policies:
        arn = str(policy.get("PolicyArn", ""))
        yield Grant(str(policy.get("PolicyName") or arn.rpartition("/")[2]), arn, group, documents.get(arn))


def _inline(policies: Iterable[Item], group: str = "") -> Iterator[Grant]:
    for policy in policies:
        yield Grant(str(policy.get("PolicyName", "")), "", group, policy.get("PolicyDocument"))
