# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from benchmarks import flagging_tables
from tests.benchmarks.measurements import results


def test_only_what_is_extrapolated_is_marked() -> None:
    measured, *_, extrapolated = flagging_tables.flagging_table(results()).rows
    assert measured == ["100", "50", "603", "5", "121x", "40.0", "0.50", "80x", "130", "130", "1.0x"]
    assert extrapolated[:8] == ["5,000", "50", "≈ 30,003", "20", "≈ 1,500x", "≈ 1,998.2", "12.0", "≈ 167x"]
    assert extrapolated[8:] == ["-", "130", "-"]


def test_calls_stand_beside_the_floor() -> None:
    table = flagging_tables.flagging_calls_table(results())
    assert table.rows[0] == ["ListMFADevices", "2,500", "-", "≈ 25,000", "-", "-"]
    assert table.rows[-1] == ["all", "3,003", "6", "≈ 30,003", "20", "14"]


def test_constancy_is_shown() -> None:
    assert flagging_tables.constancy_table(results()).rows == [["50", "6.030", "6.006", "0.4%"]]


def test_growth_stands_beside_the_floor() -> None:
    grown = flagging_tables.growth_table(results()).rows[-1]
    assert grown == ["5,000", "20", "14", "12.0", "2.40", "65", "13"]
