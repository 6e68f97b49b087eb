# SPDX-License-Identifier: Apache-2.0
"""Groups for permission sets, and sets that are nearly the same, for a person to merge. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from c7n_iamusers.derivation.canonical import Content
from c7n_iamusers.derivation.model import PER_ACCOUNT, DerivedGroup, NearDuplicate
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison.comparison import Policies, grants_within
from c7n_iamusers.policy_comparison.principals import session_context
from c7n_iamusers.policy_comparison.proof import EQUAL, NARROWER, WIDER
from c7n_iamusers.text.wording import folded

_DIGEST = 10


@dataclass(frozen=True, slots=True)
class SetHolder:
    """An IAM user, the person it belongs to (empty where unknown) and the set that takes its place."""

    subject: Subject
    person: str
    set_name: str

    @property
    def assignment(self) -> tuple[str, str]:
        """Account id and set name."""
        return self.subject.account_id, self.set_name

    @property
    def owner(self) -> str:
        """Whom other holders may share; a user of nobody known shares with none. Case tells no usernames apart."""
        return folded(self.person) or self.subject.arn


def groups_of(holders: Iterable[SetHolder], group_by: str = PER_ACCOUNT) -> Mapping[Subject, DerivedGroup]:
    """The group of each user: one for (set, account), or one for all people whose assignments are all the same."""
    listed = list(holders)
    whole = _maps(listed)
    keys = {seat: (seat.assignment,) if group_by == PER_ACCOUNT else whole[seat.owner] for seat in listed}
    members = defaultdict(list)
    for seat, assignments in keys.items():
        members[assignments].append(seat.subject)
    groups = {
        assignments: DerivedGroup(_name(assignments), assignments, tuple(sorted(subjects, key=_order)))
        for assignments, subjects in members.items()
    }
    return {seat.subject: groups[assignments] for seat, assignments in keys.items()}


def _maps(holders: Iterable[SetHolder]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Owner -> all its assignments."""
    found = defaultdict(set)
    for seat in holders:
        found[seat.owner].add(seat.assignment)
    return {owner: tuple(sorted(assignments)) for owner, assignments in found.items()}


def _name(assignments: tuple[tuple[str, str], ...]) -> str:
    """At most 45 characters for one assignment; identitystore takes 1024."""
    if len(assignments) == 1:
        ((account_id, set_name),) = assignments
        return f"{set_name}-{account_id}"
    digest = sha256(canonical_policy(assignments).encode()).hexdigest()[:_DIGEST]
    return f"{len(assignments)}-assignments-{digest}"


def _order(subject: Subject) -> tuple[str, str]:
    return subject.account_id, subject.name


#: Policies and statements that only one of two sets has, up to which they count as near; they share more than that.
_NEAR = 3
#: How many of the next sets that share a rare piece with a set it is compared with: where thousands of sets differ in
#: one statement, all pairs of them would tell nobody anything.
_NEIGHBOURS = 20
#: As many pairs as a person may look through.
MOST = 200
OTHER = "other"


@dataclass(frozen=True)
class _Set:
    name: str
    items: frozenset[str]
    policies: Policies


def near_duplicates(sets: Iterable[tuple[str, Content, Policies]]) -> tuple[NearDuplicate, ...]:
    """Pairs that share more than they differ in, and differ in little; the nearest first, up to ``MOST`` of them."""
    listed = [_Set(name, content.items, policies) for name, content, policies in sets]
    found = {(first.name, second.name): (first, second) for first, second in _candidates(listed)}
    nearest = sorted((len(first.items ^ second.items), names) for names, (first, second) in found.items())
    return tuple(_pair(*found[names]) for _, names in nearest[:MOST])


def _candidates(sets: list[_Set]) -> Iterator[tuple[_Set, _Set]]:
    """Two sets that differ in at most ``_NEAR`` pieces share one of their ``_NEAR + 1`` rarest."""
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


def _pair(first: _Set, second: _Set) -> NearDuplicate:
    return NearDuplicate(
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
