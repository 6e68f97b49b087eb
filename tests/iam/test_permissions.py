# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.iam.permissions import (
    DELETION,
    KEY_RETIREMENT,
    KEY_SWITCH,
    RELEASE,
    RESTORATION,
    Needed,
    role_policy,
)

pytestmark = pytest.mark.pure

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def statements(own: set[str], others: set[str] | None = None, **given: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = role_policy(Needed(frozenset(own), frozenset(others or ())), **given)[
        "Statement"
    ]
    return found


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:DeleteAccessKey", "arn:aws:iam::111122223333:user/*"),
        ("iam:GetUser", "arn:aws:iam::111122223333:user/*"),
        ("iam:RemoveUserFromGroup", "arn:aws:iam::111122223333:group/*"),
        ("iam:DeleteVirtualMFADevice", "arn:aws:iam::111122223333:mfa/*"),
        ("iam:DeactivateMFADevice", "arn:aws:iam::111122223333:user/*"),
        ("iam:GetAccountAuthorizationDetails", "*"),
        ("iam:ListServiceSpecificCredentials", "*"),
        ("sqs:SendMessage", "*"),
    ],
)
def test_actions_are_bound_to_what_they_act_on(action: str, resource: str) -> None:
    (statement,) = statements({action}, account_id="111122223333")
    assert statement == {"Effect": "Allow", "Action": [action], "Resource": resource}


@pytest.mark.parametrize(
    ("action", "key"),
    [
        ("iam:AttachUserPolicy", "iam:PolicyARN"),
        ("iam:PutUserPermissionsBoundary", "iam:PermissionsBoundary"),
    ],
)
def test_what_we_attach_is_a_deny_and_the_role_can_attach_nothing_else(action: str, key: str) -> None:
    (statement,) = statements({action})
    assert statement["Condition"] == {"ArnEquals": {key: DENY_ALL}}


def test_what_other_actions_of_the_policy_need_is_not_narrowed() -> None:
    (statement,) = statements({"iam:AttachUserPolicy"}, {"iam:AttachUserPolicy"})
    assert statement == {"Effect": "Allow", "Action": ["iam:AttachUserPolicy"], "Resource": "*"}


def test_who_am_i_needs_no_permission() -> None:
    assert statements({"sts:GetCallerIdentity"}) == []


def test_nothing_is_left_out_and_nothing_added() -> None:
    found = [action for each in statements(set(DELETION)) for action in each["Action"]]
    assert sorted(found) == sorted(set(DELETION) - {"sts:GetCallerIdentity"})


def test_another_partition() -> None:
    (statement,) = statements({"iam:AttachUserPolicy"}, partition="aws-cn")
    assert statement["Resource"] == "arn:aws-cn:iam::*:user/*"
    assert statement["Condition"] == {"ArnEquals": {"iam:PolicyARN": "arn:aws-cn:iam::aws:policy/AWSDenyAll"}}


def test_the_role_that_gives_users_back_gives_keys_back_and_the_one_that_deletes_retires_them() -> None:
    assert {*KEY_SWITCH} <= {*RELEASE, *RESTORATION}
    assert {*KEY_SWITCH, *KEY_RETIREMENT} <= {*DELETION, "iam:UpdateAccessKey"}
