# SPDX-License-Identifier: Apache-2.0
"""Checks, right before each deletion of an undo, that nobody else uses the object by now.

Between the plan and a call, an administrator may have assigned the group, added a person, or changed an object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.applying.deletion_checks import DeletionChecks, kept
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.undo.deletions import differ, has_changed
from c7n_iamusers.identity_center.undo.undo_plan import UndoBasis
from c7n_iamusers.text.wording import shown


class UndoChecks(DeletionChecks):
    """The checks of an undo, over those of each deletion. Thread-safe.

    ``basis``: what its plan rests on. ``clock``: in seconds.
    """

    def __init__(
        self,
        reader: CenterReader,
        changes: Iterable[access_plan.Change],
        basis: UndoBasis,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(reader, changes, clock, basis.held)
        self._basis = basis

    def _why_members_stay(self, group_id: str) -> str:
        known = self._reader.store.group(group_id)
        if known is None:
            return ""
        # A group that existed before the run may have other members.
        of_run = group_id in self._basis.groups
        reason = (self._renamed(known) or self._joined(known)) if of_run else ""
        return reason or self._assigned(group_id, self._held.get(group_id, frozenset()))

    def _joined(self, group: model.KnownGroup, more: Iterable[str] = ()) -> str:
        return super()._joined(group, {*more, *self._basis.staying.get(group.group_id, ())})

    def _renamed(self, group: model.KnownGroup) -> str:
        given = self._basis.groups.get(group.group_id)
        if given is None or (group.name, group.description) == (
            given["DisplayName"],
            given.get("Description", ""),
        ):
            return ""
        return "the group's name or description has changed since it was read"

    def _changed_since(self, group_id: str, staying: Collection[str]) -> str:
        known = self._reader.store.group(group_id)
        return (self._renamed(known) or self._joined(known, staying)) if known else ""

    def _check_user(self, change: access_plan.Change, user_id: str) -> None:
        super()._check_user(change, user_id)
        attributes = self._reader.store.user_attributes(user_id)
        if attributes and has_changed(attributes, self._basis.users[user_id]):
            raise kept(change, "it has changed since it was read")

    def _check_set(self, change: access_plan.Change, arn: str) -> None:
        known = self._reader.permission_sets.read(arn)
        if known is None:
            return
        requested = self._basis.sets.get(arn)
        if requested is None or differ(requested, known.settings):
            raise kept(change, "its settings have changed since it was read")
        held = self._in_progress().created_of(arn) | {
            (account, principal)
            for account in known.accounts
            for principal in self._reader.assignments.holders(account, arn)
        }
        if further := sorted({account for account, _ in held - self._own_holders(arn)}):
            raise kept(change, f"it has been assigned since it was read (in account {shown(further)})")
