# SPDX-License-Identifier: Apache-2.0
"""Permission sets that are nearly the same, for a person to merge. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

from c7n_iamusers.decisions.derivation.content import Content
from c7n_iamusers.decisions.policy_comparison.comparison import Policies, grants_within
from c7n_iamusers.decisions.policy_comparison.ways_in import as_session
from c7n_iamusers.model.access_proof import EQUAL, NARROWER, WIDER
from c7n_iamusers.model.derivation import NearDuplicate

#: Policies and statements that only one of two sets has, up to which they count as near; they share more than that.
_NEAR = 3
OTHER = "other"


def near_duplicates(
    sets: Iterable[tuple[Content, Policies]],
) -> tuple[NearDuplicate, ...]:
    """Pairs that share more than they differ in, and differ in little; the nearest first."""
    ordered = sorted(sets, key=lambda each: each[0].name)
    found = (
        _pair(*first, *second) for first, second in combinations(ordered, 2) if _near(first[0], second[0])
    )
    return tuple(sorted(found, key=lambda each: (each.difference, each.first, each.second)))


def _near(first: Content, second: Content) -> bool:
    difference = len(first.items ^ second.items)
    return difference <= _NEAR and difference < len(first.items & second.items)


def _pair(first: Content, policies: Policies, second: Content, others: Policies) -> NearDuplicate:
    return NearDuplicate(
        first.name,
        second.name,
        len(first.items ^ second.items),
        tuple(sorted(first.items - second.items)),
        tuple(sorted(second.items - first.items)),
        _relation(policies, others),
    )


def _relation(first: Policies, second: Policies) -> str:
    way_in = as_session()
    within, beyond = grants_within(first, second, way_in), grants_within(second, first, way_in)
    if within:
        return EQUAL if beyond else NARROWER
    return WIDER if beyond else OTHER
