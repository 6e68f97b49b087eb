# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from benchmarks import summary_tables
from tests.benchmarks.measurements import deletion, results


def test_goals_say_whether_they_are_met() -> None:
    rows = summary_tables.goals_table(results(deletion(calls=42, seconds=12.0))).rows
    assert rows[0] == ["calls for the evidence on 5,000 users", "at most 60", "20", "yes"]
    assert rows[3] == ["calls of a deletion by its floor", "at most 1.2x", "1.50x", "no"]


def test_every_measurement_is_listed() -> None:
    rows = summary_tables.runs_table(results()).rows
    assert [row[1] for row in rows] == ["flag"] * 5 + ["delete"] * 2
    assert rows[0] == ["stock c7n", "flag", "100", "50", "603", "40.0", "42.0", "65", "130"]
