# SPDX-License-Identifier: Apache-2.0
"""The changeset: a change for each permission set, group, assignment, user and membership; refusals; quotas. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from sys import intern

from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG
from c7n_iamusers.execution.calls import Ref, Subject
from c7n_iamusers.identity_center import access_plan, model, object_records
from c7n_iamusers.identity_center.planning import operations, permission_sets
from c7n_iamusers.identity_center.planning.plan_input import PlanInput
from c7n_iamusers.identity_center.planning.set_contents import administrative, changed, granted
from c7n_iamusers.identity_center.planning.unrequested_access import SideEffects
from c7n_iamusers.text.wording import shown

#: How many people a line names; the rest are counted.
_NAMED = 10


# Keys are interned: a plan has each of them many times.


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


def membership_names(key: str) -> tuple[str, str]:
    """Folded username and group name of a ``membership_key``."""
    username, _, group = key.partition(" ")[2].partition("/")
    return username.replace("~1", "/").replace("~0", "~"), group


class Changes:
    """The changes that the claims of a plan need."""

    def __init__(self, given: PlanInput, side_effects: SideEffects) -> None:
        self._desired, self._state, self._people = given.desired, given.state, given.people
        self._instance, self._proofs = given.instance, given.evidence.proofs
        self._side_effects, claims = side_effects, given.claims
        self._of_set: defaultdict[str, list[model.Claim]] = defaultdict(list)
        for claim in claims:
            self._of_set[claim.grant.permission_set].append(claim)
        self._holder = {claim.grant.permission_set: claim.subject.arn for claim in claims}
        self._group_ids: dict[str, str | Ref] = {}
        self._fresh = self._unassigned(claims)
        self._by_person: defaultdict[model.PersonKey, list[model.Claim]] = defaultdict(list)
        for claim in claims:
            self._by_person[claim.person].append(claim)
        self._groups = {claim.group: given.desired.groups[claim.group] for claim in claims}
        self._grants = sorted((name, grant) for name, group in self._groups.items() for grant in group.grants)
        self._accounts: defaultdict[str, set[str]] = defaultdict(set)
        for _, grant in self._grants:
            self._accounts[grant.permission_set].add(grant.account_id)

    def all(self) -> Iterator[access_plan.Change]:
        """All changes, in an order in which they can be made."""
        for name in sorted({grant.permission_set for _, grant in self._grants}):
            yield self._permission_set(name)
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

    def keys_of(self, claim: model.Claim) -> Iterator[str]:
        """The keys of all changes that the claim's access depends on."""
        group = self._groups[claim.group]
        yield from (set_key(grant.permission_set) for grant in sorted(group.grants))
        yield group_key(claim.group)
        yield from (assignment_key(claim.group, grant) for grant in sorted(group.grants))
        if not self._desired.external:
            yield user_key(claim.person)
            yield membership_key(claim.person, claim.group)

    def _permission_set(self, name: str) -> access_plan.Change:
        requested, known = self._desired.permission_sets[name], self._state.permission_sets.get(name)
        accounts = sorted(self._accounts[name])
        calls = permission_sets.permission_set_calls(requested, known, self._instance, accounts)
        if known and calls:
            record = object_records.settings_record(known, self._state.changing)
            calls = (replace(calls[0], notes={object_records.RECORD: record.as_data()}), *calls[1:])
        rests_on = f"its tag {'='.join(MANAGED_TAG)}" if known else ""
        fresh = name in self._fresh
        action = (
            access_plan.CREATE if known is None else access_plan.UPDATE if calls else _action_if_exists(fresh)
        )
        subject = self._shared_subject(model.PERMISSION_SET, name, accounts)
        touched = known.accounts if known else frozenset()
        details = granted(requested) if known is None else changed(known.settings, requested) if calls else ()
        documents = self._proofs.documents(self._holder.get(name, ""), requested.customer_policies)
        admin = administrative(requested, documents)
        return access_plan.Change(
            set_key(name),
            model.PERMISSION_SET,
            action,
            name,
            subject,
            calls,
            rests_on=rests_on,
            accounts=touched,
            details=(*self._administrators(name, admin), *details, *self._side_effects.changing(name)),
            administrative=admin,
            identifier=known.arn if known else "",
        )

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
        needs = (set_key(grant.permission_set), group_key(name))
        details = tuple(self._side_effects.assigning(name, grant))
        change = access_plan.Change(
            key, model.ASSIGNMENT, access_plan.ASSIGN, title, subject, (call,), needs, details=details
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
        # An assignment that exists needs no call, so it does not wait until its permission set is narrowed.
        grants = sorted(self._groups[group].grants)
        sets = sorted({set_key(grant.permission_set) for grant in grants})
        assigned = [assignment_key(group, grant) for grant in grants]
        needs = (*sets, *assigned, group_key(group), user_key(person))
        details = tuple(self._gains(person, group))
        return access_plan.Change(
            key, model.MEMBERSHIP, access_plan.CREATE, title, claim.subject, (call,), needs, details=details
        )

    def _gains(self, person: model.PersonKey, group: str) -> Iterator[str]:
        """What the membership gives, and for which IAM users, in lines for a reviewer."""
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


def _action_if_exists(fresh: bool) -> str:
    return access_plan.ADOPT if fresh else access_plan.UNCHANGED


def _group_rests_on(group: model.Group) -> str:
    if group.external:
        return "it comes from the identity provider"
    return "shared-group: true" if group.shared else f"its description begins with {group.description!r}"
