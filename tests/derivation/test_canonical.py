# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c7n_iamusers.derivation.canonical import MOST_STEPS, canonical, includes
from c7n_iamusers.policy_comparison.budgets import Budget
from c7n_iamusers.policy_comparison.comparison import EQUAL, Policies, compare
from c7n_iamusers.policy_comparison.patterns import PATTERN_STEPS
from c7n_iamusers.policy_comparison.principals import RequestContext
from c7n_iamusers.policy_comparison.statements import PolicyStatement, parse_policy
from tests.derivation.users import HOME, allow, deny, document
from tests.examples import examples

pytestmark = pytest.mark.pure

REGION: dict[str, Any] = {"Condition": {"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}}
ONE_REGION: dict[str, Any] = {"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}


def parsed(*statements: dict[str, Any]) -> tuple[PolicyStatement, ...]:
    return parse_policy(document(*statements), "p")


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([allow("s3:Get*"), allow("s3:Get*", Sid="A")], [allow("s3:Get*")], id="twice"),
        pytest.param([allow("s3:Get*"), allow("s3:Put*")], [allow("s3:Get* s3:Put*")], id="actions"),
        pytest.param([allow("s3:*", "a"), allow("s3:*", "b")], [allow("s3:*", "a b")], id="resources"),
        pytest.param([allow("s3:* s3:GetObject", "b* ba")], [allow("s3:*", "b*")], id="shorter-lists"),
        pytest.param([allow("s3:*"), allow("s3:Get*", "a")], [allow("s3:*")], id="included"),
        pytest.param([allow("*:*")], [allow("*")], id="every-action"),
        pytest.param([allow("s3:*"), allow("s3:Get*", **REGION)], [allow("s3:*")], id="included-on-condition"),
        pytest.param(
            [allow("s3:*", **REGION), allow("s3:Get*", **ONE_REGION)], [allow("s3:*", **REGION)], id="stricter"
        ),
        pytest.param(
            [allow("s3:*", HOME), allow("s3:*", "arn:aws:s3:::*")], [allow("s3:*", "arn:aws:s3:::*")],
            id="variable",
        ),
        pytest.param([deny("s3:*"), deny("s3:Put*", "a")], [deny("s3:*")], id="denies"),
        pytest.param(
            [deny("s3:*", "x/${s3:prefix}"), deny("s3:*", "y/${s3:prefix}")],
            [deny("s3:*", "x/${s3:prefix} y/${s3:prefix}")], id="one-variable",
        ),
        pytest.param(
            [allow("s3:x", "arn:aws:sqs"), allow("s3:x", "arn:aws:sqs:*:*:*")], [allow("s3:x", "arn:aws:sqs:*:*:*")],
            id="short-arn",
        ),
    ],
)  # fmt: skip
def test_few_for_many(statements: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    for order in permutations(statements):
        assert canonical(parsed(*order)) == parsed(*expected)


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([allow("s3:*"), deny("s3:Put*")], id="allow-and-deny"),
        pytest.param([deny("s3:*", "x/${s3:prefix}"), deny("s3:*", "y")], id="a-variable-and-none"),
        pytest.param([deny("s3:*", "x/* x/${s3:prefix}")], id="a-variable-in-a-star"),
        pytest.param([allow("ec2:*", "a"), allow("s3:*", "b")], id="other-actions-on-other-resources"),
        pytest.param([allow("s3:Get*", **ONE_REGION), allow("s3:Put*")], id="other-conditions"),
        pytest.param(
            [
                {"Effect": "Allow", "NotAction": "a:*", "Resource": "*"},
                {"Effect": "Allow", "NotAction": "b:*", "Resource": "x"},
            ],
            id="not-actions",
        ),
        pytest.param([allow("s3:*", "A"), allow("ec2:*", "a")], id="case-of-resources"),
    ],
)  # fmt: skip
def test_what_cannot_be_one(statements: list[dict[str, Any]]) -> None:
    assert set(canonical(parsed(*statements))) == set(parsed(*statements))


def test_not_actions_are_never_added_up() -> None:
    first, second = (
        {"Effect": "Allow", "NotAction": [action], "Resource": "*"} for action in ("iam:*", "s3:*")
    )
    together = canonical(parsed(first, second))
    assert [each.actions.patterns for each in together] == [{"iam:*"}, {"s3:*"}]


def test_what_is_in_force_anyway_needs_no_statement() -> None:
    assert canonical(parsed(allow("s3:Get*"), allow("s3:Put*")), parsed(allow("s3:G*"))) == parsed(
        allow("s3:Put*")
    )


def test_labels_and_places_leave_no_trace() -> None:
    (statement,) = canonical(parsed(allow("s3:GetObject", Sid="A")))
    assert (statement.sid, statement.source) == ("", "")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(allow("s3:*"), allow("s3:Get*", "a"), True, id="less"),
        pytest.param(allow("s3:Get*"), allow("s3:*"), False, id="more"),
        pytest.param(deny("s3:*"), allow("s3:Get*"), False, id="other-effect"),
        pytest.param(allow("s3:*", **ONE_REGION), allow("s3:*"), False, id="condition"),
    ],
)
def test_inclusion(first: dict[str, Any], second: dict[str, Any], expected: bool) -> None:
    (one,), (other,) = parsed(first), parsed(second)
    assert includes(one, other, Budget()) is expected


STATEMENTS = st.builds(
    lambda effect, actions, resources, condition: {
        "Effect": effect,
        "Action": actions,
        "Resource": resources,
        **condition,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.lists(st.sampled_from(["s:*", "s:a", "s:a*", "s:?", "t:b", "*"]), min_size=1, max_size=3),
    st.lists(st.sampled_from(["x", "x*", "*y", "xy", "*"]), min_size=1, max_size=3),
    st.sampled_from([{}, REGION, ONE_REGION]),
)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(STATEMENTS, max_size=6).flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
def test_the_form_depends_on_no_order_and_loses_nothing(
    pair: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    statements, other_order = pair
    short = canonical(parsed(*statements))
    assert short == canonical(parsed(*other_order)) == canonical(short)
    anybody = RequestContext()
    assert compare(Policies(short), anybody, Policies(parsed(*statements)), anybody)[0] == EQUAL


def test_a_reduction_that_takes_too_many_steps_ends_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spent = 0
    spend = Budget.spend

    def counted(self: Budget, steps: int) -> None:
        nonlocal spent
        spent += steps
        spend(self, steps)

    monkeypatch.setattr(Budget, "spend", counted)
    chance = Random(1)
    names = ["".join(chance.choices("abcdefgh**??", k=12)) for _ in range(400)]
    hard = parsed(
        allow(" ".join(f"s3:{each}" for each in names[:200])),
        allow(" ".join(f"s3:{each}" for each in names[200:]), "a"),
    )
    assert {each.actions.patterns for each in canonical(hard)} == {each.actions.patterns for each in hard}
    assert spent < MOST_STEPS + PATTERN_STEPS
