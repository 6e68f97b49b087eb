# SPDX-License-Identifier: Apache-2.0
"""The lines of the burn-down: what was there, what was announced, and what is to come. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 1000, 200
Point = tuple[float, float]


@dataclass(frozen=True)
class BurnDown:
    """In an area of WIDTH by HEIGHT, with y from above. ``known``, ``left``: until today, whose place is ``today``.

    ``planned``: by what was announced. ``expected``: from today on. ``step``: between two days. ``marks``: what is
    said of each day, with its x.
    """

    known: tuple[Point, ...]
    left: tuple[Point, ...]
    planned: tuple[Point, ...]
    expected: tuple[Point, ...]
    today: float
    step: float
    highest: int
    marks: tuple[tuple[float, str], ...]


def burn_down(days: Sequence[Mapping[str, Any]], coming: Sequence[Mapping[str, Any]]) -> BurnDown | None:
    """The lines of ``Progress.days`` and ``Progress.coming``; None where these are less than two days."""
    every = [*days, *coming]
    if not days or len(every) < 2:
        return None
    step = WIDTH / (len(every) - 1)
    highest = max(1, *(each.get("known", each["left"]) for each in every))

    def line(rows: Sequence[Mapping[str, Any]], key: str, first: int = 0) -> tuple[Point, ...]:
        return tuple(
            (round(step * number, 1), round(HEIGHT - HEIGHT * each[key] / highest, 1))
            for number, each in enumerate(rows, first)
        )

    last = len(days) - 1
    return BurnDown(
        line(days, "known"),
        line(days, "left"),
        line(every, "planned"),
        line(every[last:], "left", last),
        round(step * last, 1),
        step,
        highest,
        tuple((round(step * number, 1), _said(each)) for number, each in enumerate(every)),
    )


def _said(day: Mapping[str, Any]) -> str:
    planned = f"{day['planned']} by what was announced"
    if "known" in day:
        return f"{day['day']}: {day['left']} of {day['known']} users still there, {planned}"
    return f"{day['day']}: {day['left']} users still there if nothing changes, {planned}"
