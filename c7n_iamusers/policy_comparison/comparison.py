# SPDX-License-Identifier: Apache-2.0
"""Whether one principal may do no more than another, over all requests at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from c7n_iamusers.policy_comparison.conditions import Condition, implied
from c7n_iamusers.policy_comparison.globs import Budget, TooComplex
from c7n_iamusers.policy_comparison.languages import ACTIONS, RESOURCES, Element, Language, Sample
from c7n_iamusers.policy_comparison.patterns import required, within_segments
from c7n_iamusers.policy_comparison.principals import RequestContext
from c7n_iamusers.policy_comparison.proof import EQUAL, NARROWER, UNDECIDED, WIDER, Witness
from c7n_iamusers.policy_comparison.resolution import PLAIN, Bounds, Interpretation, Scope, resolve
from c7n_iamusers.policy_comparison.statements import PolicyStatement

#: Pieces that a region may fall into before the question is given up.
_MOST_PIECES = 500


@dataclass(frozen=True)
class RequestSet:
    """The requests that are in all of ``boxes``, less what was cut off."""

    actions: Language
    resources: Language
    conditions: frozenset[Condition]
    boxes: tuple[Scope, ...]

    @classmethod
    def of(cls, box: Scope) -> RequestSet:
        """All of a box."""
        everything = cls(Language(ACTIONS), Language(RESOURCES), frozenset(), ())
        return everything.cut_to(box)

    def cut_to(self, box: Scope) -> RequestSet:
        """What is also in ``box``."""
        return RequestSet(
            self.actions.cut_to(box.actions),
            self.resources.cut_to(box.resources),
            self.conditions | box.conditions,
            (*self.boxes, box),
        )


def uncovered(region: RequestSet, covers: Iterable[Scope], budget: Budget) -> tuple[str, str] | None:
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


def _shown(piece: RequestSet, action: Sample, resource: Sample, covers: list[Scope]) -> str:
    """What a person recognizes as any resource, where that is as true as the text that was found."""
    anything = Sample("*", "*")
    true = piece.resources.contains("*") and _covering(covers, action, anything) is None
    return anything.text if true else resource.text


def _covering(boxes: list[Scope], action: Sample, resource: Sample) -> Scope | None:
    found = (box for box in boxes if _holds(box.actions, action) and _holds(box.resources, resource))
    return next(found, None)


def _holds(element: Element, sample: Sample) -> bool:
    # A pattern with a variable in it covers itself, though not one sure text.
    return element.matches(sample.text) or (not element.negated and sample.pattern in element.patterns)


def _rest(region: RequestSet, box: Scope) -> tuple[RequestSet, RequestSet]:
    """What ``box`` leaves of a region: other actions on anything, and its actions on other resources."""
    return (
        replace(region, actions=region.actions.cut_off(box.actions)),
        replace(
            region,
            actions=region.actions.cut_to(box.actions),
            resources=region.resources.cut_off(box.resources),
        ),
    )


UNPROVEN = "not decided: too many cases"


@dataclass(frozen=True)
class Policies:
    """All statements in force for somebody; ``boundary`` None: there is none."""

    statements: tuple[PolicyStatement, ...]
    boundary: tuple[PolicyStatement, ...] | None = None


@dataclass(frozen=True)
class Access:
    """What is granted, in boxes; see ``Policies``."""

    allows: tuple[Scope, ...]
    denies: tuple[Scope, ...]
    boundary: tuple[Scope, ...] | None


def compare(
    new: Policies, new_context: RequestContext, old: Policies, old_context: RequestContext
) -> tuple[str, tuple[Witness, ...]]:
    """EQUAL, NARROWER, WIDER or UNDECIDED, and for the last two what was found.

    Whatever isn't proven is WIDER, or UNDECIDED where the question was given up, or where the readings of AWS's
    text (see ``Interpretation``) come to different answers.
    """
    found: dict[Interpretation, tuple[str, tuple[Witness, ...]]] = {}
    for each in _readings(new, old):
        found[each] = _by_reading(new, new_context, old, old_context, each)
        if found[each][0] == UNDECIDED:
            return found[each]  # another reading would take as long
    verdicts = {verdict for verdict, _ in found.values()}
    if len(verdicts) == 1:
        return found[PLAIN]
    if verdicts == {EQUAL, NARROWER}:
        return NARROWER, ()
    witnesses = [
        replace(each, conditions="; ".join(filter(None, (each.conditions, *_told(reading, list(found))))))
        for reading, (_, listed) in found.items()
        for each in listed
    ]
    return UNDECIDED, tuple(witnesses)


def _by_reading(
    new: Policies,
    new_context: RequestContext,
    old: Policies,
    old_context: RequestContext,
    reading: Interpretation,
) -> tuple[str, tuple[Witness, ...]]:
    new_least, new_most = _access(new, new_context, reading)
    old_least, old_most = _access(old, old_context, reading)
    witnesses = widening(new_most, old_least)
    if witnesses:
        return (UNDECIDED if all(each.action == UNPROVEN for each in witnesses) else WIDER), witnesses
    return (NARROWER if _exceeds(old_most, new_least) else EQUAL), ()


def _readings(*both: Policies) -> list[Interpretation]:
    """All that make a difference to any of them; ``PLAIN`` is the first."""
    statements = [each for policies in both for each in (*policies.statements, *(policies.boundary or ()))]
    texts = [text for each in statements for text in each.resources.patterns]
    values = [value for each in statements for condition in each.conditions for value in condition.values]
    by_segment = any(within_segments(text) != text for text in texts)
    whole = any(map(required, (*texts, *values)))
    return [
        Interpretation(segments, statements_)
        for segments in (False, True)[: 1 + by_segment]
        for statements_ in (False, True)[: 1 + whole]
    ]


def _told(reading: Interpretation, others: list[Interpretation]) -> Iterator[str]:
    """What makes it another than the others."""
    if any(each.by_segment for each in others):
        colons = "no colon" if reading.by_segment else "colons"
        yield f"if a wildcard in the middle of an ARN's segment matches {colons}"
    if any(each.whole_statements for each in others):
        what = "the whole statement" if reading.whole_statements else "only the text with it"
        yield f"if a variable without a value takes away {what}"


@lru_cache(maxsize=4096)
def widening(new: Access, old: Access) -> tuple[Witness, ...]:
    """A witness for each Allow of ``new`` that reaches beyond ``old``; none where that is proven not to be."""
    return tuple(_witnesses(new, old))


@lru_cache(maxsize=4096)
def _exceeds(new: Access, old: Access) -> bool:
    """Whether there is any witness; they need not all be found."""
    return next(_witnesses(new, old), None) is not None


def _witnesses(new: Access, old: Access) -> Iterator[Witness]:
    budget = Budget()
    found = (_beyond(allow, new, old, budget) for allow in new.allows)
    return (witness for witness in found if witness is not None)


def _beyond(allow: Scope, new: Access, old: Access, budget: Budget) -> Witness | None:
    try:
        for region in _regions(allow, new.boundary):
            for part, cover in _obligations(region, new, old):
                if found := uncovered(part, cover, budget):
                    return Witness(*found, _in_words(part), allow.source)
    except TooComplex:
        return Witness(UNPROVEN, UNPROVEN, _in_words(RequestSet.of(allow)), allow.source)
    return None


def _regions(allow: Scope, boundary: tuple[Scope, ...] | None) -> Iterator[RequestSet]:
    region = RequestSet.of(allow)
    if boundary is None:
        yield region
    else:
        yield from (region.cut_to(each) for each in boundary)


def _obligations(
    region: RequestSet, new: Access, old: Access
) -> Iterator[tuple[RequestSet, tuple[Scope, ...]]]:
    """What must be shown: each region lies in the union of its boxes."""
    yield region, (*old.allows, *new.denies)
    if old.boundary is not None:
        yield region, (*old.boundary, *new.denies)
    for deny in old.denies:
        if not any(each.includes(deny) for each in new.denies):
            yield region.cut_to(deny), new.denies


def _access(policies: Policies, context: RequestContext, reading: Interpretation) -> tuple[Access, Access]:
    """What is granted at the least and at the most: the first with few Allows and many Denies."""
    own = _bounds(policies.statements, context, reading)
    boundary = _bounds(policies.boundary or (), context, reading)
    allows, denies = _parted(own)
    limits, more_denies = _parted(boundary)
    denies = [*denies, *more_denies]
    none = policies.boundary is None
    return (
        Access(_least(allows), _most(denies), None if none else _least(limits)),
        Access(_most(allows), _least(denies), None if none else _most(limits)),
    )


def _bounds(
    statements: Iterable[PolicyStatement], context: RequestContext, reading: Interpretation
) -> list[tuple[bool, Bounds]]:
    return [(each.allows, resolve(each, context, reading)) for each in statements]


def _parted(bounds: list[tuple[bool, Bounds]]) -> tuple[list[Bounds], list[Bounds]]:
    return [each for allows, each in bounds if allows], [each for allows, each in bounds if not allows]


def _least(bounds: list[Bounds]) -> tuple[Scope, ...]:
    return tuple(each.least for each in bounds if each.least)


def _most(bounds: list[Bounds]) -> tuple[Scope, ...]:
    return tuple(each.most for each in bounds if each.most)


def _in_words(region: RequestSet) -> str:
    return "; ".join(sorted(map(str, region.conditions)))


def grants_within(new: Policies, old: Policies, context: RequestContext) -> bool:
    """Whether ``new`` is proven to grant no more than ``old`` to people who all come in the same way."""
    return not any(
        _exceeds(_access(new, context, each)[1], _access(old, context, each)[0])
        for each in _readings(new, old)
    )
