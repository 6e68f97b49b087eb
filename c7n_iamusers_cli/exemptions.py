# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers exemptions requests``: rows for the list of exemptions, found in replies and checked for a person."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c7n_iamusers.exceptions import InvalidPolicyData, NoticesUnreadable, OutputUnreadable
from c7n_iamusers.text.wording import cell
from c7n_iamusers_cli.arguments import notices_option, targets_in
from c7n_iamusers_cli.output import say
from c7n_iamusers_cli.user import notices_store

if TYPE_CHECKING:
    from c7n_iamusers.exemptions import ExemptionRule
    from c7n_iamusers.notices.exemption_requests import Reply
    from c7n_iamusers.notices.notices import Notices
    from c7n_iamusers.organization.readiness import Target

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
#: Bytes of a file of replies.
_LARGEST = 32 << 20


@click.group()
def exemptions() -> None:
    """Work with the list of exemptions."""


@exemptions.command()
@click.argument(
    "places", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="REPLIES..."
)
@click.option("-c", "--accounts", "accounts_file", required=True, type=_FILE, help="c7n-org's accounts file.")
@click.option(
    "--list",
    "list_file",
    type=_FILE,
    default=Path("policies", "exemptions.csv"),
    show_default=True,
    help="The list of exemptions, in CSV, that the rows are for.",
)
@notices_option
@click.option(
    "--longest",
    type=click.IntRange(min=1, max=36_500),
    default=366,
    show_default=True,
    metavar="DAYS",
    help="Refuse an exemption that lasts longer.",
)
def requests(
    places: tuple[Path, ...],
    accounts_file: Path,
    list_file: Path,
    notices_place: str | None,
    longest: int,
) -> None:
    """List the rows for the list of exemptions in REPLIES to announcements, and check each before a person merges it.

    REPLIES are mails (.eml, mbox or text), and directories of these. Rows that pass are printed in the list's columns,
    for you to append. The command changes no list: a sender can be forged, so read each row and ask the person who is
    named as its sender. It ends with 1 if a row is refused, or a mail has none.
    """
    from c7n_iamusers.notices import exemption_requests as rows

    columns, rules = _list(list_file)
    found, problems = _replies(places)
    targets = targets_in(accounts_file, strict=False)
    asked = {row[0] for reply in found for row in reply.rows}
    notices = dict(
        _notices([target for target in targets if target.account_id in asked], notices_place, problems)
    )
    names = {target.account_id: target.name for target in targets}
    today = datetime.now(timezone.utc).date()
    checked = rows.requests(found, rows.Known(today, longest, rules, names, notices))
    for each in checked:
        for remark in each.remarks:
            say(f"{each.place}: note: {remark}", err=True)
        problems += [f"{each.place}: refused: {fault}" for fault in each.faults]
    passed = [each.rule for each in checked if each.rule and not each.faults]
    for rule in passed:
        click.echo(_line(rule, columns))
    for problem in problems:
        say(problem, err=True)
    say(
        f"{len(found)} mails: {len(passed)} rows for {list_file}, {len(problems)} problems. The sender of a mail is a "
        "claim: ask who is said to have written it, before you append a row",
        err=True,
    )
    if problems:
        raise click.exceptions.Exit(1)


def _replies(places: Sequence[Path]) -> tuple[list[Reply], list[str]]:
    """The mails with rows; all other files become problems."""
    from c7n_iamusers.execution.given import read_given
    from c7n_iamusers.notices.exemption_requests import replies

    found: list[Reply] = []
    problems: list[str] = []
    files = [file for place in places for file in _files(place, problems)]
    problems += [
        f"{place}: has no mail: give the file or the directory where the replies are"
        for place in places
        if not any(file == place or place in file.parents for file in files)
    ]
    for path in files:
        try:
            mails = list(replies(read_given(path, _LARGEST), str(path)))
        except OSError as error:
            problems.append(f"{path}: can't be read: {error}")
            continue
        found += mails
        if not mails:
            problems.append(f"{path}: has no mail")
        for mail in mails:
            if mail.problem:
                problems.append(f"{mail.place}: can't be read: {mail.problem}")
            elif not mail.rows:
                why = f"{mail.unfilled} rows without a reason" if mail.unfilled else "no row of the list"
                problems.append(
                    f"{mail.place}: has {why}: read it, and answer {mail.sender or 'whoever sent it'}"
                )
            elif mail.unfilled:
                say(
                    f"{mail.place}: note: {mail.unfilled} further users have a row without a reason", err=True
                )
    return found, problems


def _files(place: Path, problems: list[str]) -> list[Path]:
    from c7n_iamusers.execution.stores import below

    try:
        return sorted(below(place)) if place.is_dir() else [place]
    except OSError as error:
        problems.append(f"{place}: can't be read whole: {error}")
        return []


def _list(path: Path) -> tuple[list[str], tuple[ExemptionRule, ...]]:
    """The columns of the list, and its rules. Raises InvalidPolicyData."""
    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.exemptions import parse_list
    from c7n_iamusers.notices.exemption_requests import COLUMNS
    from c7n_iamusers.text.documents import as_text
    from c7n_iamusers.text.rows import csv_lines

    try:
        rules = parsed_file(path, lambda content: parse_list(content, "csv", str(path)))
        _, header = parsed_file(path, lambda content: next(csv_lines(as_text(content))))
    except ValueError as error:
        raise InvalidPolicyData(f"{path}: {error}") from error
    columns = [name.lower() for name in header]
    if missing := {*COLUMNS} - {"path"} - {*columns}:
        raise InvalidPolicyData(
            f"{path}: has no column {', '.join(sorted(missing))}, separated by commas: add it"
        )
    return columns, rules


def _line(rule: ExemptionRule, columns: Sequence[str]) -> str:
    """A line of CSV without its end. No spreadsheet takes its texts for formulas; names stay unchanged."""
    data = {**rule.as_data(), "reason": cell(rule.reason), "owner": cell(rule.owner)}
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([data.get(name, "") for name in columns])
    return line.getvalue()


def _notices(
    targets: Sequence[Target], place: str | None, problems: list[str]
) -> Iterator[tuple[str, Notices]]:
    """The readable notices of each account."""
    from c7n_iamusers.notices.notices import Notices

    for target in targets:
        where = place or target.variables.get("notices")
        if not where:
            problems.append(f"{target}: the accounts file has no variable notices: add it, or give --notices")
            continue
        try:
            now = datetime.now(timezone.utc)
            yield (
                target.account_id,
                Notices.read(notices_store(str(where)), target.account_id, now, problems.append),
            )
        except (NoticesUnreadable, OutputUnreadable) as error:
            problems.append(str(error))
