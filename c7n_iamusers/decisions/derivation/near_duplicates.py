# SPDX-License-Identifier: Apache-2.0
"""Permission sets that are nearly the same, for a person to merge. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from c7n_iamusers.decisions.derivation.content import Content
from c7n_iamusers.decisions.policy_comparison.comparison import Policies, grants_within
from c7n_iamusers.decisions.policy_comparison.ways_in import as_session
from c7n_iamusers.model.access_proof import EQUAL, NARROWER, WIDER
from c7n_iamusers.model.derivation import NearDuplicate

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
    way_in = as_session()
    within, beyond = grants_within(first, second, way_in), grants_within(second, first, way_in)
    if within:
        return EQUAL if beyond else NARROWER
    return WIDER if beyond else OTHER
