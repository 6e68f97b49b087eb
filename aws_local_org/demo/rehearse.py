# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers rehearse``: the whole job on copies of real accounts, in the local organization."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console

from aws_local_org import LocalOrg, Settings
from aws_local_org.accounts import MAILER_QUEUE, PROVISIONER_ROLE
from aws_local_org.commands import errors_as_messages
from aws_local_org.demo import steps
from aws_local_org.demo.expectations import mails, why_left
from aws_local_org.demo.state import AccountState, account_states, announcements, people_with_access
from aws_local_org.environment import no_aws_settings
from aws_local_org.errors import LocalOrgError
from aws_local_org.load import load
from aws_local_org.loading.authorization_details import document_account
from aws_local_org.loading.documents import details_in, report_in, report_rows, yaml_file
from aws_local_org.smtp_sink import SmtpSink
from c7n_iamusers_cli.arguments import account_ids
from c7n_iamusers_cli.output import print_table, say

REHEARSAL = "rehearsal"
#: The marker file in a rehearsal's directory, which allows the next one to replace its content.
MARKER = ".c7n-iamusers-rehearsal"
#: Ids for the management account: the first one outside the rehearsal's accounts.
MANAGEMENT = ("123456789012", "000000000001")
#: The warning for an account without a credential report.
UNREPORTED = (
    "without its --credential-report the copy has no passwords and no access keys, so nobody is active in it, and "
    "users are deleted that a real run spares"
)
#: The reason for users under the Deny that are not deleted yet.
_WAITING = "in quarantine, to be deleted later"
#: The number of users that are named for each reason.
SHOWN = 5
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option(
    "--authorization-details",
    "details",
    type=_FILE,
    multiple=True,
    required=True,
    help="Saved `aws iam get-account-authorization-details` of an account. Repeatable, for several accounts.",
)
@click.option(
    "--credential-report",
    "reports",
    type=_FILE,
    multiple=True,
    help="Saved `aws iam get-credential-report`, or its CSV, of one of these accounts. Repeatable.",
)
@click.option(
    "--account",
    "ids",
    multiple=True,
    metavar="ID",
    callback=account_ids,
    help="The id under which an account is rehearsed, one for each --authorization-details, in their order.  "
    "[default: its own]",
)
@steps.source_option
@steps.work_option(REHEARSAL)
def rehearse(
    details: tuple[Path, ...], reports: tuple[Path, ...], ids: tuple[str, ...], source: Path, work: Path
) -> None:
    """Announce, provision, listen, quarantine, remind and delete on copies of real accounts, by your own policies.

    \b
    aws iam get-account-authorization-details > details.json
    aws iam generate-credential-report && sleep 10
    aws iam get-credential-report > report.json

    The copies are in an organization on this machine, and the command reaches nothing else: it does not use your AWS
    credentials, and keeps mails as files. Names, owners and variables come from accounts.yml if it has the account.
    Time is compressed. Exits with 1 if a check fails.
    """
    with errors_as_messages():
        if ids and len(ids) != len(details):
            raise LocalOrgError(
                f"{len(ids)} --account for {len(details)} --authorization-details: give one for each, or none"
            )
        copies = read_copies(details, reports, ids)
        with _ended_by_sigterm():
            faults = _run(copies, source.resolve(), work)
    raise SystemExit(1 if faults else 0)


@dataclass(frozen=True)
class Copy:
    """An account's documents, and its id in the rehearsal."""

    account_id: str
    pages: Sequence[Mapping[str, Any]]
    report: str | None


def read_copies(details: Sequence[Path], reports: Sequence[Path], ids: Sequence[str]) -> list[Copy]:
    """The accounts of the documents; a report belongs to the account that its ARNs name.

    Raises LocalOrgError for a document that can't be read, an account that is given twice, or a report of another one.
    """
    of_account = {_report_account(path): report_in(path) for path in reports}
    if len(of_account) != len(reports):
        raise LocalOrgError("two --credential-report are of the same account: give the later one")
    copies: list[Copy] = []
    for number, path in enumerate(details):
        pages = details_in(path)
        own = document_account(pages)
        account_id = ids[number] if ids else own
        if account_id is None:
            raise LocalOrgError(
                f"{path} names no account, since it has no users, groups or roles: leave it out"
            )
        copies.append(Copy(account_id, pages, of_account.pop(own or "", None)))
    if of_account:
        raise LocalOrgError(
            f"a --credential-report is of account {', '.join(of_account)}, and no --authorization-details is"
        )
    if twice := [each for each, count in Counter(copy.account_id for copy in copies).items() if count > 1]:
        raise LocalOrgError(f"account {', '.join(twice)} is given twice: give each account once")
    return copies


def _report_account(path: Path) -> str:
    """The account of a credential report, by the ARNs in it."""
    arns = [row.get("arn", "").split(":") for row in report_rows(report_in(path))]
    found = {parts[4] for parts in arns if len(parts) > 5}
    if len(found) != 1:
        raise LocalOrgError(
            f"{path} has the ARNs of {len(found)} accounts, not of one: give the credential report of one account"
        )
    return found.pop()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM raises an exception, so that the organization and its commands end, too."""

    def end(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(copies: Sequence[Copy], source: Path, work: Path) -> list[str]:
    console = Console()
    started = time.monotonic()
    with prepared(copies, source, work.absolute()) as rehearsal:
        users = sum(len(state.users) for state in rehearsal.before.values())
        console.print(f"A local organization with copies of {len(copies)} accounts and {users} users is up.")
        console.print(f"{steps.COMPRESSED}.", soft_wrap=True, highlight=False)
        for title, step in rehearsal.steps():
            # a fault in one account must not hide the results of the others
            steps.show_step(console, title, step, rehearsal)
        _print_tables(rehearsal)
    console.print(steps.places(work), soft_wrap=True, highlight=False)
    console.print(f"{time.monotonic() - started:.0f} seconds, {len(rehearsal.faults)} faults")
    steps.explain(console, rehearsal)
    return rehearsal.faults


@contextmanager
def prepared(copies: Sequence[Copy], source: Path, work: Path) -> Iterator[steps.Workflow]:
    """The steps over the copies. The organization ends with the ``with`` block.

    Raises LocalOrgError, before anything is touched, where ``work`` is not a rehearsal's, or ``source`` no checkout.
    """
    steps.check_checkout(source, REHEARSAL)
    file, mailer = yaml_file(source / "accounts.yml"), yaml_file(source / "mailer.yml")
    members = {copy.account_id: _entry(file, copy.account_id) for copy in copies}
    management = next(each for each in MANAGEMENT if each not in members)
    settings = Settings(
        management_account=management,
        member_accounts=tuple((account_id, entry["name"]) for account_id, entry in members.items()),
        assignment_seconds=0.1,
    )
    variables = _variables(file, settings, work)
    days = _days({**variables, **next(iter(members.values()))["vars"]})
    steps.clear(work, REHEARSAL, MARKER)
    with no_aws_settings(), LocalOrg(settings) as org, SmtpSink(work / "mails") as sink:
        for copy in copies:
            if copy.report is None:
                click.echo(f"warning: account {copy.account_id}: {UNREPORTED}", err=True)
            for warning in load(org, copy.account_id, copy.pages, copy.report)["warnings"]:
                say(f"warning: account {copy.account_id}: {warning}", err=True)
        accounts, mailer_config = work / "accounts.yml", work / "mailer.yml"
        accounts.write_text(
            yaml.safe_dump({"vars": variables, "accounts": [*members.values()]}, sort_keys=False)
        )
        mailer_config.write_text(yaml.safe_dump(_mailer(mailer, members, variables, settings, sink.port)))
        yield steps.Workflow(source, work, org, accounts, mailer_config, account_states(org), days)


def _entry(file: Mapping[str, Any], account_id: str) -> dict[str, Any]:
    """The account in the rehearsal's accounts file: the checkout's entry, if there is one, with a local role."""
    entries: list[dict[str, Any]] = file.get("accounts") or []
    found = next((entry for entry in entries if entry.get("account_id") == account_id), {})
    name = str(found.get("name") or account_id)
    owner = f"owner-of-{account_id}@example.com"
    return {
        **{key: value for key, value in found.items() if key in ("tags", "display_name")},
        "name": name,
        "account_id": account_id,
        "role": f"arn:aws:iam::{account_id}:role/{Settings.role_name}",
        "regions": [Settings.region],
        "vars": {"account_name": name, "owner": owner, **(found.get("vars") or {})},
    }


def _variables(file: Mapping[str, Any], settings: Settings, work: Path) -> dict[str, Any]:
    """The checkout's variables, with the queue, Identity Center, records and notices of the rehearsal."""
    management = settings.management_account
    queues = f"https://sqs.{settings.region}.amazonaws.com/{management}"
    return {
        **(file.get("vars") or {}),
        **dict.fromkeys(("queue_url", "realtime_queue_url"), f"{queues}/{MAILER_QUEUE}"),
        "identity_center_role": f"arn:aws:iam::{management}:role/{PROVISIONER_ROLE}",
        "identity_center_region": settings.region,
        "notices": str(work / "notices"),
        "records": str(work / "output"),
    }


def _mailer(
    mailer: Mapping[str, Any],
    members: Mapping[str, Mapping[str, Any]],
    variables: Mapping[str, Any],
    settings: Settings,
    port: int,
) -> dict[str, Any]:
    """c7n-mailer's settings. Only the sender is the checkout's: its other settings may reach real systems."""
    return {
        "queue_url": variables["queue_url"],
        "region": settings.region,
        "from_address": mailer.get("from_address", "rehearsal@example.com"),
        "smtp_server": "127.0.0.1",
        "smtp_port": port,
        "smtp_ssl": False,
        "account_emails": {account_id: [entry["vars"]["owner"]] for account_id, entry in members.items()},
    }


def _days(variables: Mapping[str, Any]) -> steps.Days:
    """The days of the steps, from the policies' variables."""
    names = {
        "listening": "listen_after_days",
        "quarantine": "quarantine_after_days",
        "deletion": "announce_days",
        "reminder": "remind_days",
        "active": "active_within_days",
    }
    found = {field: variables[name] for field, name in names.items() if name in variables}
    if wrong := [names[field] for field, value in found.items() if not isinstance(value, int)]:
        raise LocalOrgError(f"accounts.yml: vars: {', '.join(wrong)}: give a whole number, without quotes")
    return steps.Days(**found)


def _print_tables(rehearsal: steps.Workflow) -> None:
    after = account_states(rehearsal.org)
    rows, reasons = list[list[Any]](), list[list[Any]]()
    for account_id, before in rehearsal.before.items():
        gone = rehearsal.gone.get(account_id, set())
        left = before.names - gone
        waiting = rehearsal.parked.get(account_id, set()) & left
        rows.append(
            [
                f"{account_id} {before.name}",
                len(before.users),
                len(announcements(rehearsal.notices, account_id)),
                len(people_with_access(rehearsal.org, account_id)),
                len(rehearsal.parked.get(account_id, ())),
                len(gone),
                len(waiting),
                len(after[account_id].users) - len(waiting),
            ]
        )
        reasons += _reasons(rehearsal, rehearsal.parting.get(account_id, before), left)
    columns = [
        *(
            "Account",
            "Users",
            "Announced",
            "Provisioned",
            "Quarantined",
            "Deleted",
            "In quarantine",
            "Left alone",
        )
    ]
    print_table(columns, rows)
    click.echo(
        "In quarantine: denied everything by now, and deleted by a later run, unless it is released first.\n"
    )
    print_table(["Account", "Users", "Not deleted because", "Such as"], reasons)
    click.echo(f"\n{len(mails(rehearsal.work / 'mails'))} mails")


def _reasons(rehearsal: steps.Workflow, account: AccountState, left: set[str]) -> Iterator[list[Any]]:
    """A row for each reason why users of an account are not deleted. Quarantined users come first."""
    announced = announcements(rehearsal.notices, account.account_id)
    said = rehearsal.reasons(account, "listen", "quarantine", "delete")
    waiting = rehearsal.parked.get(account.account_id, ())
    users: dict[str, list[str]] = {}
    for user in account.users:
        if user.name in left and user.name in waiting:
            # Its state before the Deny no longer counts, because a user may have become unused since.
            users.setdefault(f"{_WAITING}: {said.get(user.name, 'delete.yml did not select it')}", []).append(
                user.name
            )
        elif user.name in left:
            known = why_left(user, account, user.unique_id in announced, rehearsal.days.active)
            reason = (
                known or said.get(user.name) or "not selected by listen.yml, quarantine.yml and delete.yml"
            )
            users.setdefault(reason, []).append(user.name)
    for reason, names in sorted(users.items(), key=lambda each: (not each[0].startswith(_WAITING), each)):
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield [f"{account.account_id} {account.name}", len(names), reason, ", ".join(names[:SHOWN]) + more]
