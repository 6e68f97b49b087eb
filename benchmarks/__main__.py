# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks``: measures, shows the results, and writes docs/benchmarks.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks import access_keys, first_run, key_callers, load, report_page, suite
from benchmarks.report import as_markdown, machine, show
from benchmarks.results import FULL, QUICK, ROOT, BenchmarkError, Plan, Results, goals
from benchmarks.workload import running_organization

#: Columns without a terminal, enough for the widest table.
WIDTH = 140
REPORT = ROOT / "docs" / "benchmarks.md"
#: The headings of the sections that are measured, and written, alone; in their order.
PARTS = (access_keys.HEADING, key_callers.HEADING, first_run.HEADING, load.HEADING)


@click.command()
@click.option(
    "--load",
    "loaded",
    is_flag=True,
    help="Measure the commands over many accounts instead, and write that section of the report alone.",
)
@click.option(
    "--keys",
    is_flag=True,
    help="Measure access keys instead, and write that section of the report alone.",
)
@click.option(
    "--usage",
    "callers",
    is_flag=True,
    help="Count what it takes to ask who calls with access keys instead, and write that section of the report alone.",
)
@click.option(
    "--first-run",
    "first",
    is_flag=True,
    help="Measure first runs of provision instead, and write that section of the report alone.",
)
@click.option(
    "--page",
    "paged",
    is_flag=True,
    help="Measure the page of a report and its filters in Chromium instead; nothing is written.",
)
@click.option("--quick", is_flag=True, help="Measure small accounts, once each; written only with --output.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The report file [default: docs/benchmarks.md; none with --quick].",
)
def main(
    loaded: bool, keys: bool, callers: bool, first: bool, paged: bool, quick: bool, output: Path | None
) -> None:
    """Measure stock Cloud Custodian against this package. Exits with 1 if a full run misses a goal."""
    try:
        _measure(loaded, keys, callers, first, paged, quick, output)
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error


def _measure(
    loaded: bool, keys: bool, callers: bool, first: bool, paged: bool, quick: bool, output: Path | None
) -> None:
    if paged:
        _page(quick)
        return
    if loaded:
        _load(load.QUICK if quick else load.FULL, output or (None if quick else REPORT))
        return
    if keys:
        _keys(quick, output or (None if quick else REPORT))
        return
    if callers:
        _callers(quick, output or (None if quick else REPORT))
        return
    if first:
        _first_run(quick, output or (None if quick else REPORT))
        return
    results = _run(QUICK if quick else FULL)
    show(results, Console() if sys.stdout.isatty() else Console(width=WIDTH))
    if output or not quick:
        target = output or REPORT
        text = as_markdown(results, machine(), datetime.now(timezone.utc))
        _, *kept = _split(_written(target), PARTS[0])
        target.write_text("".join([text, *kept]), encoding="utf-8")
        click.echo(f"written: {target}", err=True)
        _keys(quick, target)
        _callers(quick, target)
        _first_run(quick, target)
    missed = [goal.title for goal in goals(results) if not goal.met]
    if missed and not quick:
        sys.exit(f"goals missed: {'; '.join(missed)}")


def _tell(about: str) -> None:
    click.echo(about, err=True)


def _load(sizes: load.Sizes, target: Path | None) -> None:
    steps = load.measured(sizes, _tell)
    Console(width=WIDTH).print(load.table(steps).for_terminal())
    if target:
        _write(target, load.HEADING, load.section(steps, _today(), machine()))


def _keys(quick: bool, target: Path | None) -> None:
    found = access_keys.measured(access_keys.QUICK if quick else access_keys.FULL, _tell)
    for table in access_keys.TABLES:
        Console(width=WIDTH).print(table(found).for_terminal())
    if target:
        _write(target, access_keys.HEADING, access_keys.section(found, _today(), machine()))


def _callers(quick: bool, target: Path | None) -> None:
    found = key_callers.measured(key_callers.QUICK if quick else key_callers.FULL, _tell)
    for table in (key_callers.table, key_callers.calls_table):
        Console(width=WIDTH).print(table(found).for_terminal())
    if target:
        _write(target, key_callers.HEADING, key_callers.section(found, _today(), machine()))


def _first_run(quick: bool, target: Path | None) -> None:
    """Raises SystemExit if a full one takes more memory than it may."""
    sizes = first_run.QUICK if quick else first_run.FULL
    runs = first_run.measured(sizes, _tell)
    Console(width=WIDTH).print(first_run.table(runs).for_terminal())
    if target:
        _write(target, first_run.HEADING, first_run.section(runs, _today(), machine()))
    if missed := first_run.missed(runs):
        sys.exit(f"goals missed: {'; '.join(missed)}")


def _page(quick: bool) -> None:
    size = report_page.QUICK if quick else report_page.FULL
    found = report_page.measured(size, _tell)
    Console(width=WIDTH).print(report_page.table(found).for_terminal())
    if missed := report_page.missed(found):
        sys.exit(f"goals missed: {'; '.join(missed)}")


def _today() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%d}"


def _write(target: Path, heading: str, section: str) -> None:
    """``section`` in the place of the one with ``heading``."""
    before, _, after = _split(_written(target), heading)
    target.write_text(before + section + after, encoding="utf-8")
    click.echo(f"written: {target}", err=True)


def _split(report: str, heading: str) -> tuple[str, str, str]:
    """What is before a part, the part with the empty line before it, and the parts after it."""
    found, *later = (report.find(f"\n{each}\n") for each in PARTS[PARTS.index(heading) :])
    end = min((at for at in later if at >= 0), default=len(report))
    start = end if found < 0 else found
    return report[:start], report[start:end], report[end:]


def _written(target: Path) -> str:
    return target.read_text(encoding="utf-8") if target.exists() else ""


def _run(plan: Plan) -> Results:
    with _progress(plan) as progress, running_organization() as organization:
        return suite.Suite(plan, organization, progress).run()


@contextmanager
def _progress(plan: Plan) -> Iterator[suite.Progress]:
    """On a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=plan.steps)
        yield _Teller(progress, task)


class _Teller:
    """Advances the bar when the next measurement begins."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task, self._begun = progress, task, 0

    def __call__(self, about: str) -> None:
        self._progress.update(self._task, description=about, completed=self._begun)
        self._begun += 1


if __name__ == "__main__":
    main()
