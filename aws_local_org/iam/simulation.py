# SPDX-License-Identifier: Apache-2.0
"""SimulatePrincipalPolicy, by the policies of a user with its groups, a group or a role, and the boundary.

Service control policies are not there. Source:
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.responses import ActionResult

from aws_local_org.errors import iam_error, no_such_entity
from aws_local_org.iam.base import Backend, Response, entity_of
from aws_local_org.iam.policies import default_document
from aws_local_org.iam.results import PlainResult
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY, Request, decision

#: The kinds of resources that a simulation accepts.
_KINDS = ("user", "group", "role")


def own_documents(entity: Any) -> list[str]:
    """The documents of all policies of a user with its groups, a group or a role."""
    return [
        document
        for each in (entity, *getattr(entity, "groups", ()))
        for document in (*each.policies.values(), *map(default_document, each.managed_policies.values()))
    ]


def boundary_document(backend: Backend, entity: Any) -> str | None:
    """The document of the permissions boundary; None if there is none. Groups can't have one."""
    arn = getattr(entity, "permissions_boundary_arn", None)
    return default_document(backend.get_policy(arn)) if arn else None


class SimulationResponse(Response):
    def simulate_principal_policy(self) -> ActionResult:
        sets = list(self._sets(self._entity(self.params["PolicySourceArn"])))
        context = {
            str(each["ContextKeyName"]).lower(): tuple(
                str(value) for value in each.get("ContextKeyValues", ())
            )
            for each in self.params.get("ContextEntries") or ()
        }
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": _decision(sets, Request(action, resource, context)),
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in self.params["ActionNames"]
            for resource in self.params.get("ResourceArns") or ["*"]
        ]
        return PlainResult({"EvaluationResults": results})

    def _sets(self, entity: Any) -> Iterator[list[str]]:
        """Sets of documents, each of which must allow a request. A boundary in the call overrides the entity's own."""
        yield [*own_documents(entity), *self.params.get("PolicyInputList", ())]
        given = self.params.get("PermissionsBoundaryPolicyInputList")
        boundary = boundary_document(self.backend, entity)
        if given:
            yield list(given)
        elif boundary is not None:
            yield [boundary]

    def _entity(self, arn: str) -> Any:
        kind = arn.rpartition(":")[2].partition("/")[0]
        if kind not in _KINDS:
            raise iam_error("InvalidInput", f"Invalid Entity Arn: {arn} does not clearly define entity type.")
        found = entity_of(arn)
        if found is None or f":{self.current_account}:" not in arn:
            raise no_such_entity(f"The {kind} {arn} cannot be found.")
        return found


def _decision(sets: list[list[str]], request: Request) -> str:
    """Allowed if each of the sets allows it and none denies it."""
    found = {decision(request, documents) for documents in sets}
    return next((each for each in (EXPLICIT_DENY, IMPLICIT_DENY) if each in found), ALLOWED)
