# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers demo``: the main job on the local organization, step by step, with a table at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from aws_local_org.commands import errors_as_messages
from aws_local_org.demo import expectations as expect
from aws_local_org.demo import planted
from aws_local_org.demo.expectations import mails
from aws_local_org.demo.state import AccountState, account_states
from aws_local_org.demo.steps import EXAMPLES, Demo, Workflow, prepared
from c7n_iamusers.cli.output import print_table

MOST_FAULTS = 20
COMPRESSED = (
    "Time is compressed: instead of waiting, last uses, notices and quarantines are moved into the past, as if nobody "
    "used an IAM user in these days"
)
LEFT = (
    "Left alone: Active, whose password or key was used in the 30 days before the quarantine. No replacement, people "
    "without access through Identity Center. Others, such as whom a role trusts, whose owner was not addressed, and "
    "Bedrock API keys, whose use AWS does not tell. Unreplaced, people who were deleted and have no access through "
    "Identity Center: there must be none."
)

#: --source of demo and rehearse.
source_option = click.option(
    "--source",
    type=click.Path(path_type=Path, exists=True),
    default=Path(),
    show_default="here",
    help="The checkout with policies/, accounts.yml and mailer.yml.",
)


@click.command()
@source_option
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="The directory for output, logs and mails. Files of an earlier demo in it are removed, nothing else.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same number gives the same users.")
@click.option("--users-per-account", type=click.IntRange(12, 5000), default=30, show_default=True)
@click.option(
    "--accounts",
    type=click.IntRange(EXAMPLES, 200),
    default=EXAMPLES,
    show_default=True,
    help="The first ones are those of accounts.yml, the others are invented.",
)
def demo(source: Path, work: Path, seed: int, users_per_account: int, accounts: int) -> None:
    """Announce, provision, listen, quarantine, remind and delete, by the real c7n-org and c7n-mailer.

    Some users are planted: a machine in use, one that is heard under its Deny, two with forged tags. Time is
    compressed: thirty days pass within a minute or two. Exits with 1 if a check fails.
    """
    with errors_as_messages():
        faults = _run(source.resolve(), work, seed, users_per_account, accounts)
    raise SystemExit(1 if faults else 0)


def _run(source: Path, work: Path, seed: int, users_per_account: int, count: int) -> list[str]:
    console = Console()
    started = time.monotonic()
    with prepared(source, work.absolute(), seed, users_per_account, count) as rehearsal:
        accounts, users = len(rehearsal.before), sum(len(state.users) for state in rehearsal.before.values())
        console.print(f"A local organization with {accounts} accounts and {users} IAM users is up.")
        console.print(f"{COMPRESSED}, but for the planted machines.", soft_wrap=True, highlight=False)
        for title, step in rehearsal.steps():
            show_step(console, title, step, rehearsal)
            if rehearsal.faults:
                break
        _print_before_and_after(rehearsal)
        if rehearsal.after:
            _print_planted(rehearsal)
    console.print(f"{LEFT}\n{places(work)}", soft_wrap=True, highlight=False)
    console.print(f"{time.monotonic() - started:.0f} seconds, {len(rehearsal.faults)} faults")
    explain(console, rehearsal)
    return rehearsal.faults


def show_step(console: Console, title: str, step: Callable[[], None], rehearsal: Workflow) -> None:
    known, started = len(rehearsal.faults), time.monotonic()
    with console.status(title):
        step()
    faults = len(rehearsal.faults) - known
    mark = f"[red]{faults} faults[/]" if faults else "[green]done[/]"
    console.print(f"{title}: {mark} ({time.monotonic() - started:.1f} s)", highlight=False, soft_wrap=True)


def explain(console: Console, rehearsal: Workflow) -> None:
    """The first faults, and the end of the last command's log, which shows the cause."""
    for fault in rehearsal.faults[:MOST_FAULTS]:
        console.print(f"[red]fault:[/] {fault}", highlight=False, soft_wrap=True)
    if (more := len(rehearsal.faults) - MOST_FAULTS) > 0:
        console.print(f"and {more} more faults")
    logs = sorted((rehearsal.work / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
    if rehearsal.faults and logs:
        tail = "\n".join(logs[-1].read_text().splitlines()[-15:])
        console.print(f"The end of {logs[-1]}:\n{tail}", highlight=False, markup=False, soft_wrap=True)


def _print_before_and_after(rehearsal: Demo) -> None:
    after = rehearsal.after or account_states(rehearsal.org)
    received = mails(rehearsal.work / "mails")
    rows = [
        [
            f"{account_id} {before.name}",
            len(after[account_id].users) + len(rehearsal.gone.get(account_id, ())),
            *_counts(rehearsal, rehearsal.parting.get(account_id, before)),
            len(expect.unreplaced(rehearsal.parting.get(account_id, before), after[account_id])),
            len(after[account_id].users),
            sum(account_id in str(mail.get_content()) for mail in received),
        ]
        for account_id, before in rehearsal.before.items()
    ]
    columns = [
        "Account",
        "Users",
        "Exempt",
        "Active",
        "No replacement",
        "Others",
        "Deleted",
        "Unreplaced",
        "Left",
        "Mails",
    ]
    numbers = zip(*(row[1:] for row in rows), strict=True)
    print_table(columns, [*rows, ["all accounts", *map(sum, numbers)]])


def _print_planted(rehearsal: Demo) -> None:
    """What became of each planted user, and why it is left, as the first run that spared it said."""
    rows = list[list[Any]]()
    for name, story in planted.STORIES.items():
        left = [each for each in rehearsal.after.values() if name in each.names]
        said = rehearsal.reasons(left[0], "delete", "quarantine", "listen").get(name, "") if left else ""
        if name == planted.CALLED and left:
            said = "heard, mailed, exempted by its owner, released; its calls succeed"
        gone = len(rehearsal.after) - len(left)
        rows.append([name, story, ", ".join(each.name for each in left[:3]), len(left), gone, said])
    click.echo()
    print_table(["Planted user", "Story", "Left in", "Left", "Deleted", "Why it is left"], rows)
    click.echo()


def _counts(rehearsal: Demo, account: AccountState) -> list[int]:
    """The users that are left, by the first reason that holds for each, and the number of those that are gone."""
    reasons = {"exempt": 0, "active": 0, "without": 0, "others": 0, "gone": 0}
    for user in account.users:
        if user.name in rehearsal.gone.get(account.account_id, ()):
            reasons["gone"] += 1
        elif rehearsal.is_exempt(user):
            reasons["exempt"] += 1
        elif expect.active(user, account.at):
            reasons["active"] += 1
        elif expect.without_replacement(user, account):
            reasons["without"] += 1
        else:
            reasons["others"] += 1
    return list(reasons.values())


def places(work: Path) -> str:
    there = work / "output" / "removal" / "<account>" / "us-east-1" / "<policy>"
    found = {
        "Report": work / "report.html",
        "Mails": work / "mails",
        "Notices": work / "notices",
        "Snapshots": there / "snapshots",
        "Journals": there / "journal.jsonl",
        "Logs": work / "logs",
    }
    return "\n".join(f"{name + ':':<11} {place}" for name, place in found.items())
