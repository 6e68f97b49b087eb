# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers digest``: one summary for each owner over all its accounts, to c7n-mailer's queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers_cli.arguments import fleet_choice, output_places, targets_in
from c7n_iamusers_cli.forward import queue_url, region_of, send
from c7n_iamusers_cli.output import print_table, say
from c7n_iamusers_cli.user import Record

if TYPE_CHECKING:
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers.report.digest import Address, Entry

#: The Region of a queue whose URL has none, such as that of a test.
_DEFAULT_REGION = "us-east-1"


@click.command()
@output_places
@fleet_choice(
    "c7n-org's accounts file: under vars the owner of each account, the notices and the queue.",
    "Only of this account, as c7n-org run -a.",
    required=True,
)
@click.option("-t", "--tags", multiple=True, metavar="TAG", help="Only of accounts with this tag.")
@click.option("--owner", "owners", multiple=True, metavar="ADDRESS", help="Only for this owner. Repeatable.")
@click.option(
    "--days",
    type=click.IntRange(1, 90),
    default=7,
    show_default=True,
    help="What was done in so many days is told; what comes is told always.",
)
@click.option(
    "--queue",
    metavar="URL",
    callback=queue_url,
    help="The queue that c7n-mailer reads.  [default: queue_url under vars in the accounts file]",
)
@click.option("--dry-run", is_flag=True, help="Print who would get what, and send nothing.")
def digest(
    places: tuple[str, ...],
    accounts_file: Path,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    owners: tuple[str, ...],
    days: int,
    queue: str | None,
    dry_run: bool,
) -> None:
    """Send each owner one summary over all its accounts: what was done to which IAM user, and what comes when.

    It is made of what outputs and notices have; AWS is not asked. It is sent beside the mails of the policies, and
    takes the place of none: it announces nothing, and no record says that it was sent. Each call sends anew, so run it
    once a week. Where something can't be read, nobody is written to, and the command ends with 1.
    """
    targets = targets_in(accounts_file, names, tags)
    chosen = [each for each in targets if not owners or _variable(each, "owner") in owners]
    if not chosen:
        raise click.ClickException(
            f"{accounts_file} has no account whose owner is {', '.join(owners)}: correct it, or --owner"
        )
    now = datetime.now(timezone.utc)
    told = _told(places, chosen, days, now)
    addresses = _addresses(chosen)
    queues = {address.owner: queue or _queue_of(address, chosen) for address in addresses}
    rows, failed = list[tuple[str, int, int, str]](), False
    for address in addresses:
        its = [each for each in told if each.history.account in address.accounts]
        accounts = len({each.history.account for each in its})
        sent = _sent(address, its, queues[address.owner], now, dry_run)
        failed = failed or sent is None
        rows += [(address.owner, accounts, len(its), subject) for subject in sent or ()]
    print_table(("owner", "accounts", "users", "subject"), rows)
    say(
        f"{len(rows)} messages {'would be ' if dry_run else ''}sent to {len({row[0] for row in rows})} owners",
        err=True,
    )
    if failed:
        raise click.exceptions.Exit(1)


def _told(places: Sequence[str], targets: Sequence[Target], days: int, now: datetime) -> list[Entry]:
    """What is on record of the accounts' users. Exits with 1 where something can't be read."""
    from c7n_iamusers.report.digest import entries
    from c7n_iamusers.report.fleet import fleet_of

    asked = {each for target in targets for each in (target.account_id, target.name)}
    record = Record(places, asked, targets, None, once=True)
    histories = record.histories(None)
    without = [str(each) for each in targets if each.account_id not in record.notices]
    problems = [*record.problems, *(f"there are no notices of {each}" for each in without)]
    if problems:
        for problem in dict.fromkeys(problems):
            say(f"can't be read: {problem}", err=True)
        say("nobody was written to: make it readable, or leave the account out by -a", err=True)
        raise click.exceptions.Exit(1)
    gone = fleet_of(record.outputs, (), now).gone()
    names = {each.account_id: _variable(each, "account_name") or each.name for each in targets}
    return entries(histories, record.notices, names, gone, now - timedelta(days=days), now)


def _sent(
    address: Address, told: Sequence[Entry], queue: str, now: datetime, dry_run: bool
) -> list[str] | None:
    """The subjects of the messages; None where AWS does not say that each is in the queue."""
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.report.digest import messages

    region = region_of(queue) or _DEFAULT_REGION
    made = messages(address, told, region, now)
    try:
        client = account_session().client("sqs", region_name=region) if made and not dry_run else None
        for _, body in made if client else ():
            send(client, queue, body)
    except EvidenceUnreadable as error:
        say(
            f"{address.owner}: not all was sent: {error.__cause__}: send it again by --owner {address.owner}",
            err=True,
        )
        return None
    return [subject for subject, _ in made]


def _addresses(targets: Sequence[Target]) -> list[Address]:
    """Each owner with all its accounts. Raises ClickException for an account without one."""
    from c7n_iamusers.report.digest import Address
    from c7n_iamusers.text.addresses import is_address

    by_owner: dict[str, list[Target]] = {}
    for each in targets:
        owner = _variable(each, "owner")
        if not is_address(owner):
            raise click.ClickException(
                f"account {each} has no owner that is an e-mail address under vars: write one, or leave it out by -a; "
                "c7n-iamusers owners --write finds them. Nobody was written to"
            )
        by_owner.setdefault(owner, []).append(each)
    return [
        Address(owner, {each.account_id: each.name for each in its}, _variable(its[0], "contact"))
        for owner, its in by_owner.items()
    ]


def _queue_of(address: Address, targets: Sequence[Target]) -> str:
    """The one queue of an owner's accounts. Raises ClickException where there is none, or several."""
    found = {_variable(each, "queue_url") for each in targets if each.account_id in address.accounts}
    if len(found) != 1 or not all(found):
        raise click.ClickException(
            f"the accounts of {address.owner} have {len(found - {''})} different queue_url under vars: give --queue. "
            "Nobody was written to"
        )
    (queue,) = found
    return queue


def _variable(target: Target, name: str) -> str:
    variables: Mapping[str, object] = target.variables
    found = variables.get(name)
    return found if isinstance(found, str) else ""
