# SPDX-License-Identifier: Apache-2.0
"""The removals of managed access that is no longer requested, and the members who stay anyway. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.identity_center import access_plan, model, object_records
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.planning.changeset import claim_keys
from c7n_iamusers.identity_center.planning.permission_sets import lost_forms
from c7n_iamusers.identity_center.planning.replacements import Replacements, identities, identity
from c7n_iamusers.identity_center.planning.review_input import Comparison
from c7n_iamusers.identity_center.planning.shared_groups import (
    FORMER_MEMBERS,
    leavers,
    shared_and_stale,
    why_leaver_stays,
)
from c7n_iamusers.policy_comparison.comparison import EQUAL
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.wording import folded, shown

#: A detail of the removal of a membership.
EXPIRED = "an earlier run made the membership, and its IAM users have been deleted for longer than --former"
#: Why a membership stays that replaces the access of IAM users without intents now.
_MOVED = frozenset(
    reason.code for reason in (reasons.FORMER, reasons.FORMER_AND_GONE, reasons.FORMER_IN_SHARED)
)


@dataclass(frozen=True)
class Removals:
    """``stale``: removals that ``Choices`` can allow, in their order. ``going``: those that it does allow.

    ``leaving``: user id and group id of memberships that go -> the key of the removal. ``former``: those of former
    people, whose access they replace. ``ended``: group, in words, and its assignment that goes -> the key of the
    removal.
    """

    stale: tuple[access_plan.Change, ...]
    going: tuple[access_plan.Change, ...]
    unexpected_members: tuple[access_plan.UnexpectedMember, ...]
    leaving: Mapping[tuple[str, str], str]
    former: Collection[tuple[str, str]]
    ended: Mapping[tuple[str, model.Grant], str]


def find_removals(comparison: Comparison) -> Removals:
    """The removals that the review of ``comparison`` finds."""
    return _Removing(comparison).result()


class _Removing:
    def __init__(self, comparison: Comparison) -> None:
        given = comparison.given
        self._comparison, self._given, self._evidence = comparison, given, given.evidence
        self._state, self._current = given.state, given.state.current
        self._requested: defaultdict[str, set[str]] = defaultdict(set)
        for claim in given.claims:
            self._requested[claim.group].add(comparison.user_id(claim.person))
        self._named = {known.group_id: name for name, known in given.state.groups.items()}
        self._covered = given.desired.accounts
        self._membership_users = given.evidence.history.membership_users(given.state)
        self._replacements = Replacements(
            given.claims, comparison.refused, self._membership_users, given.evidence.history.with_met.served
        )
        #: Group id -> see ``_given_by_others``; one list for all members.
        self._others: dict[str, list[str]] = {}
        self._leaving: dict[tuple[str, str], str] = {}
        self._former: set[tuple[str, str]] = set()
        self._ended: dict[tuple[str, model.Grant], str] = {}
        self._changes: dict[str, tuple[access_plan.Change, bool]] = {}
        self._unexpected_members: list[access_plan.UnexpectedMember] = []
        self._contents: dict[str, str] = {}
        self._given_contents: dict[str, list[list[str]]] = {}

    def result(self) -> Removals:
        for group in self._reviewed_groups():
            self._review_group(group)
        for group in self._shared_groups():
            self._review_leavers(group)
        for group, assignment in shared_and_stale(
            self._given.desired, self._state, self._evidence.history, self._evidence.only
        ):
            self._end_assignment(group, assignment)
        for arn in sorted(self._unused_sets()):
            self._remove_set(arn)
        stale = tuple(change for change, _ in self._changes.values())
        going = tuple(change for change, goes in self._changes.values() if goes)
        return Removals(
            stale, going, tuple(self._unexpected_members), self._leaving, self._former, self._ended
        )

    def _groups(self) -> Iterator[tuple[model.KnownGroup, model.Group | None]]:
        """All groups, in the order of their names, each with the request for it."""
        known = {group.group_id: group for group in self._state.groups.values()}
        for group in sorted({**self._current.groups, **known}.values(), key=attrgetter("name")):
            yield group, self._given.desired.groups.get(self._named.get(group.group_id, ""))

    def _reviewed_groups(self) -> Iterator[model.KnownGroup]:
        """Managed groups, and requested groups of an identity provider. Shared groups are left out."""
        for group, requested in self._groups():
            is_empty = group.is_managed and not (group.members or group.assignments)
            if requested.shared if requested else not (group.is_restricted or is_empty):
                continue
            if requested or self._is_of_chosen(group):
                yield group

    def _shared_groups(self) -> Iterator[model.KnownGroup]:
        """Shared groups whose access is known; none if accounts were left out, which may request them."""
        for group, requested in self._groups() if self._evidence.only is None else ():
            if requested.shared if requested else group.is_managed and not group.is_restricted:
                yield group

    def _review_leavers(self, group: model.KnownGroup) -> None:
        """The memberships of a shared group that runs made for deleted IAM users."""
        requested = self._requested.get(self._named.get(group.group_id, group.name), set())
        refused = (refusal.subject for refusal in self._comparison.refused)
        subjects = (*(claim.subject for claim in self._given.claims), *refused)
        given = group, self._evidence.history, self._membership_users, self._comparison.username, subjects
        for user_id in leavers(*given):
            if user_id not in requested:
                self._remove_membership(group, user_id, shared=True)

    def _is_of_chosen(self, group: model.KnownGroup) -> bool:
        """Whether no account but the chosen ones can request the group, by its description."""
        only = self._evidence.only
        return only is None or any(
            group.description == f"{model.MANAGED_GROUP} for account {account}" for account in only
        )

    def _review_group(self, group: model.KnownGroup) -> None:
        name = self._named.get(group.group_id, group.name)
        requested = self._requested.get(name, set())
        leaving = [self._remove_membership(group, user) for user in sorted(group.members - requested)]
        is_asked_for = name in self._given.desired.groups
        if not is_asked_for and all(leaving) and self._is_ours(group):
            self._remove_group(group, [change for change in leaving if change])

    def _given_by_others(self, group: model.KnownGroup) -> list[str]:
        """What the group gives by assignments that no run made and no intents request, in words."""
        if group.group_id not in self._others:
            requested = self._given.desired.groups.get(self._named.get(group.group_id, ""))
            asked = requested.grants if requested else frozenset()
            # A set of that name that others made is not the requested one.
            theirs = {
                name for name, known in self._state.permission_sets.items() if not known.settings.is_managed
            }
            asked = frozenset(grant for grant in asked if grant.permission_set not in theirs)
            grants = {
                model.Grant(assignment.account_id, self._comparison.set_name(assignment.permission_set_arn))
                for assignment in self._evidence.history.others_assignments(group)
            }
            self._others[group.group_id] = [str(grant) for grant in sorted(grants - asked)]
        return self._others[group.group_id]

    def _is_ours(self, group: model.KnownGroup) -> bool:
        """Whether runs made all of the group's assignments, in accounts with intents or without our IAM users."""
        outside = self._evidence.emptied.issuperset(self._uncovered_accounts(group))
        return outside and not self._given_by_others(group)

    def _remove_membership(
        self, group: model.KnownGroup, user_id: str, shared: bool = False
    ) -> tuple[access_plan.Change, bool] | None:
        """The removal of an unrequested membership; None if it must stay. ``shared``: the group is shared."""
        accounts = tuple(sorted({assignment.account_id for assignment in group.assignments}))
        person, username = self._comparison.persons.get(user_id), self._comparison.username(user_id)
        replaced = self._replacements.claims(group.name, username, person, accounts, user_id)
        replaced = replaced or self._covering_claims(group, username, person)
        reason = self._why_stays(group, username, bool(replaced), shared)
        if reason:
            if accounts:
                self._unexpected_members.append(
                    access_plan.UnexpectedMember(username, group.name, accounts, reason)
                )
                if reason.code in _MOVED and not self._has_claims(group, username):
                    self._former.add((user_id, group.group_id))
            return None
        membership = group.memberships.get(user_id)
        if membership is None:
            return None
        record = object_records.membership_record(group, user_id, username, self._gives(group))
        call = operations.membership_deletion(membership, self._given.instance, record)
        needs = [key for claim in replaced for key in claim_keys(claim)]
        key = f"remove {model.MEMBERSHIP} {group.group_id}/{user_id}"
        lost = [
            f"loses {model.Grant(assignment.account_id, self._comparison.set_name(assignment.permission_set_arn))}"
            for assignment in sorted(group.assignments)
        ]
        lost += lost_forms(group.assignments, self._current.sets)
        expired = self._is_expired(group, username)
        details = (*lost, *([EXPIRED] if expired else []))
        change = self._change(key, model.MEMBERSHIP, f"{username} in {group.name}", call, needs, details)
        return self._register(change, (user_id, group.group_id), expired)

    def _has_claims(self, group: model.KnownGroup, username: str) -> bool:
        """Whether the plan gives access for an IAM user for which a run made the membership."""
        users = self._membership_users.get((group.name, folded(username)), {})
        return not self._served.isdisjoint(identities(users))

    def _why_stays(
        self, group: model.KnownGroup, username: str, is_replaced: bool, shared: bool
    ) -> Reason | None:
        """Why an unrequested membership must stay; None if it may go."""
        if self._given.desired.external:
            return reasons.MEMBER_OF_PROVIDER()
        made = (group.name, folded(username)) in self._membership_users
        if others := self._given_by_others(group):
            kind = reasons.FORMER_AND_OTHERS if made else reasons.MEMBER_AND_OTHERS
            return kind(grants=shown(others))
        if self._is_expired(group, username):
            return None
        if shared:
            return why_leaver_stays(group, self._membership_users.get((group.name, folded(username)), ()))
        if self._is_former_and_gone(group, username):
            return reasons.FORMER_AND_GONE()
        return self._why_needed(group, username, made, is_replaced)

    def _why_needed(
        self, group: model.KnownGroup, username: str, made: bool, is_replaced: bool
    ) -> Reason | None:
        """The same, for the access that the membership may replace. ``made``: an earlier run made it."""
        if model.UNKNOWN_ASSIGNMENT in group.assignments:
            return reasons.GROUP_GIVES_UNKNOWN(why=model.NOT_LISTED)
        if outside := self._uncovered_accounts(group):
            return reasons.GROUP_GIVES_MORE(accounts=shown(outside))
        if is_replaced:
            return None
        accounts = {assignment.account_id for assignment in group.assignments}
        if unjudged := self._replacements.unjudged(group.name, username, accounts):
            kind = reasons.FORMER_UNJUDGED if made else reasons.MEMBER_UNJUDGED
            return kind(users=shown(unjudged))
        if self._comparison.choices.lock_out:
            return None
        return reasons.FORMER() if made else reasons.UNKNOWN_ORIGIN()

    def _is_expired(self, group: model.KnownGroup, username: str) -> bool:
        """Whether it has been former for too long, and the group gives nothing in accounts without those IAM users."""
        key = group.name, folded(username)
        accounts = {arn.split(":")[4] for arn in self._membership_users.get(key, ())}
        return key in self._evidence.expired and accounts.issuperset(
            assignment.account_id for assignment in group.assignments
        )

    def _is_former_and_gone(self, group: model.KnownGroup, username: str) -> bool:
        """Whether an earlier run made the membership, for accounts without such IAM users now."""
        outside = self._uncovered_accounts(group)
        made = (group.name, folded(username)) in self._membership_users
        return bool(outside) and made and self._evidence.emptied.issuperset(outside)

    def _covering_claims(
        self, group: model.KnownGroup, username: str, person: model.PersonKey | None
    ) -> list[model.Claim]:
        """The person's claims that give all of the group's access, if no run with results made the membership."""
        if person is None or (group.name, folded(username)) in self._membership_users:
            return []
        covering_all: list[model.Claim] = []
        for assignment in sorted(group.assignments):
            name = self._comparison.set_name(assignment.permission_set_arn)
            covering = [
                claim
                for claim in self._comparison.claims.get((person, assignment.account_id), ())
                if claim.verdict == EQUAL and self._comparison.covers([claim], name)
            ]
            if not covering:
                return []
            covering_all += covering
        return covering_all

    def _remove_group(self, group: model.KnownGroup, members: list[tuple[access_plan.Change, bool]]) -> None:
        needs = [change.key for change, _ in members]
        goes = self._comparison.choices.prune  # then its members go, too
        removals = [
            self._remove_assignment(group, assignment, needs, goes)
            for assignment in sorted(group.assignments)
        ]
        call = operations.group_deletion(
            group.group_id, self._given.instance, object_records.group_record(group)
        )
        key = f"remove {model.GROUP} {group.group_id}"
        self._changes[key] = self._change(key, model.GROUP, group.name, call, [*needs, *removals]), goes
        for arn in sorted({assignment.permission_set_arn for assignment in group.assignments}):
            self._remove_set(arn)

    def _remove_assignment(
        self,
        group: model.KnownGroup,
        assignment: model.Assignment,
        needs: list[str],
        goes: bool,
        stays: bool = False,
        rests_on: str = "",
    ) -> str:
        """The key of the removal. ``stays``: the group stays. ``rests_on``: why the assignment stays."""
        arn = assignment.permission_set_arn
        set_name, content = self._comparison.set_name(arn), self._content(assignment)
        name = f"{group.name} -> {set_name} in account {assignment.account_id}"
        record = object_records.assignment_record(group, assignment, set_name, content, stays)
        call = operations.assignment_deletion(group.group_id, assignment, self._given.instance, record)
        key = f"remove {model.ASSIGNMENT} {assignment.account_id}/{arn}/{group.group_id}"
        lost = tuple(lost_forms([assignment], self._current.sets))
        change = self._change(key, model.ASSIGNMENT, name, call, needs, lost)
        asked = model.Pending(assignment.account_id, arn, group.group_id)
        change = change.removing(asked, self._state.in_progress)
        self._changes[key] = replace(change, rests_on=rests_on), goes
        return key

    def _end_assignment(self, group: model.KnownGroup, assignment: model.Assignment) -> None:
        """Remove an assignment of a shared group, unless a member may have no other access to the account."""
        part, needs, why = replace(group, assignments=frozenset({assignment})), list[str](), set[str]()
        for user_id in sorted(group.members):
            person, username = self._comparison.persons.get(user_id), self._comparison.username(user_id)
            accounts = (assignment.account_id,)
            replaced = self._replacements.claims(group.name, username, person, accounts, user_id)
            replaced = replaced or self._covering_claims(part, username, person)
            made = (group.name, folded(username)) in self._membership_users
            if reason := self._why_needed(part, username, made, bool(replaced)):
                why.add(FORMER_MEMBERS if reason.code == reasons.FORMER.code else reason.text)
            for claim in replaced:
                needs += claim_keys(claim)
        if assignment.permission_set_arn not in self._current.sets:
            why.add("its permission set was not read, as none of its people has intents; an undo needs that")
        goes = self._comparison.choices.prune and not why
        key = self._remove_assignment(group, assignment, sorted(set(needs)), goes, True, shown(sorted(why)))
        if goes:
            grant = model.Grant(
                assignment.account_id, self._comparison.set_name(assignment.permission_set_arn)
            )
            self._ended[f"group {group.name}", grant] = key
        self._remove_set(assignment.permission_set_arn)

    def _unused_sets(self) -> Iterator[str]:
        """ARNs of permission sets without assignments, such as an interrupted removal leaves."""
        pending = {creation.permission_set_arn for creation in self._state.in_progress.creations.values()}
        for arn, known in self._current.sets.items():
            if not known.accounts and arn not in pending and self._comparison.choices.prune:
                yield arn

    def _remove_set(self, arn: str) -> None:
        """Remove a managed permission set with the last of its assignments."""
        known = self._current.sets.get(arn)
        # Accounts that were not chosen may request it.
        if known is None or not known.settings.is_managed or self._evidence.only is not None:
            return
        if (
            known.settings.name in self._given.desired.permission_sets
            or not known.accounts <= self._covered | self._evidence.emptied
        ):
            return
        creations = self._state.in_progress.creations.values()
        if any(
            creation.permission_set_arn == arn and creation.account_id not in self._current.holders
            for creation in creations
        ):
            return
        needs = self._assignments.get(arn, [])
        if all(need in self._changes for need in needs):
            record = object_records.permission_set_record(known)
            call = operations.permission_set_deletion(arn, self._given.instance, record)
            key = f"remove {model.PERMISSION_SET} {arn}"
            change = self._change(key, model.PERMISSION_SET, known.settings.name, call, needs)
            self._changes[key] = change, all(self._changes[need][1] for need in needs)

    @cached_property
    def _assignments(self) -> Mapping[str, list[str]]:
        """ARN of a permission set -> the keys of the removals of all its assignments."""
        keys: defaultdict[str, list[str]] = defaultdict(list)
        for account, sets in self._current.holders.items():
            for arn, principals in sets.items():
                keys[arn] += [
                    f"remove {model.ASSIGNMENT} {account}/{arn}/{holder}" for _, holder in principals
                ]
        return keys

    def _register(
        self, change: access_plan.Change, membership: tuple[str, str], expired: bool
    ) -> tuple[access_plan.Change, bool]:
        goes = expired or self._comparison.choices.prune
        if goes:
            self._leaving[membership] = change.key
        self._changes[change.key] = change, goes
        return change, goes

    def _uncovered_accounts(self, group: model.KnownGroup) -> list[str]:
        return sorted({assignment.account_id for assignment in group.assignments} - self._covered)

    @cached_property
    def _served(self) -> frozenset[str]:
        """The IAM users with claims, see ``identity``."""
        return frozenset(identity(claim.subject) for claim in self._given.claims)

    def _gives(self, group: model.KnownGroup) -> list[list[str]]:
        """[account id, content] of the group's permission sets; one list for all its members."""
        if group.group_id not in self._given_contents:
            held = sorted(group.assignments)
            self._given_contents[group.group_id] = [
                [assignment.account_id, self._content(assignment)] for assignment in held
            ]
        return self._given_contents[group.group_id]

    def _content(self, assignment: model.Assignment) -> str:
        """Empty if unknown: AWS does not say the content of an earlier form."""
        arn, known = assignment.permission_set_arn, self._current.sets.get(assignment.permission_set_arn)
        if known is None or assignment.account_id in known.stale:
            return ""
        if arn not in self._contents:
            self._contents[arn] = object_records.content_of(known.settings)
        return self._contents[arn]

    def _change(
        self, key: str, kind: str, name: str, call: ApiCall, needs: list[str], details: tuple[str, ...] = ()
    ) -> access_plan.Change:
        subject = self._given.instance.subject(kind, name)
        return access_plan.Change(
            key, kind, access_plan.REMOVE, name, subject, (call,), tuple(needs), details=details
        )
