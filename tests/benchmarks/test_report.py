# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform
import re
from datetime import datetime, timezone

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.report import Table, as_markdown, machine, show
from tests.benchmarks.measurements import deletion, results

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


TABLE = Table("Calls", ["operation", "stock", "ours"], [["GetUser", "500", "-"], ["all", "≈ 3,033", "6"]], 1)


def test_markdown() -> None:
    assert TABLE.as_markdown().splitlines() == [
        "| operation | stock | ours |",
        "| --- | ---: | ---: |",
        "| GetUser | 500 | - |",
        "| all | ≈ 3,033 | 6 |",
    ]


def test_terminal() -> None:
    console = Console(width=80, record=True, quiet=False)
    with console.capture() as captured:
        console.print(TABLE.for_terminal())
    shown = captured.get()
    for text in ("Calls", "operation", "GetUser", "≈ 3,033"):
        assert text in shown


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.84, "0.8x"), (6.44, "6.4x"), (9.96, "10.0x"), (10.4, "10x"), (1429.2, "1,429x")],
    ids=str,
)
def test_ratios(ratio: float, text: str) -> None:
    assert report.as_ratio(ratio) == text


@pytest.mark.parametrize(("figure", "text"), [(0.444, "0.44"), (10.0, "10.0"), (2310.04, "2,310.0")], ids=str)
def test_seconds(figure: float, text: str) -> None:
    assert report.as_seconds(figure) == text


@pytest.mark.parametrize(("figure", "text"), [(None, "-"), (0.0, "0"), (130.6, "131")], ids=str)
def test_memory(figure: float | None, text: str) -> None:
    assert report.as_mib(figure) == text


def test_calls_by_operation_end_with_their_sums() -> None:
    stock, ours = {"ListUsers": 5, "GetUser": 1500}, {"ListUsers": 1, "GetCredentialReport": 1}
    assert report.by_operation([stock, ours]) == [
        ["GetUser", "1,500", "-"],
        ["ListUsers", "5", "1"],
        ["GetCredentialReport", "-", "1"],
        ["all", "1,505", "2"],
    ]


def test_only_what_is_extrapolated_is_marked() -> None:
    measured, *_, extrapolated = report.flagging_table(results()).rows
    assert measured == ["100", "50", "603", "5", "121x", "40.0", "0.50", "80x", "130", "130", "1.0x"]
    assert extrapolated[:8] == ["5,000", "50", "≈ 30,003", "20", "≈ 1,500x", "≈ 1,998.2", "12.0", "≈ 167x"]
    assert extrapolated[8:] == ["-", "130", "-"]


def test_calls_of_flagging_stand_beside_the_floor() -> None:
    table = report.flagging_calls_table(results())
    assert table.rows[0] == ["ListMFADevices", "2,500", "-", "≈ 25,000", "-", "-"]
    assert table.rows[-1] == ["all", "3,003", "6", "≈ 30,003", "20", "14"]


def test_constancy_is_shown() -> None:
    assert report.constancy_table(results()).rows == [["50", "6.030", "6.006", "0.4%"]]


def test_growth_stands_beside_the_floor() -> None:
    grown = report.growth_table(results()).rows[-1]
    assert grown == ["5,000", "20", "14", "12.0", "2.40", "65", "13"]


def test_deletion_is_compared_with_its_floor() -> None:
    stock, ours = report.deletion_table(results(deletion(calls=42, seconds=20.0))).rows
    assert stock == ["stock c7n", "17", "8.50", "0.61", "60.0", "1.0x", "130"]
    assert ours == ["c7n_iamusers", "42", "21.00", "1.50", "20.0", "3.0x", "130"]


def test_calls_of_deletion_stand_beside_the_floor() -> None:
    rows = report.deletion_calls_table(results(deletion(calls=6))).rows
    assert ["DeleteUser", "2", "2", "2"] in rows
    assert ["DeleteSSHPublicKey", "-", "-", "2"] in rows
    assert rows[-1] == ["all", "17", "6", "28"]


def test_what_goes_beyond_the_floor() -> None:
    assert report.beyond_the_floor(results(deletion(calls=10))) == {"GetUser": 2.0}


def test_goals_say_whether_they_are_met() -> None:
    rows = report.goals_table(results(deletion(calls=42, seconds=12.0))).rows
    assert rows[0] == ["calls for the evidence on 5,000 users", "at most 60", "20", "yes"]
    assert rows[3] == ["calls of a deletion by its floor", "at most 1.25x", "1.50x", "no"]


def test_every_measurement_is_listed() -> None:
    rows = report.runs_table(results()).rows
    assert [row[1] for row in rows] == ["flag"] * 5 + ["delete"] * 2
    assert rows[0] == ["stock c7n", "flag", "100", "50", "603", "40.0", "42.0", "65", "130"]
