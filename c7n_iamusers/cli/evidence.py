# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers evidence``: the IAM users of one account with kind, findings, activity and dependent roles."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.cli.arguments import role_arn
from c7n_iamusers.cli.output import format_option, print_json, print_table, say
from c7n_iamusers.text.wording import cell

if TYPE_CHECKING:
    from c7n_iamusers.evidence.account_report import AccountEvidence

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_STEPS = 3


@click.command()
@click.option(
    "--role",
    metavar="ARN",
    callback=role_arn,
    help="Assume this role first, to read another account.",
)
@format_option("table", "json", "csv")
@click.option(
    "--authorization-details", type=_FILE, help="Saved `aws iam get-account-authorization-details`."
)
@click.option("--credential-report", type=_FILE, help="Saved `aws iam get-credential-report`, or its CSV.")
def evidence(
    role: str | None, output_format: str, authorization_details: Path | None, credential_report: Path | None
) -> None:
    """Show the evidence on every IAM user of one account. Nothing is changed.

    The account is that of the current credentials, of --role, or of the saved documents.
    """
    if authorization_details is None and credential_report:
        raise click.UsageError("--credential-report completes --authorization-details: give both")
    if authorization_details and role:
        raise click.UsageError(
            "--role reads a live account, --authorization-details a saved one: give only one"
        )
    from c7n_iamusers.evidence.account_report import read_saved_evidence

    details = authorization_details
    found = read_saved_evidence(details, credential_report) if details else _live(role)
    _PRINTERS[output_format](found)
    for note in found.notes:
        say(f"note: {note}", err=True)


def _live(role: str | None) -> AccountEvidence:
    from c7n_iamusers.evidence.account_report import read_account_evidence
    from c7n_iamusers.execution.client import Backoff
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


def _print_json(found: AccountEvidence) -> None:
    print_json(_rows(found))


def _print_table(found: AccountEvidence) -> None:
    columns = ["user", "kind", "last activity", "findings", "attached", "trusted by roles", "replacement"]
    rows = [
        [
            each["user"],
            each["kind"],
            _activity(each["last_activity"]),
            ", ".join(finding for finding in _ids(each) if finding != "iam-user"),
            ", ".join(f"{count} {kind}" for kind, count in each["attachments"].items() if count),
            ", ".join(role.rpartition("/")[2] for role in each["trusted_by"] or ()),
            " or ".join(assessment.classification.replacement),
        ]
        for each, assessment in zip(_rows(found), found.users, strict=True)
    ]
    print_table(columns, rows)


def _print_csv(found: AccountEvidence) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([cell(value(each)) for value in _COLUMNS.values()] for each in _rows(found))
    click.echo(text.getvalue(), nl=False)


def _rows(found: AccountEvidence) -> list[dict[str, Any]]:
    from c7n_iamusers.evidence.account_report import row

    return [row(each) for each in found.users]


def _ids(row: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(finding["id"] for finding in row["findings"]))


def _activity(activity: dict[str, Any]) -> str:
    if activity["time"]:
        return str(activity["time"])[:10]
    return "unknown" if activity["unknown"] else "never"


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
_PRINTERS: dict[str, Callable[[AccountEvidence], None]] = {
    "table": _print_table,
    "json": _print_json,
    "csv": _print_csv,
}
