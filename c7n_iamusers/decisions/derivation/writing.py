# SPDX-License-Identifier: Apache-2.0
"""Statements back as JSON: each in one form only, so that what is the same is written the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from c7n_iamusers.decisions.policy_comparison.languages import Element
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement


def written(statement: PolicyStatement) -> dict[str, Any]:
    """A statement as a policy has it, without Sid, actions and condition keys in lower case."""
    data: dict[str, Any] = {"Effect": statement.effect}
    data.update(_element("Action", statement.actions))
    data.update(_element("Resource", statement.resources))
    conditions: dict[str, dict[str, list[str]]] = {}
    for each in sorted(statement.conditions):
        conditions.setdefault(each.operator, {})[each.key] = list(each.values)
    return {**data, "Condition": conditions} if conditions else data


def document_of(statements: Iterable[PolicyStatement]) -> dict[str, Any] | None:
    """The policy of ``statements``, None where there are none.

    Whatever its sources looked like, the same statements give the same text: no Sid and no spelling of one user's
    policies may change what others hold.
    """
    listed = [written(each) for each in statements]
    return {"Version": "2012-10-17", "Statement": listed} if listed else None


def _element(name: str, element: Element) -> dict[str, list[str]]:
    return {f"Not{name}" if element.negated else name: sorted(element.patterns)}
