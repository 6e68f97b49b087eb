# SPDX-License-Identifier: Apache-2.0
"""Which users and parts the options of ``c7n-iamusers restore`` name, and whether the files have them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers_cli.arguments import ACCOUNT_ID, S3, targets_in

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.restoration.snapshot_files import RestorableUser


class SnapshotPath(click.Path):
    """A path of this machine: the journal of a restoration is written beside the snapshots, line by line."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Says what to do with a place in a bucket."""
        place = str(value).partition("?")[0]
        if place.startswith(S3):
            self.fail(
                f"{value}: restore reads snapshots on this machine. From a bucket, `c7n-iamusers user NAME -s {value} "
                f"-c accounts.yml --give-back` gives a user back; or copy them: `aws s3 sync {place} snapshots`, then "
                "`c7n-iamusers restore snapshots`",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


def is_wanted(subject: Subject, accounts: Sequence[str], names: Sequence[str]) -> bool:
    """Whether options name the user. Without an account, or without a name, all are named."""
    return (not accounts or subject.account_id in accounts) and (not names or subject.name in names)


def may_be_wanted(name: str | None, names: Sequence[str]) -> bool:
    """Whether a problem concerns a named user. ``name``: as in a file's name; None: it may concern any user."""
    # an underscore precedes a name that begins with a dash
    return name is None or not names or name in names or name.removeprefix("_") in names


def by_account(users: Sequence[RestorableUser]) -> dict[str, list[RestorableUser]]:
    """Account id -> its users."""
    accounts = sorted({each.recorded.subject.account_id for each in users})
    return {
        account: [user for user in users if user.recorded.subject.account_id == account]
        for account in accounts
    }


def known_accounts(
    role: str | None, accounts_file: Path | None, accounts: Sequence[str]
) -> dict[str, str] | None:
    """The only accounts in which ``role`` may be assumed, name -> id; None if options name them, or the role does.

    Raises UsageError where whoever wrote a snapshot would choose them, and get the external id, and InvalidPolicyData.
    """
    if role and ACCOUNT_ID in role and not accounts_file and not accounts:
        raise click.UsageError(
            f"{ACCOUNT_ID} in --role stands for each account that a snapshot names, whoever wrote it: give "
            "-c accounts.yml or --account ID, so that a role is assumed in your accounts alone"
        )
    if accounts_file is None:
        return None
    return {each.name: each.account_id for each in targets_in(accounts_file, strict=False)}


def check_found(wanted: Sequence[RestorableUser], accounts: Sequence[str], names: Sequence[str]) -> None:
    """Every account and every user that an option names must be in the files. Raises ClickException."""
    found = [each.recorded.subject for each in wanted]
    for what, missing in (
        ("account", set(accounts) - {each.account_id for each in found}),
        ("", set(names) - {each.name for each in found} - {each.with_account for each in found}),
    ):
        if missing:
            named = " ".join(filter(None, [what, ", ".join(sorted(missing))]))
            raise click.ClickException(f"no snapshot of {named} in the given files: nothing was done")


def check_unambiguous(wanted: Sequence[RestorableUser], wider: Sequence[str]) -> None:
    """A name accepts no rights of a namesake in another account. Raises ClickException."""
    found = {each.recorded.subject.with_account for each in wanted}
    accounts = Counter(each.partition("/")[2] for each in found)
    if several := sorted(name for name in set(wider) if accounts[name] > 1):
        raise click.ClickException(
            f"{', '.join(several)} is in several accounts: give --accept-wider ACCOUNT_ID/NAME: nothing was done"
        )


def check_parts(wanted: Sequence[RestorableUser], without: Sequence[str]) -> None:
    """Some user must have each part that is left out. Raises ClickException."""
    from c7n_iamusers.restoration.cannot_come_back import parts

    known = {part for user in wanted for snapshot in user.recorded.snapshots for part in parts(snapshot)}
    if missing := sorted(set(without) - known):
        raise click.ClickException(f"no user has the part {', '.join(missing)}: nothing was done")


@dataclass
class Confirmation:
    """Whether somebody accepted what AWS changed in its policies: for all users of the run."""

    given: bool

    def ask(self) -> bool:
        """Ask on the terminal, unless it was accepted before."""
        if not self.given and sys.stdin.isatty():
            self.given = click.confirm("Accept what AWS changed, here and for the other users of this run?")
        return self.given
