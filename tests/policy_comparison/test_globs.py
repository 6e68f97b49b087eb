# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c7n_iamusers.policy_comparison.budgets import Budget, TooComplex
from c7n_iamusers.policy_comparison.patterns import example, matches
from tests.examples import examples

pytestmark = pytest.mark.pure

PATTERNS = st.text("ab*?", min_size=1, max_size=5)
UNIONS = st.frozensets(PATTERNS, min_size=1, max_size=3)
#: x stands for every character that no pattern names.
TEXTS = ["".join(letters) for length in range(7) for letters in product("abx", repeat=length)]


def agrees(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern.replace("*", ".*").replace("?", "."), text) is not None


def in_union(union: frozenset[str], text: str) -> bool:
    return any(agrees(pattern, text) for pattern in union)


@settings(max_examples=examples(300), deadline=None)
@given(PATTERNS, st.lists(UNIONS, max_size=2).map(tuple), st.frozensets(PATTERNS, max_size=4))
def test_the_difference_of_languages_is_what_trying_all_texts_finds(
    pattern: str, within: tuple[frozenset[str], ...], without: frozenset[str]
) -> None:
    def belongs(text: str) -> bool:
        inside = agrees(pattern, text) and all(in_union(union, text) for union in within)
        return inside and not in_union(without, text)

    found = example(pattern, within, without, Budget())
    if found is None:
        assert not any(map(belongs, TEXTS))
    else:
        assert belongs(found)
        assert not any(belongs(text) for text in TEXTS if len(text) < len(found))


@settings(max_examples=examples(200), deadline=None)
@given(UNIONS, st.sampled_from(TEXTS))
def test_matching(union: frozenset[str], text: str) -> None:
    assert matches(union, text) == in_union(union, text)


@pytest.mark.parametrize(
    ("pattern", "without", "expected"),
    [
        pytest.param("s3:getobject", {"s3:get*"}, None, id="literal-in-prefix"),
        pytest.param("s3:get*", {"s3:getobject"}, "s3:get", id="prefix-not-in-literal"),
        pytest.param("s3:get*acl", {"s3:*t*acl"}, None, id="stars-in-the-middle"),
        pytest.param("s3:*acl", {"s3:get*"}, "s3:acl", id="suffix-not-in-prefix"),
        pytest.param("a*", {"a", "a?*"}, None, id="only-the-union-covers-it"),
        pytest.param("a*", {"a", "a??*"}, "ax", id="the-union-leaves-one-length"),
        pytest.param("*", {"?*"}, "", id="the-empty-text"),
        pytest.param("a${*}", {"a*"}, None, id="escaped-star-is-a-literal"),
        pytest.param("a*", {"a${*}"}, "a", id="escaped-star-covers-nothing-else"),
        pytest.param("x/${s3:prefix}", {"x/${s3:prefix}"}, None, id="the-same-variable"),
        pytest.param("x/${s3:prefix}", {"x/*"}, None, id="a-variable-in-a-star"),
        pytest.param("x/y", {"x/${s3:prefix}"}, "x/y", id="a-variable-covers-nothing-sure"),
        pytest.param("x/${s3:prefix}", {"x/?"}, "x/", id="a-variable-may-be-of-any-length"),
        pytest.param("A", {"a"}, "A", id="case-matters"),
    ],
)
def test_differences(pattern: str, without: set[str], expected: str | None) -> None:
    assert example(pattern, (), frozenset(without), Budget()) == expected


def test_a_pattern_made_to_blow_up_is_given_up() -> None:
    tail = "a" + "?" * 24
    with pytest.raises(TooComplex):
        example(f"*{tail}", (), frozenset({f"?*{tail}", tail}), Budget())
