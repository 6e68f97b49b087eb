# SPDX-License-Identifier: Apache-2.0
"""The changeset: a change for each permission set, group, assignment, user and membership; refusals; quotas. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from sys import intern
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.execution.calls import Ref, Subject
from c7n_iamusers.identity_center import access_plan, model, object_records
from c7n_iamusers.identity_center.planning import operations, permission_sets
from c7n_iamusers.identity_center.planning.account_provisioning import (
    Provisioning,
    provisioning_key,
    way_out,
)
from c7n_iamusers.identity_center.planning.plan_input import PlanInput
from c7n_iamusers.identity_center.planning.set_contents import administrative, changed, granted
from c7n_iamusers.identity_center.planning.unrequested_access import SideEffects
from c7n_iamusers.text.wording import shown

#: How many people a line names; the rest are counted.
_NAMED = 10


# Keys are interned, because a plan has each of them many times.


def set_key(name: str) -> str:
    """The key of a permission set's change."""
    return intern(f"{model.PERMISSION_SET} {name}")


def group_key(name: str) -> str:
    """The key of a group's change."""
    return intern(f"{model.GROUP} {name}")


def assignment_key(group: str, grant: model.Grant) -> str:
    """The key of an assignment's change."""
    return intern(f"{model.ASSIGNMENT} {grant.account_id}/{grant.permission_set}/{group}")


def user_key(person: model.PersonKey) -> str:
    """The key of a user's change."""
    return intern(f"{model.USER} {person[0]}")


def membership_key(person: model.PersonKey, group: str) -> str:
    """The key of a membership's change. Names of users and groups may have slashes: those of the username are escaped,
    as in a JSON Pointer (RFC 6901, section 3).
    """
    username = person[0].replace("~", "~0").replace("/", "~1")
    return intern(f"{model.MEMBERSHIP} {username}/{group}")


def claim_keys(claim: model.Claim) -> tuple[str, ...]:
    """The keys of all changes that the claim's access depends on, without other accounts of its group."""
    grant = claim.grant
    return (
        set_key(grant.permission_set),
        provisioning_key(grant.permission_set, grant.account_id),
        group_key(claim.group),
        assignment_key(claim.group, grant),
        user_key(claim.person),
        membership_key(claim.person, claim.group),
    )


def membership_names(key: str) -> tuple[str, str]:
    """Folded username and group name of a ``membership_key``."""
    username, _, group = key.partition(" ")[2].partition("/")
    return username.replace("~1", "/").replace("~0", "~"), group


class Changes:
    """The changes that the claims of a plan need."""

    def __init__(self, given: PlanInput, side_effects: SideEffects) -> None:
        self._desired, self._state, self._people = given.desired, given.state, given.people
        self._instance, self._proofs = given.instance, given.evidence.proofs
        self._side_effects, claims, self._requested_in = side_effects, given.claims, given.desired.accounts
        self._of_set: defaultdict[str, list[model.Claim]] = defaultdict(list)
        for claim in claims:
            self._of_set[claim.grant.permission_set].append(claim)
        #: Permission set -> a user of each account whose claims have it: an account has policies of its own.
        self._holders = defaultdict[str, dict[str, str]](dict)
        for claim in claims:
            self._holders[claim.grant.permission_set][claim.subject.account_id] = claim.subject.arn
        self._group_ids: dict[str, str | Ref] = {}
        self._fresh = self._unassigned(claims)
        self._by_person: defaultdict[model.PersonKey, list[model.Claim]] = defaultdict(list)
        for claim in claims:
            self._by_person[claim.person].append(claim)
        self._groups = {claim.group: given.desired.groups[claim.group] for claim in claims}
        self._grants = sorted((name, grant) for name, group in self._groups.items() for grant in group.grants)
        #: The keys of the changes that provision permission sets.
        self._provisioned: set[str] = set()
        self._before_group: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._accounts: defaultdict[str, set[str]] = defaultdict(set)
        for _, grant in self._grants:
            self._accounts[grant.permission_set].add(grant.account_id)

    def all(self) -> Iterator[access_plan.Change]:
        """All changes, in an order in which they can be made."""
        for name in sorted({grant.permission_set for _, grant in self._grants}):
            yield from self._permission_set(name)
        for _, group in sorted(self._groups.items()):
            yield self._group(group)
        for name, grant in self._grants:
            if not (self._desired.external and name not in self._state.groups):
                yield self._assignment(name, grant)
        if not self._desired.external:
            yield from (self._user(person) for person in sorted(self._by_person))
            for person, claims in sorted(self._by_person.items(), key=lambda each: each[0]):
                for name in sorted({claim.group for claim in claims}):
                    yield self._membership(person, name)

    def _administrative(self, name: str, requested: PermissionSet) -> str:
        """What makes its holders administrators in one of the accounts; empty if nothing does."""
        holders = self._holders.get(name, {}).values() or [""]
        documents = (self._proofs.documents(arn, requested.customer_policies) for arn in holders)
        return next(filter(None, (administrative(requested, each) for each in documents)), "")

    def _permission_set(self, name: str) -> Iterator[access_plan.Change]:
        """The change of its settings, then those that provision it to accounts."""
        requested, known = self._desired.permission_sets[name], self._state.permission_sets.get(name)
        accounts = sorted(self._accounts[name])
        calls = permission_sets.permission_set_calls(requested, known, self._instance)
        if known and calls:
            calls = (replace(calls[0], notes=_record(known, self._state.changing)), *calls[1:])
        rests_on = f"its tag {'='.join(MANAGED_TAG)}" if known else ""
        fresh = name in self._fresh
        action = (
            access_plan.CREATE if known is None else access_plan.UPDATE if calls else _action_if_exists(fresh)
        )
        subject = self._shared_subject(model.PERMISSION_SET, name, accounts)
        details = granted(requested) if known is None else changed(known.settings, requested) if calls else ()
        admin = self._administrative(name, requested)
        holders = list(self._side_effects.changing(name))
        yield access_plan.Change(
            set_key(name),
            model.PERMISSION_SET,
            action,
            name,
            subject,
            calls,
            rests_on=rests_on,
            details=(
                *self._administrators(name, admin),
                *details,
                *(line for _, line in (holders if calls else ())),
            ),
            administrative=admin,
            identifier=known.arn if known else "",
        )
        if known:
            yield from self._provisioning(requested, known, not calls, holders)

    def _provisioning(
        self,
        requested: PermissionSet,
        known: model.KnownPermissionSet,
        is_recorded: bool,
        holders: Sequence[tuple[str, str]],
    ) -> Iterator[access_plan.Change]:
        """The changes that provision it. ``is_recorded``: each call records what it replaces. ``holders``: account id
        and line for a reviewer.
        """
        name, changing = requested.name, self._state.changing
        of_set = Provisioning(requested, known, self._instance, self._accounts[name], set_key(name))
        found = list(of_set.changes())
        # If a run changes no settings, its record is about the accounts that it provisions.
        earlier = replace(known, stale=frozenset(account for account, _ in found))
        for account, change in found:
            if account:
                here = replace(changing, holders={account: changing.holders.get(account, {})})
                change = replace(
                    change,
                    calls=tuple(
                        replace(call, notes=_record(earlier, here) if is_recorded else {})
                        for call in change.calls
                    ),
                    details=tuple(line for where, line in holders if where == account),
                    remedy=self._way_out(name, account),
                )
            self._provisioned.add(change.key)
            yield change

    def _way_out(self, name: str, account: str) -> str:
        groups = self._sharing.get(model.Grant(account, name), ())
        return way_out(account, account in self._requested_in, groups)

    @cached_property
    def _sharing(self) -> Mapping[model.Grant, Sequence[str]]:
        """What shared groups of several accounts already give -> the groups' names."""
        found = defaultdict[model.Grant, list[str]](list)
        for name, group in sorted(self._groups.items()):
            grants = {*group.grants, *self._side_effects.further(name)} if group.shared else set()
            if len({grant.account_id for grant in grants}) > 1:
                for grant in grants:
                    found[grant] += [name] if self._is_given(name, grant) else []
        return found

    def _administrators(self, name: str, admin: str) -> Iterator[str]:
        """The people who become administrators by the permission set, in a line for a reviewer."""
        if admin:
            people = {f"{each.person[0]} in account {each.grant.account_id}" for each in self._of_set[name]}
            yield f"administrators: {', '.join(sorted(people))}"

    def _group(self, group: model.Group) -> access_plan.Change:
        known = self._state.groups.get(group.name)
        calls = operations.group_creation_if_missing(group, known, self._instance)
        fresh = not all(self._state.is_assigned(group.name, grant) for grant in group.grants)
        action = _action_if_exists(fresh) if known else access_plan.CREATE if calls else access_plan.MISSING
        subject = self._shared_subject(model.GROUP, group.name, {grant.account_id for grant in group.grants})
        rests_on = _group_rests_on(group) if known else ""
        return access_plan.Change(
            group_key(group.name),
            model.GROUP,
            action,
            group.name,
            subject,
            calls,
            rests_on=rests_on,
            identifier=known.group_id if known else "",
        )

    def _group_id(self, name: str) -> str | Ref:
        """One object for all changes of a group, which may have thousands of members."""
        if name not in self._group_ids:
            known = self._state.groups.get(name)
            self._group_ids[name] = (
                known.group_id if known else Ref(f"{group_key(name)}:{operations.GROUP_ID}")
            )
        return self._group_ids[name]

    def _assignment(self, name: str, grant: model.Grant) -> access_plan.Change:
        subject = self._shared_subject("assignment of group", name, {grant.account_id})
        key, title = assignment_key(name, grant), f"{name} -> {grant}"
        if self._state.is_assigned(name, grant):
            return access_plan.Change(key, model.ASSIGNMENT, access_plan.UNCHANGED, title, subject)
        known = self._state.permission_sets.get(grant.permission_set)
        arn = (
            known.arn
            if known
            else Ref(f"{set_key(grant.permission_set)}:{permission_sets.PERMISSION_SET_ARN}")
        )
        group_id = self._group_id(name)
        call = operations.assignment_creation(grant.account_id, arn, group_id, self._instance)
        # The assignment updates an earlier form for all holders there, so it needs the review of such a change.
        needs = (*self._forms([grant]), group_key(name))
        details, remedy = tuple(self._side_effects.assigning(name, grant)), way_out(grant.account_id)
        change = access_plan.Change(
            key,
            model.ASSIGNMENT,
            access_plan.ASSIGN,
            title,
            subject,
            (call,),
            needs,
            details=details,
            remedy=remedy,
        )
        asked = model.Pending(grant.account_id, str(arn), str(group_id))
        return change.making(asked, self._state.in_progress)

    def _user(self, key: model.PersonKey) -> access_plan.Change:
        person, known = self._desired.people[key], self._people.get(key)
        claims = self._by_person[key]
        title = f"{person.username} <{person.email}>"
        if known is None:
            call = operations.user_creation(person, self._instance)
            subject = claims[0].subject
            return access_plan.Change(
                user_key(key), model.USER, access_plan.CREATE, title, subject, (call,), lazy=True
            )
        action = _action_if_exists(not all(self._is_member(key, claim.group) for claim in claims))
        users = sorted({f"{claim.subject}, by {claim.rests_on}" for claim in claims})
        rests_on = f"username and e-mail are those of {shown(users)}"
        identifier = known.user_id
        return access_plan.Change(
            user_key(key),
            model.USER,
            action,
            title,
            claims[0].subject,
            rests_on=rests_on,
            identifier=identifier,
        )

    def _membership(self, person: model.PersonKey, group: str) -> access_plan.Change:
        key, known = membership_key(person, group), self._people.get(person)
        claim = next(each for each in self._by_person[person] if each.group == group)
        title = f"{self._desired.people[person].username} in {group}"
        if self._is_member(person, group):
            return access_plan.Change(key, model.MEMBERSHIP, access_plan.UNCHANGED, title, claim.subject)
        group_id = self._group_id(group)
        call = (
            operations.membership_creation(group_id, known.user_id, self._instance)
            if known
            else operations.membership_of_new_user(group_id, user_key(person), self._instance)
        )
        needs, follows, waits_for = self._before_joining(person, group)
        needs, details = (*needs, group_key(group), user_key(person)), tuple(self._gains(person, group))
        return access_plan.Change(
            key,
            model.MEMBERSHIP,
            access_plan.CREATE,
            title,
            claim.subject,
            (call,),
            needs,
            details=details,
            follows=follows,
            waits_for=waits_for,
        )

    def _before_joining(
        self, person: model.PersonKey, group: str
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """What a membership needs of the group's access, what it follows, and what it waits for.

        The person at once gets what the group already gives, so no account may have another than the requested form of
        its permission set. A failed assignment gives nothing, so it only concerns people who have no IAM user for any
        other.
        """
        own = sorted({claim.grant for claim in self._by_person[person] if claim.group == group})
        needs, waits_for = self._of_group(group)
        keys = tuple(assignment_key(group, grant) for grant in own)
        return ((*needs, *keys), (), waits_for) if len(keys) == 1 else (needs, keys, waits_for)

    def _of_group(self, group: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What all members of the group need and wait for; there may be thousands."""
        if group not in self._before_group:
            grants = sorted(self._groups[group].grants)
            given = [grant for grant in grants if self._is_given(group, grant)]
            further = [
                grant for grant in self._side_effects.further(group) if grant.permission_set in self._accounts
            ]
            all_of_it = [assignment_key(group, grant) for grant in grants]
            several = len(grants) > 1 and len(given) < len(grants)
            self._before_group[group] = self._forms([*given, *further]), tuple(all_of_it) if several else ()
        return self._before_group[group]

    def _forms(self, grants: Sequence[model.Grant]) -> tuple[str, ...]:
        """The keys of the changes that bring the permission sets in the accounts into their requested form."""
        sets = dict.fromkeys(set_key(grant.permission_set) for grant in grants)
        keys = (provisioning_key(grant.permission_set, grant.account_id) for grant in grants)
        return (*sets, *(key for key in keys if key in self._provisioned))

    def _is_given(self, group: str, grant: model.Grant) -> bool:
        """Whether the group has the grant, even while it is being created or deleted."""
        known_set, known = (
            self._state.permission_sets.get(grant.permission_set),
            self._state.groups.get(group),
        )
        return bool(
            known_set and known and model.Assignment(grant.account_id, known_set.arn) in known.assignments
        )

    def _gains(self, person: model.PersonKey, group: str) -> Iterator[str]:
        """What the membership gives for which IAM users, in lines for a reviewer."""
        for grant in sorted(self._groups[group].grants):
            claims = [
                claim
                for claim in self._by_person[person]
                if (claim.group, claim.grant.account_id) == (group, grant.account_id)
            ]
            users = [
                f"{claim.subject.name}{f': {claim.verdict}' if claim.verdict else ''}" for claim in claims
            ]
            yield f"gains {grant} (IAM user {shown(sorted(users), _NAMED) or 'none: shared-group'})"
        for further in self._side_effects.further(group):
            yield f"gains {further}, which the group already has (IAM user none: shared-group)"

    def _unassigned(self, claims: Sequence[model.Claim]) -> frozenset[str]:
        """The permission sets with an assignment still to be made."""
        groups = {claim.group: self._desired.groups[claim.group] for claim in claims}
        return frozenset(
            grant.permission_set
            for name, group in groups.items()
            for grant in group.grants
            if not self._state.is_assigned(name, grant)
        )

    def _is_member(self, person: model.PersonKey, group: str) -> bool:
        known, found = self._people.get(person), self._state.groups.get(group)
        return bool(known and found and known.user_id in found.members)

    def _shared_subject(self, kind: str, name: str, accounts: Sequence[str] | set[str]) -> Subject:
        return self._instance.subject(kind, name, next(iter(accounts)) if len(accounts) == 1 else "")


def _record(known: model.KnownPermissionSet, changing: model.CurrentAccess) -> dict[str, Any]:
    """The notes of a call that changes the permission set, or its form in accounts."""
    return {object_records.RECORD: object_records.settings_record(known, changing).as_data()}


def _action_if_exists(fresh: bool) -> str:
    return access_plan.ADOPT if fresh else access_plan.UNCHANGED


def _group_rests_on(group: model.Group) -> str:
    if group.external:
        return "it comes from the identity provider"
    return "shared-group: true" if group.shared else f"its description begins with {group.description!r}"
