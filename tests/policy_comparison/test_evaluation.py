# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections import Counter
from itertools import product
from typing import Any

import pytest

from c7n_iamusers.policy_comparison.evaluation import (
    ALLOWED,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    Request,
    decision,
)
from tests.policy_comparison.random_policies import STRANGE, pairs, requests
from tests.policy_comparison.reference_evaluator import Evaluator, Interpretation
from tests.policy_comparison.reference_evaluator import Request as ReferenceRequest

#: By each reading of ARNs, and each meaning of what is not documented.
EVALUATORS = [
    Evaluator(Interpretation(whole=whole, components=components), unknown, STRANGE)
    for whole, components in product((True, False), repeat=2)
    for unknown in (lambda operator, key: True, lambda operator, key: False)
]
#: What can be undecided.
UNDECIDED = re.compile("(?i)numeric|date|ipaddress|for(all|any)|matches|principalarn|[$][{]")
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


def test_it_allows_nothing_that_another_evaluator_denies() -> None:
    """An evaluator that shares no code with it, over random policies and requests."""
    compared: Counter[str] = Counter()
    for pair, random in pairs(11, 300):
        document = {"Version": pair.version, "Statement": pair.old}
        for action, resource, context in requests(pair, random, 6):
            if any(len(values) != 1 for values in context.values()):
                continue
            asked = Request(action, resource, {key: value for key, (value,) in context.items()})
            found = decision(asked, [document])
            granted = {
                evaluator.granted(ReferenceRequest(action, resource, context), [document])
                for evaluator in EVALUATORS
            }
            if found == ALLOWED:
                assert granted == {True}, (asked, document)
            elif found == IMPLICIT_DENY and not UNDECIDED.search(str(document)):
                assert False in granted, (asked, document)
            compared[found] += 1
    assert min(compared[each] for each in (ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY)) > 50
