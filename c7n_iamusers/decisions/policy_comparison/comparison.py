# SPDX-License-Identifier: Apache-2.0
"""Whether one way in grants no more than another, over all requests at once. Pure.

A request is granted when an Allow applies to it, and the boundary, where there is one, allows it too, and
no Deny applies (IAM User Guide, "Policy evaluation logic"). To compare, what the new way grants is taken
at its most and what the old one grants at its least, so an error can only be on the safe side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from c7n_iamusers.decisions.policy_comparison.coverage import Region, uncovered
from c7n_iamusers.decisions.policy_comparison.globs import TooComplex
from c7n_iamusers.decisions.policy_comparison.resolution import Bounds, Box, resolve
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement
from c7n_iamusers.decisions.policy_comparison.ways_in import WayIn
from c7n_iamusers.model.access_proof import EQUAL, NARROWER, WIDER, Witness

UNPROVEN = "not decided: too many cases"


@dataclass(frozen=True)
class Policies:
    """All statements in force for somebody; ``boundary`` None: there is none."""

    statements: tuple[PolicyStatement, ...]
    boundary: tuple[PolicyStatement, ...] | None = None


@dataclass(frozen=True)
class Access:
    """What is granted, in boxes; see ``Policies``."""

    allows: tuple[Box, ...]
    denies: tuple[Box, ...]
    boundary: tuple[Box, ...] | None


def compare(new: Policies, new_way: WayIn, old: Policies, old_way: WayIn) -> tuple[str, tuple[Witness, ...]]:
    """EQUAL, NARROWER or WIDER, and for the last what was found; whatever isn't proven is WIDER."""
    new_least, new_most = _access(new, new_way)
    old_least, old_most = _access(old, old_way)
    witnesses = widening(new_most, old_least)
    if witnesses:
        return WIDER, witnesses
    return (NARROWER if _exceeds(old_most, new_least) else EQUAL), ()


@lru_cache(maxsize=4096)
def widening(new: Access, old: Access) -> tuple[Witness, ...]:
    """A witness for each Allow of ``new`` that reaches beyond ``old``; none where that is proven not to be."""
    return tuple(_witnesses(new, old))


@lru_cache(maxsize=4096)
def _exceeds(new: Access, old: Access) -> bool:
    """Whether there is any witness; they need not all be found."""
    return next(_witnesses(new, old), None) is not None


def _witnesses(new: Access, old: Access) -> Iterator[Witness]:
    found = (_beyond(allow, new, old) for allow in new.allows)
    return (witness for witness in found if witness is not None)


def _beyond(allow: Box, new: Access, old: Access) -> Witness | None:
    try:
        for region in _regions(allow, new.boundary):
            for part, cover in _obligations(region, new, old):
                if found := uncovered(part, cover):
                    return Witness(*found, _in_words(part), allow.source)
    except TooComplex:
        return Witness(UNPROVEN, UNPROVEN, _in_words(Region.of(allow)), allow.source)
    return None


def _regions(allow: Box, boundary: tuple[Box, ...] | None) -> Iterator[Region]:
    region = Region.of(allow)
    if boundary is None:
        yield region
    else:
        yield from (region.cut_to(each) for each in boundary)


def _obligations(region: Region, new: Access, old: Access) -> Iterator[tuple[Region, tuple[Box, ...]]]:
    """What must be shown: each region lies in the union of its boxes."""
    yield region, (*old.allows, *new.denies)
    if old.boundary is not None:
        yield region, (*old.boundary, *new.denies)
    for deny in old.denies:
        if not any(each.includes(deny) for each in new.denies):
            yield region.cut_to(deny), new.denies


def _access(policies: Policies, way_in: WayIn) -> tuple[Access, Access]:
    """What is granted at the least and at the most: the first with few Allows and many Denies."""
    own, boundary = _bounds(policies.statements, way_in), _bounds(policies.boundary or (), way_in)
    allows, denies = _parted(own)
    limits, more_denies = _parted(boundary)
    denies = [*denies, *more_denies]
    none = policies.boundary is None
    return (
        Access(_least(allows), _most(denies), None if none else _least(limits)),
        Access(_most(allows), _least(denies), None if none else _most(limits)),
    )


def _bounds(statements: Iterable[PolicyStatement], way_in: WayIn) -> list[tuple[bool, Bounds]]:
    return [(each.allows, resolve(each, way_in)) for each in statements]


def _parted(bounds: list[tuple[bool, Bounds]]) -> tuple[list[Bounds], list[Bounds]]:
    return [each for allows, each in bounds if allows], [each for allows, each in bounds if not allows]


def _least(bounds: list[Bounds]) -> tuple[Box, ...]:
    return tuple(each.least for each in bounds if each.least)


def _most(bounds: list[Bounds]) -> tuple[Box, ...]:
    return tuple(each.most for each in bounds if each.most)


def _in_words(region: Region) -> str:
    return "; ".join(sorted(map(str, region.conditions)))


def grants_within(new: Policies, old: Policies, way_in: WayIn) -> bool:
    """Whether ``new`` is proven to grant no more than ``old`` to people who all come in the same way."""
    return not _exceeds(_access(new, way_in)[1], _access(old, way_in)[0])
