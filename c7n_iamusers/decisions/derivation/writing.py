# SPDX-License-Identifier: Apache-2.0
"""Statements back as JSON: each in one form only, so that what is the same is written the same. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from c7n_iamusers.decisions.policy_comparison.languages import Element
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement

Spelling = Mapping[str, str]
_LOWER: Spelling = {}


def written(statement: PolicyStatement, spelling: Spelling = _LOWER) -> dict[str, Any]:
    """A statement as a policy has it, without Sid.

    ``spelling``: lower case -> how people like to read an action or a condition key.
    """
    data: dict[str, Any] = {"Effect": statement.effect}
    data.update(_element("Action", statement.actions, spelling))
    data.update(_element("Resource", statement.resources, _LOWER))
    conditions: dict[str, dict[str, list[str]]] = {}
    for each in sorted(statement.conditions):
        conditions.setdefault(each.operator, {})[spelling.get(each.key, each.key)] = list(each.values)
    return {**data, "Condition": conditions} if conditions else data


def spelling_of(statements: Iterable[PolicyStatement]) -> Spelling:
    """For each action and condition key the case that is used most, so that one odd policy changes nothing."""
    counts = Counter(text for each in statements for text in each.spelled)
    return {text.lower(): text for text in sorted(counts, key=lambda text: (counts[text], text))}


def _element(name: str, element: Element, spelling: Spelling) -> dict[str, list[str]]:
    texts = sorted(spelling.get(each, each) for each in element.patterns)
    return {f"Not{name}" if element.negated else name: texts}
