# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.policy_comparison import trusted_users
from c7n_iamusers.policy_comparison.trusted_users import Trust, TrustIndex, _Clause
from tests.records import ACCOUNT, user

pytestmark = pytest.mark.pure

ALICE = user(path="/eng/", tags={"Team": "red"})
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"


def trust(principal: Any, effect: str = "Allow", **rest: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole", **rest}
    return {"Version": "2012-10-17", "Statement": [statement]}


def when(operator: str, key: str, value: Any, principal: Any = None) -> dict[str, Any]:
    return trust({"AWS": ROOT} if principal is None else principal, Condition={operator: {key: value}})


@pytest.mark.parametrize(
    ("document", "named"),
    [
        pytest.param(trust({"AWS": ALICE.arn}), True, id="arn"),
        pytest.param(trust({"AWS": [ROOT, ALICE.arn]}), True, id="among-others"),
        pytest.param(trust({"AWS": ALICE.unique_id}), True, id="unique-id"),
        pytest.param(json.dumps(trust({"AWS": ALICE.arn})), True, id="text"),
        pytest.param(quote(json.dumps(trust({"AWS": ALICE.arn}))), True, id="url-encoded"),
        pytest.param(when("StringEquals", "aws:PrincipalArn", ALICE.arn), True, id="condition"),
        pytest.param(
            when("ArnLike", "AWS:PrincipalARN", ["x", ALICE.arn]), True, id="condition-list-any-case"
        ),
        pytest.param(
            when("ForAnyValue:StringEqualsIfExists", "aws:userid", ALICE.unique_id), True, id="userid"
        ),
        *[
            pytest.param(when(operator, key, value), True, id=f"{operator}-{key}-{value}")
            for operator, key, value in (
                ("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:user/eng/ali*"),
                ("ArnEquals", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:user/*"),
                ("StringLike", "aws:PrincipalArn", "arn:aws:iam::*:user/eng/alice"),
                ("StringEqualsIgnoreCase", "aws:PrincipalArn", ALICE.arn.upper()),
                ("StringEquals", "aws:username", ["bob", "alice"]),
                ("StringEqualsIfExists", "aws:username", "alice"),
                ("StringLike", "aws:username", "ali?e"),
                ("StringLike", "aws:userid", f"{ALICE.unique_id[:8]}*"),
                ("StringLike", "aws:userid", "AIDA*"),
                ("StringEquals", "aws:PrincipalTag/Team", "red"),
                ("StringEquals", "aws:principaltag/TEAM", ["blue", "red"]),
                ("StringEquals", "aws:PrincipalTag/team", "${aws:ResourceTag/team}"),
                ("Null", "aws:PrincipalTag/team", "false"),
                ("Invented", "aws:PrincipalArn", "x"),
            )
        ],
        *[
            pytest.param(when(operator, key, value), False, id=f"not-{operator}-{key}-{value}")
            for operator, key, value in (
                ("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:user/ops/*"),
                ("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/ali*"),
                ("StringLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:*"),
                ("StringLike", "aws:PrincipalArn", "*"),
                ("StringEquals", "aws:username", "ali*"),
                ("StringEquals", "aws:username", "Alice"),
                ("StringLike", "aws:userid", "AROA*:alice"),
                ("StringEquals", "aws:PrincipalTag/team", "blue"),
                ("StringEquals", "aws:PrincipalTag/unit", "red"),
                ("StringEquals", "aws:PrincipalTag/unit", "${aws:ResourceTag/unit}"),
                ("StringNotEquals", "aws:username", "bob"),
                ("StringNotEquals", "aws:PrincipalTag/team", "blue"),
                ("StringNotLike", "aws:PrincipalArn", "arn:aws:iam::*:user/ci-*"),
                ("StringLike", "sts:RoleSessionName", "${aws:username}"),
                ("Bool", "aws:MultiFactorAuthPresent", "true"),
            )
        ],
        *[
            pytest.param(when("StringEquals", "aws:username", "alice", principal), named, id=name)
            for name, principal, named in (
                ("everybody-on-a-name", "*", True),
                ("every-principal-on-a-name", {"AWS": "*"}, True),
                ("account-by-id-on-a-name", {"AWS": ACCOUNT}, True),
                ("another-account-on-a-name", {"AWS": "arn:aws:iam::999999999999:root"}, False),
                ("service-on-a-name", {"Service": "ec2.amazonaws.com"}, False),
                ("a-role-on-a-name", {"AWS": f"arn:aws:iam::{ACCOUNT}:role/x"}, False),
            )
        ],
        pytest.param(
            trust(
                {"AWS": ROOT},
                Condition={
                    "StringEquals": {"aws:username": "alice"},
                    "StringNotEquals": {"aws:PrincipalTag/team": "red"},
                },
            ),
            False,
            id="one-of-two-conditions",
        ),
        pytest.param(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "NotPrincipal": {"AWS": ROOT},
                        "Action": "sts:AssumeRole",
                        "Condition": {"StringEquals": {"aws:username": "alice"}},
                    }
                ],
            },
            True,
            id="not-principal-on-a-name",
        ),
        pytest.param(when("StringNotEquals", "aws:PrincipalArn", ALICE.arn), False, id="condition-negated"),
        pytest.param(when("StringEquals", "aws:SourceArn", ALICE.arn), False, id="other-condition-key"),
        pytest.param(trust({"AWS": ROOT}), False, id="whole-account"),
        pytest.param(trust("*"), False, id="everybody"),
        pytest.param(trust({"AWS": "*"}), False, id="every-principal"),
        pytest.param(
            trust({"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}), False, id="namesake-under-another-path"
        ),
        pytest.param(trust({"AWS": f"{ALICE.arn}2"}), False, id="begins-alike"),
        pytest.param(trust({"Service": "ec2.amazonaws.com"}), False, id="service"),
        pytest.param(trust({"AWS": ALICE.arn}, "Deny"), False, id="deny"),
    ],
)
def test_roles_that_name_a_user(document: Any, named: bool) -> None:
    index = TrustIndex([{"Arn": ROLE, "AssumeRolePolicyDocument": document}])
    assert index.of(ALICE).roles == ((ROLE,) if named else ())


def test_several_roles_in_order_and_once_each() -> None:
    twice = trust({"AWS": [ALICE.arn, ALICE.unique_id]})
    roles = [{"Arn": arn, "AssumeRolePolicyDocument": twice} for arn in ("b", "a")]
    assert TrustIndex(roles).of(ALICE).roles == ("a", "b")


def test_a_policy_that_cannot_be_read_is_named() -> None:
    for role in ({"Arn": ROLE, "AssumeRolePolicyDocument": "rubbish"}, {"Arn": ROLE}):
        found = TrustIndex([role]).of(ALICE)
        assert found == Trust((), f"the trust policy of {ROLE} can't be read")


def test_a_comparison_that_fails_leaves_that_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    may_name = _Clause.may_name

    def failing(clause: _Clause, account: str, context: Any) -> bool:
        if "alice" in context.facts["aws:username"]:
            raise RecursionError("deep")
        return may_name(clause, account, context)

    monkeypatch.setattr(_Clause, "may_name", failing)
    index = TrustIndex([{"Arn": ROLE, "AssumeRolePolicyDocument": when("StringLike", "aws:username", "*b*")}])
    alice, bob = (user(name, unique_id=f"AIDA{name:0>16}") for name in ("alice", "bob"))
    monkeypatch.setitem(alice.detail, "UserName", "alice")
    assert index.of(bob) == Trust((ROLE,))
    other = TrustIndex(
        [{"Arn": ROLE, "AssumeRolePolicyDocument": when("StringLike", "aws:username", "*li*")}]
    )
    assert other.of(alice).roles == ()
    assert f"{ROLE} can't be compared" in other.of(alice).unknown


@pytest.mark.parametrize("pattern", ["u*{}", "{}*", "*:user/*{}"])
def test_patterns_without_number_cost_a_user_nothing(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "aws:PrincipalArn" if ":" in pattern else "aws:username"
    roles = [
        {
            "Arn": f"r{each}",
            "AssumeRolePolicyDocument": when(
                "StringLike", key, [pattern.format(f"q{each}-{at}") for at in range(10)]
            ),
        }
        for each in range(500)
    ]
    index = TrustIndex(roles)
    monkeypatch.setattr(_Clause, "may_name", lambda *_: pytest.fail("asked"))
    assert index.of(user("u1")) == Trust(())


def test_trust_policies_that_take_too_long_leave_users_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted_users, "OWN_CHARACTERS", 500)
    monkeypatch.setattr(trusted_users, "SHARED_CHARACTERS", 5_000)
    hostile = [
        {"Arn": f"r{each}", "AssumeRolePolicyDocument": when("StringLike", "aws:username", f"*{each:099}*")}
        for each in range(20)
    ]
    index = TrustIndex(hostile)
    users = [user(f"u{each}", unique_id=f"AIDA{each:016}") for each in range(10)]
    found = [index.of(each) for each in users]
    assert [bool(each.unknown) for each in found] == [False] * 3 + [True] * 7
    assert "take too long to compare" in found[-1].unknown
    # whoever takes no more than its own share is compared all the same
    few = TrustIndex(hostile[:4])
    assert [few.of(each) for each in users] == [Trust(())] * 10


def test_a_tag_that_was_not_read_may_be_any() -> None:
    index = TrustIndex(
        [{"Arn": ROLE, "AssumeRolePolicyDocument": when("StringEquals", "aws:PrincipalTag/team", "x")}]
    )
    unread = IamUser(
        {key: value for key, value in ALICE.detail.items() if key != "Tags"},
        {kind: items for kind, items in ALICE.attachments.items() if kind != "tag"},
    )
    assert (index.of(unread).roles, index.of(ALICE).roles) == ((ROLE,), ())


def test_a_thousand_roles_and_users_by_name_take_one_look_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    may_name = _Clause.may_name

    def counted(clause: _Clause, account: str, context: Any) -> bool:
        asked.append(account)
        return may_name(clause, account, context)

    roles = [
        {"Arn": f"r{each}", "AssumeRolePolicyDocument": when("StringEquals", "aws:username", f"u{each}")}
        for each in range(1_000)
    ]
    index = TrustIndex(roles)
    monkeypatch.setattr(_Clause, "may_name", counted)
    found = [index.of(user(f"u{each}", unique_id=f"AIDA{each:016}")) for each in range(1_000)]
    assert found == [Trust((f"r{each}",)) for each in range(1_000)]
    assert len(asked) == 1_000


def test_a_version_of_2008_has_no_variables() -> None:
    document = {**when("StringEquals", "aws:username", "${aws:PrincipalTag/x}"), "Version": "2008-10-17"}
    index = TrustIndex([{"Arn": ROLE, "AssumeRolePolicyDocument": document}])
    assert index.of(ALICE).roles == ()
