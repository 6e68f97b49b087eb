# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.iam.live_users import TtlCache

pytestmark = pytest.mark.pure


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("took", "later", "readings"),
    [
        pytest.param(0, 29, 1, id="fresh"),
        pytest.param(0, 31, 2, id="stale"),
        pytest.param(20, 9, 1, id="slow-and-fresh"),
        pytest.param(20, 11, 2, id="slow-and-stale"),
        pytest.param(30, 0, 1, id="as-slow-as-may-be"),
        pytest.param(0, 0, 1, id="at-once"),
    ],
)
def test_a_reading_is_repeated_when_it_is_stale(took: float, later: float, readings: int) -> None:
    clock = Clock()
    numbers: list[int] = []

    def load() -> int:
        clock.now += took
        numbers.append(len(numbers))
        return numbers[-1]

    fresh = TtlCache(load, 30, clock)
    assert fresh.get() == 0
    clock.now += later
    assert fresh.get() == readings - 1


def test_a_reading_that_ends_stale_is_given_up_and_not_repeated() -> None:
    clock = Clock()
    began: list[float] = []

    def load() -> str:
        began.append(clock.now)
        clock.now += 31
        return "stale"

    fresh = TtlCache(load, 30, clock)
    assert [fresh.get(), fresh.get()] == [None, None]
    clock.now += 1000
    assert fresh.get() is None
    assert began == [100.0]


def test_nothing_to_find_is_a_reading_too() -> None:
    read = []
    fresh: TtlCache[None] = TtlCache(lambda: read.append(1), 30, Clock())
    fresh.get()
    fresh.get()
    assert read == [1]


def test_a_failed_reading_is_tried_again() -> None:
    answers = [OSError("first"), OSError("second")]

    def load() -> None:
        raise answers.pop(0)

    fresh = TtlCache(load, 30, Clock())
    for word in ("first", "second"):
        with pytest.raises(OSError, match=word):
            fresh.get()
