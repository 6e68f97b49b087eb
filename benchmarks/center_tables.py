# SPDX-License-Identifier: Apache-2.0
"""What deriving permission sets takes, and a run that changes nothing."""

from __future__ import annotations

from benchmarks.results import Results
from benchmarks.table import Table

#: What Identity Center allows, over all calls together.
CALLS_A_SECOND = 20
#: The phases of a run by whose ends memory is told.
PLAN, RESULTS = "plan", "results"
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
        ["MB that it adds until the plan is written", f"{planned.added(PLAN):.0f}", "", f"{MOST_MB}"],
        ["MB until all is recorded", f"{planned.added(RESULTS):.0f}", "", ""],
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
    """What a whole run takes at several sizes, phase by phase."""
    planned = results.center.planned
    rows = [
        [
            f"{each.accounts:,}",
            f"{each.users:,}",
            *(f"{seconds:.1f}" for seconds in each.seconds.values()),
            f"{1000 * each.total / each.users:.2f}",
            f"{each.added(PLAN):.0f}",
            f"{each.added(RESULTS):.0f}",
        ]
        for each in planned
    ]
    phases = [f"s, {name}" for name in planned[-1].seconds]
    return Table("A run", ["accounts", "users", *phases, "ms a user", "MB until planned", "recorded"], rows)
