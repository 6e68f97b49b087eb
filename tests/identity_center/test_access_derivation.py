# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center import access_derivation
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.model import DesiredAccess, Person
from c7n_iamusers.identity_center.requests.desired import desired_access
from c7n_iamusers.identity_center.requests.intents import Intents, UserIntent
from c7n_iamusers.reasons import POLICIES_UNKNOWN
from tests.access_center import ACCOUNT
from tests.desired import user

pytestmark = pytest.mark.pure

HOME = "arn:aws:s3:::home/${aws:username}/*"


def desired(
    derivation: AccessDerivation, derive: dict[str, Any], *statements: dict[str, Any]
) -> DesiredAccess:
    """What is derived for alice, whose Identity Center username is the same."""
    person = Person("alice", "alice@example.com", "Alice", "Liddell", "Alice")
    asked = user(ACCOUNT, "alice", person)
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    detail = {
        "UserName": "alice",
        "UserId": asked.subject.unique_id,
        "Arn": asked.subject.arn,
        "UserPolicyList": [{"PolicyName": "P", "PolicyDocument": document}],
    }
    users = (UserIntent(asked.subject, person, detail=detail),)
    return desired_access([Intents(ACCOUNT, "p", users, derive=derive, source=PolicySource())], derivation)


@pytest.mark.parametrize(
    ("tags", "inline", "warned"),
    [
        pytest.param({"UserName"}, True, False, id="asked-and-certain"),
        pytest.param({"Other"}, False, True, id="another-tag"),
        pytest.param(set(), False, True, id="switched-off"),
    ],
)
def test_a_session_tag_counts_only_where_identity_center_has_it(
    tags: set[str], inline: bool, warned: bool
) -> None:
    derivation = AccessDerivation(lambda: frozenset(tags))
    statements = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": HOME},
        {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
    ]
    found = desired(derivation, {"username-tag": "UserName"}, *statements)
    (made,) = found.permission_sets.values()
    assert ("${aws:PrincipalTag/UserName}" in made.inline_policy) is inline
    assert bool(derivation.warnings) is warned


def test_identity_center_is_asked_only_where_a_policy_names_a_tag() -> None:
    def asked() -> frozenset[str]:
        raise AssertionError

    desired(AccessDerivation(asked), {}, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})


def test_what_is_accepted_ends() -> None:
    row = {
        "account": ACCOUNT,
        "user": "alice",
        "verdict": "undecided",
        "remark": "SEC-1",
        "expires": "2027-01-31",
    }
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Odd": {"s3:prefix": "a"}}},
    ]
    held = desired(AccessDerivation(today=date(2027, 1, 31)), {"accept": [row]}, *statements)
    ended = desired(AccessDerivation(today=date(2027, 2, 1)), {"accept": [row]}, *statements)
    assert (len(held.claims), len(held.refused)) == (1, 0)
    assert (len(ended.claims), len(ended.refused)) == (0, 1)
    assert "expired on 2027-01-31" in ended.refused[0].reason.text


def test_a_failure_of_one_user_leaves_that_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> Any:
        raise OverflowError("timestamp out of range for platform time_t")

    monkeypatch.setattr(access_derivation, "principal_permissions", failing)
    found = desired(AccessDerivation(), {}, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    ((reason, code),) = ((each.reason.text, each.code) for each in found.refused)
    assert "its policies are unknown: OverflowError('timestamp out of range" in reason
    assert code == POLICIES_UNKNOWN.code
