# SPDX-License-Identifier: Apache-2.0
"""Whether a region of requests lies in a union of boxes, and a request that does not. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from c7n_iamusers.decisions.policy_comparison.conditions import Condition, implied
from c7n_iamusers.decisions.policy_comparison.globs import Budget, TooComplex
from c7n_iamusers.decisions.policy_comparison.languages import (
    ACTIONS,
    RESOURCES,
    Element,
    Language,
    Sample,
)
from c7n_iamusers.decisions.policy_comparison.resolution import Box

#: Pieces that a region may fall into before the question is given up.
_MOST_PIECES = 500


@dataclass(frozen=True)
class Region:
    """The requests that are in all of ``boxes``, less what was cut off."""

    actions: Language
    resources: Language
    conditions: frozenset[Condition]
    boxes: tuple[Box, ...]

    @classmethod
    def of(cls, box: Box) -> Region:
        """All of a box."""
        everything = cls(Language(ACTIONS), Language(RESOURCES), frozenset(), ())
        return everything.cut_to(box)

    def cut_to(self, box: Box) -> Region:
        """What is also in ``box``."""
        return Region(
            self.actions.cut_to(box.actions),
            self.resources.cut_to(box.resources),
            self.conditions | box.conditions,
            (*self.boxes, box),
        )


def uncovered(region: Region, covers: Iterable[Box], budget: Budget) -> tuple[str, str] | None:
    """An action and a resource in ``region`` that no box covers; None where it is proven that there are none.

    A box whose conditions those of the region don't imply covers nothing. Raises TooComplex.
    """
    useful = [box for box in covers if implied(box.conditions, region.conditions)]
    budget.spend(1 + len(useful))
    if any(box.includes(each) for box in useful for each in region.boxes):
        return None
    pieces, taken = [region], 0
    while pieces:
        piece, taken = pieces.pop(), taken + 1
        budget.spend(1 + len(useful))
        action, resource = piece.actions.sample(budget), piece.resources.sample(budget)
        if action is None or resource is None:
            continue
        box = _covering(useful, action, resource)
        if box is None:
            return action.text, _shown(piece, action, resource, useful)
        if taken > _MOST_PIECES:
            raise TooComplex
        pieces += _rest(piece, box)
    return None


def _shown(piece: Region, action: Sample, resource: Sample, covers: list[Box]) -> str:
    """What a person recognizes as any resource, where that is as true as the text that was found."""
    anything = Sample("*", "*")
    true = piece.resources.contains("*") and _covering(covers, action, anything) is None
    return anything.text if true else resource.text


def _covering(boxes: list[Box], action: Sample, resource: Sample) -> Box | None:
    found = (box for box in boxes if _holds(box.actions, action) and _holds(box.resources, resource))
    return next(found, None)


def _holds(element: Element, sample: Sample) -> bool:
    # A pattern with a variable in it covers itself, though not one sure text.
    return element.matches(sample.text) or (not element.negated and sample.pattern in element.patterns)


def _rest(region: Region, box: Box) -> tuple[Region, Region]:
    """What ``box`` leaves of a region: other actions on anything, and its actions on other resources."""
    return (
        replace(region, actions=region.actions.cut_off(box.actions)),
        replace(
            region,
            actions=region.actions.cut_to(box.actions),
            resources=region.resources.cut_off(box.resources),
        ),
    )
