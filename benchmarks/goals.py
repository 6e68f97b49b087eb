# SPDX-License-Identifier: Apache-2.0
"""What this package is to reach. Ratios and calls only: seconds are the machine's own."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.floor import deletion_floor
from benchmarks.results import Results

MOST_EVIDENCE_CALLS = 60
FEWER_CALLS = 100
FASTER_FLAGGING = 20
MOST_CALLS_BY_FLOOR = 1.2
FASTER_DELETION = 4


@dataclass(frozen=True)
class Goal:
    """``most``: whether the bound is an upper one."""

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
