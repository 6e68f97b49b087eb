# SPDX-License-Identifier: Apache-2.0
"""What deriving permission sets takes, and a run that changes nothing."""

from __future__ import annotations

from benchmarks.results import Results
from benchmarks.table import Table

#: What Identity Center allows, over all calls together.
CALLS_A_SECOND = 20
MOST_SECONDS, MOST_MB, MOST_MINUTES = 60, 500, 3


def center_table(results: Results) -> Table:
    derived, unchanged = results.center.derived, results.center.unchanged
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
        ["MB of its report", f"{derived.report:.1f}", "", ""],
        [
            f"calls that change nothing, {unchanged.accounts:,} accounts",
            f"{unchanged.calls:,}",
            f"{unchanged.floor:,}",
            "",
        ],
        [f"minutes of it at {CALLS_A_SECOND} a second", f"{minutes:.1f}", f"{floor:.1f}", f"{MOST_MINUTES}"],
    ]
    return Table("Identity Center", ["", "measured", "floor", "goal for 400 accounts: at most"], rows, 1)
