# SPDX-License-Identifier: Apache-2.0
"""Many statements as few, in a form that doesn't depend on how they were parted, ordered or labelled. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from c7n_iamusers.decisions.derivation.writing import written
from c7n_iamusers.decisions.policy_comparison.conditions import implied
from c7n_iamusers.decisions.policy_comparison.globs import TooComplex, example
from c7n_iamusers.decisions.policy_comparison.languages import ACTIONS, RESOURCES, Element, Language
from c7n_iamusers.decisions.policy_comparison.patterns import complete_arn
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement
from c7n_iamusers.model.identity_center import canonical_policy


def canonical(
    statements: Iterable[PolicyStatement], given: Iterable[PolicyStatement] = ()
) -> tuple[PolicyStatement, ...]:
    """Statements of the same effect as all of ``statements``; ``given``: those that are in force anyway."""
    return _canonical(frozenset(map(_bare, statements)), frozenset(map(_bare, given)))


@lru_cache(maxsize=4096)
def _canonical(
    statements: frozenset[PolicyStatement], given: frozenset[PolicyStatement]
) -> tuple[PolicyStatement, ...]:
    statements = frozenset(each for each in statements if not any(includes(other, each) for other in given))
    before: frozenset[PolicyStatement] = frozenset()
    while statements != before:
        before = statements
        statements = _without_repetition(_merged_resources(_merged_actions(map(_reduced, statements))))
    return tuple(sorted(statements, key=_text))


def includes(statement: PolicyStatement, other: PolicyStatement) -> bool:
    """Whether ``statement`` applies, to the same effect, wherever ``other`` does."""
    if statement.effect != other.effect or not implied(statement.conditions, other.conditions):
        return False
    return _within(other.actions, statement.actions, ACTIONS) and _within(
        other.resources, statement.resources, RESOURCES
    )


def _within(element: Element, other: Element, universe: str) -> bool:
    if other.includes(element):
        return True
    try:
        return Language(universe).cut_to(_complete(element)).cut_off(_complete(other)).sample() is None
    except TooComplex:
        return False


def _complete(element: Element) -> Element:
    return Element(frozenset(map(complete_arn, element.patterns)), element.negated)


def _bare(statement: PolicyStatement) -> PolicyStatement:
    """Without what makes no difference, so that nothing of it can leak into what is shared."""
    return PolicyStatement(statement.effect, statement.actions, statement.resources, statement.conditions)


def _reduced(statement: PolicyStatement) -> PolicyStatement:
    everything = frozenset("*" if each in ("*:*", "**") else each for each in statement.actions.patterns)
    return replace(
        statement,
        actions=_shortest(Element(everything, statement.actions.negated)),
        resources=_shortest(statement.resources),
    )


def _shortest(element: Element) -> Element:
    """Without patterns that another one includes."""
    kept = set(element.patterns)
    for pattern in sorted(kept):
        if any(other != pattern and _contains(other, pattern) for other in kept):
            kept.discard(pattern)
    return Element(frozenset(kept), element.negated)


def _contains(pattern: str, other: str) -> bool:
    if not set("*?").intersection(pattern):
        return False
    try:
        return example(complete_arn(other), (), frozenset({complete_arn(pattern)})) is None
    except TooComplex:
        return False


def _merged_actions(statements: Iterable[PolicyStatement]) -> Iterable[PolicyStatement]:
    """One statement for those that differ in their actions only."""
    groups = defaultdict(list)
    for each in statements:
        negated = each.actions if each.actions.negated else None
        groups[each.effect, each.resources, each.conditions, negated].append(each)
    for alike in groups.values():
        patterns = frozenset().union(*(each.actions.patterns for each in alike))
        yield replace(alike[0], actions=Element(patterns, alike[0].actions.negated))


def _merged_resources(statements: Iterable[PolicyStatement]) -> Iterable[PolicyStatement]:
    """One statement for those that differ in their resources only."""
    groups = defaultdict(list)
    for each in statements:
        negated = each.resources if each.resources.negated else None
        groups[each.effect, each.actions, each.conditions, negated].append(each)
    for alike in groups.values():
        patterns = frozenset().union(*(each.resources.patterns for each in alike))
        yield replace(alike[0], resources=Element(patterns, alike[0].resources.negated))


def _without_repetition(statements: Iterable[PolicyStatement]) -> frozenset[PolicyStatement]:
    """Without those that another one includes."""
    kept = set(statements)
    for statement in sorted(kept, key=_text):
        if any(other != statement and includes(other, statement) for other in kept):
            kept.discard(statement)
    return frozenset(kept)


def _text(statement: PolicyStatement) -> str:
    return canonical_policy(written(statement))
