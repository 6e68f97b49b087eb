# SPDX-License-Identifier: Apache-2.0
"""The change of each permission set, group, assignment, user and membership; what forbids it; quotas. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from sys import intern
from typing import Any

from c7n_iamusers.derivation.existing_sets import ExistingSetProofs
from c7n_iamusers.derivation.permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.evidence.admin_rights import is_admin
from c7n_iamusers.evidence.model import AppliedPolicy
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import Ref, Subject
from c7n_iamusers.identity_center import adoption as groups
from c7n_iamusers.identity_center.adoption import USER_ID, check_group, check_members, user_call
from c7n_iamusers.identity_center.model import (
    ADOPT,
    ASSIGN,
    ASSIGNMENT,
    AWAIT,
    CREATE,
    GROUP,
    MEMBERSHIP,
    MISSING,
    PERMISSION_SET,
    UNCHANGED,
    UPDATE,
    USER,
    Assignment,
    CenterQuotas,
    CenterState,
    Change,
    Claim,
    DesiredAccess,
    Grant,
    Group,
    Instance,
    KnownGroup,
    KnownPermissionSet,
    KnownPerson,
    PersonKey,
)
from c7n_iamusers.identity_center.permission_sets import (
    PERMISSION_SET_ARN,
    check_permission_set,
    permission_set_calls,
    statements_of,
)
from c7n_iamusers.identity_center.reaching import Reaching
from c7n_iamusers.text.wording import shown

#: So many people are named in a line; the rest are counted.
_NAMED = 10


def granted(wanted: PermissionSet) -> Iterator[str]:
    """Everything that decides what holders may do, and for how long."""
    yield f"session duration: {wanted.session_duration}"
    yield from (f"AWS-managed policy: {arn}" for arn in sorted(wanted.managed_policies))
    yield from (
        f"customer-managed policy, as it stands in each account: {policy}"
        for policy in sorted(wanted.customer_policies)
    )
    yield f"permissions boundary: {wanted.boundary or 'none'}"
    yield from (f"inline: {text}" for text in statements_of(wanted.inline_policy))
    if wanted.relay_state:
        yield f"relay state: {wanted.relay_state}"


def changed(present: PermissionSet, wanted: PermissionSet) -> Iterator[str]:
    """Old -> new, piece by piece; lines that stay are left out."""
    if present.session_duration != wanted.session_duration:
        yield f"session duration: {present.session_duration} -> {wanted.session_duration}"
    if present.boundary != wanted.boundary:
        yield f"permissions boundary: {present.boundary or 'none'} -> {wanted.boundary or 'none'}"
    for kind, old, new in (
        ("AWS-managed policy", present.managed_policies, wanted.managed_policies),
        ("customer-managed policy", present.customer_policies, wanted.customer_policies),
        ("inline", statements_of(present.inline_policy), statements_of(wanted.inline_policy)),
    ):
        yield from _difference(kind, list(old), list(new))
    # What was not given stays as it is.
    if wanted.relay_state not in ("", present.relay_state):
        yield f"relay state: {present.relay_state or 'none'} -> {wanted.relay_state}"
    if wanted.description not in ("", present.description):
        yield f"description: {present.description or 'none'} -> {wanted.description}"
    for key, value in sorted(wanted.tags.items()):
        if present.tags.get(key) != value:
            yield f"tag {key}: {present.tags.get(key, 'none')} -> {value}"


def administrative(wanted: PermissionSet, documents: Mapping[str, Any]) -> str:
    """The policy that makes its holders administrators, in words; empty where none is known to.

    ``documents``: path and name of the customer-managed policies that are known -> document.
    """
    found = [AppliedPolicy(arn.rpartition("/")[2], arn) for arn in sorted(wanted.managed_policies)]
    found += [
        AppliedPolicy(policy, policy, document=documents[policy])
        for policy in sorted(wanted.customer_policies)
        if policy in documents
    ]
    if wanted.inline_policy:
        found.append(AppliedPolicy("its inline policy", document=wanted.inline_policy))
    return next((each.name for each in found if is_admin(each)), "")


def _difference(kind: str, old: list[str], new: list[str]) -> Iterable[str]:
    yield from (f"- {kind}: {text}" for text in sorted(set(old) - set(new)))
    yield from (f"+ {kind}: {text}" for text in sorted(set(new) - set(old)))


# Keys are interned, since each stands in many places of a plan: those of changes, of what needs them, of claims.


def set_key(name: str) -> str:
    """The key of a permission set's change."""
    return intern(f"{PERMISSION_SET} {name}")


def group_key(name: str) -> str:
    """The key of a group's change."""
    return intern(f"{GROUP} {name}")


def assignment_key(group: str, grant: Grant) -> str:
    """The key of an assignment's change: one a group, set and account, however many people there are."""
    return intern(f"{ASSIGNMENT} {grant.account_id}/{grant.permission_set}/{group}")


def user_key(person: PersonKey) -> str:
    """The key of a user's change."""
    return intern(f"{USER} {person[0]}")


def membership_key(person: PersonKey, group: str) -> str:
    """The key of a membership's change."""
    return intern(f"{MEMBERSHIP} {person[0]}/{group}")


class Changes:
    """The changes that ``claims`` need; nobody else's are in them."""

    def __init__(
        self,
        desired: DesiredAccess,
        state: CenterState,
        people: Mapping[PersonKey, KnownPerson],
        claims: Sequence[Claim],
        instance: Instance,
        proofs: ExistingSetProofs | None = None,
        reach: Reaching | None = None,
    ) -> None:
        self._desired, self._state, self._people, self._instance = desired, state, people, instance
        self._proofs = proofs or ExistingSetProofs()
        self._reach = reach or Reaching(desired, state, people, claims, instance)
        self._holders: defaultdict[str, set[tuple[PersonKey, str]]] = defaultdict(set)
        for claim in claims:
            self._holders[claim.grant.permission_set].add((claim.person, claim.grant.account_id))
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
        calls = permission_set_calls(wanted, known, self._instance, accounts)
        ours = f"its tag {'='.join(MANAGED_TAG)}" if known else ""
        fresh = name in self._fresh
        action = CREATE if known is None else UPDATE if calls else _standing(fresh)
        subject = self._shared_subject(PERMISSION_SET, name, accounts)
        touched = known.accounts if known else frozenset()
        details = granted(wanted) if known is None else changed(known.settings, wanted) if calls else ()
        documents = self._proofs.documents(self._holder.get(name, ""), wanted.customer_policies)
        admin = administrative(wanted, documents)
        return Change(
            set_key(name),
            PERMISSION_SET,
            action,
            name,
            subject,
            calls,
            rests_on=ours,
            accounts=touched,
            details=(*self._administrators(name, admin), *details, *self._reach.changing(name)),
            administrative=admin,
            identifier=known.arn if known else "",
        )

    def _administrators(self, name: str, admin: str) -> Iterator[str]:
        """Who gets a set that makes administrators, and where."""
        if admin:
            people = {f"{person[0]} in account {account}" for person, account in self._holders[name]}
            yield f"administrators: {', '.join(sorted(people))}"

    def _group(self, group: Group) -> Change:
        known = self._state.groups.get(group.name)
        calls = groups.group_calls(group, known, self._instance)
        fresh = not all(self._stands(group.name, grant) for grant in group.grants)
        action = _standing(fresh) if known else CREATE if calls else MISSING
        subject = self._shared_subject(GROUP, group.name, {grant.account_id for grant in group.grants})
        ours = _group_rests_on(group) if known else ""
        return Change(
            group_key(group.name),
            GROUP,
            action,
            group.name,
            subject,
            calls,
            rests_on=ours,
            identifier=known.group_id if known else "",
        )

    def _assignment(self, name: str, grant: Grant) -> Change:
        subject = self._shared_subject("assignment of group", name, {grant.account_id})
        key, title = assignment_key(name, grant), f"{name} -> {grant}"
        if self._stands(name, grant):
            return Change(key, ASSIGNMENT, UNCHANGED, title, subject)
        known_set, known_group = (
            self._state.permission_sets.get(grant.permission_set),
            self._state.groups.get(name),
        )
        arn = known_set.arn if known_set else Ref(f"{set_key(grant.permission_set)}:{PERMISSION_SET_ARN}")
        group_id = known_group.group_id if known_group else Ref(f"{group_key(name)}:{groups.GROUP_ID}")
        call = groups.assignment_call(grant.account_id, arn, group_id, self._instance)
        awaits = self._pending(grant.account_id, arn, group_id)
        action = AWAIT if awaits else ASSIGN
        needs = (set_key(grant.permission_set), group_key(name))
        details = tuple(self._reach.assigning(name, grant))
        return Change(key, ASSIGNMENT, action, title, subject, (call,), needs, awaits=awaits, details=details)

    def _user(self, key: PersonKey) -> Change:
        person, known = self._desired.people[key], self._people.get(key)
        claims = self._by_person[key]
        told = f"{person.username} <{person.email}>"
        if known is None:
            call = user_call(person, self._instance)
            subject = claims[0].subject
            return Change(user_key(key), USER, CREATE, told, subject, (call,), lazy=True)
        action = _standing(not all(self._is_member(key, claim.group) for claim in claims))
        users = sorted({f"{claim.subject}, by {claim.rests_on}" for claim in claims})
        ours = f"username and e-mail are those of {shown(users)}"
        identifier = known.user_id
        return Change(
            user_key(key), USER, action, told, claims[0].subject, rests_on=ours, identifier=identifier
        )

    def _membership(self, person: PersonKey, group: str) -> Change:
        key, known = membership_key(person, group), self._people.get(person)
        claim = next(each for each in self._by_person[person] if each.group == group)
        title = f"{self._desired.people[person].username} in {group}"
        if self._is_member(person, group):
            return Change(key, MEMBERSHIP, UNCHANGED, title, claim.subject)
        known_group = self._state.groups.get(group)
        group_id = known_group.group_id if known_group else Ref(f"{group_key(group)}:{groups.GROUP_ID}")
        user_id = known.user_id if known else Ref(f"{user_key(person)}:{USER_ID}")
        call = groups.membership_call(group_id, user_id, self._instance)
        assigned = [assignment_key(group, grant) for grant in sorted(self._groups[group].grants)]
        needs = (*assigned, group_key(group), user_key(person))
        details = tuple(self._gains(person, group))
        return Change(key, MEMBERSHIP, CREATE, title, claim.subject, (call,), needs, details=details)

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
            yield f"gains {grant} (IAM user {shown(sorted(users), _NAMED) or 'of none: shared-group'})"
        for further in self._reach.further(group):
            yield f"gains {further}, which the group has already (IAM user of none: shared-group)"

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
    return ADOPT if fresh else UNCHANGED


def _group_rests_on(group: Group) -> str:
    if group.external:
        return "it is the identity provider's"
    return "shared-group: true" if group.shared else f"its description begins with {group.description!r}"


def quota_faults(
    desired: DesiredAccess, state: CenterState, changes: Iterable[Change], sets: int, quotas: CenterQuotas
) -> tuple[str, ...]:
    """Each quota that ``changes`` would go beyond, with the figures and the mend; ``sets``: those of the instance."""
    listed = list(changes)
    return (*_of_instance(listed, sets, quotas), *_of_accounts(desired, state, listed, quotas))


def check_policies(wanted: PermissionSet, quotas: CenterQuotas) -> str:
    """Why the set has too many policies; empty where it has not."""
    count = len(wanted.managed_policies) + len(wanted.customer_policies)
    if count <= quotas.policies_per_set:
        return ""
    return (
        f"permission set {wanted.name} has {count} managed policies, and one takes {quotas.policies_per_set}: put some "
        f"into its inline policy, or have the quota raised and give --quota policies-per-set={count}"
    )


def _of_instance(changes: list[Change], sets: int, quotas: CenterQuotas) -> Iterator[str]:
    new = sum((each.kind, each.action) == (PERMISSION_SET, CREATE) for each in changes)
    if new and sets + new > quotas.permission_sets:
        yield (
            f"{new} permission sets beside the {sets} that there are make {sets + new}, and an instance takes "
            f"{quotas.permission_sets}: let users with nearly the same policies share them, or have the quota raised "
            f"and give --quota permission-sets={sets + new}"
        )


def _of_accounts(
    desired: DesiredAccess, state: CenterState, changes: list[Change], quotas: CenterQuotas
) -> Iterator[str]:
    made = {change.key for change in changes if change.kind == ASSIGNMENT and change.is_work}
    sets: defaultdict[str, set[str]] = defaultdict(set)
    groups: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for name, group in desired.groups.items():
        for grant in group.grants:
            if f"{ASSIGNMENT} {grant.account_id}/{grant.permission_set}/{name}" in made:
                sets[grant.account_id].add(grant.permission_set)
                groups[grant.account_id, grant.permission_set].add(name)
    for account, new in sorted(sets.items()):
        standing = state.standing.holders.get(account, {})
        names = {state.standing.set_names.get(arn, arn) for arn in standing}
        if len(names | new) > quotas.sets_per_account:
            yield (
                f"account {account} would have {len(names | new)} permission sets, and takes "
                f"{quotas.sets_per_account}: remove some, or have the quota raised and give --quota "
                f"sets-per-account={len(names | new)}"
            )
    for (account, name), added in sorted(groups.items()):
        known = state.permission_sets.get(name)
        held = state.standing.holders.get(account, {}).get(known.arn, frozenset()) if known else frozenset()
        count = len(added) + sum(kind == "GROUP" for kind, _ in held)
        if count > quotas.groups_per_set:
            yield (
                f"permission set {name} would have {count} groups in account {account}, and takes "
                f"{quotas.groups_per_set}: let people share groups, or have the quota raised and give --quota "
                f"groups-per-set={count}"
            )


def own_assignments(group: Group, state: CenterState) -> tuple[frozenset[Assignment], bool]:
    """The assignments that the group is to have whose permission sets exist, and whether these are all."""
    sets = state.permission_sets
    found = frozenset(
        Assignment(grant.account_id, sets[grant.permission_set].arn)
        for grant in group.grants
        if grant.permission_set in sets
    )
    return found, len(found) == len(group.grants)


class Problems:
    """Why nothing may be done for a claim, by the first of its parts that forbids it."""

    def __init__(
        self,
        desired: DesiredAccess,
        state: CenterState,
        people: Mapping[PersonKey, KnownPerson],
        strange: Mapping[PersonKey, str],
        instance: Instance,
        quotas: CenterQuotas,
    ) -> None:
        self._people = strange
        self._sets = {
            name: text
            for name, wanted in desired.permission_sets.items()
            if (
                text := _told(
                    lambda w=wanted, n=name: _check_set(
                        w, state.permission_sets.get(n), state, instance, quotas
                    )
                )
            )
        }
        self._groups = {
            name: text
            for name, group in desired.groups.items()
            if (text := _told(lambda g=group: self._check(g, desired, state, people, instance)))
        }

    def of(self, claim: Claim) -> str:
        """The problem; empty where there is none."""
        return self._people.get(claim.person) or self._groups.get(claim.group) or ""

    def _check(
        self,
        group: Group,
        desired: DesiredAccess,
        state: CenterState,
        people: Mapping[PersonKey, KnownPerson],
        instance: Instance,
    ) -> None:
        if state.is_delegated and any(grant.account_id == instance.owner for grant in group.grants):
            raise IdentityCenterError(
                f"group {group.name} is to be assigned in management account {instance.owner}, which a delegated "
                "administrator can't: give as role: one of the management account"
            )
        for name in sorted({grant.permission_set for grant in group.grants}):
            if problem := self._sets.get(name):
                raise IdentityCenterError(problem)
        known = state.groups.get(group.name)
        own, complete = own_assignments(group, state)
        check_group(group, _with_pending(known, state), own, state.standing.set_names)
        expected = {people[key].user_id for key in desired.members(group.name) if key in people}
        check_members(group, known, own, complete, expected)


def _with_pending(known: KnownGroup | None, state: CenterState) -> KnownGroup | None:
    """The group with what it is being assigned, whoever asked for that."""
    pending = {
        Assignment(each.account_id, each.permission_set_arn)
        for each in state.pending.values()
        if known and each.group_id == known.group_id
    }
    return replace(known, assignments=known.assignments | pending) if known and pending else known


def _check_set(
    wanted: PermissionSet,
    known: KnownPermissionSet | None,
    state: CenterState,
    instance: Instance,
    quotas: CenterQuotas,
) -> None:
    check_permission_set(wanted, known)
    if fault := check_policies(wanted, quotas):
        raise IdentityCenterError(fault)
    barred = known is not None and state.is_delegated and instance.owner in known.accounts
    if barred and permission_set_calls(wanted, known, instance, [instance.owner]):
        raise IdentityCenterError(
            f"permission set {wanted.name} is provisioned in management account {instance.owner}, and to be "
            "changed, which a delegated administrator can't: give as role: one of the management account"
        )


def _told(check: object) -> str:
    try:
        check()  # type: ignore[operator]
    except IdentityCenterError as error:
        return str(error)
    return ""
