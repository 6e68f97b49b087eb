# SPDX-License-Identifier: Apache-2.0
"""Output of commands: JSON, and tables, which rich draws on a terminal and which are aligned text elsewhere.

Text from files and from AWS is escaped by ``visible``. Values are never truncated: on a terminal that is too narrow for
the table, each row is printed as a block of lines.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from c7n_iamusers.text.wording import visible

Row = Sequence[Any]
#: The exit codes of the commands, which docs/exit-codes.md explains. click itself ends with USAGE.
PROBLEM, USAGE, ATTENTION = 1, 2, 3
#: The minimum width of a column in characters.
_NARROWEST = 8
#: The width that rich draws around a cell: a line and two spaces.
_FRAME = 3


def format_option(*formats: str) -> Callable[[Any], Any]:
    """The option ``--format``, one of ``formats``; the first one by default."""
    return click.option(
        "--format", "output_format", type=click.Choice(formats), default=formats[0], show_default=True
    )


def end_check(problems: int, attention: int) -> None:
    """End the command with PROBLEM if there are problems, else with ATTENTION if something needs it."""
    if problems or attention:
        raise click.exceptions.Exit(PROBLEM if problems else ATTENTION)


def end_search(found: int, numbers: str, unread: Sequence[str]) -> None:
    """End a search by a last line that agrees with its exit code: nothing found, found, or could not read all.

    ``found``: how many; ``numbers``: of what, in words. ``unread``: what could not be read; each is said before, and
    the command ends with PROBLEM then.
    """
    for each in unread:
        say(f"not read: {each}", err=True)
    state, rest = ("found" if found else "nothing found"), ""
    if unread:
        state, rest = "could not read all", f", {len(unread)} not read: there may be more"
    say(f"{state}: {numbers}{rest}", err=True)
    end_check(len(unread), 0)


def say(line: str, err: bool = False) -> None:
    """A line of a plan or report. Names in it come from AWS, so none can end the line or move the cursor."""
    click.echo(visible(line), err=err)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Shows progress on a terminal. Elsewhere it would fill a log, so it shows nothing."""
    if not sys.stderr.isatty():
        yield lambda ended, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # rich would redirect stdout to its console, too, so that a file or a pipe would lose what is printed meanwhile
    console, same = Console(stderr=True), sys.stdout.isatty()
    with Progress(console=console, transient=True, redirect_stdout=same) as bar:
        task: Any = bar.add_task(what, total=None)
        yield lambda ended, total: bar.update(task, completed=ended, total=total)


def print_json(content: Any) -> None:
    """Print indented JSON. The escapes of ``visible`` are valid in JSON."""
    lines = json.dumps(content, indent=2, ensure_ascii=False).split("\n")
    click.echo("\n".join(map(visible, lines)))


def print_json_rows(rows: Iterable[Any]) -> None:
    """What ``print_json`` prints for a list, one element after another, without holding them all."""
    before = "["
    for row in rows:
        lines = json.dumps(row, indent=2, ensure_ascii=False).split("\n")
        click.echo("\n".join((before, *(f"  {visible(line)}" for line in lines))), nl=False)
        before = ","
    click.echo("[]" if before == "[" else "\n]")


def print_table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Print a table. Columns of numbers are aligned right; None is an empty cell."""
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

    console = Console()
    longest = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    widths = [min(width, _NARROWEST) for width in longest]
    if longest[0] <= console.width // 3:
        widths[0] = longest[0]  # don't fold names if there is room
    if sum(widths) + _FRAME * len(columns) + 1 > console.width:
        _write_blocks(columns, cells)
        return
    table = Table()
    for name, right, width in zip(columns, numeric, widths, strict=True):
        table.add_column(
            name, justify="right" if right else "left", min_width=width, overflow="fold", no_wrap=False
        )
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _write_blocks(columns: Sequence[str], cells: list[list[str]]) -> None:
    """Print each row as a block of lines. The terminal folds lines that are too long."""
    for row in cells:
        click.echo(
            "\n".join(f"{name}: {cell}" for name, cell in zip(columns, row, strict=True) if cell) + "\n"
        )


def _write(columns: Sequence[str], cells: list[list[str]], numeric: list[bool]) -> None:
    lines = [list(columns), *cells]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        aligned = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        click.echo("  ".join(aligned).rstrip())
