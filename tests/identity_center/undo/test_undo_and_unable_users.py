# SPDX-License-Identifier: Apache-2.0
"""An undo keeps the access of people whose IAM user is there, and can't be used by anybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.requests.member_accounts import MemberAccounts
from c7n_iamusers_cli.provision.opening import read_users
from tests.access_center import ACCOUNT
from tests.desired import intents, made_for
from tests.identity_center.fleet_rehearsal import FleetRehearsal

ROLE = "arn:aws:iam::{account_id}:role/OrganizationAccountAccessRole"


def keys(iam: Any) -> list[str]:
    return [each["AccessKeyId"] for each in iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]]


def nothing(iam: Any) -> None:
    """The user is as it was."""


def keys_switched_off(iam: Any) -> None:
    for each in keys(iam):
        iam.update_access_key(UserName="bob", AccessKeyId=each, Status="Inactive")


def keys_deleted(iam: Any) -> None:
    for each in keys(iam):
        iam.delete_access_key(UserName="bob", AccessKeyId=each)


def policies_removed(iam: Any) -> None:
    iam.delete_user_policy(UserName="bob", PolicyName="All")


def a_group_instead(iam: Any) -> None:
    policies_removed(iam)
    iam.create_group(GroupName="Admins")
    iam.attach_group_policy(GroupName="Admins", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.add_user_to_group(GroupName="Admins", UserName="bob")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        pytest.param(nothing, "", id="usable"),
        pytest.param(keys_switched_off, "has no working credentials", id="keys-switched-off"),
        pytest.param(keys_deleted, "has no working credentials", id="keys-deleted"),
        pytest.param(policies_removed, "has no policies", id="no-policies"),
        pytest.param(a_group_instead, "", id="policies-of-a-group"),
    ],
)
def test_who_can_use_no_iam_user_keeps_access(
    fleet: FleetRehearsal, happens: Callable[[Any], None], reason: str
) -> None:
    iam, found = fleet.org.client("iam", ACCOUNT), intents(ACCOUNT, "bob")
    fleet.provisioned(replace(found, users=tuple(made_for(each, iam) for each in found.users)))
    happens(iam)
    members = MemberAccounts(ROLE, fleet.org.session(), Backoff())
    failures = fleet.undo(fleet.results()[-1], read_users=read_users(members.read))
    assert len(failures) == bool(reason)
    assert ("bob@example.com" in fleet.usernames()) == bool(reason)
    if reason:
        assert any(f"user/bob {reason}" in line for line in fleet.lines("!"))
        assert fleet.undo(fleet.results()[-1]) == []
        assert fleet.usernames() == set()
