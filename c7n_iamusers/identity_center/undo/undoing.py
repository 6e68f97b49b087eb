# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision undo RESULT``: restores what a run removed and deletes what it created.

It keeps access that may be a person's only one.
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.identity_center import access_plan, model, object_records
from c7n_iamusers.identity_center.applying.recheck import Recheck, writer_context
from c7n_iamusers.identity_center.applying.run_history import (
    MEMBERSHIPS_LEFT,
    UNDO_JOURNAL,
    UNDONE,
    read_history,
    read_successors,
)
from c7n_iamusers.identity_center.applying.run_lock import exclusive
from c7n_iamusers.identity_center.applying.run_records import (
    check_journaled,
    journals_of,
    open_journal,
    read_result,
    time_of_result,
)
from c7n_iamusers.identity_center.aws.created_reader import CreatedReader
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.former_members import end_times
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.planning.permission_sets import permission_set_calls
from c7n_iamusers.identity_center.planning.replacements import RunHistory
from c7n_iamusers.identity_center.requests.intents import permission_set_from
from c7n_iamusers.identity_center.undo.deletion_rechecks import UndoChecks
from c7n_iamusers.identity_center.undo.deletions import plan_undo
from c7n_iamusers.identity_center.undo.names import with_names
from c7n_iamusers.identity_center.undo.only_access import (
    ReadUsers,
    needed_memberships,
    read_once,
    relied_on,
    relied_on_settings,
    users_not_read,
)
from c7n_iamusers.identity_center.undo.restoration_rechecks import RestorationChecks, not_restored
from c7n_iamusers.identity_center.undo.restorations import RestorationPlan, plan_restoration
from c7n_iamusers.identity_center.undo.undo_plan import Kept, UndoPlan
from c7n_iamusers.identity_center.writer.change import RecheckResult
from c7n_iamusers.identity_center.writer.writer import (
    DONE,
    FAILED,
    REPLACED,
    ApplyOptions,
    ChangeResult,
    SingleWriter,
)
from c7n_iamusers.text.wording import escaping, folded


@dataclass(frozen=True)
class UndoOptions:
    """``read_users``: reads which IAM users still exist; None to end even access that may be a person's only one.

    ``accounts``: name -> account id. ``digest``: the SHA-256 of the result in hex, as the run printed it, which proves
    that it is the run's own. Without it, ``accepted`` says whether somebody accepts the access that the plan gives.
    """

    read_users: ReadUsers | None = users_not_read
    accounts: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    accepted: Callable[[], bool] = lambda: False


def undo(
    output: Store,
    result: str,
    center_in: Callable[[str], Center],
    say: Callable[[str], None],
    options: ApplyOptions | None = None,
    undo_options: UndoOptions | None = None,
) -> list[str]:
    """Undo the run of ``result``; without ``options`` only show the plan. Returns the failures, in words.

    ``result``: the name of the run's result in ``output``. ``center_in``: connects to Identity Center in a Region.

    Raises IdentityCenterError if the result can't be read or is of another instance, and ClientError if Identity Center
    can't be read; both before the first change.
    """
    undo_options = undo_options or UndoOptions()
    say, place = escaping(say), output.place(result)
    if undo_options.read_users:
        undo_options = replace(undo_options, read_users=read_once(undo_options.read_users))
    data, center = _checked_result(output, result, center_in, undo_options.digest)
    reader = CenterReader.of(center)
    with exclusive(output, center.instance, center) if options else nullcontext():
        later = read_history(output, center.instance, time_of_result(result))
        restoration = _restoration(data, place, reader, center.instance, undo_options.read_users, later)
        plan = _plan(data, center, reader, restoration, later, undo_options)
        for line in _lines(plan):
            say(line)
        if options is None:
            return []
        if not undo_options.digest:
            _require_consent(plan, place, undo_options.accepted)
        _begin_ages_anew(data, output, center.instance, say)
        recheck = _UndoRecheck(reader, restoration, center.instance, plan, options.clock)
        prefix = result[: result.rfind("/") + 1]
        return _apply(plan, center, output, prefix, say, options, recheck)


def _checked_result(
    output: Store, result: str, center_in: Callable[[str], Center], digest: str
) -> tuple[dict[str, Any], Center]:
    """The result, with its objects' ids from later undos, and its Identity Center."""
    data, place = read_result(output, result, digest), output.place(result)
    if missing := [name for name in ("region", "instance", "permission-sets") if name not in data]:
        raise IdentityCenterError(
            f"{place} lacks {', '.join(missing)}, so it is not the complete result of a run"
        )
    successors = read_successors(output)
    if isinstance(output, DirectoryStore):
        for name in (result, *journals_of(result, data), *successors.journals):
            _check_owned(output.directory / name)
    check_journaled(output, result, data)
    center = center_in(data["region"])
    if center.instance.arn != data["instance"]:
        raise IdentityCenterError(
            f"{place} belongs to instance {data['instance']}, not to {center.instance.arn}: give the --role and "
            "--region of that one"
        )
    with _result_errors(place):
        object_records.check_instance(map(object_records.Created.from_data, data["created"]), center.instance)
    return successors.of_result(data), center


def _require_consent(plan: UndoPlan, place: str, accepted: Callable[[], bool]) -> None:
    """Raises IdentityCenterError if the plan gives access that nobody accepts."""
    if any(change.action != access_plan.DELETE for change in plan.changes) and not accepted():
        raise IdentityCenterError(
            f"nothing was touched: lines with + give people access that {place} names, and whoever can write there "
            "may have added it: check them, and give --result-sha256 HEX, which the run printed, or answer yes on a "
            "terminal"
        )


def _begin_ages_anew(
    data: Mapping[str, Any], output: Store, instance: model.Instance, say: Callable[[str], None]
) -> None:
    """Forgets the ages of memberships, by which the next prune --former would remove them again.

    It does so before anything is restored, so that a killed undo leaves no old age. Raises IdentityCenterError,
    OSError.
    """
    records = [each for each in data.get("removed", ()) if each["kind"] == model.MEMBERSHIP]
    if end_times(output, instance, {(record["group"], folded(record["username"])) for record in records}):
        say("Ages of former people whose memberships come back count anew, for provision prune --former.")


def _incomplete(plan: UndoPlan) -> Iterator[str]:
    """A sentence if anything that the run changed stays as it is."""
    if kept := sum(not each.as_before for each in plan.kept):
        yield (
            f"the undo is not complete: {kept} object(s) stay as the run left them, each with its reason in a line "
            "`! kept`: settle these, and run the undo again"
        )


def _restoration(
    data: Mapping[str, Any],
    place: str,
    reader: CenterReader,
    instance: model.Instance,
    read_users: ReadUsers | None,
    later: RunHistory,
) -> RestorationPlan:
    with _result_errors(place):
        removed = [object_records.Removed.from_data(each) for each in data.get("removed", ())]
    removed_state = CreatedReader(reader).read_removed(removed)
    with _result_errors(place):
        relied = relied_on_settings(data, removed_state, read_users, later) if read_users else {}
        return plan_restoration(removed_state, instance, _requested(data), relied)


def _requested(data: Mapping[str, Any]) -> dict[str, PermissionSet]:
    """The permission sets that the run requested, by name."""
    return {name: permission_set_from(each) for name, each in data["permission-sets"].items()}


@contextmanager
def _result_errors(place: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IdentityCenterError(
            f"{place}: can't be read as the result of a run: {type(error).__name__}: {error}: it was changed after "
            "the run; nothing was touched"
        ) from error


def _check_owned(file: Path) -> None:
    """Raises IdentityCenterError if others can write the file: an undo gives people the access that it contains."""
    for path in (file, file.resolve().parent) if file.exists() else ():
        found = path.stat()
        if found.st_uid not in (os.getuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise IdentityCenterError(
                f"{path} can be written by other users, who may have added any access to it: check who did, and copy "
                "the directory to a place that only you can write"
            )


def _plan(
    data: Mapping[str, Any],
    center: Center,
    reader: CenterReader,
    restoration: RestorationPlan,
    later: RunHistory,
    undo_options: UndoOptions,
) -> UndoPlan:
    read_users, created = undo_options.read_users, tuple(_created(data))
    gone = later.undone | later.removed
    ended = {each.assignment for each in created if each.kind == model.ASSIGNMENT}.intersection(gone)
    state = CreatedReader(reader).read(
        each for each in created if each.kind != model.ASSIGNMENT or each.assignment not in ended
    )
    requested = _requested(data)
    needed = needed_memberships(data, state, reader, read_users, later) if read_users else {}
    relied = relied_on(data, state, read_users, later) if read_users else {}
    before = {
        group_id: [model.Assignment(account, arn) for account, arn in given]
        for group_id, given in data.get("groups", {}).items()
    }
    members = data.get("members", {})
    plan = plan_undo(state, requested, center.instance, needed, restoration, before, relied, members)
    plan = replace(plan, kept=(*plan.kept, *_assigned_again(ended, later, reader)))
    named = replace(state, created=created)
    return with_names(plan, named, restoration.unexpected, reader, undo_options.accounts)


def _created(data: Mapping[str, Any]) -> Iterator[object_records.Created]:
    """What the run created. A membership whose call had no answer has the id that the run found later."""
    met = {object_records.membership_of(row): row.get("id", "") for row in data.get("memberships", ())}
    for each in map(object_records.Created.from_data, data["created"]):
        is_nameless = each.kind == model.MEMBERSHIP and not each.identifier
        yield replace(each, identifier=met.get(each.membership, "")) if is_nameless else each


def _assigned_again(
    ended: Collection[object_records.AssignmentKey], later: RunHistory, reader: CenterReader
) -> Iterator[Kept]:
    """The run's assignments that ended, but exist: they are others'. Raises ClientError."""
    for group_id, assignment in sorted(ended):
        if reader.assignments.exists(assignment, group_id):
            name = (
                f"assignment {group_id} -> {assignment.permission_set_arn} in account {assignment.account_id}"
            )
            undone = (group_id, assignment) in later.undone
            yield Kept(name, _AGAIN_UNDONE if undone else _AGAIN_REMOVED, undone)


_AGAIN_UNDONE = "an earlier undo ended the run's, so this was assigned after it, and is not the run's"
_AGAIN_REMOVED = "a later run removed the run's, so others assigned this: remove it by hand if it must go"


class _UndoRecheck:
    """Rechecks a change of an undo after a conflict. It does not use objects that others created in the meantime."""

    def __init__(
        self,
        reader: CenterReader,
        restoration: RestorationPlan,
        instance: model.Instance,
        plan: UndoPlan,
        clock: Callable[[], float],
    ) -> None:
        self._deletion_checks = UndoChecks(reader, plan.changes, plan.basis, clock)
        self._restoration_checks = RestorationChecks(reader, restoration, clock)
        self._reader, self._settings = reader, restoration.settings
        self._instance = instance
        desired = model.DesiredAccess(permission_sets=restoration.permission_sets)
        self._recheck = Recheck(reader, desired, model.CenterState(), instance)

    def __call__(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        """What is left of the change. Raises IdentityCenterError if it may no longer be made."""
        if former := self._settings.get(change.key):
            known = self._reader.permission_sets.read(former.arn)
            if reason := former.reason(known):
                raise not_restored(change, reason)
            if change.kind != model.PROVISIONING:
                return RecheckResult(permission_set_calls(former.settings, known, self._instance))
        return (
            self._group(change, parameters)
            if change.kind == model.GROUP
            else self._recheck(change, parameters)
        )

    def before(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> Callable[[], None] | None:
        """A check to make right before a deletion, and before a restoration that gives or takes access."""
        if change.action == access_plan.DELETE:
            return self._deletion_checks.before(change, parameters)
        return self._restoration_checks.before(change, parameters)

    def _group(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        in_progress = self._reader.assignments.in_progress()
        store, assignments = self._reader.store, self._reader.assignments
        named = store.find_group(parameters["DisplayName"])
        found = store.with_members(named) if named else None
        if found is None:
            return RecheckResult(change.calls)
        group_id = found.group_id
        used = found.members or {*assignments.of_group(group_id), *in_progress.created_for(group_id)}
        if used or found.description != parameters["Description"]:
            raise IdentityCenterError(f"group {found.name} was created by others in the meantime: run again")
        return RecheckResult((), {operations.GROUP_ID: group_id})


def _apply(
    plan: UndoPlan,
    center: Center,
    output: Store,
    prefix: str,
    say: Callable[[str], None],
    options: ApplyOptions,
    recheck: _UndoRecheck,
) -> list[str]:
    """``prefix``: of the names of the undo's files."""
    if not (plan.changes or plan.kept):
        if not _is_complete(output.read(f"{prefix}{UNDONE}")):
            _record(plan, {}, output, f"{prefix}{UNDONE}")
        return []
    with open_journal(output, f"{prefix}{UNDO_JOURNAL}") as journal:
        context = writer_context(center, journal, recheck)
        ended = SingleWriter(context, plan.changes, options).run()
    _record(plan, ended, output, f"{prefix}{UNDONE}")
    # Changes that became unnecessary because all accounts were provisioned at once are no part of the undo, nor are
    # those that others replaced.
    results = [(ended[each.key], each.instead_of) for each in plan.changes]
    counted = [each for each, instead_of in results if each.calls or each.status == FAILED or not instead_of]
    counted = [each for each in counted if each.status != REPLACED]
    say(f"Undone: {sum(each.status == DONE for each in counted)} of {len(counted)}.")
    return [*sorted({each.reason for each in counted if each.status != DONE}), *_incomplete(plan)]


def _is_complete(record: bytes | None) -> bool:
    """Whether the undo is complete."""
    try:
        return json.loads(record or b"{}").get("complete") is True
    except (AttributeError, ValueError):
        return False


def _record(plan: UndoPlan, ended: Mapping[str, ChangeResult], output: Store, name: str) -> None:
    names = {change.key: f"{change.kind} {change.name}" for change in plan.changes}
    deletions = {change.key for change in plan.changes if change.action == access_plan.DELETE}
    provisioned = {change.key for change in plan.changes if change.action == access_plan.PROVISION}
    done = {key: each for key, each in ended.items() if each.status == DONE}
    failed = {key: each for key, each in ended.items() if each.status not in (DONE, REPLACED)}
    gone = {
        change.calls[0].parameters["MembershipId"]
        for change in plan.changes
        if change.key in done and (change.kind, change.action) == (model.MEMBERSHIP, access_plan.DELETE)
    }
    data = {
        "finished": utc_now().isoformat(),
        "removed": [names[key] for key in done if key in deletions],
        "returned": [names[key] for key in done if key not in deletions | provisioned],
        "failed": [f"{names[key]}: {each.reason}" for key, each in failed.items()],
        "complete": not failed and not any(_incomplete(plan)),
        "kept": [f"{each.name}: {each.text}" for each in plan.kept],
        MEMBERSHIPS_LEFT: sorted(plan.basis.memberships - gone),
    }
    output.replace(name, json.dumps(data, indent=1).encode())


def _lines(plan: UndoPlan) -> Iterator[str]:
    changes = [each for each in plan.changes if not each.instead_of]
    counts = Counter(change.action for change in changes)
    for change in changes:
        admin = f"  ADMINISTRATOR by {change.administrative}" if change.administrative else ""
        yield f"  {_SIGNS.get(change.action, '+')} {change.kind:<14} {change.name}{admin}"
        yield from (f"      {detail}" for detail in change.details)
    for kept in plan.kept:
        yield f"  ! {'kept':<14} {kept.name}: {kept.text}"
    deletions, provisioned = counts[access_plan.DELETE], counts[access_plan.PROVISION]
    back = len(changes) - deletions - provisioned
    restored = f"{back} to restore, " if back else ""
    restored += f"{provisioned} to provision, " if provisioned else ""
    yield f"Plan: {restored}{deletions} to delete, {len(plan.kept)} kept."


_SIGNS = {access_plan.DELETE: "-", access_plan.PROVISION: "~"}
