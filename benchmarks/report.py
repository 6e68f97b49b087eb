# SPDX-License-Identifier: Apache-2.0
"""The report: the results as tables, in a Markdown file from ``report.md.j2`` and for the terminal.

``machine`` describes the hardware and software of the measurement.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rich.table
import yaml
from jinja2 import Environment, StrictUndefined
from rich.console import Console
from rich.text import Text

from benchmarks.contestants import OURS, STOCK
from benchmarks.results import (
    CALLS_OF_A_USER,
    PAGE,
    TOLERANCE,
    Goal,
    Measurement,
    Results,
    deletion_floor,
    deviation,
    evidence_floor,
    goals,
)
from c7n_iamusers import __version__


@dataclass(frozen=True)
class Table:
    """A table with cells as text. All columns except the first ``words`` are numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 0

    def as_markdown(self) -> str:
        rule = ["---" if at < self.words else "---:" for at in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def for_terminal(self) -> rich.table.Table:
        drawn = rich.table.Table(title=self.title, title_justify="left")
        for at, name in enumerate(self.columns):
            drawn.add_column(name, justify="left" if at < self.words else "right")
        for row in self.rows:
            drawn.add_row(*map(Text, row))
        return drawn


#: The mark of an extrapolated number.
EXTRAPOLATED = "≈ "
NOTHING = "-"


def as_ratio(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def as_seconds(figure: float) -> str:
    return f"{figure:,.1f}" if figure >= 10 else f"{figure:.2f}"


def as_mib(figure: float | None) -> str:
    return NOTHING if figure is None else f"{figure:.0f}"


def by_operation(calls: Iterable[Mapping[str, int]]) -> list[list[str]]:
    """One row per operation, the most frequent first, and a row of totals."""
    columns = list(calls)
    names = sorted({name for column in columns for name in column})
    names.sort(key=lambda name: -max(column.get(name, 0) for column in columns))
    rows = [
        [name, *(f"{column[name]:,}" if name in column else NOTHING for column in columns)] for name in names
    ]
    return [*rows, ["all", *(f"{sum(column.values()):,}" for column in columns)]]


def flagging_table(results: Results) -> Table:
    plan = results.plan
    sizes = dict.fromkeys((*plan.both, plan.sizes[-1]))
    rows = [
        [
            f"{users:,}",
            f"{latency:g}",
            *compared(results.stock_at(users, latency), results.ours_at(users, latency)),
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
    rows = by_operation([*(run.calls for run in runs), floor])
    for at, run in enumerate(runs, start=1):
        for row in rows if run.extrapolated_from else ():
            row[at] = row[at] if row[at] == NOTHING else f"{EXTRAPOLATED}{row[at]}"
    columns = [name for users in sizes for name in (f"stock, {users:,} users", "ours")]
    return Table("Calls by operation, flagging", ["operation", *columns, "floor"], rows, 1)


def constancy_table(results: Results) -> Table:
    rows = []
    for latency in results.plan.latencies:
        smaller, larger = (results.stock_at(users, latency) for users in results.plan.both[-2:])
        each = [f"{each.calls_per_user:.3f}" for each in (smaller, larger)]
        rows.append([f"{latency:g}", *each, f"{deviation(smaller, larger):.1%}"])
    sizes = [f"calls per user, {users:,} users" for users in results.plan.both[-2:]]
    return Table("Stock c7n's calls per user", ["latency, ms", *sizes, "apart"], rows)


def growth_table(results: Results) -> Table:
    latencies = results.plan.latencies
    columns = ["users", "calls", "floor", *(f"seconds, {each:g} ms" for each in latencies)]
    rows = [_growth_row(results, users) for users in results.plan.sizes]
    return Table("How cost grows", [*columns, "ms per user", "MiB of the run", "KiB per user"], rows)


def compared(stock: Measurement, ours: Measurement) -> list[str]:
    """The cells of calls, seconds and memory."""
    mark = EXTRAPOLATED if stock.extrapolated_from else ""
    memory = as_ratio(stock.peak_mib / ours.peak_mib) if stock.peak_mib and ours.peak_mib else NOTHING
    return [
        f"{mark}{stock.total_calls:,}",
        f"{ours.total_calls:,}",
        f"{mark}{as_ratio(stock.total_calls / ours.total_calls)}",
        f"{mark}{as_seconds(stock.seconds)}",
        as_seconds(ours.seconds),
        f"{mark}{as_ratio(stock.seconds / ours.seconds)}",
        as_mib(stock.peak_mib),
        as_mib(ours.peak_mib),
        memory,
    ]


def _growth_row(results: Results, users: int) -> list[str]:
    runs = [results.ours_at(users, latency) for latency in results.plan.latencies]
    floor = sum(evidence_floor(results.contents[users]).values())
    added = max(run.run_mib or 0 for run in runs)
    seconds = [as_seconds(run.seconds) for run in runs]
    calls = f"{max(run.total_calls for run in runs):,}"
    each = [f"{runs[0].seconds / users * 1000:.2f}", f"{added:.0f}", f"{added * 1024 / users:.0f}"]
    return [f"{users:,}", calls, f"{floor:,}", *seconds, *each]


def deletion_table(results: Results) -> Table:
    deletion, users = results.deletion, results.plan.deleted
    floor = sum(deletion_floor(deletion.contents).values())
    rows = [
        [
            each.contestant,
            f"{each.total_calls:,}",
            f"{each.total_calls / users:.2f}",
            f"{each.total_calls / floor:.2f}",
            as_seconds(each.seconds),
            as_ratio(deletion.stock.seconds / each.seconds),
            as_mib(each.peak_mib),
        ]
        for each in (deletion.stock, deletion.ours)
    ]
    title = f"Deleting {users:,} users at {results.plan.deletion_latency:g} ms"
    columns = ["", "calls", "calls per user", "by the floor", "seconds", "faster", "peak MiB"]
    return Table(title, columns, rows, 1)


def deletion_calls_table(results: Results) -> Table:
    deletion = results.deletion
    calls = [deletion.stock.calls, deletion.ours.calls, deletion_floor(deletion.contents)]
    columns = ["operation", "stock", "ours", "floor"]
    return Table("Calls by operation, deletion", columns, by_operation(calls), 1)


def beyond_the_floor(results: Results) -> dict[str, float]:
    """Operation -> calls per user beyond the floor of the deletion."""
    floor = deletion_floor(results.deletion.contents)
    excess = {name: calls - floor.get(name, 0) for name, calls in results.deletion.ours.calls.items()}
    return {name: excess[name] / results.plan.deleted for name in sorted(excess) if excess[name] > 0}


#: The rate limit of Identity Center, over all calls.
CALLS_A_SECOND = 20
MOST_SECONDS, MOST_MB, MOST_MINUTES = 60, 500, 3


def center_table(results: Results) -> Table:
    derived, unchanged, planned = (
        results.center.derived,
        results.center.unchanged,
        results.center.planned[-1],
    )
    users = f"{derived.users:,} users of {derived.accounts:,} accounts"
    minutes, floor = (each / CALLS_A_SECOND / 60 for each in (unchanged.calls, unchanged.floor))
    rows = [
        [
            f"seconds of CPU to derive for {users}",
            f"{derived.seconds:.1f}",
            f"{derived.floor:.1f}",
            f"{MOST_SECONDS}",
        ],
        ["its peak MB", f"{derived.peak:.0f}", "", f"{MOST_MB}"],
        [
            f"seconds of CPU of a whole run for {planned.users:,} users",
            f"{planned.total:.1f}",
            f"{planned.floor:.1f}",
            "",
        ],
        ["MB of the derivation's report", f"{derived.report:.1f}", "", ""],
        [
            f"calls that change nothing, {unchanged.accounts:,} accounts",
            f"{unchanged.calls:,}",
            f"{unchanged.floor:,}",
            "",
        ],
        [f"minutes of it at {CALLS_A_SECOND} a second", f"{minutes:.1f}", f"{floor:.1f}", f"{MOST_MINUTES}"],
    ]
    return Table("Identity Center", ["", "measured", "floor", "goal for 400 accounts: at most"], rows, 1)


def planning_table(results: Results) -> Table:
    """The cost of a whole run at several sizes, by phase."""
    planned = results.center.planned
    rows = [
        [
            f"{each.accounts:,}",
            f"{each.users:,}",
            *(f"{seconds:.1f}" for seconds in each.seconds.values()),
            f"{1000 * each.total / each.users:.2f}",
        ]
        for each in planned
    ]
    phases = [f"s, {name}" for name in planned[-1].seconds]
    return Table("A run", ["accounts", "users", *phases, "ms per user"], rows)


def goals_table(results: Results) -> Table:
    return Table(
        "Goals", ["goal", "bound", "measured", "met"], [_goal_row(goal) for goal in goals(results)], 1
    )


def runs_table(results: Results) -> Table:
    runs = [*results.stock, *results.ours, results.deletion.stock, results.deletion.ours]
    tasks = [*["flag"] * (len(runs) - 2), *["delete"] * 2]
    rows = [[each.contestant, task, *_run_cells(each)] for each, task in zip(runs, tasks, strict=True)]
    columns = ["calls", "seconds, run", "process", "MiB, loaded", "peak"]
    return Table("Every measurement", ["", "task", "users", "latency, ms", *columns], rows, 2)


def _goal_row(goal: Goal) -> list[str]:
    bound = f"at {'most' if goal.most else 'least'} {goal.bound:g}{goal.unit}"
    digits = 0 if goal.measured >= 10 or not goal.unit else 2
    return [goal.title, bound, f"{goal.measured:,.{digits}f}{goal.unit}", "yes" if goal.met else "no"]


def _run_cells(run: Measurement) -> list[str]:
    process = as_seconds(run.process_seconds) if run.process_seconds is not None else NOTHING
    head = [f"{run.users:,}", f"{run.latency_ms:g}", f"{run.total_calls:,}"]
    return [*head, as_seconds(run.seconds), process, as_mib(run.loaded_mib), as_mib(run.peak_mib)]


#: The tables on the terminal; the file has all of them.
SHOWN = (flagging_table, growth_table, deletion_table, deletion_calls_table, center_table, goals_table)
TABLES = (*SHOWN, flagging_calls_table, constancy_table, planning_table, runs_table)
LIBRARIES = ("c7n", "boto3", "botocore", "moto")
TEMPLATE = Path(__file__).with_name("report.md.j2")


def as_markdown(results: Results, machine: Mapping[str, str], date: datetime) -> str:
    """The whole report. ``machine``: title -> text."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(
        results=results,
        plan=results.plan,
        machine=machine,
        date=f"{date:%Y-%m-%d}",
        tables={each.__name__: each(results).as_markdown() for each in TABLES},
        beyond_the_floor=beyond_the_floor(results),
        page=PAGE,
        calls_of_a_user=list(CALLS_OF_A_USER),
        tolerance=TOLERANCE,
        stock=STOCK,
        ours=OURS,
        as_yaml=as_yaml,
    )
    return f"{text.rstrip()}\n"


def show(results: Results, console: Console) -> None:
    """The comparisons, as tables."""
    for table in SHOWN:
        console.print(table(results).for_terminal())


def as_yaml(policy: Mapping[str, Any]) -> str:
    """A file of one policy."""
    return str(yaml.safe_dump({"policies": [dict(policy)]}, sort_keys=False)).rstrip()


def machine() -> dict[str, str]:
    """Title -> text, without anything that identifies the machine or its owner."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{_processor()}, {_cores()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": ", ".join(
            [f"c7n_iamusers {__version__}", *(f"{name} {version(name)}" for name in LIBRARIES)]
        ),
    }


def _cores() -> int:
    """The cores that this process may use, if the system provides that."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"
