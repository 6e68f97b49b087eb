# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform
import re
from datetime import datetime, timezone

import pytest
from rich.console import Console

from benchmarks.report import as_markdown, machine, show
from tests.benchmarks.measurements import results

TEXT = as_markdown(results(), {"processor": "Example, 2 cores"}, datetime(2026, 5, 1, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    "expected",
    [
        "| date | 2026-05-01 |",
        "| processor | Example, 2 cores |",
        "| 5,000 | 50 | ≈ 30,003 | 20 |",
        "source: authorization-details",
        "200 groups, 500 roles and 0 customer-managed policies around 5,000 users",
        "the straight line through 100 and 500 users",
    ],
)
def test_it_says(expected: str) -> None:
    assert expected in TEXT


def test_nothing_is_left_of_the_template() -> None:
    assert "{{" not in TEXT
    assert "{%" not in TEXT
    assert TEXT.endswith("|\n")


def test_tables_stand_apart() -> None:
    lines = TEXT.splitlines()
    heads = [at for at, line in enumerate(lines) if line.startswith("| ---")]
    assert len(heads) >= 10
    assert all(lines[at - 2] == "" for at in heads)


def test_the_terminal_shows_the_comparisons() -> None:
    console = Console(width=140)
    with console.capture() as captured:
        show(results(), console)
    for title in ("Flagging with equal evidence", "How cost grows", "Deleting 2 users at 50 ms", "Goals"):
        assert title in captured.get()


def test_it_tells_what_matters_and_whose_it_is_not() -> None:
    found = machine()
    assert re.search(r", [1-9][0-9]* cores$", found["processor"])
    assert re.fullmatch(r"[1-9][0-9]* GiB", found["memory"])
    assert platform.python_version() in found["Python"]
    for name in ("c7n_iamusers", "c7n", "boto3", "botocore", "moto"):
        assert re.search(rf"\b{name} \d+\.\d+", found["versions"])
    assert platform.node() not in " ".join(found.values())
