# SPDX-License-Identifier: Apache-2.0
"""Reads the state after a conflict, for what is left of a single change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Protocol

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.applying.deletion_checks import DeletionChecks
from c7n_iamusers.identity_center.applying.joining_checks import JoiningChecks
from c7n_iamusers.identity_center.aws import in_parallel
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.planning.adoption import check_group, own_assignments, same_person
from c7n_iamusers.identity_center.planning.changeset import (
    assignment_key,
    group_key,
    membership_key,
    set_key,
    user_key,
)
from c7n_iamusers.identity_center.planning.permission_sets import (
    PERMISSION_SET_ARN,
    check_permission_set,
    differs,
    permission_set_calls,
)
from c7n_iamusers.identity_center.planning.set_contents import changed
from c7n_iamusers.identity_center.writer.change import ERRORS, RecheckResult, WriterContext
from c7n_iamusers.identity_center.writer.writer import DONE, ApplyOptions, ChangeResult
from c7n_iamusers.text.wording import folded, shown

_NOTHING: Mapping[str, str] = {}
#: How many unexpected members a message names. Each takes one call.
_NAMED = 3


class Rechecks(Protocol):
    """For the writer: what is left of a change after a conflict, and what to check right before each call."""

    def __call__(self, change: access_plan.Change, parameters: Mapping[str, Any], /) -> RecheckResult:
        """Raises ERRORS."""
        ...

    def before(
        self, change: access_plan.Change, parameters: Mapping[str, Any], /
    ) -> Callable[[], None] | None:
        """A check that raises ERRORS."""
        ...


def writer_context(center: Center, journal: JournalWriter, recheck: Rechecks) -> WriterContext:
    """What the writer needs for changes in ``center``."""
    return WriterContext(
        center.clients,
        center.instance,
        journal,
        recheck,
        center.rate,
        center.backoff,
        recheck.before,
        center.caller,
    )


class Recheck:
    """Rechecks single changes after a conflict. Thread-safe.

    ``people``: the existing users of ``desired``. ``changes``: of the plan. ``clock``: in seconds. ``unreviewed``: keys
    of changes that only a reviewed plan may make -> why, in a sentence. It is None for a reviewed plan: then not even a
    shared group may give access to people who have joined since. Others' later assignments to a group, shared or not,
    concern its new members.
    """

    def __init__(
        self,
        reader: CenterReader,
        desired: model.DesiredAccess,
        state: model.CenterState,
        instance: model.Instance,
        people: Mapping[model.PersonKey, model.KnownPerson] | None = None,
        changes: Iterable[access_plan.Change] = (),
        clock: Callable[[], float] = ApplyOptions.clock,
        unreviewed: Mapping[str, str] | None = _NOTHING,
    ) -> None:
        self._reviewed, self._unreviewed = unreviewed is None, unreviewed or {}
        groups = {**state.current.groups, **{each.group_id: each for each in state.groups.values()}}
        held = {group_id: each.assignments for group_id, each in groups.items()}
        self._deletion_checks = DeletionChecks(reader, changes, clock, held)
        self._joining_checks = JoiningChecks(reader, state, clock)
        self._reader, self._desired, self._state, self._instance = reader, desired, state, instance
        self._known = people or {}
        self._assigned = {
            assignment_key(name, grant): group
            for name, group in desired.groups.items()
            for grant in group.grants
            if self._reviewed or not group.shared
        }
        self._filled = {
            membership_key(person, name): group
            for name, group in desired.groups.items()
            for person in desired.members(name)
        }
        self._sets = {set_key(name): requested for name, requested in desired.permission_sets.items()}
        self._groups = {group_key(name): group for name, group in desired.groups.items()}
        self._people = {user_key(key): person for key, person in desired.people.items()}
        self._rechecks: dict[str, Callable[[access_plan.Change, Mapping[str, Any]], RecheckResult]] = {
            model.PERMISSION_SET: self._permission_set,
            model.GROUP: self._group,
            model.ASSIGNMENT: self._assignment,
            model.USER: self._user,
            model.MEMBERSHIP: self._membership,
            model.PROVISIONING: self._provisioning,
        }

    def __call__(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        """What is left of the change. Raises IdentityCenterError if it may no longer be made."""
        if change.action in (access_plan.REMOVE, access_plan.DELETE):
            return self._removal(change, parameters)
        return self._rechecks[change.kind](change, parameters)

    def _permission_set(self, change: access_plan.Change, _: Mapping[str, Any]) -> RecheckResult:
        requested = self._sets[change.key]
        grants = {grant for group in self._desired.groups.values() for grant in group.grants}
        accounts = sorted({grant.account_id for grant in grants if grant.permission_set == requested.name})
        known = self._reader.permission_sets.find([requested.name], accounts).get(requested.name)
        check_permission_set(requested, known)
        if known and change.action == access_plan.CREATE:
            if known.accounts:
                raise IdentityCenterError(
                    f"others created permission set {requested.name} after the plan, and account "
                    f"{shown(sorted(known.accounts))} already has their form of it: run again, so that it is "
                    "provisioned there as requested"
                )
            self._joining_checks.add(known)
        calls = permission_set_calls(requested, known, self._instance)
        if calls and change.calls:
            # If its first call failed, what the change replaces is recorded again.
            calls = (replace(calls[0], notes=change.calls[0].notes), *calls[1:])
        return RecheckResult(calls, {PERMISSION_SET_ARN: known.arn} if known else {})

    def _provisioning(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        known = self._reader.permission_sets.read(parameters["PermissionSetArn"])
        if known is None:
            raise IdentityCenterError(
                f"permission set {change.name} was deleted by others in the meantime: run again"
            )
        asked = {parameters["TargetId"]} if "TargetId" in parameters else known.accounts
        return RecheckResult(change.calls if known.stale & asked else ())

    def _group(self, change: access_plan.Change, _: Mapping[str, Any]) -> RecheckResult:
        group = self._groups[change.key]
        known = self._reader.group(group, self._state.permission_sets)
        own = own_assignments(group, self._state)[0]
        further = known.assignments.difference(own) if known else ()
        names = self._reader.permission_sets.names(
            sorted({each.permission_set_arn for each in further} - {""})
        )
        check_group(group, known, own, names)
        return RecheckResult(
            operations.group_creation_if_missing(group, known, self._instance),
            {operations.GROUP_ID: known.group_id} if known else {},
        )

    def _assignment(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        requested, in_progress = _requested(parameters), self._reader.assignments.in_progress()
        awaits, after = in_progress.creation(requested), in_progress.deletion(requested)
        exists = self._reader.assignments.exists(requested.assignment, requested.principal_id)
        if exists and not after:
            return RecheckResult()
        return RecheckResult(change.calls, awaits=awaits, after=after)

    def _removal(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        """Retries a removal that came too early, or waits for another request's removal."""
        if change.kind != model.ASSIGNMENT:
            return RecheckResult(change.calls)
        asked, in_progress = _requested(parameters), self._reader.assignments.in_progress()
        awaits, after = in_progress.deletion(asked), in_progress.creation(asked)
        return RecheckResult(change.calls, awaits=awaits, after=after)

    def _user(self, change: access_plan.Change, _: Mapping[str, Any]) -> RecheckResult:
        person = self._people[change.key]
        known = same_person(person, *self._reader.store.find_person(person))
        if known and known.username != person.username:
            raise IdentityCenterError(
                f"Identity Center user {known.username} was created after the plan, which has the spelling "
                f"{person.username}. Policies can depend on the spelling: run again"
            )
        return (
            RecheckResult((), {operations.USER_ID: known.user_id}) if known else RecheckResult(change.calls)
        )

    def _membership(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        user_id = parameters["MemberId"]["UserId"]
        found = self._reader.store.membership_id(parameters["GroupId"], user_id)
        return RecheckResult((), {operations.MEMBERSHIP_ID: found}) if found else RecheckResult(change.calls)

    def before(self, change: access_plan.Change, parameters: Mapping[str, Any]) -> Callable[[], None] | None:
        """A check to make right before a deletion; before an assignment, which would give access to people who have
        joined the group; and before a membership, which would give the person others' new assignments of the group, and
        an earlier form of a permission set in an account.
        """
        if reason := self._unreviewed.get(change.key):
            return partial(_refuse, reason)
        if change.action == access_plan.REMOVE:
            return self._deletion_checks.before(change, parameters)
        if change.kind == model.MEMBERSHIP and change.key in self._filled:
            return partial(self._joining_checks, self._filled[change.key], parameters["GroupId"])
        if change.kind != model.ASSIGNMENT or change.key not in self._assigned:
            return None
        group_id, account = parameters["PrincipalId"], parameters["TargetId"]
        return partial(self._check_members, self._assigned[change.key], group_id, account)

    def _check_members(self, group: model.Group, group_id: str, account: str) -> None:
        known = self._state.groups.get(group.name)
        # The plan names those who are in a shared group.
        named = known.members if known and group.shared else frozenset()
        if unexpected_members := self._unexpected_members(group, group_id, named):
            raise IdentityCenterError(
                f"members who are not requested have joined group {group.name} since it was read: "
                f"{unexpected_members}. The assignment would give them access to account {account}, so it was not "
                "made: find out who added them, and remove them"
            )

    def unexpected_members_since(
        self, ended: Mapping[str, ChangeResult], stopped: Callable[[], bool]
    ) -> tuple[str, ...]:
        """Who has joined a group that the run assigned or filled, and what others have assigned to it, in sentences.
        Never raises ERRORS.

        Those who were members before the run are in the plan. ``stopped``: whether to stop reading.
        """
        touched = {key for key, each in ended.items() if each.status == DONE or each.calls}
        groups = [group for group in self._desired.groups.values() if self._is_touched(group, touched)]
        found = in_parallel(lambda group: self._joined(group, ended, stopped), groups)
        return tuple(each for each in found if each)

    def changed_sets_since(
        self, ended: Mapping[str, ChangeResult], stopped: Callable[[], bool]
    ) -> tuple[str, ...]:
        """The permission sets of the run's new access that others changed meanwhile, in sentences.

        Never raises ERRORS. ``stopped``: whether to stop reading; ``unexpected_members_since`` says so.
        """
        touched = {key for key, each in ended.items() if each.status == DONE}
        names = {
            grant.permission_set
            for group in self._desired.groups.values()
            if self._is_touched(group, touched)
            for grant in group.grants
        }
        found = in_parallel(lambda name: "" if stopped() else self._changed(name, ended), sorted(names))
        return tuple(each for each in found if each)

    def _changed(self, name: str, ended: Mapping[str, ChangeResult]) -> str:
        requested, known = self._desired.permission_sets[name], self._state.permission_sets.get(name)
        result = ended.get(set_key(name))
        if result and result.status != DONE:
            return ""  # The run says so.
        arn = known.arn if known else (result.values if result else {})[PERMISSION_SET_ARN]
        try:
            settings = self._reader.permission_sets.settings(arn)
        except ERRORS as error:
            return (
                f"permission set {name} could not be read again ({error}), so it is not known whether others have "
                "changed it during this run: run provision audit"
            )
        how = (
            list(changed(replace(settings, tags=requested.tags), requested))
            if settings
            else ["it is deleted"]
        )
        if not how or (settings and not differs(requested, settings)):
            return ""
        return (
            f"others changed permission set {name} during this run (to make it as requested: {shown(how)}), and the "
            "run gave people access by it: find out who changed it, and run again"
        )

    def _is_touched(self, group: model.Group, touched: Collection[str]) -> bool:
        return any(assignment_key(group.name, grant) in touched for grant in group.grants) or any(
            membership_key(person, group.name) in touched for person in self._desired.members(group.name)
        )

    def _joined(
        self, group: model.Group, ended: Mapping[str, ChangeResult], stopped: Callable[[], bool]
    ) -> str:
        if stopped():
            return (
                f"the members of group {group.name} were not read again when the run was stopped: run provision "
                "audit"
            )
        known = self._state.groups.get(group.name)
        group_id = known.group_id if known else ended[group_key(group.name)].values[operations.GROUP_ID]
        created = [ended.get(user_key(member)) for member in self._desired.members(group.name)]
        created_ids = {str(each.values.get(operations.USER_ID)) for each in created if each}
        accounts = shown(sorted({grant.account_id for grant in group.grants}))
        try:
            unexpected_members = (
                self._unexpected_members(
                    group, group_id, created_ids | (known.members if known else frozenset())
                )
                if self._reviewed or not group.shared
                else ""
            )
            further = self._joining_checks.assigned_by_others(group, group_id)
        except ERRORS as error:
            return (
                f"group {group.name} could not be read again ({error}), so it is not known who has joined it and has "
                f"access to account {accounts}: run provision audit"
            )
        if not (unexpected_members or further):
            return ""
        if not unexpected_members:
            return (
                f"group {group.name} has been assigned {further} during this run, which is not requested, and its "
                "members have it: find out who assigned it, and remove it"
            )
        more = f", and has been assigned {further}" if further else ""
        return (
            f"members who are not requested joined group {group.name} during this run: {unexpected_members}. They "
            f"have access to account {accounts} through it{more}: find out who did this, and remove it"
        )

    def _unexpected_members(self, group: model.Group, group_id: str, more: Collection[str] = ()) -> str:
        """Members who are not requested and not among ``more`` (user ids), in words; empty for none."""
        expected = {
            self._known[key].user_id for key in self._desired.members(group.name) if key in self._known
        }
        unknown = sorted(self._reader.store.members(group_id) - expected - set(more))
        names = list(islice(self._named(group, unknown), _NAMED + 1))
        return ", ".join(names[:_NAMED]) + (" and others" if names[_NAMED:] else "")

    def _named(self, group: model.Group, user_ids: list[str]) -> Iterator[str]:
        for user_id in user_ids:
            person = self._reader.store.person(user_id)
            # A person of this run may have been created by others.
            if person and (folded(person.username), folded(person.email)) not in self._desired.members(
                group.name
            ):
                yield f"{person.username} (user id {user_id})"


def _refuse(reason: str) -> None:
    raise IdentityCenterError(reason)


def _requested(parameters: Mapping[str, Any]) -> model.Pending:
    """From the parameters of a call that creates or deletes an assignment."""
    names = ("TargetId", "PermissionSetArn", "PrincipalId", "PrincipalType")
    return model.Pending(*(str(parameters[name]) for name in names))
