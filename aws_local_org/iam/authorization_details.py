# SPDX-License-Identifier: Apache-2.0
"""GetAccountAuthorizationDetails and GetAccountSummary: the calls about a whole account.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html.
As documents of real accounts show, a list without entries is left out, except tags, groups and attached policies;
of AWS's own policies only those in use are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from moto.core.responses import ActionResult
from moto.iam.models import AWSManagedPolicy, ManagedPolicy, Role

from aws_local_org.iam.base import Response
from aws_local_org.iam.entities import Group, User, boundary_shape
from aws_local_org.iam.policies import Usage, policy_shape, usage_in, versions_of, whole_version
from aws_local_org.iam.results import Listing, PlainResult
from aws_local_org.iam.roles import basic_role, instance_profile_shape, role_last_used
from aws_local_org.iam.users import basic_user, group_shape


class AuthorizationDetailsResponse(Response):
    def get_account_authorization_details(self) -> ActionResult:
        wanted = set(
            self.params.get("Filter") or ["User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"]
        )
        account = self.backend
        usage = usage_in(account)
        used = {*usage.attachments, *usage.boundaries}
        # by their keys, since the account has AWS's policies, more than a thousand, of which few are used
        policies = [
            policy
            for arn, policy in account.managed_policies.items()
            if (
                arn in used and "AWSManagedPolicy" in wanted
                if isinstance(policy, AWSManagedPolicy)
                else "LocalManagedPolicy" in wanted
            )
        ]
        return PlainResult(
            {
                "UserDetailList": Listing(account.users.values() if "User" in wanted else (), _user),
                "GroupDetailList": Listing(account.groups.values() if "Group" in wanted else (), _group),
                "RoleDetailList": Listing(account.roles.values() if "Role" in wanted else (), _role),
                "Policies": Listing(policies, lambda policy: _policy(policy, usage)),
            }
        )

    def get_account_summary(self) -> ActionResult:
        """Here a root user has a password, no access key, and MFA once a device is seeded for it."""
        account: Any = self.backend
        virtual = account.virtual_mfa_devices.values()
        own = [
            policy for policy in account.managed_policies.values() if not isinstance(policy, AWSManagedPolicy)
        ]
        known = {
            "AccountMFAEnabled": int(any(device.of_root for device in virtual)),
            "AccountPasswordPresent": 1,
            "PolicyVersionsInUse": sum(len(policy.versions) for policy in own),
        }
        return ActionResult({"SummaryMap": {**account.get_account_summary().summary_map, **known}})


def _user(user: User) -> dict[str, Any]:
    return {
        **basic_user(user),
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
        **basic_role(role),
        "InstanceProfileList": [instance_profile_shape(profile) for profile in role.instance_profile_list],
        "RolePolicyList": _inline(role.policies) or [],
        "AttachedManagedPolicies": _attached(role.managed_policies.values()),
        "PermissionsBoundary": boundary_shape(role.permissions_boundary_arn),
        "Tags": role.tags,
        "RoleLastUsed": role_last_used(role),
    }


def _policy(policy: ManagedPolicy, usage: Usage) -> dict[str, Any]:
    return {
        **policy_shape(policy, usage),
        "Description": policy.description or None,
        "PolicyVersionList": [whole_version(policy, version) for version in versions_of(policy)],
    }


def _inline(policies: Mapping[str, str]) -> list[dict[str, str]] | None:
    return [{"PolicyName": name, "PolicyDocument": quote(text)} for name, text in policies.items()] or None


def _attached(policies: Iterable[ManagedPolicy]) -> list[dict[str, str]]:
    return [{"PolicyName": policy.name, "PolicyArn": policy.arn} for policy in policies]
