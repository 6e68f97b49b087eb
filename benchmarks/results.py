# SPDX-License-Identifier: Apache-2.0
"""What is measured, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.extrapolation import extrapolate
from benchmarks.identity_center import CenterFigures
from benchmarks.measurement import Measurement


@dataclass(frozen=True)
class Plan:
    """``both``: numbers of users, two at least, that both contestants flag; ``ours_alone``: further, larger ones.

    ``latencies``: milliseconds added to each call. ``repeats``: runs of which the median counts; stock c7n, whose
    runs take minutes, runs once. ``derived``, ``planned``, ``unchanged``: accounts, and users in each.
    """

    both: tuple[int, ...] = (100, 500)
    ours_alone: tuple[int, ...] = (2000, 5000)
    latencies: tuple[float, ...] = (0, 50)
    deleted: int = 200
    deletion_latency: float = 50
    repeats: int = 3
    derived: tuple[int, int] = (400, 200)
    planned: tuple[tuple[int, int], ...] = ((100, 200), (200, 200), (400, 200))
    unchanged: tuple[int, int] = (400, 20)

    @property
    def sizes(self) -> tuple[int, ...]:
        return (*self.both, *self.ours_alone)

    @property
    def steps(self) -> int:
        """Measurements in all, repeats counted."""
        ours, stock = len(self.sizes) * self.repeats, len(self.both)
        return (ours + stock) * len(self.latencies) + 4 + len(self.planned)


FULL = Plan()
QUICK = Plan(
    (50, 100),
    (500,),
    (0, 10),
    deleted=20,
    deletion_latency=10,
    repeats=1,
    derived=(20, 50),
    planned=((10, 50), (20, 50)),
    unchanged=(5, 10),
)


@dataclass(frozen=True)
class Deletion:
    """``contents``: what the account held, what -> how many."""

    stock: Measurement
    ours: Measurement
    contents: Mapping[str, int]


@dataclass(frozen=True)
class Results:
    """``stock`` and ``ours``: flagging. ``contents``: users -> what the account held beside them."""

    plan: Plan
    stock: tuple[Measurement, ...]
    ours: tuple[Measurement, ...]
    contents: Mapping[int, Mapping[str, int]]
    deletion: Deletion
    center: CenterFigures

    def stock_at(self, users: int, latency_ms: float) -> Measurement:
        """As measured, or extrapolated from the two largest sizes measured. Raises BenchmarkError where it can't be."""
        measured = sorted(_at(self.stock, latency_ms), key=lambda each: each.users)
        found = [each for each in measured if each.users == users]
        smaller, larger = measured[-2:]
        return found[0] if found else extrapolate(smaller, larger, users)

    def ours_at(self, users: int, latency_ms: float) -> Measurement:
        (found,) = (each for each in _at(self.ours, latency_ms) if each.users == users)
        return found


def _at(measurements: tuple[Measurement, ...], latency_ms: float) -> list[Measurement]:
    return [each for each in measurements if each.latency_ms == latency_ms]
