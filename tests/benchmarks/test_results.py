# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from benchmarks.results import Goal, goals
from tests.benchmarks.measurements import deletion, results


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("x", 60, 60, most=True), True),
        (Goal("x", 60, 61, most=True), False),
        (Goal("x", 20, 20), True),
        (Goal("x", 20, 19.99), False),
    ],
    ids=["at most, just", "too much", "at least, just", "too little"],
)
def test_a_bound_itself_is_met(goal: Goal, met: bool) -> None:
    assert goal.met is met


def test_what_is_measured() -> None:
    measured = [goal.measured for goal in goals(results(deletion(calls=42, seconds=20.0)))]
    assert measured == pytest.approx([20, 30003 / 20, 200.0 / 2.0, 42 / 28, 60.0 / 20.0])


def test_which_are_met() -> None:
    assert [goal.met for goal in goals(results(deletion(calls=42, seconds=20.0)))] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert all(goal.met for goal in goals(results(deletion(calls=30, seconds=12.0))))
