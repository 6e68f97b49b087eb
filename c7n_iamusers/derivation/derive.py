# SPDX-License-Identifier: Apache-2.0
"""Derives permission sets and groups for the IAM users of any number of accounts. Pure.

Pairs of nearly equal sets are listed for people to merge.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from c7n_iamusers.derivation import model
from c7n_iamusers.derivation.canonical import Content
from c7n_iamusers.derivation.others import PoliciesOf, Sides, no_policies, with_others
from c7n_iamusers.derivation.proving import new_policies, old_policies, session_of
from c7n_iamusers.derivation.refusals import unproven_reason
from c7n_iamusers.derivation.user_derivation import UserDerivation, UserDeriver
from c7n_iamusers.derivation.user_policies import UserPolicies
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison.budgets import asking
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, WIDER, Policies, Proof, grants_within
from c7n_iamusers.policy_comparison.principals import PrincipalPermissions, session_context, user_context
from c7n_iamusers.text.wording import folded

#: Hexadecimal digits: 128 bits, as others choose what is named.
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class SetHolder:
    """An IAM user, its person (empty if unknown), and the permission set that replaces it."""

    subject: Subject
    person: str
    set_name: str

    @property
    def assignment(self) -> tuple[str, str]:
        """Account id and set name."""
        return self.subject.account_id, self.set_name

    @property
    def owner(self) -> str:
        """The person, without regard to case; the user's ARN if the person is unknown."""
        return folded(self.person) or self.subject.arn


def groups_of(
    holders: Iterable[SetHolder], group_by: str = model.PER_ACCOUNT
) -> Mapping[Subject, model.DerivedGroup]:
    """The group of each user: one for each set and account, or one for all people with the same assignments."""
    members: defaultdict[tuple[tuple[str, str], ...], list[Subject]] = defaultdict(list)
    if group_by == model.PER_ACCOUNT:
        for holder in holders:
            members[(holder.assignment,)].append(holder.subject)
    else:
        listed = list(holders)
        whole = _assignments_by_owner(listed)
        for holder in listed:
            members[whole[holder.owner]].append(holder.subject)
    groups: dict[Subject, model.DerivedGroup] = {}
    for assignments, subjects in members.items():
        found = tuple(sorted(dict.fromkeys(subjects), key=subject_order))
        groups.update(dict.fromkeys(found, model.DerivedGroup(_name(assignments), assignments, found)))
    return groups


def _assignments_by_owner(holders: Iterable[SetHolder]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Owner -> all its assignments."""
    found = defaultdict(set)
    for holder in holders:
        found[holder.owner].add(holder.assignment)
    return {owner: tuple(sorted(assignments)) for owner, assignments in found.items()}


def _name(assignments: tuple[tuple[str, str], ...]) -> str:
    """At most 45 characters for one assignment; identitystore takes 1024."""
    if len(assignments) == 1:
        ((account_id, set_name),) = assignments
        return f"{set_name}-{account_id}"
    digest = sha256(canonical_policy(assignments).encode()).hexdigest()[:_DIGEST]
    return f"{len(assignments)}-assignments-{digest}"


def subject_order(subject: Subject) -> tuple[str, str]:
    """The sort key of users: account id and name."""
    return subject.account_id, subject.name


#: Nearly equal sets differ in at most this many policies and statements, and have more than that in common.
_NEAR = 3
#: Each set is compared with at most this many others that share a rare item, because all pairs of thousands of sets
#: that differ in one statement would be of no use.
_NEIGHBOURS = 20
#: The maximum number of pairs, as many as people can review.
MOST = 200
OTHER = "other"


@dataclass(frozen=True)
class _Set:
    name: str
    items: frozenset[str]
    policies: Policies


def near_duplicates(sets: Iterable[tuple[str, Content, Policies]]) -> tuple[model.NearDuplicate, ...]:
    """Pairs that share more than they differ in, and differ in little; the nearest first, up to ``MOST`` of them."""
    listed = [_Set(name, content.items, policies) for name, content, policies in sets]
    found = {(first.name, second.name): (first, second) for first, second in _candidates(listed)}
    nearest = sorted((len(first.items ^ second.items), names) for names, (first, second) in found.items())
    return tuple(_pair(*found[names]) for _, names in nearest[:MOST])


def _candidates(sets: list[_Set]) -> Iterator[tuple[_Set, _Set]]:
    """Pairs to compare: sets that differ in at most ``_NEAR`` items share one of their ``_NEAR + 1`` rarest."""
    counts = Counter(item for each in sets for item in each.items)
    buckets: defaultdict[str, list[_Set]] = defaultdict(list)
    for each in sorted(sets, key=lambda each: (sorted(each.items), each.name)):
        for item in sorted(each.items, key=lambda item: (counts[item], item))[: _NEAR + 1]:
            buckets[item].append(each)
    for bucket in buckets.values():
        for at, each in enumerate(bucket):
            for other in bucket[at + 1 : at + 1 + _NEIGHBOURS]:
                if _near(each, other):
                    yield (each, other) if each.name < other.name else (other, each)


def _near(first: _Set, second: _Set) -> bool:
    difference = len(first.items ^ second.items)
    return difference <= _NEAR and difference < len(first.items & second.items)


def _pair(first: _Set, second: _Set) -> model.NearDuplicate:
    return model.NearDuplicate(
        first.name,
        second.name,
        len(first.items ^ second.items),
        tuple(sorted(first.items - second.items)),
        tuple(sorted(second.items - first.items)),
        _relation(first.policies, second.policies),
    )


def _relation(first: Policies, second: Policies) -> str:
    context = session_context()
    within, beyond = grants_within(first, second, context), grants_within(second, first, context)
    if within:
        return EQUAL if beyond else NARROWER
    return WIDER if beyond else OTHER


@dataclass
class _Results:
    """The results so far. ``sets``: set name -> the set, and the policies of one of its users.

    ``scoped``: ids of a proof and of a scope -> both, and the proof with the scope; users share them.
    """

    options: model.DerivationOptions
    others: PoliciesOf = no_policies
    scoped: dict[tuple[int, int], tuple[Proof, object, Proof]] = field(default_factory=dict)
    sets: dict[str, tuple[model.DerivedSet, UserPolicies]] = field(default_factory=dict)
    accounts: dict[str, dict[str, None]] = field(default_factory=dict)
    passed: list[tuple[PrincipalPermissions, Subject, UserDerivation]] = field(default_factory=list)
    refused: list[model.NotDerived] = field(default_factory=list)

    def add(self, principal: PrincipalPermissions, result: UserDerivation) -> None:
        judged = self._judged(principal, result)
        proof = judged and model.with_acceptance(judged, principal.subject, self.options)
        reason = result.reason or (unproven_reason(proof) if proof and not model.is_permitted(proof) else "")
        if reason:
            self.refused.append(model.NotDerived(principal.subject, reason, proof))
            return
        assert result.derived
        assert result.held
        name = result.derived.name
        known, _ = self.sets.setdefault(name, (result.derived, result.held))
        if known != result.derived:
            raise ValueError(f"another user's permission set has its name, {name}, and other content")
        self.accounts.setdefault(name, {})[principal.account_id] = None
        # Users with the same policies share a result; an acceptance is for one user.
        same = proof is result.proof
        self.passed.append((principal, principal.subject, result if same else replace(result, proof=proof)))

    def _judged(self, principal: PrincipalPermissions, result: UserDerivation) -> Proof | None:
        """The proof with the policies of others."""
        proof, others = result.proof, self.others(principal.account_id)
        if proof is None or result.held is None or result.derived is None:
            return proof
        key = (id(proof), id(others.scope))
        if key not in self.scoped:
            scoped = replace(proof, scope=others.scope) if others.scope else proof
            self.scoped[key] = (proof, others.scope, scoped)
        if not others.policies:
            return self.scoped[key][-1]
        sides = Sides(
            principal,
            result.derived.name,
            new_policies(principal, result.derived),
            session_of(principal, self.options),
            old_policies(principal),
            user_context(principal, self.options.identity_center_mfa),
        )
        found = with_others(proof, sides, others, self.options)
        return (
            self.scoped[key][-1]
            if found.remarks == proof.remarks and found.verdict == proof.verdict
            else found
        )


def derive(
    principals: Iterable[PrincipalPermissions],
    options: model.DerivationOptions,
    others: PoliciesOf = no_policies,
) -> model.Derivation:
    """A permission set, a group and a proof for each user, or the reason why there is none.

    A user's set depends only on its own policies and ``options``; its proof also on the policies of ``others``.
    ``principals``: each user once.
    """
    results, users = _Results(options, others), UserDeriver(options)
    for principal in sorted(principals, key=lambda each: (each.account_id, each.user_name)):
        try:
            results.add(principal, users.of(principal))
        except Exception as error:  # noqa: BLE001  # whatever one user's policies have, the others are derived
            reason = f"its policies can't be compared: {error!r}"
            results.refused.append(model.NotDerived(principal.subject, reason))
    return _derivation(results)


def _derivation(results: _Results) -> model.Derivation:
    groups = _groups(results)
    principals = [
        model.DerivedPrincipal(subject, result.derived.name, groups[subject].name, result.proof)
        for _, subject, result in results.passed
        if result.derived and result.proof
    ]
    sets = [
        replace(derived, accounts=tuple(sorted(results.accounts[name])))
        for name, (derived, _) in results.sets.items()
    ]
    return model.Derivation(
        tuple(sorted(sets, key=lambda each: each.name)),
        _distinct(groups.values()),
        tuple(sorted(principals, key=lambda each: subject_order(each.subject))),
        tuple(sorted(results.refused, key=lambda each: subject_order(each.subject))),
        _near_duplicates(results),
    )


def _near_duplicates(results: _Results) -> tuple[model.NearDuplicate, ...]:
    # they are of no single account
    with asking(results.options.times, "", "near duplicates"):
        return near_duplicates(
            (name, held.content, new_policies(held.principal, derived))
            for name, (derived, held) in results.sets.items()
        )


def _groups(results: _Results) -> Mapping[Subject, model.DerivedGroup]:
    """The group of each user."""
    holders = (
        SetHolder(subject, principal.person, result.derived.name)
        for principal, subject, result in results.passed
        if result.derived
    )
    return groups_of(holders, results.options.group_by)


def _distinct(groups: Iterable[model.DerivedGroup]) -> tuple[model.DerivedGroup, ...]:
    named = {group.name: group for group in groups}
    return tuple(named[name] for name in sorted(named))
