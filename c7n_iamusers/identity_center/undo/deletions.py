# SPDX-License-Identifier: Apache-2.0
"""The plan that deletes what a run created, except for objects that are in use by now. Pure.

The journal of the run may be forged. So the state of Identity Center must confirm each deletion: a group has the
description of managed groups; a permission set, and that of an assignment, has their tag; a membership has the
journaled id, and its group is managed or has a managed permission set.

The state can't confirm which run created an object, for which IAM user a membership was made, or that a run created a
user. A user is deleted if it is unchanged since its journaled creation, and has only the run's groups and assignments.
Assigned applications are not checked.

Objects that others use by now stay. A group of the run that others have joined, assigned or changed stays, and so do
the run's memberships of it, which give people what others assigned. A membership of an earlier group also stays if the
group has been assigned since. The run's own assignments end, unless others have joined the group since. Unreadable
objects count as used: a delegated administrator may not list all assignments of a principal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet, duration_seconds
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.identity_center import access_plan, model, object_records
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.undo.restorations import RestorationPlan, deletion_key
from c7n_iamusers.identity_center.undo.undo_plan import Kept, UndoBasis, UndoPlan
from c7n_iamusers.text.wording import shown


def group_reasons(
    group: model.KnownGroup,
    given: Mapping[str, Any],
    unexpected: list[str],
    further: Collection[model.Assignment],
) -> list[str]:
    """Why a group is kept. ``given``: the parameters of CreateGroup. ``unexpected``, ``further``: of others."""
    reasons = []
    if unexpected:
        reasons.append(f"it has other members ({shown(unexpected)})")
    if further:
        reasons.append(assigned_since(further))
    if not group.is_managed:
        reasons.append("it is not managed, by its description")
    if (group.name, group.description) != (given["DisplayName"], given.get("Description", "")):
        reasons.append("its name or description has changed")
    return reasons


def assigned_since(further: Collection[model.Assignment]) -> str:
    """Why a group with ``further`` assignments, not made by the run, stays."""
    if model.UNKNOWN_ASSIGNMENT in further:
        return f"it is not known whether it has been assigned since: {model.NOT_LISTED}"
    return f"it has been assigned since ({_listed(further)})"


def set_reasons(
    state: object_records.CreatedSet,
    requested: PermissionSet | None,
    own: Collection[tuple[str, str]],
    in_use: Collection[str],
) -> list[str]:
    """Why a permission set is kept. ``own``: (account id, group id) of the run. ``in_use``: ids of groups."""
    reasons = []
    unread = [account for account, principal in state.holders if principal == model.UNREADABLE]
    if unread:
        reasons.append(f"account {shown(sorted(unread))} can't be read, so others may use it there")
    if further := sorted(each for each in state.holders.difference(own) if each[1] != model.UNREADABLE):
        reasons.append(
            f"it has been assigned since (in account {shown([account for account, _ in further])})"
        )
    if requested is None or differ(requested, state.known.settings):
        reasons.append("its settings have changed")
    if any(group_id in in_use for _, group_id in state.holders):
        reasons.append("a group that keeps it has it")
    return reasons


def user_reasons(
    user: object_records.CreatedUser, given: Mapping[str, Any], own: Collection[str]
) -> list[str]:
    """Why a user is kept. ``given``: the parameters of CreateUser. ``own``: the groups that the run added it to."""
    reasons = []
    if further := sorted(user.groups.difference(own)):
        reasons.append(f"it is in groups that stay ({shown(further)})")
    if model.UNKNOWN_ASSIGNMENT in user.assignments:
        reasons.append(f"it is not known whether it has direct assignments: {model.NOT_LISTED}")
    elif user.assignments:
        reasons.append(f"it has direct assignments ({_listed(user.assignments)})")
    if has_changed(user.attributes, given):
        reasons.append("it has changed")
    return reasons


def _listed(assignments: Collection[model.Assignment]) -> str:
    return shown(
        [
            f"{assignment.permission_set_arn} in account {assignment.account_id}"
            for assignment in sorted(assignments)
        ]
    )


def differ(requested: PermissionSet, present: PermissionSet) -> bool:
    """Whether ``present`` has anything unrequested. It may have less, if a run did not complete it."""
    return (
        not present.managed_policies <= requested.managed_policies
        or not present.customer_policies <= requested.customer_policies
        or present.inline_policy not in ("", requested.inline_policy)
        or present.boundary not in ("", requested.boundary)
        or duration_seconds(present.session_duration) != duration_seconds(requested.session_duration)
        or (present.description, present.relay_state) != (requested.description, requested.relay_state)
        or not present.tags.items() <= requested.tags.items()
    )


#: Members of DescribeUser that Identity Center sets by itself, also of Name.
_OF_SERVICE = frozenset(
    {
        "CreatedAt",
        "CreatedBy",
        "Formatted",
        "IdentityStoreId",
        "ResponseMetadata",
        "Revision",
        "UpdatedAt",
        "UpdatedBy",
        "UserArn",
        "UserId",
        "UserStatus",
    }
)


def has_changed(attributes: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether the user has changed since its creation, or an identity provider now manages it.

    Any attribute that its creation did not set, such as a title, is others'.
    """
    present = {key: value for key, value in attributes.items() if value and key not in _OF_SERVICE}
    emails = [each.get("Value") for each in present.get("Emails", ())]
    name = {key: text for key, text in present.get("Name", {}).items() if text and key not in _OF_SERVICE}
    asked = {key: value for key, value in given.items() if key not in _OF_SERVICE}
    return (
        present.keys() != asked.keys()
        or any(present[key] != asked[key] for key in ("UserName", "DisplayName"))
        or name != given["Name"]
        or emails != [each["Value"] for each in given["Emails"]]
        or attributes.get("UserStatus", "ENABLED") != "ENABLED"
    )


def plan_undo(
    state: object_records.CreatedState,
    requested: Mapping[str, PermissionSet],
    instance: model.Instance,
    needed: Mapping[object_records.MembershipKey, str] | None = None,
    restoration: RestorationPlan | None = None,
    before: Mapping[str, Collection[model.Assignment]] | None = None,
    relied_on: Mapping[object_records.AssignmentKey, str] | None = None,
    members: Mapping[str, Collection[str]] | None = None,
) -> UndoPlan:
    """The plan of an undo: first ``restoration``, then the deletions.

    ``requested``: the run's requested permission sets, by name. ``needed``: memberships whose people may have no other
    access, and why. ``before``: id of each group that existed before the run and that people joined -> its assignments
    before the run. ``relied_on``: assignments that members may need, and why. ``members``: id of each group that
    existed before the run and that it assigned -> its members before the run.
    """
    back = restoration or RestorationPlan()
    undo = _Undo(state, requested, instance, needed or {}, back, before or {})
    undo.decide(relied_on or {}, members or {})
    changes = list(undo.all())
    going = [change for change in changes if change.key not in back.existing]
    there = [
        Kept(
            f"{change.kind} {change.name}", "it existed before the run, which removed and recreated it", True
        )
        for change in changes
        if change.key in back.existing
    ]
    # A deleted permission set needs no former settings.
    gone = {each.key for each in going if each.kind == model.PERMISSION_SET}
    of = back.settings
    first = [
        each
        for each in back.changes
        if each.key not in of or deletion_key(model.PERMISSION_SET, of[each.key].arn) not in gone
    ]
    # Leavers must not get former settings that allow more: a check before each call reads the set's holders. If AWS
    # refuses to end something, that holds up nobody else.
    ends = tuple(each.key for each in going if each.kind in (model.MEMBERSHIP, model.ASSIGNMENT))
    late = [each for each in first if each.key in of and of[each.key].widening]
    first = [each for each in first if each not in late]
    last = [replace(each, waits_for=ends) for each in late]
    return UndoPlan((*first, *going, *last), (*back.kept, *undo.kept, *there), undo.basis)


@dataclass
class _Undo:
    state: object_records.CreatedState
    requested: Mapping[str, PermissionSet]
    instance: model.Instance
    needed: Mapping[object_records.MembershipKey, str]
    back: RestorationPlan
    before: Mapping[str, Collection[model.Assignment]]
    kept: list[Kept] = field(default_factory=list)

    def decide(
        self, relied_on: Mapping[object_records.AssignmentKey, str], members: Mapping[str, Collection[str]]
    ) -> None:
        """See ``plan_undo``."""
        created = self.state.created
        joined = {each.membership: each.identifier for each in created if each.kind == model.MEMBERSHIP}
        found = {member: self._reason_not_of_run(member, identifier) for member, identifier in joined.items()}
        self._kept_memberships = {
            **{member: reason for member, reason in found.items() if reason},
            **self.needed,
        }
        self._joined = joined.keys() - self._kept_memberships.keys()
        assigned = {each.assignment for each in created if each.kind == model.ASSIGNMENT}
        self._unmanaged = {each for each in assigned if each[1].permission_set_arn in self.state.unmanaged}
        self._assigned = assigned - self._unmanaged
        present = {
            **self.state.members,
            **{group.group_id: group.members for group in self.state.groups.values()},
        }
        in_use = {
            group_id
            for group_id, users in present.items()
            if any(
                (group_id, user) not in self._joined for user in users.difference(members.get(group_id, ()))
            )
        }
        self._kept_assignments = {
            each: relied_on.get(each) or "its group has other members"
            for each in self._assigned
            if each in relied_on or each[0] in in_use
        }
        self._numbers = {each.group_id: number for number, each in self.state.groups.items()}
        own = defaultdict[str, set[model.Assignment]](set)
        for group_id, each in assigned:
            own[group_id].add(each)
        joined_groups = {group_id for group_id, _ in self.state.memberships}
        stays = {
            group_id: self._why_group_stays(group_id, own[group_id]) if group_id in joined_groups else ""
            for group_id in {each for each, _ in joined}
        }
        staying = {member for member in self._joined if stays[member[0]]}
        self._kept_memberships |= {
            member: f"its group stays, and gives what others gave it: {stays[member[0]]}"
            for member in staying & self.state.memberships.keys()
        }
        self._leaving = self._joined - staying
        earlier = {(group_id, user) for group_id, users in members.items() for user in users}
        self.basis = self._basis({*staying, *self.needed, *earlier})

    def _held(self, group_id: str) -> frozenset[model.Assignment]:
        found = self.state.assignments.get(group_id, frozenset())
        number = self._numbers.get(group_id)
        return found if number is None else found | self.state.groups[number].assignments

    def _why_group_stays(self, group_id: str, own: Collection[model.Assignment]) -> str:
        """Why the run's memberships of the group stay with it; empty if they go. ``own``: assignments of the run.

        Members who stay only because they may have no other access are no reason: others can go.
        """
        number = self._numbers.get(group_id)
        if number is not None:
            group = self.state.groups[number]
            strangers = [user for user in self._unexpected(group) if (group_id, user) not in self.needed]
            given = self.state.created[number].parameters
            return "; ".join(group_reasons(group, given, strangers, group.assignments.difference(own)))
        if group_id not in self.before:
            return "the result of the run does not have what it gave before"
        # A run did not record what it could not list.
        recorded = {each for each in self.before[group_id] if each != model.UNKNOWN_ASSIGNMENT}
        further = self._held(group_id).difference(own, recorded)
        return assigned_since(further) if further else ""

    def _basis(self, staying: Collection[object_records.MembershipKey]) -> UndoBasis:
        members = defaultdict[str, set[str]](set)
        for group_id, user_id in staying:
            members[group_id].add(user_id)
        created = self.state.created
        return UndoBasis(
            {group_id: self._held(group_id) for group_id, _ in self._joined},
            {group_id: frozenset(users) for group_id, users in members.items()},
            {each.group_id: created[number].parameters for number, each in self.state.groups.items()},
            {each.user_id: created[number].parameters for number, each in self.state.users.items()},
            {
                each.known.arn: self.requested.get(each.known.settings.name)
                for each in self.state.permission_sets.values()
            },
            frozenset(
                present
                for made in created
                if made.kind == model.MEMBERSHIP
                and (present := self.state.memberships.get(made.membership))
                and made.identifier in ("", present)
            ),
        )

    def _reason_not_of_run(self, member: object_records.MembershipKey, identifier: str) -> str:
        """Why an existing membership can't be the one that the run created; empty if it can."""
        group_id, _ = member
        if member not in self.state.memberships:
            return ""
        if identifier and self.state.memberships[member] != identifier:
            return "it was recreated since"
        held = self.state.assignments.get(group_id, frozenset())
        has_managed_set = any(each.permission_set_arn not in self.state.unmanaged for each in held)
        return (
            ""
            if has_managed_set or group_id not in self.state.unmanaged
            else "its group is not managed, and has no managed permission set"
        )

    def all(self) -> Iterator[access_plan.Change]:
        """All deletions. Memberships come first, as they end access at once; assignments take longer."""
        created = list(enumerate(self.state.created))
        yield from self._memberships()
        yield from self._assignments()
        for number, each in created:
            if each.kind == model.GROUP and number in self.state.groups:
                yield from self._group(self.state.groups[number], each)
        for number, _ in created:
            if number in self.state.permission_sets:
                yield from self._permission_set(self.state.permission_sets[number])
        for number, each in created:
            if number in self.state.users:
                yield from self._user(self.state.users[number], each)

    def _memberships(self) -> Iterator[access_plan.Change]:
        for (group_id, user_id), reason in sorted(self._kept_memberships.items()):
            self.kept.append(Kept(f"membership {user_id} in {group_id}", reason))
        for member in sorted(self._leaving & self.state.memberships.keys()):
            call = operations.membership_deletion(self.state.memberships[member], self.instance)
            accounts = {each.account_id for each in self._held(member[0])}
            needs = [*self.back.of_people.get(member[1], ()), *self.back.returning_to(accounts, [member[1]])]
            yield self._change(
                model.MEMBERSHIP, _member_key(member), f"{member[1]} in {member[0]}", call, needs
            )

    def _assignments(self) -> Iterator[access_plan.Change]:
        # Memberships are deleted first: the assignment of an unmanaged group confirms them, and people who join a group
        # meanwhile keep its access.
        first: defaultdict[str, list[str]] = defaultdict(list)
        for member in sorted(self._leaving & self.state.memberships.keys()):
            first[member[0]].append(_member_key(member))
        for group_id, assignment in sorted(self._assigned | self._unmanaged, key=str):
            name = f"{group_id} -> {assignment.permission_set_arn} in account {assignment.account_id}"
            if assignment not in self.state.assignments.get(group_id, ()):
                continue
            if reason := self._assignment_reason(group_id, assignment):
                self.kept.append(Kept(f"assignment {name}", reason))
                continue
            change = self._change(
                model.ASSIGNMENT,
                _assigned_key(group_id, assignment),
                name,
                operations.assignment_deletion(group_id, assignment, self.instance),
                [*first[group_id], *self.back.returning_to({assignment.account_id}, self._members(group_id))],
            )
            asked = model.Pending(assignment.account_id, assignment.permission_set_arn, group_id)
            yield change.removing(asked, self.state.in_progress)

    def _members(self, group_id: str) -> Collection[str]:
        number = self._numbers.get(group_id)
        found = self.state.members.get(group_id, frozenset())
        return found if number is None else found | self.state.groups[number].members

    def _assignment_reason(self, group_id: str, assignment: model.Assignment) -> str:
        if (group_id, assignment) in self._unmanaged:
            return "its permission set is not managed"
        return self._kept_assignments.get((group_id, assignment), "")

    def _group(
        self, group: model.KnownGroup, created: object_records.Created
    ) -> Iterator[access_plan.Change]:
        further = {
            assignment
            for assignment in group.assignments
            if (group.group_id, assignment) not in self._assigned
        }
        reasons = group_reasons(group, created.parameters, self._unexpected(group), further)
        needs = [_member_key((group.group_id, user)) for user in group.members]
        needs += [_assigned_key(group.group_id, assignment) for assignment in group.assignments]
        call = operations.group_deletion(group.group_id, self.instance)
        yield from self._unless(
            reasons,
            self._change(model.GROUP, deletion_key(model.GROUP, group.group_id), group.name, call, needs),
        )

    def _permission_set(self, state: object_records.CreatedSet) -> Iterator[access_plan.Change]:
        known, name = state.known, state.known.settings.name
        own = {
            (each.account_id, group_id)
            for group_id, each in self._assigned
            if each.permission_set_arn == known.arn
        }
        in_use = {
            group_id for group_id, each in self._kept_assignments if each.permission_set_arn == known.arn
        }
        reasons = set_reasons(state, self.requested.get(name), own, in_use)
        needs = [
            _assigned_key(group_id, model.Assignment(account_id, known.arn))
            for account_id, group_id in state.holders
        ]
        call = operations.permission_set_deletion(known.arn, self.instance)
        key = deletion_key(model.PERMISSION_SET, known.arn)
        yield from self._unless(reasons, self._change(model.PERMISSION_SET, key, name, call, needs))

    def _user(
        self, user: object_records.CreatedUser, created: object_records.Created
    ) -> Iterator[access_plan.Change]:
        name = str(user.attributes.get("UserName", user.user_id))
        own = {group for group, member in self._leaving if member == user.user_id}
        reasons = user_reasons(user, created.parameters, own)
        needs = [_member_key((group, user.user_id)) for group in user.groups]
        call = operations.user_deletion(user.user_id, self.instance)
        yield from self._unless(reasons, self._change(model.USER, f"user {user.user_id}", name, call, needs))

    def _unless(self, reasons: list[str], change: access_plan.Change) -> Iterator[access_plan.Change]:
        if reasons:
            self.kept.append(Kept(f"{change.kind} {change.name}", "; ".join(reasons)))
        else:
            yield change

    def _unexpected(self, group: model.KnownGroup) -> list[str]:
        return sorted(user for user in group.members if (group.group_id, user) not in self._joined)

    def _change(
        self, kind: str, key: str, name: str, call: ApiCall, needs: list[str] | None = None
    ) -> access_plan.Change:
        subject = self.instance.subject(kind, name)
        return access_plan.Change(key, kind, access_plan.DELETE, name, subject, (call,), tuple(needs or ()))


def _member_key(member: object_records.MembershipKey) -> str:
    return deletion_key(model.MEMBERSHIP, *member)


def _assigned_key(group_id: str, assignment: model.Assignment) -> str:
    return deletion_key(model.ASSIGNMENT, assignment.account_id, assignment.permission_set_arn, group_id)
