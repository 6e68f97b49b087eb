# SPDX-License-Identifier: Apache-2.0
"""A change judged anew after a race: what is there now is never adopted unseen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from c7n_iamusers.aws.center_reader import CenterReader
from c7n_iamusers.decisions import changes
from c7n_iamusers.decisions.access_problems import own_assignments
from c7n_iamusers.decisions.groups import GROUP, MEMBERSHIP, check_group, group_calls
from c7n_iamusers.decisions.identities import USER, same_person
from c7n_iamusers.decisions.permission_sets import PERMISSION_SET, check_permission_set, permission_set_calls
from c7n_iamusers.identity_center.writer.change import Rechecked
from c7n_iamusers.model import access_plan as plan
from c7n_iamusers.model.access import DesiredAccess
from c7n_iamusers.model.access_plan import CenterState, Change, Pending
from c7n_iamusers.model.identity_center import Assignment, Instance


class SecondLook:
    """Looks through ``reader``; several threads may at once."""

    def __init__(
        self, reader: CenterReader, desired: DesiredAccess, state: CenterState, instance: Instance
    ) -> None:
        self._reader, self._desired, self._state, self._instance = reader, desired, state, instance
        self._sets = {changes.set_key(name): wanted for name, wanted in desired.permission_sets.items()}
        self._groups = {changes.group_key(name): group for name, group in desired.groups.items()}
        self._people = {changes.user_key(key): person for key, person in desired.people.items()}
        self._looks: dict[str, Callable[[Change, Mapping[str, Any]], Rechecked]] = {
            plan.PERMISSION_SET: self._permission_set,
            plan.GROUP: self._group,
            plan.ASSIGNMENT: self._assignment,
            plan.USER: self._user,
            plan.MEMBERSHIP: self._membership,
        }

    def __call__(self, change: Change, parameters: Mapping[str, Any]) -> Rechecked:
        """What the change comes to now. Raises IdentityCenterError where it may not be made any more."""
        if change.action == plan.REMOVE:
            # A removal that came too early is simply tried again.
            return Rechecked(change.calls)
        return self._looks[change.kind](change, parameters)

    def _permission_set(self, change: Change, _: Mapping[str, Any]) -> Rechecked:
        wanted = self._sets[change.key]
        grants = {grant for group in self._desired.groups.values() for grant in group.grants}
        accounts = sorted({grant.account_id for grant in grants if grant.permission_set == wanted.name})
        known = self._reader.permission_sets.find([wanted.name], accounts).get(wanted.name)
        check_permission_set(wanted, known)
        calls = permission_set_calls(wanted, known, self._instance, accounts)
        return Rechecked(calls, {PERMISSION_SET: known.arn} if known else {})

    def _group(self, change: Change, _: Mapping[str, Any]) -> Rechecked:
        group = self._groups[change.key]
        known = self._reader.group(group, self._state.permission_sets)
        check_group(group, known, own_assignments(group, self._state)[0])
        return Rechecked(group_calls(group, known, self._instance), {GROUP: known.group_id} if known else {})

    def _assignment(self, change: Change, parameters: Mapping[str, Any]) -> Rechecked:
        wanted = Pending(parameters["TargetId"], parameters["PermissionSetArn"], parameters["PrincipalId"])
        for request_id, pending in self._reader.assignments.pending().items():
            if pending == wanted:
                return Rechecked(change.calls, awaits=request_id)
        assignment = Assignment(wanted.account_id, wanted.permission_set_arn)
        exists = self._reader.assignments.exists(assignment, wanted.group_id)
        return Rechecked() if exists else Rechecked(change.calls)

    def _user(self, change: Change, _: Mapping[str, Any]) -> Rechecked:
        person = self._people[change.key]
        known = same_person(person, *self._reader.store.find_person(person))
        return Rechecked((), {USER: known.user_id}) if known else Rechecked(change.calls)

    def _membership(self, change: Change, parameters: Mapping[str, Any]) -> Rechecked:
        user_id = parameters["MemberId"]["UserId"]
        found = self._reader.store.membership_id(parameters["GroupId"], user_id)
        return Rechecked((), {MEMBERSHIP: found}) if found else Rechecked(change.calls)
