# SPDX-License-Identifier: Apache-2.0
"""The report: a file of Markdown from ``report.md.j2``, and the tables that matter most on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from rich.console import Console

from benchmarks import center_tables, deletion_tables, flagging_tables, floor, summary_tables
from benchmarks.extrapolation import TOLERANCE
from benchmarks.ours import OURS
from benchmarks.results import Results
from benchmarks.stock import STOCK

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
        flagging=flagging_tables,
        deletion=deletion_tables,
        center=center_tables,
        summary=summary_tables,
        floor=floor,
        tolerance=TOLERANCE,
        stock=STOCK,
        ours=OURS,
        as_yaml=_as_yaml,
    )
    return f"{text.rstrip()}\n"


def show(results: Results, console: Console) -> None:
    """The comparisons, as tables."""
    shown = (
        flagging_tables.flagging_table,
        flagging_tables.growth_table,
        deletion_tables.deletion_table,
        deletion_tables.deletion_calls_table,
        center_tables.center_table,
        summary_tables.goals_table,
    )
    for table in shown:
        console.print(table(results).for_terminal())


def _as_yaml(policy: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump({"policies": [dict(policy)]}, sort_keys=False)).rstrip()
