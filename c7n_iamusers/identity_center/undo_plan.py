# SPDX-License-Identifier: Apache-2.0
"""The plan that removes what a run created, unless somebody relies on it since. Pure.

The journal says what the run created, and somebody may have forged it. So Identity Center must confirm each removal: a
group has our description; a permission set, and what an assignment gives, has our tag; a membership has the id that the
journal says, in a group that is ours or has a set of ours.

Identity Center can't confirm which run of ours created an object, for whom a run made a membership, or that a run
created a user. A user is deleted because the journal says so, where it is as it was created by that, and has no group
and no assignment beside the run's. Applications that were assigned to the user are not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.derivation.permission_set import PermissionSet, duration_seconds
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.identity_center.created import (
    DELETE,
    Created,
    Kept,
    MembershipKey,
    Standing,
    StandingSet,
    StandingUser,
    UndoPlan,
    assignment_removal,
    group_removal,
    membership_removal,
    permission_set_removal,
    user_removal,
)
from c7n_iamusers.identity_center.model import (
    ASSIGNMENT,
    GROUP,
    MANAGED_GROUP,
    MEMBERSHIP,
    PERMISSION_SET,
    USER,
    Assignment,
    Change,
    Instance,
    KnownGroup,
)
from c7n_iamusers.identity_center.undo_returns import Returns, standing_key
from c7n_iamusers.text.wording import shown


def group_reasons(
    group: KnownGroup, given: Mapping[str, Any], strangers: list[str], further: Collection[Assignment]
) -> list[str]:
    """``given``: what CreateGroup was given; ``strangers``: members, ``further``: assignments of others' making."""
    reasons = []
    if strangers:
        reasons.append(f"people rely on it ({shown(strangers)})")
    if further:
        arns = [each.permission_set_arn for each in sorted(further)]
        reasons.append(f"it has been assigned since ({shown(arns)})")
    if not group.description.startswith(MANAGED_GROUP):
        reasons.append("its description lacks the mark of what is ours")
    if (group.name, group.description) != (given["DisplayName"], given.get("Description", "")):
        reasons.append("its name or description has been changed since")
    return reasons


def set_reasons(
    standing: StandingSet,
    asked: PermissionSet | None,
    ours: Collection[tuple[str, str]],
    relied_on: Collection[str],
) -> list[str]:
    """``ours``: (account id, group id) that the run assigned; ``relied_on``: groups that people have joined since."""
    reasons = []
    if further := sorted(standing.holders.difference(ours)):
        reasons.append(
            f"it has been assigned since (in account {shown([account for account, _ in further])})"
        )
    if asked is None or _differ(asked, standing.known.settings):
        reasons.append("its settings have been changed since")
    if any(group_id in relied_on for _, group_id in standing.holders):
        reasons.append("a group that people rely on has it")
    return reasons


def user_reasons(user: StandingUser, given: Mapping[str, Any], ours: Collection[str]) -> list[str]:
    """``given``: what CreateUser was given; ``ours``: the groups that the run put the user into."""
    reasons = []
    if further := sorted(user.groups.difference(ours)):
        reasons.append(f"it is in other groups ({shown(further)})")
    if user.assignments:
        reasons.append("it has been assigned a permission set directly")
    if _has_changed(user.attributes, given):
        reasons.append("it has been changed since")
    return reasons


def _differ(asked: PermissionSet, present: PermissionSet) -> bool:
    """Whether it is other than asked for. One that a run failed to complete has less, and is no reason to keep it."""
    return (
        not present.managed_policies <= asked.managed_policies
        or not present.customer_policies <= asked.customer_policies
        or present.inline_policy not in ("", asked.inline_policy)
        or present.boundary not in ("", asked.boundary)
        or duration_seconds(present.session_duration) != duration_seconds(asked.session_duration)
        or (present.description, present.relay_state) != (asked.description, asked.relay_state)
    )


def _has_changed(attributes: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether the user is other than it was created, or an identity provider has taken it over."""
    emails = [each.get("Value") for each in attributes.get("Emails") or ()]
    name = attributes.get("Name") or {}
    return (
        any(attributes.get(key) != given[key] for key in ("UserName", "DisplayName"))
        or any(name.get(key) != text for key, text in given["Name"].items())
        or emails != [each["Value"] for each in given["Emails"]]
        or attributes.get("UserStatus", "ENABLED") != "ENABLED"
        or bool(attributes.get("ExternalIds"))
    )


def plan_undo(
    standing: Standing,
    asked: Mapping[str, PermissionSet],
    instance: Instance,
    needed: Mapping[MembershipKey, str] | None = None,
    returns: Returns | None = None,
) -> UndoPlan:
    """``asked``: the permission sets by name, as the run was to make them.

    ``needed``: memberships without which their people may have no way in left, and why. ``returns``: what comes back,
    before anything goes.
    """
    back = returns or Returns()
    undo = _Undo(standing, asked, instance, needed or {}, back.of_people)
    changes = list(undo.all())
    going = [change for change in changes if change.key not in back.there]
    before = [
        Kept(
            f"{change.kind} {change.name}", "it was there before the run, which removed it and made it again"
        )
        for change in changes
        if change.key in back.there
    ]
    return UndoPlan((*back.changes, *going), (*back.kept, *undo.kept, *before))


@dataclass
class _Undo:
    standing: Standing
    asked: Mapping[str, PermissionSet]
    instance: Instance
    needed: Mapping[MembershipKey, str]
    of_people: Mapping[str, tuple[str, ...]]
    kept: list[Kept] = field(default_factory=list)

    def __post_init__(self) -> None:
        created = self.standing.created
        joined = {_member(each): each.identifier for each in created if each.kind == MEMBERSHIP}
        found = {member: self._not_the_runs(member, identifier) for member, identifier in joined.items()}
        self._stays = {**{member: reason for member, reason in found.items() if reason}, **self.needed}
        self._joined = joined.keys() - self._stays.keys()
        assigned = {_assignment(each) for each in created if each.kind == ASSIGNMENT}
        self._foreign = {each for each in assigned if each[1].permission_set_arn in self.standing.foreign}
        self._assigned = assigned - self._foreign
        members = {each.group_id: each.members for each in self.standing.groups.values()}
        self._relied_on = {
            group_id
            for group_id, users in {**self.standing.members, **members}.items()
            if any((group_id, user) not in self._joined for user in users)
        }

    def _not_the_runs(self, member: MembershipKey, identifier: str) -> str:
        """Why a membership that stands can't be the one that the run created; empty where it can."""
        group_id, _ = member
        if member not in self.standing.memberships:
            return ""
        if identifier and self.standing.memberships[member] != identifier:
            return "it was made anew since"
        held = self.standing.assignments.get(group_id, frozenset())
        of_ours = any(each.permission_set_arn not in self.standing.foreign for each in held)
        return (
            ""
            if of_ours or group_id not in self.standing.foreign
            else "its group is not ours, and has no set of ours"
        )

    def all(self) -> Iterator[Change]:
        """People first: their access ends at once, while assignments take their time."""
        created = list(enumerate(self.standing.created))
        yield from self._memberships()
        yield from self._assignments()
        for number, each in created:
            if each.kind == GROUP and number in self.standing.groups:
                yield from self._group(self.standing.groups[number], each)
        for number, _ in created:
            if number in self.standing.permission_sets:
                yield from self._permission_set(self.standing.permission_sets[number])
        for number, each in created:
            if number in self.standing.users:
                yield from self._user(self.standing.users[number], each)

    def _memberships(self) -> Iterator[Change]:
        for (group_id, user_id), reason in sorted(self._stays.items()):
            self.kept.append(Kept(f"membership {user_id} in {group_id}", reason))
        for member in sorted(self._joined & self.standing.memberships.keys()):
            call = membership_removal(self.standing.memberships[member], self.instance)
            needs = list(self.of_people.get(member[1], ()))
            yield self._change(MEMBERSHIP, _member_key(member), f"{member[1]} in {member[0]}", call, needs)

    def _assignments(self) -> Iterator[Change]:
        for group_id, assignment in sorted(self._assigned | self._foreign, key=str):
            name = f"{group_id} -> {assignment.permission_set_arn} in account {assignment.account_id}"
            if assignment not in self.standing.assignments.get(group_id, ()):
                continue
            if reason := self._assignment_reason(group_id, assignment):
                self.kept.append(Kept(f"assignment {name}", reason))
                continue
            # That a group which is not ours has a set of ours tells whose its memberships are: they go before.
            theirs = (
                self._joined & self.standing.memberships.keys() if group_id in self.standing.foreign else ()
            )
            yield self._change(
                ASSIGNMENT,
                _assigned_key(group_id, assignment),
                name,
                assignment_removal(group_id, assignment, self.instance),
                [_member_key(member) for member in sorted(theirs) if member[0] == group_id],
            )

    def _assignment_reason(self, group_id: str, assignment: Assignment) -> str:
        if (group_id, assignment) in self._foreign:
            return "its permission set is not ours"
        return "people rely on the group" if group_id in self._relied_on else ""

    def _group(self, group: KnownGroup, created: Created) -> Iterator[Change]:
        further = {each for each in group.assignments if (group.group_id, each) not in self._assigned}
        reasons = group_reasons(group, created.parameters, self._strangers(group), further)
        needs = [_member_key((group.group_id, user)) for user in group.members]
        needs += [_assigned_key(group.group_id, each) for each in group.assignments]
        call = group_removal(group.group_id, self.instance)
        yield from self._unless(
            reasons,
            self._change(GROUP, standing_key(GROUP, group.group_id), group.name, call, needs),
        )

    def _permission_set(self, standing: StandingSet) -> Iterator[Change]:
        known, name = standing.known, standing.known.settings.name
        ours = {
            (each.account_id, group_id)
            for group_id, each in self._assigned
            if each.permission_set_arn == known.arn
        }
        reasons = set_reasons(standing, self.asked.get(name), ours, self._relied_on)
        needs = [
            _assigned_key(group_id, Assignment(account_id, known.arn))
            for account_id, group_id in standing.holders
        ]
        call = permission_set_removal(known.arn, self.instance)
        key = standing_key(PERMISSION_SET, known.arn)
        yield from self._unless(reasons, self._change(PERMISSION_SET, key, name, call, needs))

    def _user(self, user: StandingUser, created: Created) -> Iterator[Change]:
        name = str(user.attributes.get("UserName", user.user_id))
        ours = {group for group, member in self._joined if member == user.user_id}
        reasons = user_reasons(user, created.parameters, ours)
        needs = [_member_key((group, user.user_id)) for group in user.groups]
        call = user_removal(user.user_id, self.instance)
        yield from self._unless(reasons, self._change(USER, f"user {user.user_id}", name, call, needs))

    def _unless(self, reasons: list[str], change: Change) -> Iterator[Change]:
        if reasons:
            self.kept.append(Kept(f"{change.kind} {change.name}", "; ".join(reasons)))
        else:
            yield change

    def _strangers(self, group: KnownGroup) -> list[str]:
        return sorted(user for user in group.members if (group.group_id, user) not in self._joined)

    def _change(
        self, kind: str, key: str, name: str, call: ApiCall, needs: list[str] | None = None
    ) -> Change:
        partition = self.instance.arn.split(":")[1]
        subject = Subject(name, f"arn:{partition}:iam::{self.instance.owner}:root", kind=kind)
        return Change(key, kind, DELETE, name, subject, (call,), tuple(needs or ()))


def _member(created: Created) -> MembershipKey:
    return created.parameters["GroupId"], created.parameters["MemberId"]["UserId"]


def _member_key(member: MembershipKey) -> str:
    return standing_key(MEMBERSHIP, *member)


def _assignment(created: Created) -> tuple[str, Assignment]:
    given = created.parameters
    return given["PrincipalId"], Assignment(given["TargetId"], given["PermissionSetArn"])


def _assigned_key(group_id: str, assignment: Assignment) -> str:
    return standing_key(ASSIGNMENT, assignment.account_id, assignment.permission_set_arn, group_id)
