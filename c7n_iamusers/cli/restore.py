# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers restore``: restores deleted users from their snapshots."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.cli.output import say

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.execution.interruption import Interruption
    from c7n_iamusers.restoration.plan import Restoration
    from c7n_iamusers.restoration.restoring import UserRestoration
    from c7n_iamusers.restoration.snapshot_files import RestorableUser


@click.command()
@click.argument(
    "snapshots",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE-OR-DIR...",
)
@click.option("--dry-run", is_flag=True, help="Show the calls, and what can't be restored; change nothing.")
@click.option("--role", metavar="ARN", help="Assume this role first, in the account of the users.")
@click.option(
    "--user",
    "names",
    metavar="NAME",
    multiple=True,
    help="Only this user (repeatable). Required to change a user that still exists.",
)
@click.option("--recreate-groups", is_flag=True, help="Create missing groups again, with their policies.")
@click.option(
    "--yes",
    is_flag=True,
    help="Don't ask before giving administrator rights or using snapshots that no journal proves.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The journal: a line before and after each call.  [default: restore-journal.jsonl beside the snapshots]",
)
def restore(
    snapshots: tuple[Path, ...],
    dry_run: bool,
    role: str | None,
    names: tuple[str, ...],
    recreate_groups: bool,
    yes: bool,
    journal: Path | None,
) -> None:
    """Restore users from snapshot files, from a run's output, or from all outputs below a directory.

    A user is restored with its path, tags, boundary, groups, policies, SSH public keys and signing certificates: as in
    its last snapshot, plus what was removed before that according to the journal. Passwords, secret keys, MFA devices
    and the unique id can't be restored; they are listed. Restoring a restored user again changes nothing.

    A user that still exists gets back only what was removed from it according to the journal, and only with --user.
    Another user of the same name, which no restoration created, is not changed.

    A snapshot that was changed after it was taken is refused. The command asks before it uses a snapshot whose SHA-256
    is in no journal (from an earlier version, or planted), and before it gives administrator rights; scripts give
    --yes.
    """
    from c7n_iamusers.restoration.snapshot_files import collected

    collection = collected(snapshots)
    for line in (*collection.problems, *collection.left_out):
        say(line, err=True)
    wanted = [each for each in collection.users if not names or each.recorded.subject.name in names]
    if missing := set(names) - {each.recorded.subject.name for each in wanted}:
        raise click.ClickException(
            f"no snapshot of {', '.join(sorted(missing))} in the given files: nothing was done"
        )
    options = _Options(dry_run, frozenset(names), recreate_groups, yes, journal)
    with _restoring(role, options) as restoring:
        failed = [each for each in wanted if not restoring.restore(each)]
    if failed or collection.problems:
        count = len(failed) + len(collection.problems)
        raise click.ClickException(
            f"{count} of {len(wanted) + len(collection.problems)} were not restored, see above"
        )


@dataclass(frozen=True)
class _Options:
    dry_run: bool
    names: frozenset[str]
    recreate_groups: bool
    yes: bool
    journal: Path | None


@contextmanager
def _restoring(role: str | None, options: _Options) -> Iterator[_Restoring]:
    from c7n_iamusers.execution.client import Backoff, items
    from c7n_iamusers.execution.interruption import Interrupted, Interruption
    from c7n_iamusers.execution.sessions import account_of, account_session

    session = account_session(role)
    with Interruption() as interruption, ExitStack() as journals:
        backoff = Backoff(sleep=interruption.sleep)
        listed = items(session.client("iam"), "ListUsers", "Users", backoff, MaxItems=1000)
        names = {str(user["UserId"]): str(user["UserName"]) for user in listed}
        try:
            yield _Restoring(session, account_of(session), names, interruption, backoff, journals, options)
        except Interrupted as error:
            say(f"{error}: what was done is in the journal; run again to continue", err=True)
    interruption.exit_if_stopped()


@dataclass(frozen=True)
class _Restoring:
    """Restores users one after another. ``names``: unique id -> name of each user in the account."""

    session: Any
    account_id: str
    names: dict[str, str]
    interruption: Interruption
    backoff: Any
    journals: ExitStack
    options: _Options
    opened: dict[Path, Any] = field(default_factory=dict)

    def restore(self, found: RestorableUser) -> bool:
        """Restore one user, or show its plan. Returns False if it is not restored because of a problem."""
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.exceptions import IamUsersError
        from c7n_iamusers.execution.client import describe
        from c7n_iamusers.execution.executor import CallFailed

        subject: Subject = found.recorded.subject
        made: list[Any] = []
        try:
            restoration = self._restoration(found)
            made = restoration.applied.made
            planned = restoration.plan()
            if planned.user_exists and subject.name not in self.options.names:
                say(
                    f"{subject} still exists and is left alone: give --user {subject.name} to restore what was removed "
                    f"from it, by {len(planned.plan.calls)} calls"
                )
                return True
            if planned.deleted_by_others and subject.name not in self.options.names:
                say(
                    f"{subject} was deleted by somebody else and is left alone: give --user {subject.name} to "
                    "restore it"
                )
                return True
            _print(planned, self.options.dry_run)
            if self.options.dry_run or not self._allowed(found, planned):
                return self.options.dry_run
            restoration.apply(planned)
        except (IamUsersError, CallFailed, ClientError, BotoCoreError, OSError) as error:
            say(f"{describe(subject, error)} ({len(made)} calls made)", err=True)
            return False
        return True

    def _restoration(self, found: RestorableUser) -> UserRestoration:
        from c7n_iamusers.execution.executor import Executor
        from c7n_iamusers.execution.journal import RESTORE_JOURNAL, NoJournal
        from c7n_iamusers.execution.journaled_call import SINGLE_TRY
        from c7n_iamusers.restoration.restoring import UserRestoration
        from c7n_iamusers.restoration.snapshot_files import restore_lines

        path = self.options.journal or found.run / RESTORE_JOURNAL
        lines = restore_lines({path, *(run / RESTORE_JOURNAL for run in found.runs)})
        journal = NoJournal() if self.options.dry_run else self._journal(path)
        writer = self.session.client("iam", config=SINGLE_TRY)
        executor = Executor({"iam": writer}, journal, self.backoff, before_each=self.interruption.check)
        return UserRestoration(
            found.recorded,
            self.session.client("iam"),
            executor,
            journal,
            self.backoff,
            self.account_id,
            lines,
            self.names,
            self.options.recreate_groups,
        )

    def _journal(self, path: Path) -> Any:
        from c7n_iamusers.execution.journal import Journal

        if path not in self.opened:
            self.opened[path] = self.journals.enter_context(Journal(path))
        return self.opened[path]

    def _allowed(self, found: RestorableUser, planned: Restoration) -> bool:
        """Whether administrator rights and unproven snapshots, if any, are allowed: by --yes, or on the terminal."""
        from c7n_iamusers.restoration.limits import administrative

        warnings = [f"no journal proves that {path} is as a run wrote it" for path in found.unpinned]
        warnings += [f"it becomes an administrator, by {way}" for way in administrative(planned.snapshot)]
        if not planned.plan.calls or not warnings:
            return True
        for warning in warnings:
            say(f"  warning: {warning}")
        if self.options.yes:
            return True
        if not sys.stdin.isatty():
            say(f"{found.recorded.subject}: not restored: check the warnings, then give --yes", err=True)
            return False
        return click.confirm(f"Restore {found.recorded.subject}?")


def _print(planned: Restoration, dry_run: bool) -> None:
    calls = planned.plan.calls
    doing = "would be restored" if dry_run else "is being restored"
    say(f"{planned.plan.subject} {f'{doing} by {len(calls)} calls' if calls else 'is restored already'}")
    if dry_run:
        for call in calls:
            say(f"  {call.permission} {_shown(call.parameters)}")
    for title, lines in (("can't be restored", planned.lost), ("note", planned.notes)):
        for line in lines:
            say(f"  {title}: {line}")


def _shown(parameters: object) -> str:
    import json

    return json.dumps(parameters, default=str, ensure_ascii=False)
