# SPDX-License-Identifier: Apache-2.0
"""Undoing one run: ``c7n-iamusers provision --undo RESULT``."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from c7n_iamusers.aws.center_reader import CenterReader
from c7n_iamusers.aws.created_reader import CreatedReader
from c7n_iamusers.aws.journal import Journal, utc_now
from c7n_iamusers.aws.stores import DirectoryStore
from c7n_iamusers.decisions.groups import GROUP
from c7n_iamusers.decisions.undo_plan import plan_undo
from c7n_iamusers.decisions.undo_returns import Returns, plan_returns
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.center import Center
from c7n_iamusers.fleet.exclusive import exclusive
from c7n_iamusers.fleet.only_access import UsersNow, needed_memberships, nobody_asked
from c7n_iamusers.fleet.results import RESULT_SCHEMA
from c7n_iamusers.fleet.run_directory import RUNS, read_result
from c7n_iamusers.fleet.second_look import SecondLook
from c7n_iamusers.identity_center.writer.change import Rechecked, WriterContext
from c7n_iamusers.identity_center.writer.writer import DONE, ApplyOptions, Ended, SingleWriter
from c7n_iamusers.model.access import DesiredAccess
from c7n_iamusers.model.access_plan import GROUP as GROUP_KIND
from c7n_iamusers.model.access_plan import CenterState, Change
from c7n_iamusers.model.creations import Created, Removed
from c7n_iamusers.model.identity_center import Instance
from c7n_iamusers.model.intent_documents import permission_set_from
from c7n_iamusers.model.undo import DELETE, UndoPlan

JOURNAL, UNDONE = "undo-journal.jsonl", "undone.json"


def undo(
    result: Path,
    center_in: Callable[[str], Center],
    say: Callable[[str], None],
    options: ApplyOptions | None = None,
    users_now: UsersNow | None = nobody_asked,
) -> list[str]:
    """Remove what the run of ``result`` created, and bring back what it removed; only say so without ``options``.

    The failures, in words.

    ``center_in``: the Identity Center in a Region. ``users_now``: tells which IAM users are there still, so that
    nobody is locked out; None to remove access whoever may have no other.

    Raises IdentityCenterError where the result is of another instance or can't be read, ClientError where Identity
    Center can't be; nothing is touched then.
    """
    data = read_result(result, RESULT_SCHEMA)
    center = center_in(data["region"])
    if center.instance.arn != data["instance"]:
        raise IdentityCenterError(
            f"{result} is of instance {data['instance']}, not of {center.instance.arn}: give the --role and --region "
            "of that one"
        )
    reader = CenterReader.through(center.clients, center.instance, center.backoff)
    returns = _returns(data, result, center, reader)
    plan = _plan(data, center, reader, users_now, returns)
    for line in _lines(plan):
        say(line)
    again = _Again(reader, returns, center.instance)
    return _apply(plan, center, result, say, options, again) if options and plan.changes else []


def _returns(data: Mapping[str, Any], result: Path, center: Center, reader: CenterReader) -> Returns:
    with _records_of(result):
        removed = [Removed.from_data(each) for each in data.get("removed", ())]
    if removed:
        _check_owned(result)
    absent = CreatedReader(reader).read_removed(removed)
    with _records_of(result):
        return plan_returns(absent, center.instance)


@contextmanager
def _records_of(result: Path) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise IdentityCenterError(
            f"{result}: can't be read as what a run removed: {type(error).__name__}: {error}: it was changed after "
            "the run; nothing was touched"
        ) from error


def _check_owned(result: Path) -> None:
    """Raises IdentityCenterError where others can write the result: what it says was removed is given to people."""
    for path in (result, result.resolve().parent):
        found = path.stat()
        if found.st_uid not in (os.getuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise IdentityCenterError(
                f"{path} can be written by others than you, so anybody's access may have been added to what the run "
                "removed: find out who did, and copy the directory to a place that you alone can write"
            )


def _plan(
    data: Mapping[str, Any],
    center: Center,
    reader: CenterReader,
    users_now: UsersNow | None,
    returns: Returns,
) -> UndoPlan:
    standing = CreatedReader(reader).read(map(Created.from_data, data["created"]))
    asked = {name: permission_set_from(each) for name, each in data["permission-sets"].items()}
    needed = needed_memberships(data, standing, reader, users_now) if users_now else {}
    return plan_undo(standing, asked, center.instance, needed, returns)


class _Again:
    """A change of an undo judged anew after a race: what somebody else made meanwhile is never used unseen."""

    def __init__(self, reader: CenterReader, returns: Returns, instance: Instance) -> None:
        self._reader = reader
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
        return Rechecked((), {GROUP: found.group_id})


def _apply(
    plan: UndoPlan,
    center: Center,
    result: Path,
    say: Callable[[str], None],
    options: ApplyOptions,
    again: _Again,
) -> list[str]:
    with exclusive(_output_of(result), center.instance), Journal(result.parent / JOURNAL) as journal:
        context = WriterContext(
            center.clients,
            center.instance,
            journal,
            again,
            center.rate,
            center.backoff,
        )
        ended = SingleWriter(context, plan.changes, options).run()
    _record(plan, ended, result.parent)
    say(f"Undone: {sum(each.status == DONE for each in ended.values())} of {len(plan.changes)}.")
    return sorted({each.reason for each in ended.values() if each.status != DONE})


def _output_of(result: Path) -> Path:
    """The output directory of the run, or where its result was moved to."""
    runs = result.resolve().parent.parent
    return runs.parent if runs.name == RUNS else result.parent


def _record(plan: UndoPlan, ended: Mapping[str, Ended], directory: Path) -> None:
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
    DirectoryStore(directory).replace(UNDONE, json.dumps(data, indent=1).encode())


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
