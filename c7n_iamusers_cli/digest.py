# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers digest``: one summary for each owner over all its accounts, to c7n-mailer's queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers_cli.arguments import fleet_choice, output_places, targets_in
from c7n_iamusers_cli.forward import queue_url, region_of, send
from c7n_iamusers_cli.output import print_table, say
from c7n_iamusers_cli.user import Record, notices_store

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.notices.held import HeldMessage
    from c7n_iamusers.notices.notices import Notices
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers.report.digest import Address, Entry, Message

#: The Region of a queue whose URL has none, such as a test's.
_DEFAULT_REGION = "us-east-1"
#: Bytes of all held messages of an account. One of 5,000 users has some 10 MB.
_MOST_HELD = 32 * 1024 * 1024


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
    help="How many days back to look for what was done; what comes is always included.",
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

    It reads outputs and notices, and does not call AWS. Policies with digest: true hold their messages for it. It sends
    and records these, so run it within twelve hours after the policies. It does not send messages held for longer, and
    ends with 1: the policy's next run holds them anew. Without digest: true, the summary announces nothing and each
    call sends it again, so run it once a week.

    The variable slack of an account (slack://#channel, slack://ADDRESS or a webhook) gets what is of this account, and
    the recipients of a held message what is of its users. If something of an account can't be read, its owner gets
    nothing, and the command ends with 1.
    """
    targets = targets_in(accounts_file, names, tags)
    chosen = [each for each in targets if not owners or _variable(each, "owner") in owners]
    if not chosen:
        raise click.ClickException(
            f"{accounts_file} has no account whose owner is {', '.join(owners)}: correct it, or --owner"
        )
    now = datetime.now(timezone.utc)
    told, held, unread = _told(places, chosen, targets_in(accounts_file), days, now)
    addresses = [each for each in _addresses(chosen) if _is_read(each, unread)]
    queues = {address.owner: queue or _queue_of(address, chosen) for address in addresses}
    ready = [each for each in addresses if _is_for_queue(each, held, queues[each.owner])]
    rows = list[tuple[str, str, int, int, str]]()
    failed = bool(unread) or ready != addresses or any(each.late for each in held.values())
    for address in ready:
        its = [each for each in told if each.history.account in address.accounts]
        sent = _sent(address, its, queues[address.owner], now, dry_run)
        failed = failed or sent is None
        for message, _ in sent or ():
            accounts = len({each.history.account for each in message.users})
            rows.append((address.owner, _shown(message.to), accounts, len(message.users), message.subject))
        if sent and not dry_run:
            ids = tuple(message_id for _, message_id in sent)
            failed = not _recorded(address, held, queues[address.owner], ids) or failed
    print_table(("owner", "to", "accounts", "users", "subject"), rows)
    say(
        f"{len(rows)} messages {'would be ' if dry_run else ''}sent to {len({row[0] for row in rows})} owners",
        err=True,
    )
    if failed:
        raise click.exceptions.Exit(1)


def _shown(to: Iterable[str]) -> str:
    """Recipients for people. Whoever knows a webhook can post there."""
    return ", ".join(dict.fromkeys("a webhook" if each.startswith("https://") else each for each in to))


@dataclass(frozen=True)
class _Held:
    """One account's held messages. ``store``: of its notices. ``messages``: by the names of their files.

    ``queues``: of the policies that hold them. ``late``: whether one was held for too long.
    """

    store: Store
    messages: Mapping[str, HeldMessage]
    queues: frozenset[str]
    late: bool


def _told(
    places: Sequence[str], targets: Sequence[Target], known: Sequence[Target], days: int, now: datetime
) -> tuple[list[Entry], dict[str, _Held], dict[str, str]]:
    """What is on record of the users of ``targets``, what is held, and what can't be read of which account.

    ``known``: all accounts of the accounts file. Exits with 1 where nobody knows of which account it is.
    """
    from c7n_iamusers.report.digest import entries, held_users
    from c7n_iamusers.report.fleet import fleet_of

    asked = {each for target in targets for each in (target.account_id, target.name)}
    record = Record(places, asked, known, None, once=True)
    histories = record.histories(None)
    without = [each for each in targets if each.account_id not in record.notices]
    problems = record.problems | {f"there are no notices of {each}": each.account_id for each in without}
    held = {
        each.account_id: _held(each, record.notices[each.account_id], now, problems)
        for each in targets
        if each.account_id in record.notices
    }
    for problem in problems:
        say(f"can't be read: {problem}", err=True)
    if "" in problems.values():
        say("nobody was written to: make it readable, or leave the account out by -a", err=True)
        raise click.exceptions.Exit(1)
    gone = fleet_of(record.outputs, (), now).gone()
    names = {each.account_id: _variable(each, "account_name") or each.name for each in targets}
    messages = [message for each in held.values() for message in each.messages.values()]
    since = now - timedelta(days=days)
    return entries(histories, record.notices, names, gone, since, now, held_users(messages)), held, problems


def _is_read(address: Address, unread: Mapping[str, str]) -> bool:
    """Whether all of the owner's accounts could be read; says it where not. ``unread``: what was not -> its account."""
    if its := sorted({*unread.values()} & {*address.accounts}):
        which = ", ".join(f"{address.accounts[each]} ({each})" for each in its)
        say(f"{address.owner} was not written to: make {which} readable, or leave it out by -a", err=True)
    return not its


def _held(target: Target, notices: Notices, now: datetime, problems: dict[str, str]) -> _Held:
    """``problems``: gets what can't be read, and of which account it is."""
    from c7n_iamusers.notices.held import parse_held
    from c7n_iamusers.text.wording import shown

    store = notices_store(_variable(target, "notices"))
    found: dict[str, HeldMessage] = {}
    notices_held = notices.held(now)
    left = _MOST_HELD
    for name in dict.fromkeys(each.held for each in notices_held):
        try:
            content = store.read(name, left) or b""
            left -= len(content)
            found[name] = parse_held(content, target.account_id)
        except (OSError, ValueError) as error:
            problems[f"{store.place(name)}, which is held for a digest: {error}"] = target.account_id
    late = notices.never_told(now)
    if late:
        users = sorted({user.name for each in late for user in each.users})
        say(
            f"{target}: nobody was told of {shown(users)}: what policy {late[0].policy} held since "
            f"{late[0].time:%Y-%m-%d %H:%M} UTC was not sent within twelve hours, and is not sent any more: run the "
            "policy again, which holds it anew, and then this command",
            err=True,
        )
    return _Held(store, found, frozenset(each.queue for each in notices_held if each.queue), bool(late))


def _is_for_queue(address: Address, held: Mapping[str, _Held], queue: str) -> bool:
    """Whether no policy holds messages for another queue, of which nothing would check whether they left it."""
    found = [
        (account, each) for account in address.accounts for each in sorted(held[account].queues - {queue})
    ]
    for account, other in found:
        say(
            f"policies of account {account} hold messages for {other}, and the digest would go to {queue}: make "
            f"their transport.queue, and queue_url or --queue, the same. {address.owner} was not written to",
            err=True,
        )
    return not found


def _sent(
    address: Address, told: Sequence[Entry], queue: str, now: datetime, dry_run: bool
) -> list[tuple[Message, str]] | None:
    """The messages and their ids; None where AWS does not say that each is in the queue."""
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.report.digest import messages

    region = region_of(queue) or _DEFAULT_REGION
    made = messages(address, told, region, now)
    if dry_run or not made:
        return [(each, "") for each in made]
    try:
        client = account_session().client("sqs", region_name=region)
        return [(each, send(client, queue, each.body)) for each in made]
    except EvidenceUnreadable as error:
        say(
            f"{address.owner}: not all was sent: {error.__cause__}: send it again by --owner {address.owner}",
            err=True,
        )
        return None


def _recorded(address: Address, held: Mapping[str, _Held], queue: str, ids: tuple[str, ...]) -> bool:
    """Record in each account's notices that the held messages were sent. Returns whether that was possible."""
    from c7n_iamusers.notices.held import DigestRecord

    done = True
    for account in address.accounts:
        its = held[account]
        if not its.messages:
            continue
        record = DigestRecord(account, datetime.now(timezone.utc), queue, ids, tuple(its.messages))
        try:
            its.store.create(record.name, record.as_json())
        except OSError as error:
            done = False
            say(
                f"{address.owner}: the digest was sent, but {its.store.place(record.name)} can't be written: {error}: "
                "no announcement in it counts, and the next digest sends it again",
                err=True,
            )
    return done


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
        replace(
            Address(owner, {each.account_id: each.name for each in its}),
            contact=_variable(its[0], "contact"),
            channels={each.account_id: _channel(each) for each in its},
            start_url=_variable(its[0], "start_url"),
        )
        for owner, its in by_owner.items()
    ]


def _channel(target: Target) -> str:
    """What also gets what is of an account; may be empty. Raises ClickException for what is no recipient in Slack."""
    from c7n_iamusers.notices.forwarding import is_in_slack

    channel = _variable(target, "slack")
    if channel and not is_in_slack(channel):
        raise click.ClickException(
            f"account {target} has slack: {channel} under vars: write slack://#channel, slack://ADDRESS, or the URL of "
            "a webhook of Slack. Nobody was written to"
        )
    return channel


def _queue_of(address: Address, targets: Sequence[Target]) -> str:
    """The one queue of an owner's accounts. Raises ClickException if there is none, or several."""
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
