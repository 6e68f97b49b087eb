# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.policy_comparison.evaluation import (
    ALLOWED,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    Request,
    decision,
)

USERS = "arn:aws:iam::111122223333:user/"


def statement(effect: str = "Allow", **given: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "iam:GetUser", "Resource": "*", **given}


def no_resource(effect: str = "Allow", **given: Any) -> dict[str, Any]:
    found = statement(effect, **given)
    del found["Resource"]
    return found


@pytest.mark.parametrize(
    ("statements", "wanted"),
    [
        pytest.param([], IMPLICIT_DENY, id="nothing"),
        pytest.param([statement()], ALLOWED, id="allow"),
        pytest.param([statement(Action="iam:get*")], ALLOWED, id="case-and-wildcard"),
        pytest.param([statement(Action="iam:GetUserPolicy")], IMPLICIT_DENY, id="another-action"),
        pytest.param([statement(Resource=f"{USERS}*")], ALLOWED, id="resource"),
        pytest.param([statement(Resource=f"{USERS}team/*")], IMPLICIT_DENY, id="another-resource"),
        pytest.param([statement(Resource="arn:aws:iam")], ALLOWED, id="short-arn"),
        pytest.param([no_resource(NotResource=f"{USERS}*")], IMPLICIT_DENY, id="not-resource"),
        pytest.param([statement(), statement("Deny")], EXPLICIT_DENY, id="deny"),
        pytest.param([statement(Resource=f"{USERS}${{aws:username}}")], ALLOWED, id="variable"),
        pytest.param([statement(Resource=f"{USERS}${{aws:userid}}")], IMPLICIT_DENY, id="no-value"),
        pytest.param(
            [statement(Condition={"ArnLike": {"aws:PrincipalArn": f"{USERS}a*"}})], ALLOWED, id="condition"
        ),
        pytest.param(
            [statement(Condition={"StringEquals": {"aws:username": "${aws:username}"}})], ALLOWED, id="value"
        ),
        pytest.param(
            [statement(Condition={"StringEquals": {"aws:username": "bob"}})], IMPLICIT_DENY, id="unmet"
        ),
        pytest.param(
            [statement(), statement("Deny", Condition={"StringNotEquals": {"aws:username": "bob"}})],
            EXPLICIT_DENY,
            id="negated",
        ),
        pytest.param(
            [statement(Condition={"StringEquals": {"iam:PolicyARN": "x"}})], IMPLICIT_DENY, id="missing-key"
        ),
        pytest.param(
            [statement(Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}})],
            IMPLICIT_DENY,
            id="undecided-allows-nothing",
        ),
        pytest.param(
            [statement(), statement("Deny", Condition={"DateLessThan": {"aws:username": "2030-01-01"}})],
            EXPLICIT_DENY,
            id="undecided-denies",
        ),
    ],
)
def test_decisions(statements: list[dict[str, Any]], wanted: str) -> None:
    context = {"aws:username": "alice", "aws:principalarn": f"{USERS}alice"}
    request = Request("iam:GetUser", f"{USERS}alice", context)
    assert decision(request, [{"Version": "2012-10-17", "Statement": statements}]) == wanted


def test_an_action_without_resource_type_needs_every_resource() -> None:
    policy = {"Version": "2012-10-17", "Statement": [statement(Action="iam:ListUsers", Resource=f"{USERS}*")]}
    assert decision(Request("iam:ListUsers", "*"), [policy]) == IMPLICIT_DENY
