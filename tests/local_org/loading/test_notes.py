# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from aws_local_org.loading.notes import Notes


def test_a_matter_is_one_line_with_all_it_concerns() -> None:
    notes = Notes()
    notes.add("no date", "ana")
    notes.add("truncated")
    notes.add("no date", "bo")
    notes.add("no date", "ana")
    assert notes.lines() == ["no date: ana, bo", "truncated"]


def test_long_lists_are_cut_and_counted() -> None:
    notes = Notes()
    for number in range(23):
        notes.add("no date", f"user{number}")
    (line,) = notes.lines()
    assert line.endswith("user19 and 3 more")
