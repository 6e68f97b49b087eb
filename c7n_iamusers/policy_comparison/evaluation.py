# SPDX-License-Identifier: Apache-2.0
"""The decision on one request by identity-based policies, a permissions boundary or service control policies. Pure.

Rules: "Policy evaluation logic" (IAM User Guide). What this evaluator can't decide, such as operators of numbers, dates
and IP addresses and keys that AWS does not document, allows nothing and denies what it could deny.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.policy_comparison.conditions import Condition, outcomes
from c7n_iamusers.policy_comparison.patterns import Element, complete_arn, escaped, substituted, variables
from c7n_iamusers.policy_comparison.principals import is_documented_key
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
    patterns = {complete_arn(_substituted(each, request)) for each in statement.resources.patterns}
    resolved = frozenset(each for each in patterns if not variables(each))
    if not Element(resolved, statement.resources.negated).matches(request.resource):
        return frozenset({False})
    # A variable without a value matches nothing, or invalidates the statement (see ``Interpretation``).
    certain = frozenset({True}) if resolved == patterns else frozenset({True, False})
    met = [_outcomes(each, request) for each in statement.conditions]
    if any(each == {False} for each in met):
        return frozenset({False})
    return certain.union(*met)


def _outcomes(condition: Condition, request: Request) -> frozenset[bool]:
    values = tuple(sorted(_substituted(each, request) for each in condition.values))
    given = frozenset({request.context.get(condition.key)}) if is_documented_key(condition.key) else None
    return outcomes(replace(condition, values=values), given)


def _substituted(text: str, request: Request) -> str:
    def value(key: str, default: str | None) -> str | None:
        found = request.context.get(key, default)
        return None if found is None else escaped(found)

    return substituted(text, value)
