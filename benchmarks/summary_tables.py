# SPDX-License-Identifier: Apache-2.0
"""The goals, and every measurement there is."""

from __future__ import annotations

from benchmarks import cells
from benchmarks.goals import Goal, goals
from benchmarks.measurement import Measurement
from benchmarks.results import Results
from benchmarks.table import Table


def goals_table(results: Results) -> Table:
    return Table("Goals", ["goal", "bound", "measured", "met"], [_goal(goal) for goal in goals(results)], 1)


def runs_table(results: Results) -> Table:
    runs = [*results.stock, *results.ours, results.deletion.stock, results.deletion.ours]
    tasks = [*["flag"] * (len(runs) - 2), *["delete"] * 2]
    rows = [[each.contestant, task, *_run(each)] for each, task in zip(runs, tasks, strict=True)]
    columns = ["calls", "seconds, run", "process", "MiB, loaded", "peak"]
    return Table("Every measurement", ["", "task", "users", "latency, ms", *columns], rows, 2)


def _goal(goal: Goal) -> list[str]:
    bound = f"at {'most' if goal.most else 'least'} {goal.bound:g}{goal.unit}"
    digits = 0 if goal.measured >= 10 or not goal.unit else 2
    return [goal.title, bound, f"{goal.measured:,.{digits}f}{goal.unit}", "yes" if goal.met else "no"]


def _run(run: Measurement) -> list[str]:
    process = cells.seconds(run.process_seconds) if run.process_seconds is not None else cells.NOTHING
    head = [f"{run.users:,}", f"{run.latency_ms:g}", f"{run.total_calls:,}"]
    return [*head, cells.seconds(run.seconds), process, cells.mib(run.loaded_mib), cells.mib(run.peak_mib)]
