# SPDX-License-Identifier: Apache-2.0
"""Many statements as few, in a form that doesn't depend on how they were parted, ordered or labelled. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

from c7n_iamusers.decisions.derivation.writing import written
from c7n_iamusers.decisions.policy_comparison.conditions import implied
from c7n_iamusers.decisions.policy_comparison.globs import Budget, OutOfBudget, TooComplex, example
from c7n_iamusers.decisions.policy_comparison.languages import ACTIONS, RESOURCES, Element, Language
from c7n_iamusers.decisions.policy_comparison.patterns import complete_arn, required, within_segments
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
    try:
        found = _reduced_to_few(statements, given, Budget())
    except OutOfBudget:
        found = statements  # longer, and no less right
    return tuple(sorted(found, key=_text))


def _reduced_to_few(
    statements: frozenset[PolicyStatement], given: frozenset[PolicyStatement], budget: Budget
) -> frozenset[PolicyStatement]:
    others = sorted(given, key=_text)
    statements = frozenset(
        each for each in statements if not any(includes(other, each, budget) for other in others)
    )
    before: frozenset[PolicyStatement] = frozenset()
    while statements != before:
        before = statements
        reduced = [_reduced(each, budget) for each in statements]
        statements = _without_repetition(_merged_resources(_merged_actions(reduced)), budget)
    return statements


def includes(statement: PolicyStatement, other: PolicyStatement, budget: Budget) -> bool:
    """Whether ``statement`` applies, to the same effect, wherever ``other`` does. Raises OutOfBudget."""
    budget.spend(1)
    if statement.effect != other.effect or not implied(statement.conditions, other.conditions):
        return False
    if not _required(statement) <= _required(other):
        return False  # where one of its variables has no value, it may not apply at all
    return _within(other.actions, statement.actions, ACTIONS, budget) and _within(
        other.resources, statement.resources, RESOURCES, budget
    )


def _required(statement: PolicyStatement) -> frozenset[str]:
    """The variables without which the statement may not apply at all, see ``Reading``."""
    values = (value for each in statement.conditions for value in each.values)
    return frozenset().union(*map(required, (*statement.resources.patterns, *values)))


def _within(element: Element, other: Element, universe: str, budget: Budget) -> bool:
    if other.includes(element):
        return True
    readings = (complete_arn, _by_segment) if universe == RESOURCES else (complete_arn,)
    try:
        return all(
            Language(universe).cut_to(_read(element, form)).cut_off(_read(other, form)).sample(budget) is None
            for form in readings
        )
    except OutOfBudget:
        raise
    except TooComplex:
        return False


def _read(element: Element, form: Callable[[str], str]) -> Element:
    return Element(frozenset(map(form, element.patterns)), element.negated)


def _by_segment(pattern: str) -> str:
    return within_segments(complete_arn(pattern))


def _bare(statement: PolicyStatement) -> PolicyStatement:
    """Without what makes no difference, so that nothing of it can leak into what is shared."""
    return PolicyStatement(statement.effect, statement.actions, statement.resources, statement.conditions)


def _reduced(statement: PolicyStatement, budget: Budget) -> PolicyStatement:
    everything = frozenset("*" if each in ("*:*", "**") else each for each in statement.actions.patterns)
    return replace(
        statement,
        actions=_shortest(Element(everything, statement.actions.negated), budget),
        resources=_shortest(statement.resources, budget),
    )


def _shortest(element: Element, budget: Budget) -> Element:
    """Without patterns that another one includes."""
    kept = set(element.patterns)
    # a text with a variable stays: without it the statement would apply where the variable has no value, too
    sure = sorted(each for each in kept if not required(each))
    wide = sorted(each for each in kept if set("*?").intersection(each))
    for pattern in sure:
        if any(other != pattern and other in kept and _contains(other, pattern, budget) for other in wide):
            kept.discard(pattern)
    return Element(frozenset(kept), element.negated)


def _contains(pattern: str, other: str, budget: Budget) -> bool:
    try:
        return all(
            example(form(other), (), frozenset({form(pattern)}), budget) is None
            for form in (complete_arn, _by_segment)
        )
    except OutOfBudget:
        raise
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
        groups[each.effect, each.actions, each.conditions, negated, _required(each)].append(each)
    for alike in groups.values():
        patterns = frozenset().union(*(each.resources.patterns for each in alike))
        yield replace(alike[0], resources=Element(patterns, alike[0].resources.negated))


def _without_repetition(statements: Iterable[PolicyStatement], budget: Budget) -> frozenset[PolicyStatement]:
    """Without those that another one includes."""
    kept = set(statements)
    ordered = sorted(kept, key=_text)
    for statement in ordered:
        others = (each for each in ordered if each in kept and each != statement)
        if any(includes(other, statement, budget) for other in others):
            kept.discard(statement)
    return frozenset(kept)


def _text(statement: PolicyStatement) -> str:
    return canonical_policy(written(statement))
