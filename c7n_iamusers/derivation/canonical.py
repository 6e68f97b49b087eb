# SPDX-License-Identifier: Apache-2.0
"""The canonical form of statements, regardless of order, grouping and Sids, and names of sets from it. Pure."""

from __future__ import annotations

import re
from base64 import b32encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

from c7n_iamusers.derivation.model import PolicyReference
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison import budgets, patterns
from c7n_iamusers.policy_comparison.conditions import implied
from c7n_iamusers.policy_comparison.statements import PolicyStatement


def written(statement: PolicyStatement) -> dict[str, Any]:
    """A statement as JSON data: without Sid, with actions and condition keys in lower case."""
    data: dict[str, Any] = {"Effect": statement.effect}
    data.update(_element("Action", statement.actions))
    data.update(_element("Resource", statement.resources))
    conditions: dict[str, dict[str, list[str]]] = {}
    for condition in sorted(statement.conditions):
        conditions.setdefault(condition.operator, {})[condition.key] = list(condition.values)
    return {**data, "Condition": conditions} if conditions else data


def document_of(statements: Iterable[PolicyStatement]) -> dict[str, Any] | None:
    """The policy document of ``statements``, None if there are none.

    The same statements give the same document, whatever the Sids and spelling in a user's policies.
    """
    listed = [written(statement) for statement in statements]
    return {"Version": "2012-10-17", "Statement": listed} if listed else None


def _element(name: str, element: patterns.Element) -> dict[str, list[str]]:
    return {f"Not{name}" if element.negated else name: sorted(element.patterns)}


#: The steps of a reduction, which take a second at most. Policies can be written to take more. It counts steps, not
#: time, so that a user's set depends neither on the machine nor on earlier users.
MOST_STEPS = 200_000


def canonical(
    statements: Iterable[PolicyStatement], given: Iterable[PolicyStatement] = ()
) -> tuple[PolicyStatement, ...]:
    """The fewest statements with the same effect as ``statements``. ``given``: statements that apply anyway."""
    return _canonical(frozenset(map(_bare, statements)), frozenset(map(_bare, given)))


@lru_cache(maxsize=4096)
def _canonical(
    statements: frozenset[PolicyStatement], given: frozenset[PolicyStatement]
) -> tuple[PolicyStatement, ...]:
    try:
        found = _reduced_to_few(statements, given, budgets.Budget(MOST_STEPS))
    except budgets.OutOfTime:
        raise
    except budgets.OutOfBudget:
        found = statements  # longer, and equally correct
    return tuple(sorted(found, key=_text))


def _reduced_to_few(
    statements: frozenset[PolicyStatement], given: frozenset[PolicyStatement], budget: budgets.Budget
) -> frozenset[PolicyStatement]:
    others = sorted(given, key=_text)
    statements = frozenset(
        statement
        for statement in statements
        if not any(includes(other, statement, budget) for other in others)
    )
    before: frozenset[PolicyStatement] = frozenset()
    while statements != before:
        before = statements
        reduced = [_reduced(statement, budget) for statement in statements]
        statements = _without_repetition(_merged_resources(_merged_actions(reduced)), budget)
    return statements


def includes(statement: PolicyStatement, other: PolicyStatement, budget: budgets.Budget) -> bool:
    """Whether ``statement`` applies wherever ``other`` does, with the same effect. Raises OutOfBudget."""
    budget.spend(1)
    if statement.effect != other.effect or not implied(statement.conditions, other.conditions):
        return False
    if not _required(statement) <= _required(other):
        return False  # if one of its variables has no value, it may not apply at all
    return _within(other.actions, statement.actions, patterns.ACTIONS, budget) and _within(
        other.resources, statement.resources, patterns.RESOURCES, budget
    )


def _required(statement: PolicyStatement) -> frozenset[str]:
    """The variables without which the statement may not apply at all, see ``Interpretation``."""
    values = (value for condition in statement.conditions for value in condition.values)
    return frozenset().union(*map(patterns.required, (*statement.resources.patterns, *values)))


def _within(
    element: patterns.Element, other: patterns.Element, universe: str, budget: budgets.Budget
) -> bool:
    if other.includes(element):
        return True
    readings = (
        (patterns.complete_arn, _by_segment) if universe == patterns.RESOURCES else (patterns.complete_arn,)
    )
    try:
        return all(
            patterns.Language(universe)
            .cut_to(_read(element, form))
            .cut_off(_read(other, form))
            .sample(budget)
            is None
            for form in readings
        )
    except budgets.OutOfBudget:
        raise
    except budgets.TooComplex:
        return False


def _read(element: patterns.Element, form: Callable[[str], str]) -> patterns.Element:
    return patterns.Element(frozenset(map(form, element.patterns)), element.negated)


def _by_segment(pattern: str) -> str:
    return patterns.within_segments(patterns.complete_arn(pattern))


def _bare(statement: PolicyStatement) -> PolicyStatement:
    """The statement without source, Sid and version, which are one user's and must not enter a shared set."""
    return PolicyStatement(statement.effect, statement.actions, statement.resources, statement.conditions)


def _reduced(statement: PolicyStatement, budget: budgets.Budget) -> PolicyStatement:
    everything = frozenset(
        "*" if pattern in ("*:*", "**") else pattern for pattern in statement.actions.patterns
    )
    return replace(
        statement,
        actions=_shortest(patterns.Element(everything, statement.actions.negated), budget),
        resources=_shortest(statement.resources, budget),
    )


def _shortest(element: patterns.Element, budget: budgets.Budget) -> patterns.Element:
    """The element without patterns that another pattern includes."""
    kept = set(element.patterns)
    # a pattern with a variable stays: without it the statement would also apply if the variable has no value
    sure = sorted(each for each in kept if not patterns.required(each))
    wide = sorted(each for each in kept if set("*?").intersection(each))
    for pattern in sure:
        if any(other != pattern and other in kept and _contains(other, pattern, budget) for other in wide):
            kept.discard(pattern)
    return patterns.Element(frozenset(kept), element.negated)


def _contains(pattern: str, other: str, budget: budgets.Budget) -> bool:
    try:
        return all(
            patterns.example(form(other), (), frozenset({form(pattern)}), budget) is None
            for form in (patterns.complete_arn, _by_segment)
        )
    except budgets.OutOfBudget:
        raise
    except budgets.TooComplex:
        return False


def _merged_actions(statements: Iterable[PolicyStatement]) -> Iterable[PolicyStatement]:
    """Merge statements that differ only in their actions."""
    groups = defaultdict(list)
    for statement in statements:
        negated = statement.actions if statement.actions.negated else None
        groups[statement.effect, statement.resources, statement.conditions, negated].append(statement)
    for alike in groups.values():
        union = frozenset().union(*(each.actions.patterns for each in alike))
        yield replace(alike[0], actions=patterns.Element(union, alike[0].actions.negated))


def _merged_resources(statements: Iterable[PolicyStatement]) -> Iterable[PolicyStatement]:
    """Merge statements that differ only in their resources."""
    groups = defaultdict(list)
    for statement in statements:
        negated = statement.resources if statement.resources.negated else None
        groups[
            statement.effect, statement.actions, statement.conditions, negated, _required(statement)
        ].append(statement)
    for alike in groups.values():
        union = frozenset().union(*(each.resources.patterns for each in alike))
        yield replace(alike[0], resources=patterns.Element(union, alike[0].resources.negated))


def _without_repetition(
    statements: Iterable[PolicyStatement], budget: budgets.Budget
) -> frozenset[PolicyStatement]:
    """The statements without those that another statement includes."""
    kept = set(statements)
    ordered = sorted(kept, key=_text)
    for statement in ordered:
        others = (each for each in ordered if each in kept and each != statement)
        if any(includes(other, statement, budget) for other in others):
            kept.discard(statement)
    return frozenset(kept)


def _text(statement: PolicyStatement) -> str:
    return canonical_policy(written(statement))


#: sso-admin PermissionSetName: [\w+=,.@-]+, at most 32.
_LONGEST = 32
PREFIX = "iam-"
#: Letters of base32: 110 bits. Whoever writes two policies needs 2^55 attempts to give both the same name.
_DIGEST = 22


@dataclass(frozen=True)
class Boundary:
    """A boundary: an AWS-managed policy by ``arn``, or a customer-managed one by ``reference`` with its statements."""

    arn: str
    reference: PolicyReference | None
    statements: tuple[PolicyStatement, ...]


@dataclass(frozen=True)
class Content:
    """What a set must grant. ``managed``: ARNs of AWS-managed policies. ``statements``: canonical, of all others."""

    managed: frozenset[str]
    statements: tuple[PolicyStatement, ...]
    boundary: Boundary | None

    @property
    def grants(self) -> bool:
        """Whether it allows anything."""
        return bool(self.managed) or any(statement.allows for statement in self.statements)

    @cached_property
    def items(self) -> frozenset[str]:
        """Each policy and statement as text, equal for equal content."""
        return frozenset(
            (
                *self.managed,
                *(canonical_policy(written(statement)) for statement in self.statements),
                *(["boundary " + canonical_policy(_as_data(self.boundary))] if self.boundary else []),
            )
        )

    @cached_property
    def digest(self) -> bytes:
        """The SHA-256 of all items."""
        return sha256(canonical_policy(sorted(self.items)).encode()).digest()

    def name(self, form: object) -> str:
        """A permission set's name: a prefix, its subject, and a digest of its content and ``form`` (JSON data).

        Other content gives another name, so an existing set never changes for the people who have it. The prefix keeps
        the role's name from matching patterns in other policies, such as ``*AWSReservedSSO_AdministratorAccess*``.
        """
        text = canonical_policy({"content": self.digest.hex(), "form": form})
        digest = b32encode(sha256(text.encode()).digest()).decode().lower()[:_DIGEST]
        return f"{PREFIX}{self._about(_LONGEST - len(PREFIX) - _DIGEST - 1)}-{digest}"

    def _about(self, characters: int) -> str:
        return "+".join(dict.fromkeys(self._words()))[:characters].rstrip("+-,.=@_")

    def _words(self) -> Iterator[str]:
        yield from sorted(arn.rpartition("/")[2] for arn in self.managed)
        services = {
            service for statement in self.statements if statement.allows for service in _services(statement)
        }
        yield from sorted(services)


def _services(statement: PolicyStatement) -> Iterator[str]:
    for pattern in statement.actions.patterns:
        service = re.sub(r"[^\w-]", "", pattern.partition(":")[0], flags=re.ASCII)
        yield "most" if statement.actions.negated else service or "all"


def _as_data(boundary: Boundary) -> dict[str, Any]:
    reference = boundary.reference
    return {
        "arn": boundary.arn,
        "reference": f"{reference.path}{reference.name}" if reference else "",
        "statements": [written(statement) for statement in boundary.statements],
    }
