# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest

from c7n_iamusers.identity_center.aws import _AHEAD, in_parallel

pytestmark = pytest.mark.pure


def test_results_are_in_the_order_of_the_items() -> None:
    assert in_parallel(lambda number: number * 2, range(1000)) == [number * 2 for number in range(1000)]


def test_items_are_taken_as_they_are_read() -> None:
    """A future takes more than a kilobyte, and a run reads tens of thousands of groups again."""
    ended: set[int] = set()
    waiting: list[int] = []

    def items() -> Iterator[int]:
        for number in range(500):
            waiting.append(number - len(ended))
            yield number

    in_parallel(ended.add, items())
    assert max(waiting) <= _AHEAD + 1


def test_an_error_ends_it() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    def read(number: int) -> None:
        if number == 3:
            raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        in_parallel(read, items())
    assert len(taken) <= 3 + _AHEAD + 1
