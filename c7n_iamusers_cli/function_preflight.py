# SPDX-License-Identifier: Apache-2.0
"""What ``preflight`` asks about policies that run as Lambda functions: who deploys them, and what they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from c7n_iamusers.exceptions import InvalidPolicyData

if TYPE_CHECKING:
    from c7n_iamusers.organization.account_values import AccountValues
    from c7n_iamusers.organization.function_checks import FunctionProbes
    from c7n_iamusers.organization.readiness import Check, Target
    from c7n_iamusers.roles.resource_policies import ResourcePolicy

#: Stands for the runner, on which the deployer's permissions don't depend.
_ANY_RUNNER = "role/Runner"


@dataclass(frozen=True)
class Deployed:
    """Policies that run as functions. ``data``: theirs. ``used``: their variables.

    ``statements``: what their deployer needs. ``resources``: the policies that buckets and queues need for them.
    ``lists``: of exemptions, as ``s3:::BUCKET/KEY``. ``fault``: why these are unknown.
    """

    data: Sequence[Mapping[str, Any]] = ()
    used: frozenset[str] = frozenset()
    statements: Sequence[Mapping[str, Any]] = ()
    resources: Sequence[ResourcePolicy] = ()
    lists: Sequence[str] = ()
    fault: str = ""

    def checks(self, asked: FunctionProbes) -> Iterator[Check]:
        """Of one account."""
        modes = [data["mode"] for data in self.data]
        reserved = sum(int(mode.get("concurrency") or 0) for mode in modes)
        yield from asked.all(self.used, any(mode["type"] == "cloudtrail" for mode in modes), reserved)
        yield asked.deployer([_concrete(each, asked.target) for each in self.statements], self.fault)


def deployed(
    policies: Sequence[Any], values: AccountValues, used: Mapping[str, frozenset[str]], runner: str
) -> Deployed | None:
    """What those of c7n's ``policies`` need that run as functions; None if there are none.

    ``used``: policy -> its variables. ``runner``: the ARN of the asking role.
    """
    from c7n_iamusers.roles.documents import DEPLOYER, RoleNeeds, RoleSettings, role_documents
    from c7n_iamusers.roles.places import Places
    from c7n_iamusers.roles.resource_policies import Trusted, resource_policies
    from c7n_iamusers_cli.role_documents import functions_of

    if not policies:
        return None
    data = [policy.data for policy in policies]
    names = frozenset(name for policy in policies for name in used[policy.name])
    _, partition, _, _, account, _ = runner.split(":", 5)
    arn = f"arn:{partition}:iam::{account}:{_ANY_RUNNER}"
    settings = RoleSettings((arn,), "Reader", "Remover", "Restorer", deployer="Deployer")
    accounts = Trusted("", tuple(each.account_id for each in values.targets))
    try:
        functions = functions_of(policies, values, ())
        documents = role_documents(RoleNeeds(functions=functions), settings, Places())
        resources = resource_policies(documents, accounts)
    except InvalidPolicyData as error:
        return Deployed(data, names, fault=str(error))
    (deployer,) = (each for each in documents if each.kind == DEPLOYER)
    lists = dict.fromkeys(place for each in functions for _, place in sorted(each.needed.bound))
    return Deployed(data, names, deployer.policy["Statement"], resources, tuple(lists))


def _concrete(statement: Mapping[str, Any], target: Target) -> Mapping[str, Any]:
    """``statement`` with its resources in one account and Region, as the policy simulator requires."""
    region, account = target.region, target.account_id
    resources = [
        arn.replace(":*:*:", f":{region}:{account}:").replace(":iam::*:", f":iam::{account}:")
        for arn in statement["Resource"]
    ]
    return {**statement, "Resource": resources}
