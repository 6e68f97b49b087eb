# SPDX-License-Identifier: Apache-2.0
"""What flagging cost, as tables."""

from __future__ import annotations

from benchmarks import cells
from benchmarks.extrapolation import deviation
from benchmarks.floor import evidence_floor
from benchmarks.measurement import Measurement
from benchmarks.results import Results
from benchmarks.table import Table


def flagging_table(results: Results) -> Table:
    plan = results.plan
    sizes = dict.fromkeys((*plan.both, plan.sizes[-1]))
    rows = [
        [
            f"{users:,}",
            f"{latency:g}",
            *_compared(results.stock_at(users, latency), results.ours_at(users, latency)),
        ]
        for users in sizes
        for latency in plan.latencies
    ]
    columns = [
        "calls, stock",
        "ours",
        "fewer",
        "seconds, stock",
        "ours",
        "faster",
        "peak MiB, stock",
        "ours",
        "ratio",
    ]
    return Table("Flagging with equal evidence", ["users", "latency, ms", *columns], rows)


def flagging_calls_table(results: Results) -> Table:
    latency, sizes = results.plan.latencies[-1], (results.plan.both[-1], results.plan.sizes[-1])
    runs = [found(users, latency) for users in sizes for found in (results.stock_at, results.ours_at)]
    floor = evidence_floor(results.contents[sizes[-1]])
    rows = cells.by_operation([*(run.calls for run in runs), floor])
    for at, run in enumerate(runs, start=1):
        for row in rows if run.extrapolated_from else ():
            row[at] = row[at] if row[at] == cells.NOTHING else f"{cells.EXTRAPOLATED}{row[at]}"
    columns = [name for users in sizes for name in (f"stock, {users:,} users", "ours")]
    return Table("Calls by operation, flagging", ["operation", *columns, "floor"], rows, 1)


def constancy_table(results: Results) -> Table:
    rows = []
    for latency in results.plan.latencies:
        smaller, larger = (results.stock_at(users, latency) for users in results.plan.both[-2:])
        each = [f"{each.calls_per_user:.3f}" for each in (smaller, larger)]
        rows.append([f"{latency:g}", *each, f"{deviation(smaller, larger):.1%}"])
    sizes = [f"calls a user, {users:,} users" for users in results.plan.both[-2:]]
    return Table("Stock c7n's calls a user", ["latency, ms", *sizes, "apart"], rows)


def growth_table(results: Results) -> Table:
    latencies = results.plan.latencies
    columns = ["users", "calls", "floor", *(f"seconds, {each:g} ms" for each in latencies)]
    rows = [_growth(results, users) for users in results.plan.sizes]
    return Table("How cost grows", [*columns, "ms a user", "MiB of the run", "KiB a user"], rows)


def _compared(stock: Measurement, ours: Measurement) -> list[str]:
    mark = cells.EXTRAPOLATED if stock.extrapolated_from else ""
    memory = (
        cells.times(stock.peak_mib / ours.peak_mib) if stock.peak_mib and ours.peak_mib else cells.NOTHING
    )
    return [
        f"{mark}{stock.total_calls:,}",
        f"{ours.total_calls:,}",
        f"{mark}{cells.times(stock.total_calls / ours.total_calls)}",
        f"{mark}{cells.seconds(stock.seconds)}",
        cells.seconds(ours.seconds),
        f"{mark}{cells.times(stock.seconds / ours.seconds)}",
        cells.mib(stock.peak_mib),
        cells.mib(ours.peak_mib),
        memory,
    ]


def _growth(results: Results, users: int) -> list[str]:
    runs = [results.ours_at(users, latency) for latency in results.plan.latencies]
    floor = sum(evidence_floor(results.contents[users]).values())
    added = max(run.run_mib or 0 for run in runs)
    seconds = [cells.seconds(run.seconds) for run in runs]
    calls = f"{max(run.total_calls for run in runs):,}"
    each = [f"{runs[0].seconds / users * 1000:.2f}", f"{added:.0f}", f"{added * 1024 / users:.0f}"]
    return [f"{users:,}", calls, f"{floor:,}", *seconds, *each]
