# SPDX-License-Identifier: Apache-2.0
"""The decision on one request by identity-based policies, a permissions boundary or service control policies. Pure.

Rules: "Policy evaluation logic" (IAM User Guide). What it can't decide allows nothing, and denies all that it might:
operators of numbers and IP addresses, and unknown keys and resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from c7n_iamusers.policy_comparison.conditions import Condition, outcomes
from c7n_iamusers.policy_comparison.patterns import (
    complete_arn,
    escaped,
    matches,
    substituted,
    variables,
)
from c7n_iamusers.policy_comparison.principals import is_documented_key
from c7n_iamusers.policy_comparison.statements import PolicyStatement, parse_policy

#: The decisions, as SimulatePrincipalPolicy calls them.
ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY = "allowed", "explicitDeny", "implicitDeny"


#: The possible answers to a question: both if it is undecided.
_Answers: TypeAlias = frozenset[bool]
_YES, _NO, _EITHER = frozenset({True}), frozenset({False}), frozenset({True, False})


@dataclass(frozen=True)
class Request:
    """``action``: such as ``iam:GetUser``.

    ``resource``: an ARN; ``*`` for an action without a resource type; None if it is not known. ``context``: condition
    key in lower case -> its value, or the values of a multivalued key. ``known``: other keys that are known to be
    missing in the request, with a slash at the end for a prefix of keys. None: all that AWS documents.
    """

    action: str
    resource: str | None
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    known: frozenset[str] | None = None

    def knows(self, key: str) -> bool:
        """Whether it is known if ``key`` (in lower case) is in the request."""
        if key in self.context or self.known is None:
            return is_documented_key(key)
        return key in self.known or f"{key.partition('/')[0]}/" in self.known


def decision(request: Request, policies: Iterable[Any]) -> str:
    """ALLOWED, EXPLICIT_DENY or IMPLICIT_DENY by all of ``policies``, in any form that ``parse_document`` accepts.

    A boundary limits what other policies allow, so it needs a decision of its own. Raises ValueError for a policy that
    IAM rejects.
    """
    statements = _parsed(policies)
    if any(True in _applies(statement, request) for statement in statements if not statement.allows):
        return EXPLICIT_DENY
    allowed = any(_applies(statement, request) == _YES for statement in statements if statement.allows)
    return ALLOWED if allowed else IMPLICIT_DENY


def undecided(request: Request, policies: Iterable[Any]) -> tuple[str, ...]:
    """Unknown facts that could have allowed a request that ``decision`` denies, in words; empty if none could.

    Such as ``condition key aws:sourcevpc``, ``condition operator IpAddress`` or ``resource``.
    """
    statements = _parsed(policies)
    denials = [
        statement for statement in statements if not statement.allows and True in _applies(statement, request)
    ]
    doubtful = denials or [
        statement for statement in statements if statement.allows and True in _applies(statement, request)
    ]
    if any(_applies(each, request) == _YES for each in doubtful):
        return ()
    return tuple(sorted({reason for each in doubtful for reason in _reasons(each, request)}))


def _parsed(policies: Iterable[Any]) -> list[PolicyStatement]:
    return [each for policy in policies for each in parse_policy(policy, "policy")]


def _applies(statement: PolicyStatement, request: Request) -> _Answers:
    """Whether ``statement`` applies to ``request``."""
    if not statement.actions.matches(request.action.lower()):
        return _NO
    answers = [
        _on_resource(statement, request),
        *(_outcomes(condition, request) for condition in statement.conditions),
    ]
    return _all(answers)


def _on_resource(statement: PolicyStatement, request: Request) -> _Answers:
    patterns = {complete_arn(_substituted(pattern, request)) for pattern in statement.resources.patterns}
    unresolved = {pattern for pattern in patterns if variables(pattern)}
    resolved = frozenset(patterns - unresolved)
    if request.resource is None:
        return _EITHER if "*" not in resolved else _NO if statement.resources.negated else _YES
    unknown = frozenset(each for each in unresolved if not all(map(request.knows, variables(each))))
    hit = matches(resolved, request.resource)
    # any text can be the value of a variable that is not known
    hits = {hit, hit or (bool(unknown) and matches(unknown, request.resource))}
    found = _not(frozenset(hits)) if statement.resources.negated else frozenset(hits)
    # A variable without a value matches nothing, or invalidates the statement (see ``Interpretation``).
    return _EITHER if unresolved and True in found else found


def _outcomes(condition: Condition, request: Request) -> _Answers:
    values = tuple(sorted(_substituted(each, request) for each in condition.values))
    asked = replace(condition, values=values)
    if not request.knows(condition.key):
        return outcomes(asked, None)
    given = request.context.get(condition.key) or None
    if given is None or isinstance(given, str):
        return outcomes(asked, frozenset({given}))
    each = [outcomes(asked, frozenset({value})) for value in given]
    if len(set(each)) == 1:
        return each[0]
    qualifier = condition.operator.partition(":")[0]
    if qualifier == "ForAllValues":
        return _all(each)
    # AWS documents no outcome of several values without a set operator.
    return _not(_all(map(_not, each))) if qualifier == "ForAnyValue" else _EITHER


def _all(answers: Iterable[_Answers]) -> _Answers:
    """Whether all are true."""
    found = list(answers)
    if _NO in found:
        return _NO
    return _EITHER if _EITHER in found else _YES


def _not(answers: _Answers) -> _Answers:
    return frozenset(not answer for answer in answers)


def _reasons(statement: PolicyStatement, request: Request) -> set[str]:
    """Why ``_applies`` does not decide on ``statement``."""
    if request.resource is None and _on_resource(statement, request) == _EITHER:
        return {"resource"}
    found: set[str] = set()
    texts = [] if _on_resource(statement, request) == _YES else [*statement.resources.patterns]
    for condition in statement.conditions:
        if _outcomes(condition, request) == _EITHER:
            left = [value for value in condition.values if variables(_substituted(value, request))]
            texts += left
            kind = (
                f"operator {condition.operator}" if request.knows(condition.key) else f"key {condition.key}"
            )
            if kind.startswith("key") or not left:
                found.add(f"condition {kind}")
    for key in frozenset().union(*map(variables, texts)):
        if not request.knows(key):
            found.add(f"condition key {key}")
        elif key not in request.context:
            found.add(f"variable {key} without a value")
    return found


def _substituted(text: str, request: Request) -> str:
    def value(key: str, default: str | None) -> str | None:
        found = request.context.get(key, default) if request.knows(key) else None
        return escaped(found) if isinstance(found, str) else None

    return substituted(text, value)
