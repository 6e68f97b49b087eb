# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from c7n_iamusers.iam.role_trust import TrustIndex, tells_apart
from tests.records import ACCOUNT, user

ALICE = user(path="/eng/")
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"


def trust(principal: Any, effect: str = "Allow", **rest: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole", **rest}
    return {"Version": "2012-10-17", "Statement": [statement]}


def when(operator: str, key: str, value: Any) -> dict[str, Any]:
    return trust({"AWS": ROOT}, Condition={operator: {key: value}})


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
    assert index.of(ALICE) == ((ROLE,) if named else ())
    assert index.unreadable == []


def test_several_roles_in_order_and_once_each() -> None:
    twice = trust({"AWS": [ALICE.arn, ALICE.unique_id]})
    roles = [{"Arn": arn, "AssumeRolePolicyDocument": twice} for arn in ("b", "a")]
    assert TrustIndex(roles).of(ALICE) == ("a", "b")


def test_a_policy_that_cannot_be_read_is_named() -> None:
    assert TrustIndex([{"Arn": ROLE, "AssumeRolePolicyDocument": "rubbish"}]).unreadable == [ROLE]
    assert TrustIndex([{"Arn": ROLE}]).unreadable == [ROLE]


CONDITION = {"StringEquals": {"sts:ExternalId": "x"}}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param({"Principal": {"AWS": ROOT}}, False, id="account"),
        pytest.param({"Principal": {"AWS": ["111122223333", ROOT]}}, False, id="accounts"),
        pytest.param(
            {"Principal": {"Service": "ec2.amazonaws.com"}, "Condition": CONDITION}, False, id="service"
        ),
        pytest.param(
            {"Principal": {"Federated": "x"}, "Condition": CONDITION}, False, id="identity-provider"
        ),
        pytest.param({"Principal": {"AWS": ROOT}, "Condition": CONDITION}, True, id="account-on-a-condition"),
        pytest.param({"Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}}, True, id="user"),
        pytest.param({"Principal": "*"}, True, id="everybody"),
        pytest.param({"Principal": {"AWS": "*"}}, True, id="everybody-of-aws"),
        pytest.param({"NotPrincipal": {"AWS": ROOT}}, True, id="not-principal"),
        pytest.param({}, True, id="no-principal"),
    ],
)
def test_whether_a_trust_policy_can_tell_principals_apart(statement: dict[str, Any], expected: bool) -> None:
    plain = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
    whole = {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}
    assert tells_apart({"Version": "2012-10-17", "Statement": [plain, whole]}) is expected
    assert tells_apart("{") is True
