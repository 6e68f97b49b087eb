# SPDX-License-Identifier: Apache-2.0
"""What deletion cost, as tables."""

from __future__ import annotations

from benchmarks import cells
from benchmarks.floor import deletion_floor
from benchmarks.results import Results
from benchmarks.table import Table


def deletion_table(results: Results) -> Table:
    deletion, users = results.deletion, results.plan.deleted
    floor = sum(deletion_floor(deletion.contents).values())
    rows = [
        [
            each.contestant,
            f"{each.total_calls:,}",
            f"{each.total_calls / users:.2f}",
            f"{each.total_calls / floor:.2f}",
            cells.seconds(each.seconds),
            cells.times(deletion.stock.seconds / each.seconds),
            cells.mib(each.peak_mib),
        ]
        for each in (deletion.stock, deletion.ours)
    ]
    title = f"Deleting {users:,} users at {results.plan.deletion_latency:g} ms"
    columns = ["", "calls", "calls a user", "by the floor", "seconds", "faster", "peak MiB"]
    return Table(title, columns, rows, 1)


def deletion_calls_table(results: Results) -> Table:
    deletion = results.deletion
    calls = [deletion.stock.calls, deletion.ours.calls, deletion_floor(deletion.contents)]
    columns = ["operation", "stock", "ours", "floor"]
    return Table("Calls by operation, deletion", columns, cells.by_operation(calls), 1)


def beyond_the_floor(results: Results) -> dict[str, float]:
    """Operation -> what this package calls beyond the floor of the deletion, calls a user."""
    floor = deletion_floor(results.deletion.contents)
    excess = {name: calls - floor.get(name, 0) for name, calls in results.deletion.ours.calls.items()}
    return {name: excess[name] / results.plan.deleted for name in sorted(excess) if excess[name] > 0}
