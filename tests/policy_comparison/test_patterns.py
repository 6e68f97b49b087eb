# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.policy_comparison.patterns import (
    as_2012,
    characters,
    complete_arn,
    escaped,
    matched_by,
    matches,
    substituted,
    variables,
    within_segments,
)

pytestmark = pytest.mark.pure

HOME = "arn:aws:s3:::home/${aws:username}/*"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param(HOME, {"aws:username"}, id="variable"),
        pytest.param(
            "${aws:PrincipalTag/Cost Center}", {"aws:principaltag/cost center"}, id="tag-with-space"
        ),
        pytest.param("${aws:username, 'nobody'}", {"aws:username"}, id="default"),
        pytest.param("${s3:prefix}-${aws:userid}", {"s3:prefix", "aws:userid"}, id="two"),
        pytest.param("a${*}b${?}c${$}", set(), id="escapes-are-none"),
        pytest.param("${$}{aws:username}", set(), id="escaped-dollar-begins-none"),
        pytest.param("$aws:username ${aws:username", set(), id="unclosed"),
        pytest.param("${ aws:username }", {"aws:username"}, id="spaces"),
        pytest.param("${ aws:username , 'no}body' }", {"aws:username"}, id="spaces-and-a-brace-in-a-default"),
        pytest.param("${aws:user${aws:userid}", {"aws:userid"}, id="unclosed-before-another"),
        pytest.param("${a" + " " * 50_000, set(), id="spaces-without-end"),
        pytest.param("${a" * 50_000, set(), id="beginnings-without-end"),
    ],
)
def test_variables(text: str, keys: set[str]) -> None:
    assert variables(text) == keys


def test_what_an_earlier_version_writes_stays_mere_text() -> None:
    text = as_2012(HOME)
    assert not variables(text)
    assert matches(frozenset({text}), "arn:aws:s3:::home/${aws:username}/x")
    assert not matches(frozenset({text}), "arn:aws:s3:::home/alice/x")


def test_a_value_is_no_pattern() -> None:
    pattern = frozenset({f"home/{escaped('a*b?$c')}/*"})
    assert matches(pattern, "home/a*b?$c/x")
    assert not matches(pattern, "home/axxb1$c/x")


def test_substitution_sees_key_and_default_and_keeps_what_it_is_told_to() -> None:
    seen = []

    def value(key: str, default: str | None) -> str | None:
        seen.append((key, default))
        return default

    assert substituted("${aws:UserName, 'it''s'}/${aws:userid}", value) == "it's/${aws:userid}"
    assert seen == [("aws:username", "it's"), ("aws:userid", None)]


@pytest.mark.parametrize(
    ("pattern", "complete"),
    [
        pytest.param("arn:aws:sqs", "arn:aws:sqs:*:*:*", id="fields-are-missing"),
        pytest.param("arn:aws:s3*", "arn:aws:s3*:*:*:*", id="star-in-service"),
        pytest.param(
            "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/${aws:username}", id="whole"
        ),
        pytest.param("arn:aws:s3::${aws:username}", "arn:aws:s3::${aws:username}:*", id="colon-in-variable"),
        pytest.param("arn:aws:logs:*:*:log-group:a:b", "arn:aws:logs:*:*:log-group:a:b", id="more-colons"),
        pytest.param("*", "*", id="everything"),
    ],
)
def test_an_incomplete_arn_is_completed(pattern: str, complete: str) -> None:
    assert complete_arn(pattern) == complete


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        pytest.param("a:b*c:d", "a:bxxc:d", True, id="in-a-segment"),
        pytest.param("a:b*c:d", "a:bx:xc:d", False, id="in-a-segment-no-colon"),
        pytest.param("a:*:d", "a:b:c:d", True, id="last-of-a-segment"),
        pytest.param("a:b**:d", "a:bx:c:d", True, id="two-stars-at-the-end"),
        pytest.param("a:*b", "a:x:b", False, id="first-of-a-segment"),
        pytest.param("a:b*", "a:b:c", True, id="last-of-all"),
        pytest.param("a:?:c", "a:::c", False, id="question-mark"),
        pytest.param("a:?:c", "a:b:c", True, id="question-mark-in-a-segment"),
        pytest.param("a:${*}b*c", "a:*bxc", True, id="an-escape-stays"),
        pytest.param("a*\nb", "a:\nb", False, id="a-line-end-is-a-character"),
        pytest.param("a:${aws:userid}b", "a:x:b", True, id="a-variable-may-be-anything"),
    ],
)
def test_wildcards_within_segments(pattern: str, text: str, expected: bool) -> None:
    assert matches(frozenset({within_segments(pattern)}), text) is expected


SUFFIX = characters(4)


@pytest.mark.parametrize(
    ("pattern", "union", "answers"),
    [
        pytest.param(f"a/{SUFFIX}", {"a/*"}, {True}, id="all-by-a-star"),
        pytest.param(f"a/{SUFFIX}", {"a/????"}, {True}, id="all-by-question-marks"),
        pytest.param(f"a/{SUFFIX}", {"*"}, {True}, id="anything"),
        pytest.param(f"a/{SUFFIX}", {"a/???"}, {False}, id="too-short"),
        pytest.param(f"a/{SUFFIX}", {"b/*"}, {False}, id="another-beginning"),
        pytest.param(f"a/{SUFFIX}", {"*longer-than-that"}, {False}, id="another-end"),
        pytest.param(f"a/{SUFFIX}", {"a/*:*"}, {False}, id="a-colon-that-it-can-not-have"),
        pytest.param(f"a/{SUFFIX}", {"a/beef"}, {True, False}, id="one-of-them"),
        pytest.param(f"a/{SUFFIX}", {"*beef*"}, {True, False}, id="some-of-them"),
        pytest.param(f"a/{SUFFIX}", {"a/beef", "a/*"}, {True}, id="one-of-two"),
        pytest.param(f"a/{SUFFIX}", set(), {False}, id="none"),
        pytest.param("a*:b", {"a*"}, {True}, id="any-length"),
        pytest.param("a*:b", {"a?:b"}, {True, False}, id="any-length-and-one"),
        pytest.param("a*:b", {"c*"}, {False}, id="any-length-elsewhere"),
        pytest.param("a", {"a"}, {True}, id="literal"),
    ],
)
def test_which_texts_of_a_pattern_others_match(pattern: str, union: set[str], answers: set[bool]) -> None:
    assert matched_by(pattern, frozenset(union)) == answers
