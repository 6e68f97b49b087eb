# SPDX-License-Identifier: Apache-2.0
"""The plan, the results, and the goals, which are ratios and calls because seconds depend on the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.floor import deletion_floor
from benchmarks.identity_center import CenterFigures
from benchmarks.measurement import Measurement, extrapolate


@dataclass(frozen=True)
class Plan:
    """``both``: at least two numbers of users that both contestants flag. ``ours_alone``: further, larger numbers.

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
        """The number of measurements, with repeats."""
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
    """``contents``: what the account had -> how many."""

    stock: Measurement
    ours: Measurement
    contents: Mapping[str, int]


@dataclass(frozen=True)
class Results:
    """``stock``, ``ours``: flagging. ``contents``: number of users -> what the account had besides them."""

    plan: Plan
    stock: tuple[Measurement, ...]
    ours: tuple[Measurement, ...]
    contents: Mapping[int, Mapping[str, int]]
    deletion: Deletion
    center: CenterFigures

    def stock_at(self, users: int, latency_ms: float) -> Measurement:
        """As measured, or extrapolated from the two largest sizes. Raises BenchmarkError if that is impossible."""
        measured = sorted(_at(self.stock, latency_ms), key=lambda each: each.users)
        found = [each for each in measured if each.users == users]
        smaller, larger = measured[-2:]
        return found[0] if found else extrapolate(smaller, larger, users)

    def ours_at(self, users: int, latency_ms: float) -> Measurement:
        (found,) = (each for each in _at(self.ours, latency_ms) if each.users == users)
        return found


def _at(measurements: tuple[Measurement, ...], latency_ms: float) -> list[Measurement]:
    return [each for each in measurements if each.latency_ms == latency_ms]


MOST_EVIDENCE_CALLS = 60
FEWER_CALLS = 100
FASTER_FLAGGING = 20
MOST_CALLS_BY_FLOOR = 1.2
FASTER_DELETION = 4


@dataclass(frozen=True)
class Goal:
    """``most``: whether the bound is an upper bound."""

    title: str
    bound: float
    measured: float
    unit: str = "x"
    most: bool = False

    @property
    def met(self) -> bool:
        return self.measured <= self.bound if self.most else self.measured >= self.bound


def goals(results: Results) -> list[Goal]:
    plan, deletion = results.plan, results.deletion
    largest, shared, slowest = plan.sizes[-1], plan.both[-1], plan.latencies[-1]
    stock, ours = results.stock_at(largest, slowest), results.ours_at(largest, slowest)
    faster = results.stock_at(shared, slowest).seconds / results.ours_at(shared, slowest).seconds
    by_floor = deletion.ours.total_calls / sum(deletion_floor(deletion.contents).values())
    at = f"{plan.deleted:,} users, {plan.deletion_latency:g} ms"
    return [
        Goal(
            f"calls for the evidence on {largest:,} users",
            MOST_EVIDENCE_CALLS,
            ours.total_calls,
            "",
            most=True,
        ),
        Goal(f"fewer calls for it, {largest:,} users", FEWER_CALLS, stock.total_calls / ours.total_calls),
        Goal(f"faster flagging, {shared:,} users, {slowest:g} ms", FASTER_FLAGGING, faster),
        Goal("calls of a deletion by its floor", MOST_CALLS_BY_FLOOR, by_floor, most=True),
        Goal(f"faster deletion, {at}", FASTER_DELETION, deletion.stock.seconds / deletion.ours.seconds),
    ]
