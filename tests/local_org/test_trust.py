# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from aws_local_org.credentials import Principal
from aws_local_org.trust import TrustRequest, trusts

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/eng/app"
SESSION = Principal(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/app/ada", "AROAX:ada", role_arn=ROLE)
USER = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ada", "AIDAX", user_name="ada")
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALLOW_ROOT = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}


def asked(statements: Any, caller: Principal = SESSION, external_id: str | None = None) -> bool:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return trusts(document, TrustRequest(caller, external_id))


@pytest.mark.parametrize(
    ("principal", "caller", "expected"),
    [
        pytest.param({"AWS": ROOT}, SESSION, True, id="the account's root, for a session"),
        pytest.param({"AWS": ROOT}, USER, True, id="the account's root, for a user"),
        pytest.param({"AWS": ACCOUNT}, USER, True, id="the account's number"),
        pytest.param({"AWS": ROLE}, SESSION, True, id="the role"),
        pytest.param({"AWS": SESSION.arn}, SESSION, True, id="the session"),
        pytest.param({"AWS": [USER.arn, "arn:aws:iam::1:root"]}, USER, True, id="one of several"),
        pytest.param("*", USER, True, id="everybody"),
        pytest.param({"AWS": "*"}, USER, True, id="every AWS principal"),
        pytest.param({"AWS": ROLE}, USER, False, id="the role, for a user"),
        pytest.param({"AWS": "arn:aws:iam::444455556666:root"}, SESSION, False, id="another account"),
        pytest.param({"AWS": f"{ROLE}2"}, SESSION, False, id="another role"),
        pytest.param({"Service": "ec2.amazonaws.com"}, SESSION, False, id="a service"),
        pytest.param({"Federated": "*"}, SESSION, False, id="an identity provider"),
        pytest.param({}, SESSION, False, id="nobody"),
    ],
)
def test_principals(principal: Any, caller: Principal, expected: bool) -> None:
    assert asked({**ALLOW_ROOT, "Principal": principal}, caller) is expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("sts:AssumeRole", True),
        ("STS:assumerole", True),
        (["sts:TagSession", "sts:Assume*"], True),
        ("*", True),
        ("sts:AssumeRoleWithSAML", False),
        ("iam:*", False),
    ],
    ids=str,
)
def test_actions(action: Any, expected: bool) -> None:
    assert asked([{**ALLOW_ROOT, "Action": action}]) is expected


@pytest.mark.parametrize(
    ("condition", "external_id", "expected"),
    [
        pytest.param({"StringEquals": {"sts:ExternalId": "x"}}, "x", True, id="the external id"),
        pytest.param({"StringEquals": {"sts:ExternalId": "x"}}, "y", False, id="another external id"),
        pytest.param({"StringEquals": {"sts:ExternalId": "x"}}, None, False, id="no external id"),
        pytest.param({"StringEquals": {"STS:externalid": ["w", "x"]}}, "x", True, id="one of several"),
        pytest.param({"StringLike": {"sts:ExternalId": "x-*"}}, "x-1", True, id="a pattern"),
        pytest.param(
            {"StringEquals": {"sts:ExternalId": "x-*"}}, "x-1", False, id="a pattern taken literally"
        ),
        pytest.param({"StringNotEquals": {"sts:ExternalId": "x"}}, "y", True, id="not"),
        pytest.param({"StringNotEquals": {"sts:ExternalId": "x"}}, "x", False, id="not, but it is"),
        pytest.param(
            {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/eng/*"}}, None, True, id="ARN"
        ),
        pytest.param({"ArnNotLike": {"aws:PrincipalArn": ROLE}}, None, False, id="not this ARN"),
        pytest.param({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, None, True, id="account"),
        pytest.param(
            {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, None, False, id="a key that is not there"
        ),
        pytest.param(
            {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}, None, True, id="if it is there"
        ),
        pytest.param(
            {"Bool": {"aws:MultiFactorAuthPresent": "true"}}, None, False, id="MFA, which nobody has"
        ),
        pytest.param(
            {"IpAddress": {"sts:ExternalId": "x"}}, "x", False, id="an operator that is not understood"
        ),
        pytest.param(
            {"StringEquals": {"sts:ExternalId": "x"}, "ArnLike": {"aws:PrincipalArn": "nobody"}},
            "x",
            False,
            id="all must hold",
        ),
    ],
)
def test_conditions(condition: dict[str, Any], external_id: str | None, expected: bool) -> None:
    assert asked({**ALLOW_ROOT, "Condition": condition}, SESSION, external_id) is expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([], False, id="nothing said"),
        pytest.param([ALLOW_ROOT, {**ALLOW_ROOT, "Effect": "Deny"}], False, id="a Deny wins"),
        pytest.param(
            [ALLOW_ROOT, {**ALLOW_ROOT, "Effect": "Deny", "Principal": {"AWS": USER.arn}}],
            True,
            id="a Deny of somebody else",
        ),
        pytest.param([{**ALLOW_ROOT, "Effect": "Deny"}], False, id="a Deny alone"),
    ],
)
def test_effects(statements: list[dict[str, Any]], expected: bool) -> None:
    assert asked(statements) is expected
