# SPDX-License-Identifier: Apache-2.0
"""What it costs to ask who calls with access keys."""

from __future__ import annotations

from pathlib import Path

from benchmarks.key_callers import HEADING, calls_table, floor, table
from tests.benchmarks.measurements import USAGE, ran


def test_the_floor_is_what_was_asked_for() -> None:
    assert sum(floor(USAGE).values()) == USAGE.asked.total_calls - USAGE.unasked.total_calls


def test_calls_a_key_and_an_account() -> None:
    assert table([USAGE]).rows[0][:5] == ["20", "2", "1", "35", "1.70"]
    rows = {row[0]: row[1:] for row in calls_table([USAGE]).rows}
    assert rows["LookupEvents"] == ["-", "20", "20"]
    assert rows["all"] == ["1", "35", "34"]


def test_the_section_is_written_alone(report: Path) -> None:
    report.write_text("# Benchmarks\n\n## Access keys\n\nkept\n\n## Load\n\nkept\n")
    ran("--usage")
    text = report.read_text()
    assert text.startswith(f"# Benchmarks\n\n## Access keys\n\nkept\n\n{HEADING}\n")
    assert text.endswith("\n## Load\n\nkept\n")
