# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from rich.console import Console

from benchmarks.table import Table

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
