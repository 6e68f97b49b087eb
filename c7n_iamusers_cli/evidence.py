# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers evidence``: the IAM users of accounts with kind, findings, activity and dependent roles."""

from __future__ import annotations

import csv
import io
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.text.wording import cell, visible
from c7n_iamusers_cli.arguments import account_choice, role_arn, targets_in
from c7n_iamusers_cli.output import format_option, print_json_rows, print_table, progress_bar, say

if TYPE_CHECKING:
    from c7n_iamusers.evidence.account_report import AccountEvidence
    from c7n_iamusers.evidence.assessment import Assessment
    from c7n_iamusers.organization.readiness import Target

#: An account of the accounts file, or None for the only one; and the evidence on its users.
Found = tuple["Target | None", "AccountEvidence"]

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_STEPS = 3
#: Accounts that are read at once, and so held in memory.
_WORKERS = 4


@click.command()
@click.option(
    "--role",
    metavar="ARN",
    callback=role_arn,
    help="Assume this role first, to read another account.",
)
@click.option(
    "-c",
    "--config",
    type=_FILE,
    help="c7n-org's accounts file: read all its accounts, by the role of each.",
)
@account_choice
@format_option("table", "json", "csv")
@click.option(
    "--authorization-details", type=_FILE, help="Saved `aws iam get-account-authorization-details`."
)
@click.option("--credential-report", type=_FILE, help="Saved `aws iam get-credential-report`, or its CSV.")
def evidence(
    role: str | None,
    config: Path | None,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    output_format: str,
    authorization_details: Path | None,
    credential_report: Path | None,
) -> None:
    """Show the evidence on every IAM user of one account, or of all accounts of c7n-org's file. Nothing is changed.

    The account is that of the current credentials, of --role, or of the saved documents. With -c, an account that can't
    be read does not stop the others: it is named at the end, and the command fails.
    """
    if authorization_details is None and credential_report:
        raise click.UsageError("--credential-report completes --authorization-details: give both")
    if sum(map(bool, (authorization_details, role, config))) > 1:
        raise click.UsageError(
            "--role reads a live account, --authorization-details a saved one, -c the accounts of a file: give only one"
        )
    if (names or tags) and not config:
        raise click.UsageError("-a and -t choose from the accounts file: give it by -c")
    from c7n_iamusers.evidence.account_report import read_saved_evidence

    if config:
        _of_accounts(config, names, tags, output_format)
        return
    details = authorization_details
    found = read_saved_evidence(details, credential_report) if details else _live(role)
    _PRINTERS[output_format]([(None, found)], False)
    for note in found.notes:
        say(f"note: {note}", err=True)
    if not found.users:
        say(_without_users(f"in {details}" if details else _account_id(role)), err=True)


def _without_users(account: object) -> str:
    return f"account {account} has no IAM users"


def _account_id(role: str | None) -> str:
    from c7n_iamusers.execution.callers import account_of
    from c7n_iamusers.execution.sessions import account_session

    return role.split(":")[4] if role else account_of(account_session())


def _of_accounts(config: Path, names: Sequence[str], tags: Sequence[str], output_format: str) -> None:

    notes: list[str] = []
    unread: list[str] = []
    targets, twice = _each_once(targets_in(config, names, tags))
    notes += twice
    _PRINTERS[output_format](_read_all(targets, notes, unread), True)
    for note in notes:
        say(f"note: {note}", err=True)
    for line in unread:
        say(line, err=True)
    if unread:
        raise click.ClickException(
            f"{len(unread)} of {len(targets)} accounts were not read: see what is missing there by "
            f"c7n-iamusers preflight -c {config}"
        )


def _each_once(targets: Sequence[Target]) -> tuple[list[Target], list[str]]:
    """The first entry of each account, and a note on each further one."""
    first: dict[str, Target] = {}
    notes = []
    for target in targets:
        if first.setdefault(target.account_id, target) is not target:
            notes.append(
                f"{target}: its account is in the accounts file before, as {first[target.account_id].name}: shown once"
            )
    return list(first.values()), notes


def _read_all(targets: Sequence[Target], notes: list[str], unread: list[str]) -> Iterator[Found]:
    """The accounts in their order, a few at once. It adds lines to ``notes`` and ``unread``."""
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.organization.preflight_checks import Probes

    probes = Probes(account_session(), "", Backoff())
    waiting = deque(targets)
    reading = deque[tuple["Target", "Future[AccountEvidence]"]]()
    with ThreadPoolExecutor(_WORKERS) as pool, progress_bar("accounts") as progress:
        for number in range(1, len(targets) + 1):
            while waiting and len(reading) < _WORKERS:
                target = waiting.popleft()
                reading.append((target, pool.submit(_account, probes, target)))
            target, future = reading.popleft()
            try:
                found = future.result()
            # Whatever is wrong with one account's answers, the other accounts are read.
            except Exception as error:  # noqa: BLE001
                known = isinstance(error, EvidenceUnreadable)
                unread.append(f"not read: {target}: {error if known else f'{type(error).__name__}: {error}'}")
            else:
                notes += [f"{target}: {note}" for note in found.notes]
                notes += [] if found.users else [_without_users(target)]
                yield target, found
            progress(number, len(targets))


def _account(probes: Any, target: Target) -> AccountEvidence:
    from c7n_iamusers.evidence.account_report import read_account_evidence

    if not target.roles and not target.profile:
        raise EvidenceUnreadable("it has no role: give one in the accounts file, as role: ARN")
    return read_account_evidence(probes.iam(target), probes.backoff)


def _live(role: str | None) -> AccountEvidence:
    from c7n_iamusers.evidence.account_report import read_account_evidence
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import iam_client

    with _progress() as on_step:
        return read_account_evidence(iam_client(role), Backoff(), on_step)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A progress bar on stderr if that is a terminal, otherwise nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=_STEPS)
        begun = iter(range(_STEPS + 1))
        yield lambda step: progress.update(task, description=f"reading {step}", completed=next(begun))


def _print_json(found: Iterable[Found], with_account: bool) -> None:
    print_json_rows(row for row, _ in _rows(found))


def _print_table(found: Iterable[Found], with_account: bool) -> None:
    columns = ["user", "kind", "last activity", "findings", "attached", "trusted by roles", "replacement"]
    rows = [
        [
            *(each[name] for name in _ACCOUNT if with_account),
            each["user"],
            each["kind"],
            _activity(each["last_activity"]),
            ", ".join(finding for finding in _ids(each) if finding != "iam-user"),
            ", ".join(f"{count} {kind}" for kind, count in each["attachments"].items() if count),
            ", ".join(role.rpartition("/")[2] for role in each["trusted_by"] or ()),
            " or ".join(assessment.classification.replacement),
        ]
        for each, assessment in _rows(found)
    ]
    print_table(["account", "name", *columns] if with_account else columns, rows)


def _print_csv(found: Iterable[Found], with_account: bool) -> None:
    columns = {**({name: _text(name) for name in _ACCOUNT} if with_account else {}), **_COLUMNS}
    _csv_line(columns)
    for row, _ in _rows(found):
        _csv_line(cell(visible(value(row))) for value in columns.values())


def _csv_line(values: Iterable[str]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(list(values))
    click.echo(text.getvalue(), nl=False)


def _rows(found: Iterable[Found]) -> Iterator[tuple[dict[str, Any], Assessment]]:
    from c7n_iamusers.evidence.account_report import row

    for target, account in found:
        named = dict(zip(_ACCOUNT, (target.account_id, target.name), strict=True)) if target else {}
        yield from (({**named, **row(user)}, user) for user in account.users)


def _ids(row: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(finding["id"] for finding in row["findings"]))


def _activity(activity: dict[str, Any]) -> str:
    if activity["time"]:
        return str(activity["time"])[:10]
    return "unknown" if activity["unknown"] else "never"


def _text(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: str(row[name])


#: The account's columns, if there are several accounts.
_ACCOUNT = ("account", "account_name")
_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "user": lambda row: str(row["user"]),
    "arn": lambda row: str(row["arn"]),
    "kind": lambda row: str(row["kind"]),
    "reasons": lambda row: "; ".join(row["reasons"]),
    "findings": lambda row: " ".join(_ids(row)),
    "last_activity": lambda row: row["last_activity"]["time"] or _activity(row["last_activity"]),
    "attachments": lambda row: " ".join(f"{kind}={count}" for kind, count in row["attachments"].items()),
    "trusted_by": lambda row: " ".join(row["trusted_by"] or ()),
    "sources": lambda row: "; ".join(
        f"{piece}: {source['source']} {source['time'] or 'not read'}"
        for piece, source in row["sources"].items()
    ),
}
_PRINTERS: dict[str, Callable[[Iterable[Found], bool], None]] = {
    "table": _print_table,
    "json": _print_json,
    "csv": _print_csv,
}
