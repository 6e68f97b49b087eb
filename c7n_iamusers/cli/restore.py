# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers restore``: brings deleted users back from their snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from c7n_iamusers.cli.user_restoration import UserRestoration
    from c7n_iamusers.decisions.restoration import Restoration
    from c7n_iamusers.model.snapshot import Snapshot

JOURNAL = "restore-journal.jsonl"


@click.command()
@click.argument(
    "snapshots",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE-OR-DIR...",
)
@click.option("--dry-run", is_flag=True, help="Show the calls, and what can't come back; change nothing.")
@click.option("--role", metavar="ARN", help="Assume this role first, in the account of the users.")
@click.option(
    "--recreate-groups", is_flag=True, help="Make groups that vanished again, with their policies of then."
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    default=JOURNAL,
    show_default=True,
    help="Where each call is written down, before it is made and after.",
)
def restore(
    snapshots: tuple[Path, ...], dry_run: bool, role: str | None, recreate_groups: bool, journal: Path
) -> None:
    """Bring users back from snapshot files, or from all those of a run's output.

    A user comes back with its path, tags, boundary, groups, policies, SSH public keys and signing certificates.
    Passwords, secret keys, MFA devices and the unique id can't come back: they are listed. Restoring a user that
    is back changes nothing. A restored user has the tag c7n-iamusers-restored-from, with the unique id of the one
    that it replaces: another user of its name, without that tag, is given nothing.
    """
    from c7n_iamusers.cli.snapshot_files import chosen_snapshots

    found = chosen_snapshots(snapshots)
    with _restoration(None if dry_run else journal, role, recreate_groups) as restoration:
        failed = [each for each in found if not _restore(restoration, each, dry_run)]
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(found)} users are not restored, see above")


@contextmanager
def _restoration(journal: Path | None, role: str | None, recreate_groups: bool) -> Iterator[UserRestoration]:
    from c7n_iamusers.aws.executor import Executor
    from c7n_iamusers.aws.interruption import Interrupted, Interruption
    from c7n_iamusers.aws.journal import Journal, NoJournal
    from c7n_iamusers.aws.retries import Backoff
    from c7n_iamusers.aws.sessions import account_of, account_session
    from c7n_iamusers.cli.user_restoration import UserRestoration

    session = account_session(role)
    client, account_id = session.client("iam"), account_of(session)
    with Interruption() as interruption, Journal(journal) if journal else NoJournal() as lines:
        backoff = Backoff(sleep=interruption.sleep)
        executor = Executor({"iam": client}, lines, backoff, before_each=interruption.check)
        try:
            yield UserRestoration(client, executor, backoff, account_id, recreate_groups)
        except Interrupted as error:
            click.echo(f"{error}: what was done is in {journal}; run again to go on", err=True)
    interruption.follow()


def _restore(restoration: UserRestoration, snapshot: Snapshot, dry_run: bool) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.aws.executor import Applied, CallFailed
    from c7n_iamusers.exceptions import IamUsersError

    applied = Applied()
    try:
        planned = restoration.plan(snapshot)
        _tell(snapshot, planned, dry_run)
        if not dry_run:
            restoration.apply(snapshot, planned, applied)
    except (IamUsersError, CallFailed, ClientError, BotoCoreError) as error:
        told = str(error) if str(snapshot.user.subject) in str(error) else f"{snapshot.user.subject}: {error}"
        click.echo(f"{told} ({applied.calls} calls made)", err=True)
        return False
    return True


def _tell(snapshot: Snapshot, planned: Restoration, dry_run: bool) -> None:
    calls = planned.plan.calls
    doing = "would be restored" if dry_run else "is being restored"
    click.echo(f"{snapshot.user.subject} {f'{doing} by {len(calls)} calls' if calls else 'is back already'}")
    if dry_run:
        for call in calls:
            click.echo(f"  {call.permission} {_shown(call.parameters)}")
    for title, lines in (("can't come back", planned.lost), ("note", planned.notes)):
        for line in lines:
            click.echo(f"  {title}: {line}")


def _shown(parameters: object) -> str:
    import json

    return json.dumps(parameters, default=str, ensure_ascii=False)
