# SPDX-License-Identifier: Apache-2.0
"""SimulatePrincipalPolicy for roles: their policies and boundary; service control policies are not there.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html.
"""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.iam.models import Role

from aws_local_org.errors import iam_error, no_such_entity
from aws_local_org.iam.base import Response
from aws_local_org.iam.policies import default_document
from aws_local_org.iam.results import PlainResult
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY, Request, decision


class SimulationResponse(Response):
    def simulate_principal_policy(self) -> ActionResult:
        role = self._role(self.params["PolicySourceArn"])
        context = {
            str(each["ContextKeyName"]).lower(): tuple(
                str(value) for value in each.get("ContextKeyValues", ())
            )
            for each in self.params.get("ContextEntries") or ()
        }
        sets = [[*role.policies.values(), *map(default_document, role.managed_policies.values())]]
        if boundary := role.permissions_boundary_arn:
            sets.append([default_document(self.backend.get_policy(boundary))])
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

    def _role(self, arn: str) -> Role:
        if ":role/" not in arn:
            raise iam_error("InvalidInput", f"The local organization simulates roles only, not {arn}.")
        found = next((role for role in self.backend.roles.values() if role.arn == arn), None)
        if found is None:
            raise no_such_entity(f"The role {arn} cannot be found.")
        return found


def _decision(sets: list[list[str]], request: Request) -> str:
    """Allowed where each of the sets allows it, and none denies it."""
    found = {decision(request, documents) for documents in sets}
    return next((each for each in (EXPLICIT_DENY, IMPLICIT_DENY) if each in found), ALLOWED)
