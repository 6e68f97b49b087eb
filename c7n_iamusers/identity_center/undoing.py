# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision --undo RESULT``: removes what one run created, but nobody's only access."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.identity_center.access_run import SecondLook
from c7n_iamusers.identity_center.adoption import GROUP_ID
from c7n_iamusers.identity_center.aws.created_reader import CreatedReader
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.created import DELETE, Created, MembershipKey, Removed, Standing, UndoPlan
from c7n_iamusers.identity_center.intents import permission_set_from
from c7n_iamusers.identity_center.model import ASSIGNMENT, CenterState, Change, DesiredAccess, Instance
from c7n_iamusers.identity_center.model import GROUP as GROUP_KIND
from c7n_iamusers.identity_center.run_claims import check_instance
from c7n_iamusers.identity_center.run_lock import exclusive
from c7n_iamusers.identity_center.run_records import check_journaled, journals_of, open_journal, read_result
from c7n_iamusers.identity_center.undo_names import with_names
from c7n_iamusers.identity_center.undo_plan import plan_undo
from c7n_iamusers.identity_center.undo_returns import Returns, plan_returns
from c7n_iamusers.identity_center.writer.change import Rechecked, WriterContext
from c7n_iamusers.identity_center.writer.writer import DONE, ApplyOptions, Ended, SingleWriter
from c7n_iamusers.text.wording import escaping, folded, shown

#: Accounts -> the unique ids of each one's IAM users now, or why they can't be read.
UsersNow = Callable[[Iterable[str]], Mapping[str, Collection[str] | str]]
_MEND = "give --lock-out to remove it all the same"


def nobody_asked(accounts: Iterable[str]) -> dict[str, str]:
    """Where nobody can look into the accounts."""
    return dict.fromkeys(
        accounts, "nobody looked whether its IAM user is there still: give --member-role, or"
    )


def needed_memberships(
    result: Mapping[str, Any], standing: Standing, reader: CenterReader, users_now: UsersNow
) -> dict[MembershipKey, str]:
    """The memberships of ``standing`` whose people may have no other way into an account, and why.

    ``result``: of the run that made them. Raises ClientError.
    """
    made_for = _made_for(result, standing, reader)
    accounts = {arn.split(":")[4] for users in made_for.values() for arn in users}
    there = users_now(sorted(accounts))
    found: dict[MembershipKey, str] = {}
    for membership, users in made_for.items():
        reasons = {
            arn.split(":")[4]: text for arn, unique in users.items() if (text := _gone(arn, unique, there))
        }
        if not users:
            found[membership] = f"the run's result does not say for which IAM user it was made: {_MEND}"
        elif reasons and not _has_other(membership, reasons, set(standing.memberships), reader):
            found[membership] = f"{shown(sorted(set(reasons.values())))} {_MEND}"
    return found


def _made_for(
    result: Mapping[str, Any], standing: Standing, reader: CenterReader
) -> dict[MembershipKey, Mapping[str, str]]:
    """Membership -> the IAM users that it was made for, ARN -> unique id."""
    rows = {(row["group"], folded(row["username"])): row["users"] for row in result.get("memberships", ())}
    groups = {
        group: reader.store.name_of_group(group) for group in {each for each, _ in standing.memberships}
    }
    found: dict[MembershipKey, Mapping[str, str]] = {}
    for group_id, user_id in sorted(standing.memberships):
        attributes = reader.store.user_attributes(user_id) or {}
        key = (str(groups[group_id]), folded(str(attributes.get("UserName", ""))))
        found[group_id, user_id] = rows.get(key, {})
    return found


def _gone(arn: str, unique_id: str, there: Mapping[str, Collection[str] | str]) -> str:
    """Why the IAM user can't be counted on; empty where it is there."""
    account = arn.split(":")[4]
    users = there.get(account, ())
    if isinstance(users, str):
        return users
    if unique_id in users:
        return ""
    return f"IAM user {arn} has been deleted since, so its person may have no other way in:"


def _has_other(
    membership: MembershipKey, accounts: Collection[str], leaving: set[MembershipKey], reader: CenterReader
) -> bool:
    """Whether the person holds something in each of ``accounts`` without what is to be undone."""
    _, user_id = membership
    staying = [group for group in reader.store.groups_of(user_id) if (group, user_id) not in leaving]
    held = {each.account_id for group in staying for each in reader.assignments.of_group(group)}
    held |= {each.account_id for each in reader.assignments.directly_of(user_id)}
    return held.issuperset(accounts)


JOURNAL, UNDONE = "undo-journal.jsonl", "undone.json"


def undo(
    output: Store,
    result: str,
    center_in: Callable[[str], Center],
    say: Callable[[str], None],
    options: ApplyOptions | None = None,
    users_now: UsersNow | None = nobody_asked,
    accounts: Mapping[str, str] | None = None,
) -> list[str]:
    """Remove what the run of ``result`` created, and bring back what it removed; only say so without ``options``.

    The failures, in words.

    ``result``: the name of the run's result in ``output``.
    ``center_in``: the Identity Center in a Region. ``users_now``: tells which IAM users are there still, so that
    nobody is locked out; None to remove access whoever may have no other. ``accounts``: account's name -> id.

    Raises IdentityCenterError where the result is of another instance or can't be read, ClientError where Identity
    Center can't be; nothing is touched then.
    """
    say = escaping(say)
    data, place = read_result(output, result), output.place(result)
    if missing := [name for name in ("region", "instance", "permission-sets") if name not in data]:
        raise IdentityCenterError(
            f"{place} lacks {', '.join(missing)}, so it is not the whole result of a run"
        )
    if isinstance(output, DirectoryStore):
        for name in (result, *journals_of(result, data)):
            _check_owned(output.directory / name)
    check_journaled(output, result, data)
    center = center_in(data["region"])
    if center.instance.arn != data["instance"]:
        raise IdentityCenterError(
            f"{place} is of instance {data['instance']}, not of {center.instance.arn}: give the --role and --region of "
            "that one"
        )
    with _records_of(place):
        check_instance(map(Created.from_data, data["created"]), center.instance)
    reader = CenterReader.through(center.clients, center.instance, center.backoff)
    with exclusive(output, center.instance) if options else nullcontext():
        returns = _returns(data, output, result, reader, center.instance)
        plan = _plan(data, center, reader, users_now, returns, accounts or {})
        for line in _lines(plan):
            say(line)
        again = _Again(reader, returns, center.instance)
        beside = result[: result.rfind("/") + 1]
        return _apply(plan, center, output, beside, say, options, again) if options and plan.changes else []


def _returns(
    data: Mapping[str, Any], output: Store, result: str, reader: CenterReader, instance: Instance
) -> Returns:
    place = output.place(result)
    with _records_of(place):
        removed = [Removed.from_data(each) for each in data.get("removed", ())]
    absent = CreatedReader(reader).read_removed(removed)
    with _records_of(place):
        return plan_returns(absent, instance)


@contextmanager
def _records_of(place: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IdentityCenterError(
            f"{place}: can't be read as what a run did: {type(error).__name__}: {error}: it was changed after "
            "the run; nothing was touched"
        ) from error


def _check_owned(file: Path) -> None:
    """Raises IdentityCenterError where others can write the file: what it says was removed is given to people."""
    for path in (file, file.resolve().parent) if file.exists() else ():
        found = path.stat()
        if found.st_uid not in (os.getuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise IdentityCenterError(
                f"{path} can be written by others than you, so anybody's access may have been added to what the run "
                "removed, or to what it created: find out who did, and copy the directory to a place that you alone "
                "can write"
            )


def _plan(
    data: Mapping[str, Any],
    center: Center,
    reader: CenterReader,
    users_now: UsersNow | None,
    returns: Returns,
    accounts: Mapping[str, str],
) -> UndoPlan:
    standing = CreatedReader(reader).read(map(Created.from_data, data["created"]))
    asked = {name: permission_set_from(each) for name, each in data["permission-sets"].items()}
    needed = needed_memberships(data, standing, reader, users_now) if users_now else {}
    plan = plan_undo(standing, asked, center.instance, needed, returns)
    return with_names(plan, standing, returns.strangers, reader, accounts)


class _Again:
    """A change of an undo judged anew after a race: what somebody else made meanwhile is never used unseen."""

    def __init__(self, reader: CenterReader, returns: Returns, instance: Instance) -> None:
        self._reader, self._former = reader, returns.former
        desired = DesiredAccess(permission_sets=returns.permission_sets)
        self._look = SecondLook(reader, desired, CenterState(), instance)

    def __call__(self, change: Change, parameters: Mapping[str, Any]) -> Rechecked:
        """What the change comes to now. Raises IdentityCenterError where it may not be made any more."""
        if change.action == DELETE:
            # A deletion that came too early is simply tried again.
            return Rechecked(change.calls)
        return (
            self._group(change, parameters) if change.kind == GROUP_KIND else self._look(change, parameters)
        )

    def before(self, change: Change, parameters: Mapping[str, Any]) -> Callable[[], None] | None:
        """To be made right before an assignment comes back: nobody may have joined the group since it was read."""
        if change.kind != ASSIGNMENT or change.action == DELETE:
            return None
        return partial(self._check_members, change, parameters["PrincipalId"])

    def _check_members(self, change: Change, group_id: str) -> None:
        if joined := sorted(self._reader.store.members(group_id) - self._former[change.key]):
            raise IdentityCenterError(
                f"assignment {change.name} does not come back: people have joined the group since it was read (user "
                f"ids {shown(joined)}): find out who added them, remove them, and run again"
            )

    def _group(self, change: Change, parameters: Mapping[str, Any]) -> Rechecked:
        found = self._reader.store.find_group(parameters["DisplayName"])
        if found is None:
            return Rechecked(change.calls)
        used = self._reader.store.memberships(found.group_id) or self._reader.assignments.of_group(
            found.group_id
        )
        if used or found.description != parameters["Description"]:
            raise IdentityCenterError(
                f"group {found.name} has been made by somebody else meanwhile: run again"
            )
        return Rechecked((), {GROUP_ID: found.group_id})


def _apply(
    plan: UndoPlan,
    center: Center,
    output: Store,
    place: str,
    say: Callable[[str], None],
    options: ApplyOptions,
    again: _Again,
) -> list[str]:
    """``place``: what the names of the run's files begin with."""
    with open_journal(output, f"{place}{JOURNAL}") as journal:
        context = WriterContext(
            center.clients, center.instance, journal, again, center.rate, center.backoff, again.before
        )
        ended = SingleWriter(context, plan.changes, options).run()
    _record(plan, ended, output, f"{place}{UNDONE}")
    say(f"Undone: {sum(each.status == DONE for each in ended.values())} of {len(plan.changes)}.")
    return sorted({each.reason for each in ended.values() if each.status != DONE})


def _record(plan: UndoPlan, ended: Mapping[str, Ended], output: Store, name: str) -> None:
    names = {change.key: f"{change.kind} {change.name}" for change in plan.changes}
    gone = {change.key for change in plan.changes if change.action == DELETE}
    done = [key for key, each in ended.items() if each.status == DONE]
    data = {
        "finished": utc_now().isoformat(),
        "removed": [names[key] for key in done if key in gone],
        "returned": [names[key] for key in done if key not in gone],
        "failed": [f"{names[key]}: {each.reason}" for key, each in ended.items() if each.status != DONE],
        "kept": [f"{each.name}: {each.reason}" for each in plan.kept],
    }
    output.replace(name, json.dumps(data, indent=1).encode())


def _lines(plan: UndoPlan) -> Iterator[str]:
    deletions = 0
    for change in plan.changes:
        deletions += change.action == DELETE
        admin = f"  ADMINISTRATOR by {change.administrative}" if change.administrative else ""
        yield f"  {'-' if change.action == DELETE else '+'} {change.kind:<14} {change.name}{admin}"
        yield from (f"      {detail}" for detail in change.details)
    for kept in plan.kept:
        yield f"  ! {'kept':<14} {kept.name}: {kept.reason}"
    back = len(plan.changes) - deletions
    told = f"{back} to bring back, " if back else ""
    yield f"Plan: {told}{deletions} to delete, {len(plan.kept)} kept."
