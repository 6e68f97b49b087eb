# SPDX-License-Identifier: Apache-2.0
"""A user's permissions from what GetAccountAuthorizationDetails tells of an account. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.model.principal_permissions import (
    GroupPermissions,
    InlinePolicy,
    ManagedPolicy,
    PrincipalPermissions,
)

_Item = Mapping[str, Any]


def principal_permissions(
    user_detail: _Item, groups: Mapping[str, _Item], policies: Mapping[str, Any], person: str = ""
) -> PrincipalPermissions:
    """``user_detail``: botocore's ``UserDetail``; ``groups``: name -> ``GroupDetail``; ``policies``: ARN -> document.

    ``Inventory`` has the last two as they are wanted here. A policy whose document isn't among ``policies``
    is kept without one. ``person``: see ``PrincipalPermissions``. Raises EvidenceUnreadable for a user in a
    group that isn't among ``groups``: nobody knows what that group allows or denies.
    """
    arn = str(user_detail["Arn"])
    boundary = user_detail.get("PermissionsBoundary") or {}
    tags = user_detail.get("Tags")
    return PrincipalPermissions(
        account_id=intern(arn.split(":")[4]),
        user_name=str(user_detail["UserName"]),
        arn=arn,
        unique_id=str(user_detail["UserId"]),
        attached=_attached(user_detail.get("AttachedManagedPolicies"), policies),
        inline=_inline(user_detail.get("UserPolicyList")),
        groups=tuple(_group(name, groups, policies, arn) for name in user_detail.get("GroupList") or ()),
        boundary=managed_policy(str(boundary["PermissionsBoundaryArn"]), policies) if boundary else None,
        tags={intern(str(tag["Key"])): str(tag["Value"]) for tag in tags} if tags is not None else None,
        person=person,
    )


def managed_policy(arn: str, policies: Mapping[str, Any]) -> ManagedPolicy:
    """The policy of an ARN such as ``arn:aws:iam::111122223333:policy/ci/Deploy``; its name and path are in it."""
    path, _, name = arn.partition(":policy")[2].rpartition("/")
    return ManagedPolicy(arn, name, f"{path}/", policies.get(arn))


def _group(
    name: str, groups: Mapping[str, _Item], policies: Mapping[str, Any], user: str
) -> GroupPermissions:
    if name not in groups:
        raise EvidenceUnreadable(
            f"{user} is in group {name}, which is not among the groups that were read: what it permits is unknown. "
            "Read the account again, with the groups"
        )
    group = groups[name]
    return GroupPermissions(
        name, _attached(group.get("AttachedManagedPolicies"), policies), _inline(group.get("GroupPolicyList"))
    )


def _attached(items: Iterable[_Item] | None, policies: Mapping[str, Any]) -> tuple[ManagedPolicy, ...]:
    return tuple(managed_policy(str(item["PolicyArn"]), policies) for item in items or ())


def _inline(items: Iterable[_Item] | None) -> tuple[InlinePolicy, ...]:
    return tuple((str(item["PolicyName"]), item["PolicyDocument"]) for item in items or ())
