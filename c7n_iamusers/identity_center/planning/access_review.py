# SPDX-License-Identifier: Apache-2.0
"""Compares all access that people have in an account with their IAM users' permissions. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning.permission_sets import differs, lasts_longer, may_widen
from c7n_iamusers.identity_center.planning.removals import Removals
from c7n_iamusers.identity_center.planning.review_input import Comparison
from c7n_iamusers.identity_center.planning.unrequested_access import DIRECT
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, UNDECIDED, WIDER


@dataclass(frozen=True, order=True)
class HeldSet:
    """A permission set that a person has. ``through``: the group or direct assignment, in words.

    ``group_id``: empty for a direct assignment. ``managed``: this package made the group, for certain people.
    """

    set_name: str
    through: str
    arn: str
    group_id: str = ""
    managed: bool = False


def held_in(current: model.CurrentAccess, account: str) -> dict[str, list[HeldSet]]:
    """User id -> the permission sets that the user has in the account."""
    by_user: defaultdict[str, list[HeldSet]] = defaultdict(list)
    for arn, principals in sorted(current.holders.get(account, {}).items()):
        for principal in sorted(principals):
            held, users = _held(current, arn, principal)
            for user in users:
                by_user[user].append(held)
    return by_user


def held_by_people(current: model.CurrentAccess) -> Iterator[tuple[str, str, list[HeldSet]]]:
    """Account id, user id and the user's permission sets in the account, in the order of account and username."""
    for account in sorted(current.holders):
        by_user = held_in(current, account)
        for user in sorted(by_user, key=lambda user_id: (current.usernames.get(user_id, user_id), user_id)):
            yield account, user, sorted(by_user[user])


def _held(
    current: model.CurrentAccess, arn: str, principal: model.Principal
) -> tuple[HeldSet, frozenset[str]]:
    kind, identifier = principal
    name = current.set_names.get(arn, arn)
    if kind == "USER":
        return HeldSet(name, DIRECT, arn), frozenset({identifier} if principal not in current.gone else ())
    group = current.groups.get(identifier)
    if group is None:
        return HeldSet(name, f"group id {identifier}", arn, identifier), frozenset()
    return HeldSet(name, f"group {group.name}", arn, identifier, group.is_restricted), group.members


def total_access(
    comparison: Comparison, removals: Removals
) -> tuple[tuple[access_plan.TotalAccess, ...], tuple[access_plan.EndingAccess, ...]]:
    """The total access of all people with claims in each of their accounts, and the access that they lose.

    ``removals``: of ``comparison``.
    """
    found = _Totals(comparison, removals)
    return tuple(found.all()), tuple(found.ending)


class _Totals:
    def __init__(self, comparison: Comparison, removals: Removals) -> None:
        given = comparison.given
        self._comparison, self._given, self._evidence = comparison, given, given.evidence
        self._state, self._current = given.state, given.state.current
        self._leaving, self._former, self._ended = removals.leaving, removals.former, removals.ended
        #: Filled by ``all``.
        self.ending: list[access_plan.EndingAccess] = []

    def all(self) -> Iterator[access_plan.TotalAccess]:
        groups = self._groups_of_people()
        by_account: defaultdict[str, set[model.PersonKey]] = defaultdict(set)
        for person, account in self._comparison.claims:
            by_account[account].add(person)
        given = {name: self._given_through(name) for name in {claim.group for claim in self._given.claims}}
        for person, names in groups.items():
            for account in {grant.account_id for name in names for grant in given[name]}:
                by_account[account].add(person)
        for account, people in sorted(by_account.items()):
            held = held_in(self._current, account)
            for person in sorted(people):
                claims = self._comparison.claims.get((person, account), [])
                gains = {
                    (grant.permission_set, self._through(name)): self._consents(name, grant)
                    for name in sorted(groups.get(person, ()))
                    for grant in given[name]
                    if grant.account_id == account
                    and (self._through(name), grant) not in self._ended
                    and not self._is_others(person, name, grant)
                }
                present = held.get(self._comparison.user_id(person), [])
                removals = dict(self._removals(person, account, present))
                staying = [one for one in present if one not in removals] if removals else present
                beyond = tuple(self._further_access(person, claims, staying, gains))
                self.ending += self._ending(person, account, claims, removals)
                verdict = WIDER if any(access.is_more for access in beyond) else self._worst(claims)
                if claims or beyond:
                    yield access_plan.TotalAccess(person, account, verdict, beyond, not claims)

    def _removals(
        self, person: model.PersonKey, account: str, held: Iterable[HeldSet]
    ) -> Iterator[tuple[HeldSet, str]]:
        """The access that the person loses, with the key of the removal that ends it."""
        user_id = self._comparison.user_id(person)
        for one in held if self._ended or self._leaving else ():
            key = self._ended.get((one.through, model.Grant(account, one.set_name)))
            if key := key or self._leaving.get((user_id, one.group_id)):
                yield one, key

    def _ending(
        self,
        person: model.PersonKey,
        account: str,
        claims: Sequence[model.Claim],
        removals: Mapping[HeldSet, str],
    ) -> Iterator[access_plan.EndingAccess]:
        names = {claim.grant.permission_set for claim in claims}
        for held, key in removals.items():
            if held.set_name not in names:
                covered = self._comparison.covers(claims, held.set_name)
                access = access_plan.FurtherAccess(held.set_name, held.through, True, covered)
                yield access_plan.EndingAccess(key, person, account, access)

    def _groups_of_people(self) -> Mapping[model.PersonKey, set[str]]:
        """The requested groups of each person, or only the present ones."""
        groups: defaultdict[model.PersonKey, set[str]] = defaultdict(set)
        for claim in self._given.claims:
            if not self._comparison.as_is or self._is_in(claim.person, claim.group):
                groups[claim.person].add(claim.group)
        return groups

    def _given_through(self, name: str) -> list[model.Grant]:
        """All access that the group gives once the plan is applied, or now."""
        requested = self._given.desired.groups[name].grants
        if self._comparison.as_is:
            requested = frozenset(grant for grant in requested if self._state.is_assigned(name, grant))
        return sorted({*requested, *self._comparison.side_effects.further(name)})

    def _is_in(self, person: model.PersonKey, group: str) -> bool:
        known = self._state.groups.get(group)
        return known is not None and self._comparison.user_id(person) in known.members

    def _further_access(
        self,
        person: model.PersonKey,
        claims: Sequence[model.Claim],
        held: Iterable[HeldSet],
        gained: Mapping[tuple[str, str], bool],
    ) -> Iterator[access_plan.FurtherAccess]:
        """``gained``: permission set and group of all access by the person's groups -> whether it is consented."""
        requested = {(claim.grant.permission_set, self._through(claim.group)) for claim in claims}
        names = {name for name, _ in requested}
        user_id = self._comparison.user_id(person)
        current = {(one.set_name, one.through): one.managed for one in held}
        former = {(one.set_name, one.through) for one in held if (user_id, one.group_id) in self._former}
        for name, through in [*current, *sorted(gained.keys() - current.keys())]:
            if (name, through) not in requested:
                covered = name in names or self._comparison.covers(claims, name)
                consented = gained.get((name, through))
                yield access_plan.FurtherAccess(
                    name,
                    through,
                    current.get((name, through), False),
                    covered,
                    consented is not None,
                    bool(consented),
                    (name, through) in former,
                )

    def _is_others(self, person: model.PersonKey, name: str, grant: model.Grant) -> bool:
        """Whether the group already gives it to the person, in an unchosen account that may request it."""
        only, group = self._evidence.only, self._state.groups.get(name)
        if only is None or grant.account_id in only or group is None or not self._is_in(person, name):
            return False
        return grant in {
            model.Grant(assignment.account_id, self._comparison.set_name(assignment.permission_set_arn))
            for assignment in group.assignments
        }

    def _consents(self, name: str, grant: model.Grant) -> bool:
        """Whether policies request the grant for the group and all its members."""
        group = self._given.desired.groups[name]
        return group.shared and grant in group.grants

    def _through(self, group: str) -> str:
        known = self._state.groups.get(group)
        return f"group {known.name if known else group}"

    def _worst(self, claims: Sequence[model.Claim]) -> str:
        """The weakest verdict of the claims; empty if nothing was derived."""
        order = {"": 0, EQUAL: 1, NARROWER: 2}
        return max(map(self._verdict, claims), key=lambda verdict: order.get(verdict, 3), default="")

    def _verdict(self, claim: model.Claim) -> str:
        """The verdict on the claim's permission set once the plan is applied, or now."""
        name = claim.grant.permission_set
        known = self._state.permission_sets.get(name) if self._comparison.as_is else None
        if known is None:
            return claim.verdict
        if claim.grant.account_id in known.stale:
            return UNDECIDED
        requested = self._given.desired.permission_sets[name]
        if not differs(requested, known.settings):
            return claim.verdict
        if claim.verdict and not lasts_longer(known.settings, requested):
            return self._evidence.proofs.verdict(claim.subject.arn, known.settings)
        return WIDER if may_widen(known.settings, requested) else ""
