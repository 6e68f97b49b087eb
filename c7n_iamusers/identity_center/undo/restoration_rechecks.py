# SPDX-License-Identifier: Apache-2.0
"""Checks right before each call of an undo that gives access back: nobody may get more than the plan says.

Between the plan and a call, somebody answers a question, and an administrator may have assigned the group, added a
person, or changed a permission set.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.applying.deletion_checks import FRESH, RecentlyInProgress
from c7n_iamusers.identity_center.aws.created_reader import holders_of
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.object_records import SETTINGS
from c7n_iamusers.identity_center.undo.former_settings import FormerSettings
from c7n_iamusers.identity_center.undo.restorations import (
    Record,
    RestorationPlan,
    gives_more,
    set_changed,
)
from c7n_iamusers.identity_center.writer.change import NothingLeft, OnlyInParts
from c7n_iamusers.text.wording import shown

_SINCE = "find out who did this since the undo was planned, and run it again"
#: What a group gives: the group, and its permission sets by ARN.
_Given = tuple[model.KnownGroup | None, Mapping[str, model.KnownPermissionSet]]


class RestorationChecks:
    """The checks of the changes of ``plan``. ``clock``: in seconds. Thread-safe."""

    def __init__(self, reader: CenterReader, plan: RestorationPlan, clock: Callable[[], float]) -> None:
        self._reader, self._plan, self._clock = reader, plan, clock
        self._in_progress = RecentlyInProgress(reader.assignments, clock)
        #: User id -> username, for messages.
        self._names = dict[str, str]()
        #: The ids of users who existed when the undo was planned, or later. One that was deleted since counts as a
        #: holder.
        self._living = {user for each in plan.settings.values() for _, user in each.losing}
        #: Group id -> when it was read, and what it gives, for all memberships that come back.
        self._read: dict[str, tuple[float, _Given]] = {}

    def before(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> Callable[[], None] | None:
        """The check, if any. It raises IdentityCenterError if the change may no longer be made."""
        if former := self._plan.settings.get(change.key):
            return partial(self._check_settings, change, former, parameters)
        record = self._plan.records.get(change.key)
        if record is None:
            return None
        check = self._check_assignment if change.kind == model.ASSIGNMENT else self._check_membership
        return partial(check, change, record, parameters)

    def _check_membership(
        self, change: access_plan.Change, record: Record, parameters: Mapping[str, Any]
    ) -> None:
        now, group_id = self._clock(), parameters["GroupId"]
        read, given = self._read.get(group_id, (now - 2 * FRESH, (None, {})))
        if now - read > FRESH:
            given = self._given_by(group_id)
            self._read[group_id] = now, given
        if reason := gives_more(record, *given):
            raise not_restored(change, f"{reason}: {_SINCE}")

    def _given_by(self, group_id: str) -> _Given:
        held = self._reader.used(group_id, self._in_progress())
        sets = (
            self._reader.permission_sets.read(arn)
            for arn in {each.permission_set_arn for each in held} - {""}
        )
        group = model.KnownGroup(group_id, group_id, assignments=held)
        return group, {each.arn: each for each in sets if each}

    def _check_assignment(
        self, change: access_plan.Change, record: Record, parameters: Mapping[str, Any]
    ) -> None:
        former = self._plan.former[change.key]
        if joined := sorted(self._reader.store.members(parameters["PrincipalId"]) - former):
            raise not_restored(
                change,
                f"people have joined the group since it was read (user ids {shown(joined)}): {_SINCE}",
            )
        if reason := set_changed(record, self._reader.permission_sets.read(parameters["PermissionSetArn"])):
            raise not_restored(change, f"{reason}: {_SINCE}")

    def _check_settings(
        self, change: access_plan.Change, former: FormerSettings, parameters: Mapping[str, Any]
    ) -> None:
        """Each account on its own: one whose people may not get them holds up no others."""
        known = self._reader.permission_sets.read(former.arn)
        if (reason := former.reason(known)) or known is None:
            raise not_restored(change, reason)
        at_once = change.kind == model.PROVISIONING and "TargetId" not in parameters
        if change.kind == model.PROVISIONING and not known.accounts & (
            known.accounts if at_once else change.accounts
        ):
            raise NothingLeft(f"{change.name} no longer has assignments")
        if not (former.widening or former.narrowing):
            return
        # Of all its accounts at once, because accounts that got it since the plan are also provisioned.
        asked = None if at_once else change.accounts or former.accounts
        found = holders_of(self._reader, known, self._in_progress(), former.holders, self._living, asked)
        held = {(account, user) for account, _, user in found}
        more = {each for each in held - former.holders if _matters(each[0], former.widening, former)}
        less = {each for each in held - former.losing if _matters(each[0], former.narrowing, former)}
        refused = {account for account, _ in more | less}
        if not refused or (change.kind != model.PROVISIONING and not refused >= former.accounts):
            # An account gets the settings only when they are provisioned to it.
            return
        why = (
            f"they may allow more, and {self._people(more)} did not hold it in account {_accounts(more)} before the "
            "run: end their access by it there, and run the undo again; until then, don't provision or assign it there"
            if more
            else f"they may allow less, and {self._people(less)} got it in account {_accounts(less)} since it was "
            "read: run the undo again"
        )
        failure = not_restored(change, why)
        # An account that is unknown to the plan is left to the next undo.
        raise OnlyInParts(str(failure)) if at_once and refused < former.accounts else failure

    def _people(self, held: Collection[tuple[str, str]]) -> str:
        users = sorted({user for _, user in held})
        self._names |= self._reader.usernames([user for user in users if user not in self._names])
        return shown(sorted(self._names.get(user, f"user id {user}") for user in users))


def _matters(account: str, accounts: Collection[str], former: FormerSettings) -> bool:
    """Whether it is one of ``accounts``, or an account in which the plan does not know the settings' effect."""
    return account in accounts or account not in former.accounts


def _accounts(held: Collection[tuple[str, str]]) -> str:
    return shown(sorted({account for account, _ in held}))


def not_restored(change: access_plan.Change, reason: str) -> IdentityCenterError:
    """The error for an object that is not restored. ``reason``: why, in words."""
    if change.key.startswith(SETTINGS) or change.kind == model.PROVISIONING:
        return IdentityCenterError(
            f"the former settings of {model.PERMISSION_SET} {change.name} are not restored: {reason}"
        )
    return IdentityCenterError(f"{change.kind} {change.name} is not restored: {reason}")
