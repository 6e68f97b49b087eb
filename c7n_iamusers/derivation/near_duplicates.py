# SPDX-License-Identifier: Apache-2.0
"""Pairs of derived permission sets that are nearly equal, for people to merge. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from c7n_iamusers.derivation import model
from c7n_iamusers.derivation.canonical import Content
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, WIDER, Policies, grants_within
from c7n_iamusers.policy_comparison.principals import session_context

#: Nearly equal sets differ in at most this many policies and statements, and have more than that in common.
_NEAR = 3
#: Each set is compared with at most this many others that share a rare item. Nobody could use all pairs of thousands of
#: sets that differ in one statement.
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
