# SPDX-License-Identifier: Apache-2.0
"""The state of the local organization by AWS API calls, independent of the policies' output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import set_access_key_last_used, set_password_last_used


@dataclass(frozen=True)
class UserState:
    """A user as the demo's checks need it. ``email``: empty if the tag is missing."""

    name: str
    path: str
    email: str


@dataclass(frozen=True)
class AccountState:
    """One member account at one moment."""

    account_id: str
    name: str
    users: tuple[UserState, ...]
    orphaned_mfa: frozenset[str]


def account_states(org: LocalOrg) -> dict[str, AccountState]:
    """Account id -> state, for every member account."""
    return {account: _account_state(org, account, name) for account, name in org.settings.member_accounts}


def _account_state(org: LocalOrg, account_id: str, name: str) -> AccountState:
    iam = org.client("iam", account_id)
    details = iam.get_paginator("get_account_authorization_details").paginate(Filter=["User"])
    users = tuple(_user_state(detail) for page in details for detail in page["UserDetailList"])
    devices = iam.get_paginator("list_virtual_mfa_devices").paginate(AssignmentStatus="Unassigned")
    orphaned = frozenset(device["SerialNumber"] for page in devices for device in page["VirtualMFADevices"])
    return AccountState(account_id, name, users, orphaned)


def _user_state(detail: Mapping[str, Any]) -> UserState:
    tags = {tag["Key"]: tag["Value"] for tag in detail.get("Tags", ())}
    return UserState(detail["UserName"], detail["Path"], tags.get("Email", ""))


def let_days_pass(org: LocalOrg, days: int) -> None:
    """Move every last use of a password or an access key that many days further into the past."""
    back = timedelta(days=days)
    for account_id, _ in org.settings.member_accounts:
        for user in org.backend("iam", account_id).users.values():
            if user.password_last_used:
                set_password_last_used(user, user.password_last_used - back)
            for key in user.access_keys:
                if (use := key.last_used) and use.timestamp:
                    set_access_key_last_used(
                        key, use.timestamp - back, service=use.service, region=use.region
                    )


def people_with_access(org: LocalOrg, account_id: str) -> dict[str, str]:
    """Identity Center user name -> permission set, for the people that a group's assignment lets into the account."""
    sso = org.client("sso-admin")
    (instance,) = sso.list_instances()["Instances"]
    people: dict[str, str] = {}
    sets = sso.get_paginator("list_permission_sets_provisioned_to_account")
    for page in sets.paginate(InstanceArn=instance["InstanceArn"], AccountId=account_id):
        for arn in page.get("PermissionSets", ()):
            name = sso.describe_permission_set(InstanceArn=instance["InstanceArn"], PermissionSetArn=arn)
            for member in _assigned_people(org, instance, account_id, arn):
                people[member] = name["PermissionSet"]["Name"]
    return people


def _assigned_people(
    org: LocalOrg, instance: Mapping[str, Any], account_id: str, permission_set: str
) -> list[str]:
    sso, store = org.client("sso-admin"), org.client("identitystore")
    assignments = sso.get_paginator("list_account_assignments").paginate(
        InstanceArn=instance["InstanceArn"], AccountId=account_id, PermissionSetArn=permission_set
    )
    groups = [each["PrincipalId"] for page in assignments for each in page["AccountAssignments"]]
    store_id = instance["IdentityStoreId"]
    members = store.get_paginator("list_group_memberships")
    ids = [
        membership["MemberId"]["UserId"]
        for group in groups
        for page in members.paginate(IdentityStoreId=store_id, GroupId=group)
        for membership in page["GroupMemberships"]
    ]
    return [store.describe_user(IdentityStoreId=store_id, UserId=user_id)["UserName"] for user_id in ids]
