# SPDX-License-Identifier: Apache-2.0
"""Checks right before deletions of groups, their assignments, members and users, of a pruning or an undo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center import access_plan, model, object_records
from c7n_iamusers.identity_center.aws.permission_sets import Assignments
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.text.wording import shown

#: Seconds for which an answer about a group, which takes a few calls, counts for all its memberships.
FRESH = 5.0


class RecentlyInProgress:
    """The creations and deletions of assignments that are in progress, read FRESH seconds ago at most. Thread-safe."""

    def __init__(self, assignments: Assignments, clock: Callable[[], float]) -> None:
        self._assignments, self._clock = assignments, clock
        self._read: tuple[float, model.InProgress] | None = None

    def __call__(self) -> model.InProgress:
        """Raises ClientError."""
        now, read = self._clock(), self._read
        if read is None or now - read[0] > FRESH:
            self._read = read = now, self._assignments.in_progress()
        return read[1]


class DeletionChecks:
    """Checks right before deletions of groups, their assignments, members and users, on which people may rely by now.

    ``changes``: of the plan. ``clock``: in seconds. ``held``: group id -> all assignments that the plan rests on.
    (No plan assigns a group of which it removes members: see ``adoption.check_members``.) Thread-safe.
    """

    def __init__(
        self,
        reader: CenterReader,
        changes: Iterable[access_plan.Change],
        clock: Callable[[], float],
        held: Mapping[str, frozenset[model.Assignment]],
    ) -> None:
        self._reader, self._clock, self._held = reader, clock, held
        self._in_progress = RecentlyInProgress(reader.assignments, clock)
        #: Group id -> when it was checked, and why its memberships stay; empty if they may go.
        self._asked: dict[str, tuple[float, str]] = {}
        self._leaving: defaultdict[str, set[str]] = defaultdict(set)
        self._ending: defaultdict[str, set[model.Assignment]] = defaultdict(set)
        for change in changes:
            if change.action not in (access_plan.REMOVE, access_plan.DELETE):
                continue
            if change.kind == model.MEMBERSHIP:
                group_id, _, user_id = change.key.rpartition(" ")[2].partition("/")
                self._leaving[group_id].add(user_id)
            elif change.kind == model.ASSIGNMENT:
                given = change.calls[0].parameters
                assignment = model.Assignment(given["TargetId"], given["PermissionSetArn"])
                self._ending[given["PrincipalId"]].add(assignment)

    def before(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> Callable[[], None] | None:
        """The check, if any. It raises IdentityCenterError if the object must be kept."""
        if change.kind == model.PERMISSION_SET:
            return partial(self._check_set, change, parameters["PermissionSetArn"])
        if change.kind == model.USER:
            return partial(self._check_user, change, parameters["UserId"])
        if change.kind == model.MEMBERSHIP:
            group_id = change.key.rpartition(" ")[2].partition("/")[0]
            return partial(self._check_membership, change, group_id)
        if change.kind in (model.GROUP, model.ASSIGNMENT):
            group_id = parameters["GroupId" if change.kind == model.GROUP else "PrincipalId"]
            return partial(self._check_group, change, group_id)
        return None

    def _check_membership(self, change: access_plan.Change, group_id: str) -> None:
        now = self._clock()
        asked, reason = self._asked.get(group_id, (now - 2 * FRESH, ""))
        if now - asked > FRESH:
            reason = self._why_members_stay(group_id)
            self._asked[group_id] = now, reason
        if reason:
            raise kept(change, reason)

    def _why_members_stay(self, group_id: str) -> str:
        """Why memberships of the group stay: others now give its members more. Empty if they may go."""
        if self._reader.store.name_of_group(group_id) is None:
            return ""
        return self._assigned(group_id, self._held.get(group_id, frozenset()))

    def _check_group(self, change: access_plan.Change, group_id: str) -> None:
        known = self._reader.store.group(group_id)
        if known is None:
            return
        # A shared group loses an assignment, and its members stay.
        staying = change.calls[0].notes.get(object_records.RECORD, {}).get("members", ())
        reason = self._joined(known, staying)
        if change.kind == model.GROUP:
            reason = reason or self._assigned(group_id, self._ending[group_id])
            reason = reason or self._changed_since(group_id, staying)
        if reason:
            raise kept(change, reason)

    def _changed_since(self, group_id: str, staying: Collection[str]) -> str:
        """Why a group stays that was read again last of all: people may have joined it meanwhile."""
        known = self._reader.store.group(group_id)
        return self._joined(known, staying) if known else ""

    def _joined(self, group: model.KnownGroup, more: Collection[str] = ()) -> str:
        """Why the group stays: it has members who don't leave and are not among ``more`` (user ids). Empty if not."""
        joined = group.members.difference(self._leaving[group.group_id], more)
        return (
            f"people have joined the group since it was read (user ids {shown(sorted(joined))})"
            if joined
            else ""
        )

    def _assigned(self, group_id: str, expected: Collection[model.Assignment]) -> str:
        """Why the group stays: it has other assignments than ``expected``, or they can't be listed. Empty if not."""
        further = self._reader.used(group_id, self._in_progress(), expected).difference(expected)
        return f"the group has been assigned since it was read ({self._in_words(further)})" if further else ""

    def _in_words(self, assignments: Collection[model.Assignment]) -> str:
        arns = sorted({each.permission_set_arn for each in assignments} - {""})
        names = self._reader.permission_sets.names(arns)
        return shown(
            [
                f"{names.get(each.permission_set_arn, each.permission_set_arn)} in account {each.account_id}"
                for each in sorted(assignments)
            ]
        )

    def _check_user(self, change: access_plan.Change, user_id: str) -> None:
        if self._reader.store.user_attributes(user_id) is None:
            return
        groups = self._reader.store.groups_of(user_id)
        if further := sorted(group for group in groups if user_id not in self._leaving[group]):
            raise kept(change, f"it has been added to groups ({shown(further)}) since it was read")
        creations = self._in_progress().created_for(user_id)
        if direct := self._reader.assignments.directly_of_if_listed(user_id) | creations:
            raise kept(change, f"it has got direct assignments ({self._in_words(direct)}) since it was read")

    def _check_set(self, change: access_plan.Change, arn: str) -> None:
        accounts = {account for account, _ in self._in_progress().created_of(arn) - self._own_holders(arn)}
        if accounts:
            raise kept(
                change, f"it is being assigned since it was read (in account {shown(sorted(accounts))})"
            )

    def _own_holders(self, arn: str) -> set[tuple[str, model.Principal]]:
        """Account id and principal of the assignments of the permission set that the plan removes."""
        return {
            (each.account_id, ("GROUP", group_id))
            for group_id, ending in self._ending.items()
            for each in ending
            if each.permission_set_arn == arn
        }


def kept(change: access_plan.Change, reason: str) -> IdentityCenterError:
    """The error for an object that is not deleted. ``reason``: why, in words."""
    return IdentityCenterError(
        f"{change.kind} {change.name} is kept: {reason}: find out who did this, and run again"
    )
