# SPDX-License-Identifier: Apache-2.0
"""Tables for people: drawn by rich on a terminal, plain aligned text elsewhere; JSON for programs.

What comes from files and from AWS never reaches a terminal raw: see ``visible``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from c7n_iamusers.decisions.wording import visible

Row = Sequence[Any]

format_option = click.option(
    "--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True
)


def print_json(content: Any) -> None:
    """JSON that people can read; within it, ``visible`` escapes as JSON does."""
    lines = json.dumps(content, indent=2, ensure_ascii=False).split("\n")
    click.echo("\n".join(map(visible, lines)))


def print_table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Numbers stand to the right; None is an empty cell."""
    cells = [["" if cell is None else visible(str(cell)) for cell in row] for row in rows]
    numeric = [bool(rows) and all(isinstance(row[at], int) for row in rows) for at in range(len(columns))]
    if sys.stdout.isatty():
        _draw(columns, cells, numeric)
    else:
        _write(columns, cells, numeric)


def _draw(columns: Sequence[str], cells: list[list[str]], numeric: list[bool]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)


def _write(columns: Sequence[str], cells: list[list[str]], numeric: list[bool]) -> None:
    lines = [list(columns), *cells]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        click.echo("  ".join(aligned).rstrip())
