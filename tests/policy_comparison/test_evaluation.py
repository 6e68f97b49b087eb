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
    undecided,
)
from tests.policy_comparison.random_policies import STRANGE, pairs, requests
from tests.policy_comparison.reference_evaluator import Evaluator, Interpretation
from tests.policy_comparison.reference_evaluator import Request as ReferenceRequest

pytestmark = pytest.mark.pure

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


#: A network that the evaluator knows nothing of, and a team that it knows of.
KNOWN = frozenset({"aws:username", "aws:principaltag/"})
VPC, TEAM = "aws:SourceVpc", "aws:PrincipalTag/team"


def when(operator: str, key: str, *values: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


@pytest.mark.parametrize(
    ("statements", "wanted", "reasons"),
    [
        pytest.param(
            [statement(**when("StringEquals", VPC, "v"))],
            IMPLICIT_DENY,
            ["condition key aws:sourcevpc"],
            id="allow",
        ),
        pytest.param(
            [statement(**when("StringNotEqualsIfExists", VPC, "v"))],
            IMPLICIT_DENY,
            ["condition key aws:sourcevpc"],
            id="negated-allow",
        ),
        pytest.param(
            [statement(), statement("Deny", **when("StringEquals", VPC, "v"))],
            EXPLICIT_DENY,
            ["condition key aws:sourcevpc"],
            id="deny",
        ),
        pytest.param(
            [statement(), statement("Deny", **when("Null", VPC, "false"))],
            EXPLICIT_DENY,
            ["condition key aws:sourcevpc"],
            id="null",
        ),
        pytest.param(
            [statement(), statement("Deny", Resource=f"{USERS}${{{VPC}}}")],
            EXPLICIT_DENY,
            ["condition key aws:sourcevpc"],
            id="variable-of-resource",
        ),
        pytest.param(
            [statement(), statement("Deny", Resource=f"{USERS}${{{VPC}, 'bob'}}")],
            EXPLICIT_DENY,
            ["condition key aws:sourcevpc"],
            id="variable-with-default",
        ),
        pytest.param(
            [statement(), statement("Deny", Resource=f"{USERS}b${{{VPC}}}")],
            ALLOWED,
            [],
            id="other-resources",
        ),
        pytest.param(
            [statement(), no_resource("Deny", NotResource=[f"{USERS}${{{VPC}}}"])],
            EXPLICIT_DENY,
            ["condition key aws:sourcevpc"],
            id="variable-of-not-resource",
        ),
        pytest.param(
            [statement(), statement("Deny", **when("StringEquals", "aws:username", f"${{{VPC}}}"))],
            EXPLICIT_DENY,
            ["condition key aws:sourcevpc"],
            id="variable-of-condition",
        ),
        pytest.param(
            [statement(), statement("Deny", **when("NumericLessThan", "aws:username", "1"))],
            EXPLICIT_DENY,
            ["condition operator NumericLessThan"],
            id="operator",
        ),
        pytest.param(
            [
                statement(),
                statement("Deny", **when("StringEquals", VPC, "v")),
                statement("Deny", **when("StringEquals", "aws:username", "alice")),
            ],
            EXPLICIT_DENY,
            [],
            id="denied-anyway",
        ),
        pytest.param(
            [statement(), statement(**when("StringEquals", VPC, "v"))], ALLOWED, [], id="allowed-anyway"
        ),
        pytest.param(
            [
                statement(),
                statement(
                    "Deny", Condition={"StringEquals": {VPC: "v"}, "StringLike": {"aws:username": "bob"}}
                ),
            ],
            ALLOWED,
            [],
            id="another-condition-is-unmet",
        ),
        # a key that is known, and missing in the request
        pytest.param([statement(**when("StringEquals", TEAM, "a"))], IMPLICIT_DENY, [], id="missing"),
        pytest.param([statement(**when("StringEqualsIfExists", TEAM, "a"))], ALLOWED, [], id="if-exists"),
        pytest.param([statement(**when("StringNotEquals", TEAM, "a"))], ALLOWED, [], id="missing-negated"),
        pytest.param([statement(**when("Null", TEAM, "true"))], ALLOWED, [], id="missing-null"),
    ],
)
def test_what_is_not_known_denies_and_is_named(
    statements: list[dict[str, Any]], wanted: str, reasons: list[str]
) -> None:
    request = Request("iam:GetUser", f"{USERS}alice", {"aws:username": "alice"}, KNOWN)
    policy = {"Version": "2012-10-17", "Statement": statements}
    assert decision(request, [policy]) == wanted
    assert list(undecided(request, [policy])) == reasons


@pytest.mark.parametrize(
    ("statements", "wanted"),
    [
        pytest.param([statement()], ALLOWED, id="everything"),
        pytest.param([statement(Resource=f"{USERS}*")], IMPLICIT_DENY, id="some"),
        pytest.param([statement(), statement("Deny", Resource=f"{USERS}alice")], EXPLICIT_DENY, id="denied"),
        pytest.param([no_resource(NotResource=f"{USERS}alice")], IMPLICIT_DENY, id="not-resource"),
        pytest.param([statement(), no_resource("Deny", NotResource="*")], ALLOWED, id="nothing-denied"),
    ],
)
def test_a_resource_that_is_not_known(statements: list[dict[str, Any]], wanted: str) -> None:
    request, policy = Request("iam:GetUser", None), {"Version": "2012-10-17", "Statement": statements}
    assert decision(request, [policy]) == wanted
    assert undecided(request, [policy]) == (() if wanted == ALLOWED else ("resource",))


@pytest.mark.parametrize(
    ("operator", "values", "wanted"),
    [
        pytest.param("ForAllValues:StringEquals", ("a", "b", "c"), True, id="all"),
        pytest.param("ForAllValues:StringEquals", ("a", "c"), False, id="not-all"),
        pytest.param("ForAllValues:StringNotEquals", ("c",), True, id="none"),
        pytest.param("ForAllValues:StringNotLike", ("a*",), False, id="not-none"),
        pytest.param("ForAnyValue:StringEquals", ("b", "c"), True, id="any"),
        pytest.param("ForAnyValue:StringEquals", ("c",), False, id="not-any"),
        pytest.param("ForAnyValue:StringNotEquals", ("a",), True, id="another"),
        pytest.param("ForAnyValue:StringNotEquals", ("a", "b"), False, id="no-other"),
        pytest.param("StringEquals", ("a", "b"), True, id="every-one"),
        pytest.param("StringEquals", ("a",), None, id="without-a-set-operator"),
        pytest.param("Null", ("false",), True, id="present"),
    ],
)
def test_a_key_with_several_values(operator: str, values: tuple[str, ...], wanted: bool | None) -> None:
    request = Request("iam:GetUser", f"{USERS}alice", {"aws:tagkeys": ("a", "b")})
    met = {"Version": "2012-10-17", "Statement": [statement(**when(operator, "aws:TagKeys", *values))]}
    assert decision(request, [met]) == (ALLOWED if wanted else IMPLICIT_DENY)
    reasons = [f"condition operator {operator}"] if wanted is None else []
    assert list(undecided(request, [met])) == reasons


def test_an_action_without_resource_type_needs_every_resource() -> None:
    policy = {"Version": "2012-10-17", "Statement": [statement(Action="iam:ListUsers", Resource=f"{USERS}*")]}
    assert decision(Request("iam:ListUsers", "*"), [policy]) == IMPLICIT_DENY


def test_it_allows_nothing_that_another_evaluator_denies() -> None:
    """An evaluator that shares no code with it, over random policies and requests."""
    compared: Counter[str] = Counter()
    for pair, random in pairs(11, 300):
        document = {"Version": pair.version, "Statement": pair.old}
        for action, resource, context in requests(pair, random, 6):
            single = all(len(values) == 1 for values in context.values())
            asked = Request(
                action,
                resource,
                {key: values[0] if len(values) == 1 else values for key, values in context.items()},
            )
            found = decision(asked, [document])
            granted = {
                evaluator.granted(ReferenceRequest(action, resource, context), [document])
                for evaluator in EVALUATORS
            }
            if found == ALLOWED:
                assert granted == {True}, (asked, document)
            elif found == IMPLICIT_DENY and single and not UNDECIDED.search(str(document)):
                assert False in granted, (asked, document)
            compared[found] += 1
    assert min(compared[each] for each in (ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY)) > 50
