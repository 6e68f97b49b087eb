# SPDX-License-Identifier: Apache-2.0
"""What becomes of each permission set, group, assignment, user and membership that somebody needs. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from sys import intern

from c7n_iamusers.decisions import groups, identities, permission_sets
from c7n_iamusers.decisions.derivation.standing import StandingProofs
from c7n_iamusers.decisions.grants_shown import administrative, changed, granted
from c7n_iamusers.decisions.wording import shown
from c7n_iamusers.model import access_plan as plan
from c7n_iamusers.model.access import Claim, DesiredAccess, Grant, Group, PersonKey
from c7n_iamusers.model.access_plan import CenterState, Change
from c7n_iamusers.model.calls import Ref, Subject
from c7n_iamusers.model.identity_center import MANAGED_TAG, Assignment, Instance, KnownPerson

# Keys are interned, since each stands in many places of a plan: those of changes, of what needs them, of claims.


def set_key(name: str) -> str:
    """The key of a permission set's change."""
    return intern(f"{plan.PERMISSION_SET} {name}")


def group_key(name: str) -> str:
    """The key of a group's change."""
    return intern(f"{plan.GROUP} {name}")


def assignment_key(group: str, grant: Grant) -> str:
    """The key of an assignment's change: one a group, set and account, however many people there are."""
    return intern(f"{plan.ASSIGNMENT} {grant.account_id}/{grant.permission_set}/{group}")


def user_key(person: PersonKey) -> str:
    """The key of a user's change."""
    return intern(f"{plan.USER} {person[0]}")


def membership_key(person: PersonKey, group: str) -> str:
    """The key of a membership's change."""
    return intern(f"{plan.MEMBERSHIP} {person[0]}/{group}")


class Changes:
    """The changes that ``claims`` need; nobody else's are in them."""

    def __init__(
        self,
        desired: DesiredAccess,
        state: CenterState,
        people: Mapping[PersonKey, KnownPerson],
        claims: Sequence[Claim],
        instance: Instance,
        proofs: StandingProofs | None = None,
    ) -> None:
        self._desired, self._state, self._people, self._instance = desired, state, people, instance
        self._proofs = proofs or StandingProofs()
        self._holder = {claim.grant.permission_set: claim.subject.arn for claim in claims}
        self._pending_requests: dict[tuple[str, object, object], str] = {
            (each.account_id, each.permission_set_arn, each.group_id): request_id
            for request_id, each in state.pending.items()
        }
        self._fresh = self._unassigned(claims)
        self._by_person: defaultdict[PersonKey, list[Claim]] = defaultdict(list)
        for claim in claims:
            self._by_person[claim.person].append(claim)
        self._groups = {claim.group: desired.groups[claim.group] for claim in claims}
        self._memberships = sorted({(claim.person, claim.group) for claim in claims})
        self._grants = sorted((name, grant) for name, group in self._groups.items() for grant in group.grants)
        self._accounts: defaultdict[str, set[str]] = defaultdict(set)
        for _, grant in self._grants:
            self._accounts[grant.permission_set].add(grant.account_id)

    def all(self) -> Iterator[Change]:
        """Every change, in an order in which they can be made."""
        for name in sorted({grant.permission_set for _, grant in self._grants}):
            yield self._permission_set(name)
        for _, group in sorted(self._groups.items()):
            yield self._group(group)
        for name, grant in self._grants:
            if not (self._desired.external and name not in self._state.groups):
                yield self._assignment(name, grant)
        if not self._desired.external:
            yield from (self._user(person) for person in sorted(self._by_person))
            yield from (self._membership(*membership) for membership in self._memberships)

    def keys_of(self, claim: Claim) -> Iterator[str]:
        """The keys of all that the claim's access rests on."""
        group = self._groups[claim.group]
        yield from (set_key(grant.permission_set) for grant in sorted(group.grants))
        yield group_key(claim.group)
        yield from (assignment_key(claim.group, grant) for grant in sorted(group.grants))
        if not self._desired.external:
            yield user_key(claim.person)
            yield membership_key(claim.person, claim.group)

    def _permission_set(self, name: str) -> Change:
        wanted, known = self._desired.permission_sets[name], self._state.permission_sets.get(name)
        accounts = sorted(self._accounts[name])
        calls = permission_sets.permission_set_calls(wanted, known, self._instance, accounts)
        ours = f"its tag {'='.join(MANAGED_TAG)}" if known else ""
        fresh = name in self._fresh
        action = plan.CREATE if known is None else plan.UPDATE if calls else _standing(fresh)
        subject = self._shared_subject(plan.PERMISSION_SET, name, accounts)
        touched = known.accounts if known else frozenset()
        details = granted(wanted) if known is None else changed(known.settings, wanted) if calls else ()
        documents = self._proofs.documents(self._holder.get(name, ""), wanted.customer_policies)
        return Change(
            set_key(name),
            plan.PERMISSION_SET,
            action,
            name,
            subject,
            calls,
            rests_on=ours,
            accounts=touched,
            details=tuple(details),
            administrative=administrative(wanted, documents),
        )

    def _group(self, group: Group) -> Change:
        known = self._state.groups.get(group.name)
        calls = groups.group_calls(group, known, self._instance)
        fresh = not all(self._stands(group.name, grant) for grant in group.grants)
        action = _standing(fresh) if known else plan.CREATE if calls else plan.MISSING
        subject = self._shared_subject(plan.GROUP, group.name, {grant.account_id for grant in group.grants})
        ours = _group_rests_on(group) if known else ""
        return Change(group_key(group.name), plan.GROUP, action, group.name, subject, calls, rests_on=ours)

    def _assignment(self, name: str, grant: Grant) -> Change:
        subject = self._shared_subject("assignment of group", name, {grant.account_id})
        key, title = assignment_key(name, grant), f"{name} -> {grant}"
        if self._stands(name, grant):
            return Change(key, plan.ASSIGNMENT, plan.UNCHANGED, title, subject)
        known_set, known_group = (
            self._state.permission_sets.get(grant.permission_set),
            self._state.groups.get(name),
        )
        arn = (
            known_set.arn
            if known_set
            else Ref(f"{set_key(grant.permission_set)}:{permission_sets.PERMISSION_SET}")
        )
        group_id = known_group.group_id if known_group else Ref(f"{group_key(name)}:{groups.GROUP}")
        call = groups.assignment_call(grant.account_id, arn, group_id, self._instance)
        awaits = self._pending(grant.account_id, arn, group_id)
        action = plan.AWAIT if awaits else plan.ASSIGN
        needs = (set_key(grant.permission_set), group_key(name))
        return Change(key, plan.ASSIGNMENT, action, title, subject, (call,), needs, awaits=awaits)

    def _user(self, key: PersonKey) -> Change:
        person, known = self._desired.people[key], self._people.get(key)
        claims = self._by_person[key]
        told = f"{person.username} <{person.email}>"
        if known is None:
            call = identities.user_call(person, self._instance)
            subject = claims[0].subject
            return Change(user_key(key), plan.USER, plan.CREATE, told, subject, (call,), lazy=True)
        action = _standing(not all(self._is_member(key, claim.group) for claim in claims))
        users = sorted({f"{claim.subject}, by {claim.rests_on}" for claim in claims})
        ours = f"username and e-mail are those of {shown(users)}"
        return Change(user_key(key), plan.USER, action, told, claims[0].subject, rests_on=ours)

    def _membership(self, person: PersonKey, group: str) -> Change:
        key, known = membership_key(person, group), self._people.get(person)
        claim = next(each for each in self._by_person[person] if each.group == group)
        title = f"{self._desired.people[person].username} in {group}"
        if self._is_member(person, group):
            return Change(key, plan.MEMBERSHIP, plan.UNCHANGED, title, claim.subject)
        known_group = self._state.groups.get(group)
        group_id = known_group.group_id if known_group else Ref(f"{group_key(group)}:{groups.GROUP}")
        user_id = known.user_id if known else Ref(f"{user_key(person)}:{identities.USER}")
        call = groups.membership_call(group_id, user_id, self._instance)
        assigned = [assignment_key(group, grant) for grant in sorted(self._groups[group].grants)]
        needs = (*assigned, group_key(group), user_key(person))
        details = tuple(self._gains(person, group))
        return Change(
            key, plan.MEMBERSHIP, plan.CREATE, title, claim.subject, (call,), needs, details=details
        )

    def _gains(self, person: PersonKey, group: str) -> Iterator[str]:
        """What the membership gives, and for which IAM users."""
        for grant in sorted(self._groups[group].grants):
            claims = [
                claim
                for claim in self._by_person[person]
                if (claim.group, claim.grant.account_id) == (group, grant.account_id)
            ]
            users = [
                f"{claim.subject.name}{f': {claim.verdict}' if claim.verdict else ''}" for claim in claims
            ]
            yield f"gains {grant} (IAM user {shown(sorted(users)) or 'of none: shared-group'})"

    def _unassigned(self, claims: Sequence[Claim]) -> frozenset[str]:
        """The sets that some group is yet to be assigned."""
        groups = {claim.group: self._desired.groups[claim.group] for claim in claims}
        return frozenset(
            grant.permission_set
            for name, group in groups.items()
            for grant in group.grants
            if not self._stands(name, grant)
        )

    def _is_member(self, person: PersonKey, group: str) -> bool:
        known, found = self._people.get(person), self._state.groups.get(group)
        return bool(known and found and known.user_id in found.members)

    def _stands(self, group: str, grant: Grant) -> bool:
        known_set, known_group = (
            self._state.permission_sets.get(grant.permission_set),
            self._state.groups.get(group),
        )
        if known_set is None or known_group is None:
            return False
        return Assignment(grant.account_id, known_set.arn) in known_group.assignments

    def _pending(self, account_id: str, arn: object, group_id: object) -> str:
        return self._pending_requests.get((account_id, arn, group_id), "")

    def _shared_subject(self, kind: str, name: str, accounts: Sequence[str] | set[str]) -> Subject:
        partition = self._instance.arn.split(":")[1]
        account = next(iter(accounts)) if len(accounts) == 1 else self._instance.owner
        return Subject(name, f"arn:{partition}:iam::{account}:root", kind=kind)


def _standing(fresh: bool) -> str:
    return plan.ADOPT if fresh else plan.UNCHANGED


def _group_rests_on(group: Group) -> str:
    if group.external:
        return "it is the identity provider's"
    return "shared-group: true" if group.shared else f"its description begins with {group.description!r}"
