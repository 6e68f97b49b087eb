# SPDX-License-Identifier: Apache-2.0
"""GetAccountAuthorizationDetails.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html.
As documents of real accounts show, a list without entries is left out, save for tags, groups and attached policies;
of AWS's own policies only those in use are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from moto.core.responses import ActionResult
from moto.iam.models import AWSManagedPolicy, InstanceProfile, ManagedPolicy, Role

from c7n_iamusers.local_org.iam.base import Response
from c7n_iamusers.local_org.iam.entities import Group, User, boundary_shape
from c7n_iamusers.local_org.iam.groups import group_shape
from c7n_iamusers.local_org.iam.paging import Listing
from c7n_iamusers.local_org.iam.plain_result import PlainResult
from c7n_iamusers.local_org.iam.policy_listings import policy_shape
from c7n_iamusers.local_org.iam.policy_usage import Usage, usage_in


class AuthorizationDetailsResponse(Response):
    def get_account_authorization_details(self) -> ActionResult:
        wanted = set(
            self.params.get("Filter") or ["User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"]
        )
        account = self.backend
        usage = usage_in(account)
        policies = [
            policy for policy in account.managed_policies.values() if _is_shown(policy, usage, wanted)
        ]
        return PlainResult(
            {
                "UserDetailList": Listing(account.users.values() if "User" in wanted else (), _user),
                "GroupDetailList": Listing(account.groups.values() if "Group" in wanted else (), _group),
                "RoleDetailList": Listing(account.roles.values() if "Role" in wanted else (), _role),
                "Policies": Listing(policies, lambda policy: _policy(policy, usage)),
            }
        )


def _is_shown(policy: ManagedPolicy, usage: Usage, wanted: set[str]) -> bool:
    if isinstance(policy, AWSManagedPolicy):
        return "AWSManagedPolicy" in wanted and bool(
            usage.attachments[policy.arn] or usage.boundaries[policy.arn]
        )
    return "LocalManagedPolicy" in wanted


def _user(user: User) -> dict[str, Any]:
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.create_date,
        "UserPolicyList": _inline(user.policies),
        "GroupList": user.group_list,
        "AttachedManagedPolicies": _attached(user.managed_policies.values()),
        "PermissionsBoundary": boundary_shape(user.permissions_boundary_arn),
        "Tags": user.tags,
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        **group_shape(group),
        "GroupPolicyList": _inline(group.policies) or [],
        "AttachedManagedPolicies": _attached(group.managed_policies.values()),
    }


def _role(role: Role) -> dict[str, Any]:
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": role.arn,
        "CreateDate": role.create_date,
        "AssumeRolePolicyDocument": quote(role.assume_role_policy_document),
        "InstanceProfileList": [_instance_profile(profile) for profile in role.instance_profile_list],
        "RolePolicyList": _inline(role.policies) or [],
        "AttachedManagedPolicies": _attached(role.managed_policies.values()),
        "PermissionsBoundary": boundary_shape(role.permissions_boundary_arn),
        "Tags": role.tags,
        "RoleLastUsed": {"LastUsedDate": role.last_used, "Region": role.last_used_region}
        if role.last_used
        else {},
    }


def _instance_profile(profile: InstanceProfile) -> dict[str, Any]:
    roles = [
        {
            "Path": role.path,
            "RoleName": role.name,
            "RoleId": role.id,
            "Arn": role.arn,
            "CreateDate": role.create_date,
            "AssumeRolePolicyDocument": quote(role.assume_role_policy_document),
        }
        for role in profile.roles
    ]
    return {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile.arn,
        "CreateDate": profile.create_date,
        "Roles": roles,
    }


def _policy(policy: ManagedPolicy, usage: Usage) -> dict[str, Any]:
    versions = [
        {
            "Document": quote(version.document),
            "VersionId": version.version_id,
            "IsDefaultVersion": version.version_id == policy.default_version_id,
            "CreateDate": version.create_date,
        }
        for version in policy.versions
    ]
    return {
        **policy_shape(policy, usage),
        "Description": policy.description or None,
        "PolicyVersionList": versions,
    }


def _inline(policies: Mapping[str, str]) -> list[dict[str, str]] | None:
    return [{"PolicyName": name, "PolicyDocument": quote(text)} for name, text in policies.items()] or None


def _attached(policies: Iterable[ManagedPolicy]) -> list[dict[str, str]]:
    return [{"PolicyName": policy.name, "PolicyArn": policy.arn} for policy in policies]
