# SPDX-License-Identifier: Apache-2.0
"""The four lists of account authorization details, and the fields their entries have (botocore ``iam`` 2010-05-08)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aws_local_org.seeding.identifiers import Identifiers


@dataclass(frozen=True)
class Kind:
    """A kind of entry: its word, where its name and id stand, and its fields that are read or follow from others."""

    word: str
    name_key: str
    id_key: str
    id_prefix: str
    invent_id: Callable[[Identifiers], str]
    keys: frozenset[str]


_COMMON = frozenset({"Path", "Arn", "CreateDate", "AttachedManagedPolicies", "PermissionsBoundary", "Tags"})
USER = Kind(
    "user",
    "UserName",
    "UserId",
    "AIDA",
    Identifiers.user,
    _COMMON | {"UserName", "UserId", "UserPolicyList", "GroupList"},
)
GROUP = Kind(
    "group",
    "GroupName",
    "GroupId",
    "AGPA",
    Identifiers.group,
    _COMMON | {"GroupName", "GroupId", "GroupPolicyList"},
)
ROLE = Kind(
    "role",
    "RoleName",
    "RoleId",
    "AROA",
    Identifiers.role,
    _COMMON
    | {
        "RoleName",
        "RoleId",
        "RolePolicyList",
        "AssumeRolePolicyDocument",
        "InstanceProfileList",
        "RoleLastUsed",
    }
    | {"Description", "MaxSessionDuration"},
)
POLICY = Kind(
    "policy",
    "PolicyName",
    "PolicyId",
    "ANPA",
    Identifiers.policy,
    _COMMON
    | {"PolicyName", "PolicyId", "DefaultVersionId", "PolicyVersionList", "UpdateDate", "Description"}
    # These follow from the rest.
    | {"AttachmentCount", "PermissionsBoundaryUsageCount", "IsAttachable"},
)
LISTS = {"UserDetailList": USER, "GroupDetailList": GROUP, "RoleDetailList": ROLE, "Policies": POLICY}
