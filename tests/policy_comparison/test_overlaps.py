# SPDX-License-Identifier: Apache-2.0
"""Overlaps and covers of two patterns, against the automata that compare whole policies."""

from __future__ import annotations

import random

import pytest

from c7n_iamusers.policy_comparison.budgets import Budget
from c7n_iamusers.policy_comparison.overlaps import covers, overlap
from c7n_iamusers.policy_comparison.patterns import Element, Language, without_colons

pytestmark = pytest.mark.pure

ROLES = without_colons("arn:aws*:iam::*:role/*")


@pytest.mark.parametrize(
    ("pattern", "overlaps", "covered"),
    [
        pytest.param("*", True, True, id="all"),
        pytest.param("arn:*", True, True, id="arns"),
        pytest.param("arn:*:iam::*:role/*", True, True, id="roles"),
        pytest.param("arn:*:iam::*", True, True, id="iam"),
        pytest.param("arn:aws:iam::*:role/*", True, False, id="partition"),
        pytest.param("arn:aws-c?:iam::*:role/*", True, False, id="part-of-a-partition"),
        pytest.param("arn:*:iam::1:role/*", True, False, id="account"),
        pytest.param("arn:*:iam::*:role/a", True, False, id="one-role"),
        pytest.param("arn:*:iam::*:r?l?/*", True, True, id="question-marks"),
        pytest.param("arn:*:iam::*:*?/*", True, True, id="question-mark-behind-a-star"),
        pytest.param("arn:*:iam::*:????????*", True, False, id="names-of-three-and-more"),
        pytest.param("arn:*:iam::*:user/*", False, False, id="users"),
        pytest.param("arn:*:iam::*:user/*:role/*", False, False, id="no-colon-in-a-name"),
        pytest.param("arn:*:iam::*:role/${x}", True, False, id="variable"),
        pytest.param("${x}", True, False, id="only-a-variable"),
        pytest.param("arn:*:iam::*:role/${*}", True, False, id="a-star-itself"),
        pytest.param("", False, False, id="empty"),
    ],
)
def test_patterns_of_roles(pattern: str, overlaps: bool, covered: bool) -> None:
    assert (overlap(pattern, ROLES), covers(pattern, ROLES)) == (overlaps, covered)


@pytest.mark.parametrize("seed", range(20))
def test_random_patterns_against_the_automata(seed: int) -> None:
    """An overlap is exact. A cover is never claimed where there is none."""
    chance = random.Random(seed)
    for _ in range(50):
        pattern = "".join(chance.choice("ab:*?") for _ in range(chance.randint(0, 7)))
        kind = without_colons("".join(chance.choice("ab:*") for _ in range(chance.randint(1, 6))))
        element = Element(frozenset({pattern}))
        both = Language(kind).cut_to(element).sample(Budget())
        rest = Language(kind).cut_off(element).sample(Budget())
        assert overlap(pattern, kind) is (both is not None), (pattern, kind)
        assert not covers(pattern, kind) or rest is None, (pattern, kind, rest)
        if rest is None and "?" not in pattern:
            assert covers(pattern, kind), (pattern, kind)
