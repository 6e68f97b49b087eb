# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from benchmarks.results import (
    BenchmarkError,
    Goal,
    Measurement,
    deviation,
    extrapolate,
    goals,
)
from tests.benchmarks.measurements import deletion, measured, results, stock


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


def test_calls_of_each_operation_stand_on_a_line() -> None:
    found = extrapolate(stock(100, 40.0), stock(500, 200.0), 5000)
    assert found.calls == {"GetUser": 5000, "ListMFADevices": 25000, "ListUsers": 3}
    assert (found.users, found.latency_ms, found.contestant) == (5000, 50, "stock c7n")


def test_an_operation_that_only_the_larger_one_needed_grows_on() -> None:
    smaller = measured("stock c7n", 100, {"GetUser": 100})
    larger = measured("stock c7n", 500, {"GetUser": 500, "ListUsers": 4})
    assert extrapolate(smaller, larger, 900).calls == {"GetUser": 900, "ListUsers": 8}


def test_a_call_takes_as_long_as_at_the_larger_size() -> None:
    found = extrapolate(stock(100, 1000.0), stock(500, 200.0), 5000)
    assert found.seconds == pytest.approx(200.0 * 30003 / 3003)


def test_it_is_marked_and_has_no_memory() -> None:
    found = extrapolate(stock(100, 40.0), stock(500, 200.0), 5000)
    assert found.extrapolated_from == (100, 500)
    assert (found.peak_mib, found.loaded_mib, found.process_seconds, found.run_mib) == (
        None,
        None,
        None,
        None,
    )


def test_deviation_is_a_share_of_the_larger_size() -> None:
    smaller, larger = measured("x", 10, {"GetUser": 66}), measured("x", 100, {"GetUser": 600})
    assert deviation(smaller, larger) == pytest.approx(0.1)
    assert deviation(larger, larger) == 0


@pytest.mark.parametrize(
    ("smaller", "larger", "message"),
    [
        (measured("x", 10, {"GetUser": 66}), measured("x", 100, {"GetUser": 600}), "not constant"),
        (measured("x", 10, {"GetUser": 54}), measured("x", 100, {"GetUser": 600}), "not constant"),
        (measured("x", 10, {"GetUser": 60}), measured("y", 100, {"GetUser": 600}), "not two sizes"),
        (
            measured("x", 10, {"GetUser": 60}, latency_ms=0),
            measured("x", 100, {"GetUser": 600}, latency_ms=50),
            "not two sizes",
        ),
        (measured("x", 100, {"GetUser": 600}), measured("x", 100, {"GetUser": 600}), "not smaller"),
    ],
    ids=["falling", "rising", "other contestant", "other latency", "same size"],
)
def test_it_refuses_what_is_no_constant_cost(smaller: Measurement, larger: Measurement, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        extrapolate(smaller, larger, 5000)
