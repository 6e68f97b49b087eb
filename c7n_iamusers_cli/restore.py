# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers restore``: restores deleted users from their snapshots."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers_cli.arguments import ACCOUNT_ID, account_ids, external_id, role_template
from c7n_iamusers_cli.output import say
from c7n_iamusers_cli.restore_choice import (
    Confirmation,
    SnapshotPath,
    by_account,
    check_found,
    check_parts,
    check_unambiguous,
    is_wanted,
    known_accounts,
    may_be_wanted,
)
from c7n_iamusers_cli.restore_output import (
    FAILED,
    LEFT,
    NOT_LOOKED_AT,
    RESTORED,
    SAME,
    left_alone,
    print_accounts,
    print_plan,
    way_without,
)

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.execution.interruption import Interruption
    from c7n_iamusers.restoration.plan import Restoration
    from c7n_iamusers.restoration.rights import RightsChange
    from c7n_iamusers.restoration.rights_reader import RoleTrustReader
    from c7n_iamusers.restoration.snapshot_files import RestorableUser
    from c7n_iamusers.restoration.user_restoration import UserRestoration


def acceptances(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that accept what a restoration asks about, or would refuse."""
    for option in (
        click.option(
            "--yes",
            is_flag=True,
            help="Don't ask before giving administrator rights or using snapshots that no journal proves.",
        ),
        click.option(
            "--accept-aws-changes",
            is_flag=True,
            help="Restore users even if AWS itself has added to AWS-managed policies that they had. These additions "
            "are listed first.",
        ),
        click.option(
            "--without",
            metavar="PART",
            multiple=True,
            help="Leave this part out (repeatable), which AWS refuses for good: a group or an inline policy by its "
            "name, a managed policy by its ARN, a key or certificate by its id. If it denied anything, see "
            "--accept-wider.",
        ),
        click.option(
            "--accept-wider",
            "wider",
            metavar="[ACCOUNT_ID/]NAME",
            multiple=True,
            help="Restore this user (repeatable) even if it could do more than before, or nobody can tell. What it "
            "could do is listed first. Add the account if users of several accounts have the name.",
        ),
        click.option(
            "--recreate-groups", is_flag=True, help="Create missing groups again, with their policies."
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument(
    "snapshots",
    nargs=-1,
    required=True,
    type=SnapshotPath(path_type=Path, exists=True),
    metavar="FILE-OR-DIR...",
)
@click.option("--dry-run", is_flag=True, help="Show the calls, and what can't be restored; change nothing.")
@click.option(
    "--role",
    metavar="ARN",
    callback=role_template,
    help="Assume this role first, in the account of the users. {account_id} in it stands for the account of each "
    "user, to restore users of several accounts.",
)
@click.option(
    "--external-id",
    default="",
    metavar="TEXT",
    callback=external_id,
    help="With --role: the external id that its trust policy asks for, as external_id in the accounts file.",
)
@click.option(
    "-c",
    "--accounts",
    "accounts_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="c7n-org's accounts file: with {account_id} in --role, roles are assumed only in its accounts.",
)
@click.option(
    "--account",
    "accounts",
    metavar="ID",
    multiple=True,
    callback=account_ids,
    help="Only users of this account (repeatable). With {account_id} in --role, in the place of -c.",
)
@click.option(
    "--user",
    "names",
    metavar="NAME",
    multiple=True,
    help="Only this user (repeatable). Required to change a user that still exists, or whose snapshot is partial.",
)
@acceptances
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The journal: a line before and after each call.  [default: restore-journal.jsonl beside the snapshots]",
)
def restore(
    snapshots: tuple[Path, ...],
    dry_run: bool,
    role: str | None,
    external_id: str,
    accounts_file: Path | None,
    accounts: tuple[str, ...],
    names: tuple[str, ...],
    recreate_groups: bool,
    wider: tuple[str, ...],
    without: tuple[str, ...],
    accept_aws_changes: bool,
    yes: bool,
    journal: Path | None,
    copy: Callable[[], None] = lambda: None,
) -> None:
    """Restore users from snapshot files, from a run's output, or from all outputs below a directory.

    A user is restored with its path, tags, boundary, groups, policies, SSH public keys and signing certificates: as in
    its last snapshot, plus what was removed before that according to the journal. Passwords, secret keys, MFA devices
    and the unique id can't be restored, and are listed. Restoring a restored user again changes nothing.

    Groups, policies and the boundary can allow more now than when the snapshot was taken. So the command compares what
    the user could do then and now, before anything is changed and again at the end. If it could do more, or that is
    unknown, it is not restored, and the new statements are listed: --accept-wider NAME restores it anyway. A Deny in
    the trust policy of a role counts, too, because it does not hold for the new user. What AWS added to AWS-managed
    policies is listed apart, and asked about once; scripts give --accept-aws-changes. Until the last call, the user has
    AWSDenyAll as its boundary and can do nothing.

    A user that still exists gets back only what was removed from it according to the journal, and only with --user.
    Another user of the same name, which no restoration created, is not changed.

    While a run uses a user's output, that user is not restored. During a restoration, no run begins there. A changed
    snapshot is refused. The command asks before it uses a snapshot whose SHA-256 is in no journal, or that others can
    write, and before it gives administrator rights; scripts give --yes.

    Users of several accounts, such as all of c7n-org's output, need a role in each: --role
    'arn:aws:iam::{account_id}:role/NAME' -c accounts.yml. An account whose role can't be assumed does not stop the
    others.
    """
    from c7n_iamusers.restoration.snapshot_files import collected

    if external_id and not role:
        raise click.UsageError("--external-id is for assuming a role: give --role too")
    known = known_accounts(role, accounts_file, accounts)
    collection = collected(snapshots, known)
    for line in (*collection.problems, *collection.left_out):
        say(line, err=True)
    wanted = [user for user in collection.users if is_wanted(user.recorded.subject, accounts, names)]
    check_found(wanted, accounts, (*names, *wider))
    check_unambiguous(wanted, wider)
    check_parts(wanted, without)
    options = _Options(
        dry_run,
        frozenset(names),
        recreate_groups,
        yes,
        journal,
        external_id,
        frozenset(wider),
        Confirmation(accept_aws_changes),
        frozenset(without),
        copy,
    )
    results: dict[str, list[str]] = {}
    if role and ACCOUNT_ID in role:
        for account_id, users in by_account(wanted).items():
            in_account = role.replace(ACCOUNT_ID, account_id)
            results[account_id] = (
                _in_account(in_account, account_id, users, options)
                if known is None or account_id in known.values()
                else _not_in(
                    account_id,
                    users,
                    f"{accounts_file} does not have this account: add it, or find out who wrote its snapshots",
                )
            )
        print_accounts(results, dry_run)
    else:
        with _restoring(role, options, wanted) as restoring:
            results[""] = [restoring.restore(each) for each in wanted]
    problems = [each for each in collection.problems if may_be_wanted(collection.about.get(each), names)]
    _fail(results, len(wanted), len(problems))


def _in_account(role: str, account_id: str, users: Sequence[RestorableUser], options: _Options) -> list[str]:
    """The result for each of the account's users. A problem of the whole account is printed once."""
    from c7n_iamusers.exceptions import EvidenceUnreadable, RestorationRefused

    became: list[str] = []
    try:
        with _restoring(role, options, users) as restoring:
            became += [restoring.restore(user) for user in users]
    except (EvidenceUnreadable, RestorationRefused) as error:
        return _not_in(account_id, users, str(error))
    return became


def _not_in(account_id: str, users: Sequence[RestorableUser], why: str) -> list[str]:
    """Says that none of the account's users is restored."""
    names = ", ".join(user.recorded.subject.name for user in users)
    say(f"account {account_id}: {names}: not restored: {why}", err=True)
    return [FAILED] * len(users)


def _fail(results: dict[str, list[str]], users: int, problems: int) -> None:
    """Raises ClickException if a user was not restored, or a file could not be used."""
    failed = {account_id: count for account_id, became in results.items() if (count := became.count(FAILED))}
    if not failed and not problems:
        return
    where = ", ".join(f"{count} in account {each}" for each, count in failed.items() if each)
    total = sum(failed.values()) + problems
    place = f" ({where})" if where else ""
    raise click.ClickException(f"{total} of {users + problems} were not restored{place}, see above")


@dataclass(frozen=True)
class _Options:
    dry_run: bool
    names: frozenset[str]
    recreate_groups: bool
    yes: bool
    journal: Path | None
    external_id: str = ""
    wider: frozenset[str] = frozenset()
    aws_changes: Confirmation = field(default_factory=lambda: Confirmation(given=False))
    without: frozenset[str] = frozenset()
    copy: Callable[[], None] = lambda: None


@contextmanager
def _restoring(role: str | None, options: _Options, users: Sequence[RestorableUser]) -> Iterator[_Restoring]:
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.exceptions import EvidenceUnreadable
    from c7n_iamusers.execution.callers import caller_of
    from c7n_iamusers.execution.interruption import Interrupted, Interruption
    from c7n_iamusers.execution.paging import items
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.restoration.rights_reader import RoleTrustReader
    from c7n_iamusers.restoration.snapshot_files import locked

    session = account_session(role, options.external_id)
    with Interruption() as interruption, ExitStack() as journals:
        check = journals.enter_context(locked(() if options.dry_run else users))
        backoff = Backoff(sleep=interruption.sleep)
        try:
            listed = items(session.client("iam"), "ListUsers", "Users", backoff, MaxItems=1000)
            names = {str(user["UserId"]): str(user["UserName"]) for user in listed}
        except (ClientError, BotoCoreError) as error:
            raise EvidenceUnreadable(f"the users of the account can't be listed: {error}") from error
        try:
            caller, roles = caller_of(session), RoleTrustReader(session.client("iam"), backoff)
            yield _Restoring(session, caller, names, roles, interruption, check, backoff, journals, options)
        except Interrupted as error:
            say(f"{error}: what was done is in the journal; run again to continue", err=True)
    interruption.exit_if_stopped()


@dataclass(frozen=True)
class _Restoring:
    """Restores users one after another, as ``caller`` (an ARN).

    ``names``: unique id -> name of each user in the account. ``roles``: of the account. ``check``: raises RunLockLost
    once a run lock is lost. ``told``: what was printed for all users.
    """

    session: Any
    caller: str
    names: dict[str, str]
    roles: RoleTrustReader
    interruption: Interruption
    check: Callable[[], None]
    backoff: Any
    journals: ExitStack
    options: _Options
    opened: dict[Path, Any] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def restore(self, found: RestorableUser) -> str:
        """Restore one user, or show its plan. Returns the result. FAILED: a problem kept it from being restored."""
        from botocore.exceptions import BotoCoreError, ClientError

        from c7n_iamusers.exceptions import IamUsersError
        from c7n_iamusers.execution.executor import CallFailed
        from c7n_iamusers.execution.retries import describe

        subject: Subject = found.recorded.subject
        made: list[Any] = []
        try:
            restoration = self._restoration(found)
            made = restoration.applied.made
            planned = restoration.plan()
            if subject.name not in self.options.names and (left := left_alone(planned)):
                say(f"{subject} {left}")
                return LEFT
            return self._restored(found, restoration, planned)
        except CallFailed as error:
            way = way_without(error, found)
            say(f"{describe(subject, error)} ({len(made)} calls made){way}", err=True)
        except (IamUsersError, ClientError, BotoCoreError, OSError) as error:
            say(f"{describe(subject, error)} ({len(made)} calls made)", err=True)
        except KeyError as error:
            say(f"{subject}: an answer of AWS lacks {error}: run again ({len(made)} calls made)", err=True)
        except Exception as error:  # noqa: BLE001  # one user's failure hides no other user
            say(f"{subject}: {error!r} ({len(made)} calls made)", err=True)
        return FAILED

    def _restored(self, found: RestorableUser, restoration: UserRestoration, planned: Restoration) -> str:
        """Show ``planned``, and apply it unless something in it is not accepted. Returns the result."""
        from c7n_iamusers.restoration.rights import RightsChange

        change = RightsChange() if planned.settled else planned.rights_change()
        subject = planned.plan.subject
        why = self._why_not(planned, change)
        print_plan(planned, change, planned_only=self.options.dry_run or bool(why))
        if planned.plan.calls and not planned.user_exists and NOT_LOOKED_AT not in self.told:
            self.told.add(NOT_LOOKED_AT)
            say(f"  {NOT_LOOKED_AT}")
        if not why and not self.options.dry_run:
            why = self._ask(found, planned, change)
        if why:
            say(f"{subject}: not restored: {why}", err=True)
            return FAILED
        if not self.options.dry_run:
            restoration.apply(planned, change)
            if planned.plan.calls:
                say(f"{subject}: restored")
        return RESTORED if planned.plan.calls else SAME

    def _restoration(self, found: RestorableUser) -> UserRestoration:
        from c7n_iamusers.execution.executor import SINGLE_TRY, Executor
        from c7n_iamusers.execution.journal import RESTORE_JOURNAL, NoJournal
        from c7n_iamusers.iam.users import change_shows
        from c7n_iamusers.restoration.snapshot_files import restore_lines
        from c7n_iamusers.restoration.user_restoration import UserRestoration

        path = self.options.journal or found.run / RESTORE_JOURNAL
        lines = restore_lines({path, *self.opened, *(run / RESTORE_JOURNAL for run in found.runs)})
        journal: Any = NoJournal() if self.options.dry_run else self._journal(path)

        def check() -> None:
            self.interruption.check()
            self.check()
            if not self.options.dry_run:
                journal.require_in_place()

        reader = self.session.client("iam")
        executor = Executor(
            {"iam": self.session.client("iam", config=SINGLE_TRY)},
            journal,
            self.backoff,
            before_each=check,
            caller=self.caller,
            shows=change_shows(reader, self.backoff),
        )
        elsewhere = path not in {run / RESTORE_JOURNAL for run in found.runs}
        return UserRestoration(
            found.recorded_with(restore_lines([path])) if elsewhere else found.recorded,
            reader,
            executor,
            journal,
            self.backoff,
            self.caller.split(":")[4],
            lines,
            self.names,
            self.roles,
            self.options.recreate_groups,
            self.options.without,
        )

    def _journal(self, path: Path) -> Any:
        from c7n_iamusers.execution.journal import Journal

        if path not in self.opened:
            self.opened[path] = self.journals.enter_context(Journal(path, copy=self.options.copy))
        return self.opened[path]

    def _why_not(self, planned: Restoration, change: RightsChange) -> str:
        """Why the user is only restored if somebody names it, in words; empty if nobody has to."""
        from c7n_iamusers.restoration.acceptance import Accepted, Need

        name = planned.plan.subject.name
        match Accepted(self.options.names, self.options.wider).missing(planned, change):
            case Need.NAMED:
                return f"check what is not known, then give --user {name}"
            case Need.WIDER:
                return f"check the list, then give --accept-wider {name}"
        return ""

    def _ask(self, found: RestorableUser, planned: Restoration, change: RightsChange) -> str:
        """What no option and nobody on the terminal accepted, and what to do, in words; empty for nothing."""
        from c7n_iamusers.restoration.acceptance import warnings

        if change.by_aws and not self.options.aws_changes.ask():
            return "check what AWS changed, then give --accept-aws-changes"
        told = warnings(planned, tuple(found.doubts))
        if not told:
            return ""
        for warning in told:
            say(f"  warning: {warning}")
        if self.options.yes:
            return ""
        if sys.stdin.isatty() and click.confirm(f"Restore {found.recorded.subject}?"):
            return ""
        return "check the warnings, then give --yes"
