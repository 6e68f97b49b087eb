# SPDX-License-Identifier: Apache-2.0
"""The requests that a statement applies to for one principal: a lower and an upper bound. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from c7n_iamusers.policy_comparison import patterns
from c7n_iamusers.policy_comparison.conditions import UNREAD, Condition, outcomes, outcomes_by_pattern
from c7n_iamusers.policy_comparison.principals import RequestContext, depends_on_principal
from c7n_iamusers.policy_comparison.statements import PolicyStatement


@dataclass(frozen=True)
class Scope:
    """The requests with these actions, resources and conditions, none of which depends on the principal.

    ``source``: the statement, in words.
    """

    actions: patterns.Element
    resources: patterns.Element
    conditions: frozenset[Condition]
    source: str

    def includes(self, other: Scope) -> bool:
        """Whether the two texts alone show that every request in ``other`` is in this."""
        return (
            self.conditions <= other.conditions
            and (self.actions.has_all or self.actions.includes(other.actions))
            and (self.resources.has_all or self.resources.includes(other.resources))
        )


@dataclass(frozen=True)
class Bounds:
    """``least``: the requests that a statement certainly applies to. ``most``: that it may apply to. None: none."""

    least: Scope | None
    most: Scope | None


_NEVER = Bounds(None, None)


@dataclass(frozen=True)
class Interpretation:
    """One interpretation of the IAM User Guide, where its text is ambiguous.

    ``by_segment``: wildcards in ARNs match as in ``within_segments``. ``whole_statements``: a variable without a value
    makes the whole statement apply to nothing ("this might cause the entire statement to be invalid", "Variables and
    tags"), instead of only the text that has the variable.
    """

    by_segment: bool = False
    whole_statements: bool = False


PLAIN = Interpretation()


def resolve(
    statement: PolicyStatement, context: RequestContext, interpretation: Interpretation = PLAIN
) -> Bounds:
    """The bounds of ``statement`` for requests with ``context``. Nothing in them depends on the principal."""
    conditions: set[Condition] = set()
    sure = True
    for condition in statement.conditions:
        resolved = _condition(condition, context)
        if resolved is False:
            return _NEVER
        if isinstance(resolved, Condition):
            conditions.add(resolved)
        sure = sure and resolved is not None
    resources = _known(statement.resources, context)
    unsure = {pattern for pattern in resources.patterns if _dependent(pattern)}
    if unsure:
        sure, resources = False, _at_most(resources, unsure, context)
    if not resources.patterns and not resources.negated:
        return _NEVER
    if interpretation.whole_statements:
        conditions |= _resolvable(resources, conditions)
    whole = map(patterns.complete_arn, resources.patterns)
    resources = patterns.Element(
        frozenset(map(patterns.within_segments, whole) if interpretation.by_segment else whole),
        resources.negated,
    )
    scope = Scope(statement.actions, resources, frozenset(conditions), statement.source)
    return Bounds(scope if sure else None, scope)


def _condition(condition: Condition, context: RequestContext) -> Condition | bool | None:
    """The condition with known variables replaced; True or False if ``context`` decides it; None if it is unknown."""
    if not condition.is_known:
        return None
    if condition.operator == UNREAD:
        return condition
    if depends_on_principal(condition.key):
        matched = context.patterns.get(condition.key)
        possible = (
            outcomes_by_pattern(condition, matched)
            if matched
            else outcomes(condition, context.values(condition.key))
        )
        return next(iter(possible)) if len(possible) == 1 else None
    values = tuple(sorted(_substituted(value, context) for value in condition.values))
    if any(map(_dependent, values)):
        return None
    return Condition(condition.operator, condition.key, values)


def _resolvable(resources: patterns.Element, conditions: set[Condition]) -> set[Condition]:
    """The conditions that all remaining variables have a value."""
    texts = (*resources.patterns, *(value for condition in conditions for value in condition.values))
    return {Condition("Null", key, ("false",)) for text in texts for key in patterns.required(text)}


def _known(element: patterns.Element, context: RequestContext) -> patterns.Element:
    return patterns.Element(
        frozenset(_substituted(pattern, context) for pattern in element.patterns), element.negated
    )


def _substituted(text: str, context: RequestContext) -> str:
    def value(key: str, default: str | None) -> str | None:
        possible = context.values(key) if depends_on_principal(key) else None
        if possible is None or len(possible) > 1:
            return None
        known = next(iter(possible))
        known = default if known is None else known
        return None if known is None else patterns.escaped(known)

    return patterns.substituted(text, value)


def _dependent(text: str) -> bool:
    return any(map(depends_on_principal, patterns.variables(text)))


def _at_most(element: patterns.Element, unsure: set[str], context: RequestContext) -> patterns.Element:
    """What the element may apply to: an uncertain exclusion excludes nothing, and a variable can have any value."""
    if element.negated:
        return patterns.Element(element.patterns - unsure, negated=True)
    possible = {widest(each) for each in unsure if not _impossible(each, context)}
    return patterns.Element(element.patterns - unsure | possible)


def widest(text: str) -> str:
    """``text`` with a star for each variable that depends on the principal."""
    return patterns.substituted(text, lambda key, _: "*" if depends_on_principal(key) else None)


def _impossible(text: str, context: RequestContext) -> bool:
    """Whether the text matches nothing, because a variable in it certainly has no value."""
    return any(
        context.values(key) == frozenset({None})
        for key in patterns.variables(text)
        if depends_on_principal(key)
    )
