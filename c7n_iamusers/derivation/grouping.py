# SPDX-License-Identifier: Apache-2.0
"""Groups for the users of permission sets, and pairs of nearly equal sets, for people to merge. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from c7n_iamusers.derivation.canonical import Content
from c7n_iamusers.derivation.model import PER_ACCOUNT, DerivedGroup, NearDuplicate
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, WIDER, Policies, grants_within
from c7n_iamusers.policy_comparison.principals import session_context
from c7n_iamusers.text.wording import folded

_DIGEST = 10


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


def groups_of(holders: Iterable[SetHolder], group_by: str = PER_ACCOUNT) -> Mapping[Subject, DerivedGroup]:
    """The group of each user: one for each set and account, or one for all people with the same assignments."""
    listed = list(holders)
    whole = _assignments_by_owner(listed)
    keys = {
        holder: (holder.assignment,) if group_by == PER_ACCOUNT else whole[holder.owner] for holder in listed
    }
    members = defaultdict(list)
    for holder, assignments in keys.items():
        members[assignments].append(holder.subject)
    groups = {
        assignments: DerivedGroup(_name(assignments), assignments, tuple(sorted(subjects, key=subject_order)))
        for assignments, subjects in members.items()
    }
    return {holder.subject: groups[assignments] for holder, assignments in keys.items()}


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


def near_duplicates(sets: Iterable[tuple[str, Content, Policies]]) -> tuple[NearDuplicate, ...]:
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
