# SPDX-License-Identifier: Apache-2.0
"""Gives up a lost snapshot for good: with a line in the journal that names it, runs no longer miss it."""

from __future__ import annotations

from collections.abc import Collection
from getpass import getuser
from typing import TYPE_CHECKING

import click

from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.text.wording import quoted, visible
from c7n_iamusers_cli.output import say

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.report.user_history import UserHistory
    from c7n_iamusers_cli.user import Record


def give_up(record: Record, history: UserHistory, names: Collection[str]) -> None:
    """Give up the snapshots ``names`` of the user, in each output whose journal names them.

    Raises ClickException, and writes nothing, if one is there, no journal names it, a run works there, or a record
    could not be read.
    """
    if record.problems:
        raise click.ClickException(f"{history.subject}: not everything can be read: nothing was written")
    found = {place: _missing(record, place, history.subject) & {*names} for place in history.outputs}
    if unknown := {*names}.difference(*found.values()):
        raise click.ClickException(
            f"{history.subject}: {', '.join(map(quoted, sorted(unknown)))}: no journal here names it, or it is there: "
            "give the name that SnapshotMissing says. Nothing was written"
        )
    for place, gone in found.items():
        if gone:
            _write(record, place, history.subject, gone)


def _missing(record: Record, place: str, user: Subject) -> set[str]:
    """The missing snapshots that the journal of the output at ``place`` names."""
    from c7n_iamusers.snapshots.before_deny import given_up, pinned

    lines, store = record.journal(place, user), record.store(place)
    named = pinned(lines).keys() - given_up(lines).keys()
    try:
        return named - {*store.names("snapshots/")}
    except OSError as error:
        raise click.ClickException(f"{user}: {visible(str(error))}: nothing was written") from error


def _write(record: Record, place: str, user: Subject, names: Collection[str]) -> None:
    from c7n_iamusers.execution.journal import GIVEN_UP, BucketJournal, JournalReader
    from c7n_iamusers.execution.locks import LockHeld
    from c7n_iamusers.plugins.run_outputs import RunStore

    store = record.store(place)
    try:
        with (
            RunStore(store, f"c7n-iamusers user {user.name} --gone-for-good").held() as held,
            held.lock(user),
        ):
            if isinstance(held.journal, BucketJournal):
                reader = JournalReader(lambda: [store])
                reader.of(user)  # which records the digest of the user's last line
                held.journal.follows = reader.last_digest
            for name in sorted(names):
                held.journal.write(user, GIVEN_UP, snapshot=name, by=getuser())
                say(
                    f"{user}: {store.place(name)} counts as gone for good. No earlier snapshot takes its place: a "
                    "release leaves inactive what only that one had, and names it"
                )
    except (IamUsersError, LockHeld, OSError) as error:
        raise click.ClickException(f"{user}: it can't be written: {visible(str(error))}") from error
