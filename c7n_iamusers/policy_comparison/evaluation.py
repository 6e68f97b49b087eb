# SPDX-License-Identifier: Apache-2.0
"""The decision on one request by identity-based policies, a permissions boundary or service control policies. Pure.

Rules: "Policy evaluation logic" (IAM User Guide). What this evaluator can't decide, such as operators of numbers, dates
and IP addresses, allows nothing and denies what it could deny.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.policy_comparison.conditions import Condition, outcomes
from c7n_iamusers.policy_comparison.languages import Element
from c7n_iamusers.policy_comparison.patterns import complete_arn, escaped, substituted
from c7n_iamusers.policy_comparison.statements import PolicyStatement, parse_policy

#: The decisions, as SimulatePrincipalPolicy calls them.
ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY = "allowed", "explicitDeny", "implicitDeny"


@dataclass(frozen=True)
class Request:
    """``action``: such as ``iam:GetUser``. ``resource``: an ARN, or ``*`` for an action without a resource type.

    ``context``: condition key in lower case -> its value. A key that is missing here is missing in the request.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def decision(request: Request, policies: Iterable[Any]) -> str:
    """ALLOWED, EXPLICIT_DENY or IMPLICIT_DENY by all of ``policies``, in any form that ``parse_document`` accepts.

    A boundary limits what other policies allow, so it needs a decision of its own. Raises ValueError for a policy that
    IAM rejects.
    """
    statements = [each for policy in policies for each in parse_policy(policy, "policy")]
    if any(True in _applies(each, request) for each in statements if not each.allows):
        return EXPLICIT_DENY
    allowed = any(_applies(each, request) == {True} for each in statements if each.allows)
    return ALLOWED if allowed else IMPLICIT_DENY


def _applies(statement: PolicyStatement, request: Request) -> frozenset[bool]:
    """Whether ``statement`` applies to ``request``; both if that can't be decided."""
    if not statement.actions.matches(request.action.lower()):
        return frozenset({False})
    if not _resources(statement.resources, request).matches(request.resource):
        return frozenset({False})
    met = [_outcomes(each, request) for each in statement.conditions]
    if any(each == {False} for each in met):
        return frozenset({False})
    return frozenset({True}).union(*met)


def _resources(element: Element, request: Request) -> Element:
    patterns = (complete_arn(_substituted(each, request)) for each in element.patterns)
    return Element(frozenset(patterns), element.negated)


def _outcomes(condition: Condition, request: Request) -> frozenset[bool]:
    values = tuple(sorted(_substituted(each, request) for each in condition.values))
    known = replace(condition, values=values)
    return outcomes(known, frozenset({request.context.get(condition.key)}))


def _substituted(text: str, request: Request) -> str:
    def value(key: str, default: str | None) -> str | None:
        found = request.context.get(key, default)
        return None if found is None else escaped(found)

    return substituted(text, value)
