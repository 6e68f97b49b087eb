# SPDX-License-Identifier: Apache-2.0
"""Which users and parts the options of ``c7n-iamusers restore`` name, and whether the files have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.restoration.snapshot_files import RestorableUser


def is_wanted(subject: Subject, accounts: Sequence[str], names: Sequence[str]) -> bool:
    """Whether options name the user. Without an account, or without a name, all are named."""
    return (not accounts or subject.account_id in accounts) and (not names or subject.name in names)


def may_be_wanted(name: str | None, names: Sequence[str]) -> bool:
    """Whether a problem concerns a named user. ``name``: as in a file's name; None: it may concern any user."""
    # an underscore precedes a name that begins with a dash
    return name is None or not names or name in names or name.removeprefix("_") in names


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
