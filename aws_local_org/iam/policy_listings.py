# SPDX-License-Identifier: Apache-2.0
"""The views of managed policies and versions in IAM's responses, and the entities that use a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from moto.core.responses import ActionResult
from moto.iam.models import AWSManagedPolicy, ManagedPolicy, PolicyVersion

from aws_local_org.iam.base import Response
from aws_local_org.iam.managed_policies import UNUSED, Usage, usage_in
from aws_local_org.iam.results import Listing, PlainResult, newest_first


class PolicyListingsResponse(Response):
    """Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicies.html, API_GetPolicy.html and
    API_ListEntitiesForPolicy.html."""

    def create_policy(self) -> ActionResult:
        """Without the description, though CreatePolicy takes one."""
        policy = self.backend.create_policy(
            self.params.get("Description") or "",
            self.params.get("Path") or "/",
            self.params["PolicyDocument"],
            self.params["PolicyName"],
            self.params.get("Tags") or [],
        )
        return PlainResult({"Policy": {**policy_shape(policy, UNUSED), "Tags": policy.get_tags() or None}})

    def get_policy(self) -> ActionResult:
        policy = self.backend.get_policy(self.params["PolicyArn"])
        shown = policy_shape(policy, usage_in(self.backend))
        return PlainResult(
            {"Policy": {**shown, "Description": policy.description or None, "Tags": policy.get_tags()}}
        )

    def create_policy_version(self) -> ActionResult:
        version = self.backend.create_policy_version(
            self.params["PolicyArn"], self.params["PolicyDocument"], bool(self.params.get("SetAsDefault"))
        )
        policy = self.backend.get_policy(self.params["PolicyArn"])
        return PlainResult({"PolicyVersion": _listed_version(policy, version)})

    def get_policy_version(self) -> ActionResult:
        """The only one of the three that shows the document."""
        arn = self.params["PolicyArn"]
        version = self.backend.get_policy_version(arn, self.params["VersionId"])
        return PlainResult({"PolicyVersion": whole_version(self.backend.get_policy(arn), version)})

    def list_policy_versions(self) -> ActionResult:
        policy = self.backend.get_policy(self.params["PolicyArn"])
        return PlainResult(
            {"Versions": Listing(policy.versions, lambda version: _listed_version(policy, version))}
        )

    def list_policies(self) -> ActionResult:
        usage = usage_in(self.backend)
        wanted = [
            policy for policy in self.backend.managed_policies.values() if self._is_wanted(policy, usage)
        ]
        return PlainResult({"Policies": Listing(wanted, lambda policy: policy_shape(policy, usage))})

    def _is_wanted(self, policy: ManagedPolicy, usage: Usage) -> bool:
        scope, wanted_use = self.params.get("Scope") or "All", self.params.get("PolicyUsageFilter")
        of_aws = isinstance(policy, AWSManagedPolicy)
        uses = {
            "PermissionsPolicy": usage.attachments[policy.arn],
            "PermissionsBoundary": usage.boundaries[policy.arn],
        }
        return (
            scope in ("All", "AWS" if of_aws else "Local")
            and policy.path.startswith(self.params.get("PathPrefix") or "/")
            and (not self.params.get("OnlyAttached") or any(uses.values()))
            and (wanted_use is None or uses[wanted_use] > 0)
        )

    def list_entities_for_policy(self) -> ActionResult:
        policy = self.backend.get_policy(self.params["PolicyArn"])
        return PlainResult(
            {
                "PolicyGroups": self._users_of(policy, "Group", self.backend.groups.values()),
                "PolicyUsers": self._users_of(policy, "User", self.backend.users.values()),
                "PolicyRoles": self._users_of(policy, "Role", self.backend.roles.values()),
            }
        )

    def _users_of(self, policy: ManagedPolicy, kind: str, entities: Iterable[Any]) -> Listing:
        uses = _USES[self.params.get("PolicyUsageFilter")]
        prefix = self.params.get("PathPrefix") or "/"
        if self.params.get("EntityFilter") not in (None, kind):
            entities = ()
        using = [entity for entity in entities if entity.path.startswith(prefix) and uses(entity, policy.arn)]
        return Listing(using, lambda entity: {f"{kind}Name": entity.name, f"{kind}Id": entity.id})


def _attached(entity: Any, policy_arn: str) -> bool:
    return policy_arn in entity.managed_policies


def _bounding(entity: Any, policy_arn: str) -> bool:
    return getattr(entity, "permissions_boundary_arn", None) == policy_arn


_USES: dict[str | None, Callable[[Any, str], bool]] = {
    None: lambda entity, arn: _attached(entity, arn) or _bounding(entity, arn),
    "PermissionsPolicy": _attached,
    "PermissionsBoundary": _bounding,
}


def policy_shape(policy: ManagedPolicy, usage: Usage) -> dict[str, Any]:
    """Policy as ListPolicies shows it, without description and tags."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version_id,
        "AttachmentCount": usage.attachments[policy.arn],
        "PermissionsBoundaryUsageCount": usage.boundaries[policy.arn],
        "IsAttachable": True,
        "CreateDate": policy.create_date,
        "UpdateDate": policy.update_date,
    }


def _listed_version(policy: ManagedPolicy, version: PolicyVersion) -> dict[str, Any]:
    return {
        "VersionId": version.version_id,
        "IsDefaultVersion": version.version_id == policy.default_version_id,
        "CreateDate": version.create_date,
    }


def whole_version(policy: ManagedPolicy, version: PolicyVersion) -> dict[str, Any]:
    """PolicyVersion with its document, as GetPolicyVersion and authorization details show it."""
    return {**_listed_version(policy, version), "Document": quote(version.document)}


def versions_of(policy: ManagedPolicy) -> list[PolicyVersion]:
    """The versions of a policy as authorization details order them, the newest first."""
    return sorted(policy.versions, key=lambda version: newest_first(version.version_id))
