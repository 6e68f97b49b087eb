# SPDX-License-Identifier: Apache-2.0
"""SimulatePrincipalPolicy for roles: their policies and boundary; service control policies are not there.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html. Of conditions, the
operators of texts and ARNs are understood; any other one does not hold.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import Role

from aws_local_org.errors import iam_error, no_such_entity
from aws_local_org.iam.base import Response
from aws_local_org.iam.results import PlainResult

Statement = Mapping[str, Any]
_ALLOWED, _EXPLICIT, _IMPLICIT = "allowed", "explicitDeny", "implicitDeny"
_OPERATORS = frozenset({"stringequals", "stringlike", "arnequals", "arnlike"})


class SimulationResponse(Response):
    def simulate_principal_policy(self) -> ActionResult:
        role = self._role(self.params["PolicySourceArn"])
        context = {
            str(each["ContextKeyName"]).lower(): [str(value) for value in each.get("ContextKeyValues", ())]
            for each in self.params.get("ContextEntries") or ()
        }
        boundary = role.permissions_boundary_arn
        texts = [*role.policies.values(), *(_document(policy) for policy in role.managed_policies.values())]
        sets = [_statements(texts)]
        if boundary:
            sets.append(_statements([_document(self.backend.get_policy(boundary))]))
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": _decision(sets, action, resource, context),
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in self.params["ActionNames"]
            for resource in self.params.get("ResourceArns") or ["*"]
        ]
        return PlainResult({"EvaluationResults": results})

    def _role(self, arn: str) -> Role:
        if ":role/" not in arn:
            raise iam_error("InvalidInput", f"The local organization simulates roles only, not {arn}.")
        found = next((role for role in self.backend.roles.values() if role.arn == arn), None)
        if found is None:
            raise no_such_entity(f"The role {arn} cannot be found.")
        return found


def _document(policy: Any) -> str:
    version = next(each for each in policy.versions if each.version_id == policy.default_version_id)
    return str(version.document)


def _statements(documents: Iterable[str]) -> list[Statement]:
    return [each for document in documents for each in _listed(json.loads(document)["Statement"])]


def _decision(
    sets: list[list[Statement]], action: str, resource: str, context: Mapping[str, list[str]]
) -> str:
    """Allowed where each of the sets allows it, and none denies it."""
    effects = [
        {each["Effect"] for each in statements if _applies(each, action, resource, context)}
        for statements in sets
    ]
    if any("Deny" in found for found in effects):
        return _EXPLICIT
    return _ALLOWED if all("Allow" in found for found in effects) else _IMPLICIT


def _applies(statement: Statement, action: str, resource: str, context: Mapping[str, list[str]]) -> bool:
    return (
        _matches(statement, "Action", action.lower())
        and _matches(statement, "Resource", resource)
        and all(
            _holds(operator, key, [str(each) for each in _listed(wanted)], context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _matches(statement: Statement, element: str, value: str) -> bool:
    fold = str.lower if element == "Action" else str
    if f"Not{element}" in statement:
        return not _any(map(fold, _listed(statement[f"Not{element}"])), value)
    return _any(map(fold, _listed(statement.get(element, []))), value)


def _any(patterns: Iterable[str], value: str) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern.replace("[", "[[]")) for pattern in patterns)


def _holds(operator: str, key: str, wanted: list[str], context: Mapping[str, list[str]]) -> bool:
    present = context.get(key.lower())
    if present is None:
        return operator.lower().endswith("ifexists")
    if operator.lower().removesuffix("ifexists") not in _OPERATORS:
        return False
    return any(_any(wanted, value) for value in present)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
