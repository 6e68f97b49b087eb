# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.policy_comparison.conditions import (
    Condition,
    _pattern_of_arn,
    implied,
    outcomes,
    parse_conditions,
)

pytestmark = pytest.mark.pure


def conditions(element: dict[str, Any]) -> frozenset[Condition]:
    return parse_conditions(element, legacy=False)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            {"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}},
            {"StringEquals": {"aws:requestedregion": ["eu-west-1", "us-east-1", "us-east-1"]}},
            id="order-repetition-and-case-of-key",
        ),
        pytest.param({"Bool": {"k": True}}, {"Bool": {"k": ["True"]}}, id="truth-as-text"),
        pytest.param({"NumericLessThan": {"k": 5}}, {"NumericLessThan": {"k": "5"}}, id="number-as-text"),
        pytest.param({"notIPaddress": {"k": "a"}}, {"NotIpAddress": {"k": "a"}}, id="case-of-operator"),
        pytest.param(
            {"foranyvalue:stringlikeifexists": {"k": "a"}},
            {"ForAnyValue:StringLikeIfExists": {"k": "a"}},
            id="case-of-set-operator",
        ),
    ],
)
def test_the_same_in_other_words(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert conditions(first) == conditions(second)


@pytest.mark.parametrize(
    "element",
    [
        pytest.param({"StringEquals": "k"}, id="no-keys"),
        pytest.param(["StringEquals"], id="a-list"),
        pytest.param({"StringEquals": {"k": {"v": 1}}}, id="value-is-an-object"),
        pytest.param({"StringLike": {"k": "a"}, "stringlike": {"K": "b"}}, id="twice-in-different-case"),
    ],
)
def test_what_is_no_condition(element: Any) -> None:
    with pytest.raises(ValueError, match=r"condition's value|Condition that is not|on one key twice"):
        parse_conditions(element, legacy=False)


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        pytest.param({"StringEquals": {"k": "a"}}, {}, True, id="any-meets-none"),
        pytest.param({}, {"StringEquals": {"k": "a"}}, False, id="none-meets-no-condition"),
        pytest.param({"StringEquals": {"k": "a"}}, {"StringEquals": {"k": ["a", "b"]}}, True, id="fewer"),
        pytest.param({"StringEquals": {"k": ["a", "b"]}}, {"StringEquals": {"k": "a"}}, False, id="more"),
        pytest.param(
            {"StringNotEquals": {"k": ["a", "b"]}}, {"StringNotEquals": {"k": "a"}}, True, id="negated-more"
        ),
        pytest.param(
            {"StringNotEquals": {"k": "a"}}, {"StringNotEquals": {"k": ["a", "b"]}}, False, id="negated-fewer"
        ),
        pytest.param(
            {"StringEquals": {"k": "a"}}, {"StringEqualsIfExists": {"k": "a"}}, True, id="if-exists-is-looser"
        ),
        pytest.param(
            {"StringEqualsIfExists": {"k": "a"}}, {"StringEquals": {"k": "a"}}, False, id="not-the-reverse"
        ),
        pytest.param({"StringEquals": {"k": "a"}}, {"StringEquals": {"l": "a"}}, False, id="other-key"),
        pytest.param({"StringEquals": {"k": "a"}}, {"StringLike": {"k": "a"}}, False, id="other-operator"),
        pytest.param({"Null": {"k": "true"}}, {"Null": {"k": ["true", "false"]}}, False, id="null-is-exact"),
        pytest.param(
            {"StringEquals": {"k": "a", "l": "b"}}, {"StringEquals": {"l": "b"}}, True, id="one-of-two-keys"
        ),
        pytest.param(
            {"notipaddress": {"k": "a"}}, {"NotIpAddress": {"k": ["a", "b"]}}, False, id="negated-in-odd-case"
        ),
        pytest.param({"Xnot": {"k": "a"}}, {"Xnot": {"k": ["a", "b"]}}, False, id="unknown-operator"),
        pytest.param({"Xnot": {"k": "a"}}, {"Xnot": {"k": "a"}}, True, id="unknown-but-the-same"),
    ],
)
def test_implication(given: dict[str, Any], wanted: dict[str, Any], expected: bool) -> None:
    assert implied(conditions(wanted), conditions(given)) is expected


@pytest.mark.parametrize(
    ("operator", "values", "value", "expected"),
    [
        pytest.param("StringEquals", "alice", "alice", True, id="equal"),
        pytest.param("StringEquals", "Alice", "alice", False, id="case-matters"),
        pytest.param("StringEquals", "a*", "alice", False, id="no-wildcards-in-equals"),
        pytest.param("StringEqualsIgnoreCase", "Alice", "alice", True, id="case-ignored"),
        pytest.param("StringNotEquals", ["bob", "eve"], "alice", True, id="none-of-them"),
        pytest.param("StringNotEquals", ["bob", "alice"], "alice", False, id="one-of-them"),
        pytest.param("StringLike", "al*", "alice", True, id="wildcards"),
        pytest.param("StringNotLike", "al*", "alice", False, id="not-like"),
        pytest.param("ArnLike", "arn:aws:iam::*:user/al*", "arn:aws:iam::1:user/alice", True, id="arn"),
        pytest.param("ArnLike", "arn:aws:iam::*:role/x", "arn:aws:iam::1:user/alice", False, id="arn-other"),
        pytest.param(
            "arnnotlike", "arn:aws:iam::1:user/alice", "arn:aws:iam::1:user/alice", False, id="arn-case"
        ),
        pytest.param("ArnNotLike", "arn:aws:iam::1:role/x", "arn:aws:iam::1:user/alice", True, id="arn-not"),
        pytest.param("Bool", "true", "true", True, id="bool"),
        *(
            pytest.param(f"Date{relation}", wanted, "2026-03-01T12:00:00Z", expected, id=f"date-{number}")
            for number, (relation, wanted, expected) in enumerate(
                [
                    ("LessThan", "2026-03-01T12:00:01Z", True),
                    ("LessThan", "2026-03-01T12:00:00Z", False),
                    ("LessThanEquals", "2026-03-01T13:00:00+01:00", True),
                    ("GreaterThan", "2026-03-01", True),
                    ("GreaterThan", ["2027-01-01", "2026-01-01"], True),
                    ("GreaterThanEquals", "2026-03-02", False),
                    ("Equals", "1772366400", True),
                    ("NotEquals", "1772366400", False),
                ]
            )
        ),
        pytest.param("Null", "true", "alice", False, id="there"),
        pytest.param("Null", "true", None, True, id="missing"),
        pytest.param("StringEquals", "alice", None, False, id="missing-equals-nothing"),
        pytest.param("StringNotEquals", "alice", None, True, id="missing-is-not-equal"),
        pytest.param("BoolIfExists", "false", None, True, id="missing-if-exists"),
        pytest.param("ForAllValues:StringEquals", "alice", None, True, id="all-of-none"),
        pytest.param("ForAnyValue:StringEquals", "alice", None, False, id="any-of-none"),
    ],
)
def test_a_known_value_settles_a_condition(
    operator: str, values: Any, value: str | None, expected: bool
) -> None:
    (condition,) = conditions({operator: {"aws:username": values}})
    assert outcomes(condition, frozenset({value})) == {expected}


@pytest.mark.parametrize(
    ("operator", "values", "possible"),
    [
        pytest.param("StringEquals", "alice", None, id="nothing-known"),
        pytest.param("Bool", "true", frozenset({"true", None}), id="two-values"),
        pytest.param("NumericLessThan", "300", frozenset({"100"}), id="operator-not-evaluated"),
        pytest.param("DateLessThan", "tomorrow", frozenset({"2026-03-01"}), id="no-date"),
        pytest.param("DateLessThan", "2026-03-01", frozenset({"alice"}), id="no-date-given"),
        pytest.param("StringEquals", "${s3:prefix}", frozenset({"alice"}), id="variable-in-the-value"),
        pytest.param("ForAnyValue:StringNotEquals", "x", frozenset({None}), id="not-documented"),
        pytest.param("ArnLike", "*", frozenset({"arn:aws:iam::1:user/alice"}), id="star-alone-is-no-arn"),
        pytest.param("ArnNotLike", "*", frozenset({"arn:aws:iam::1:user/alice"}), id="star-alone-negated"),
        pytest.param(
            "ArnLike", "arn:aws:iam::*", frozenset({"arn:aws:iam::1:user/alice"}), id="arn-of-five-fields"
        ),
        pytest.param("StringMatches", "alice", frozenset({"alice"}), id="unknown-operator"),
        pytest.param("NullIfExists", "true", frozenset({"alice"}), id="null-has-no-if-exists"),
    ],
)
def test_what_stays_open(operator: str, values: str, possible: frozenset[str | None] | None) -> None:
    (condition,) = conditions({operator: {"aws:username": values}})
    assert outcomes(condition, possible) == {True, False}


def test_a_pattern_of_less_than_an_arn_may_match_or_not() -> None:
    assert _pattern_of_arn("arn:aws:iam", ["arn:aws:iam::1:user/a"]) == {True, False}
    assert _pattern_of_arn("arn:aws:iam::1:user/b", ["arn:aws:iam::1:user/a"]) == {False}
