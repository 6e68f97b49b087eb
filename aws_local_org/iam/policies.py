# SPDX-License-Identifier: Apache-2.0
"""Policies: IAM's checks of documents, inline policies, managed policies and their versions, and who uses them.

AWS's managed policies are shared between accounts; a customer-managed one can be deleted only while it is unused.
"User policy size cannot exceed 2,048 characters, role policy size 10,240, group policy size 5,120"; "IAM doesn't count
white space": https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy, PolicyVersion
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from aws_local_org.errors import (
    delete_conflict,
    iam_error,
    invalid_input,
    no_such_entity,
    quota_exceeded,
    validation_error,
)
from aws_local_org.iam import entities
from aws_local_org.iam.base import Backend, Response
from aws_local_org.iam.results import Listing, PlainResult, newest_first

_SID = re.compile("[0-9A-Za-z]*")


def check_document(text: str) -> None:
    """Raise MalformedPolicyDocument, in IAM's words, unless the text is an identity-based policy.

    moto knows the grammar. The rest is what moto accepts and IAM refuses. Source:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html, ..._elements_principal.html.
    """
    IAMPolicyDocumentValidator(text).validate()
    statements = json.loads(text)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        if {"Principal", "NotPrincipal"} & set(statement):
            raise iam_error("MalformedPolicyDocument", "Policy document should not specify a principal.")
        if not _SID.fullmatch(statement.get("Sid") or ""):
            raise iam_error(
                "MalformedPolicyDocument",
                "Statement IDs (SID) must be alpha-numeric. "  # codespell:ignore
                "Check that your input satisfies the regular expression [0-9A-Za-z]*",
            )


def size_of(text: str) -> int:
    """The characters that count: "IAM doesn't count white space when calculating the size of a policy"."""
    return len("".join(text.split()))


#: The characters that all inline policies of one entity may have together.
CHARACTERS_OF_USER, CHARACTERS_OF_GROUP, CHARACTERS_OF_ROLE = 2_048, 5_120, 10_240


class InlinePoliciesBackend(Backend):
    def put_user_policy(self, user_name: str, policy_name: str, policy_json: str) -> None:
        held = self.get_user(user_name).policies
        _check_size(held, policy_name, policy_json, CHARACTERS_OF_USER, f"user {user_name}")
        super().put_user_policy(user_name, policy_name, policy_json)

    def put_group_policy(self, group_name: str, policy_name: str, policy_json: str) -> None:
        held = self.get_group(group_name).policies
        _check_size(held, policy_name, policy_json, CHARACTERS_OF_GROUP, f"group {group_name}")
        super().put_group_policy(group_name, policy_name, policy_json)

    def put_role_policy(self, role_name: str, policy_name: str, policy_json: str) -> None:
        held = self.get_role(role_name).policies
        _check_size(held, policy_name, policy_json, CHARACTERS_OF_ROLE, f"role {role_name}")
        super().put_role_policy(role_name, policy_name, policy_json)


class InlinePoliciesResponse(Response):
    def get_user_policy(self) -> ActionResult:
        return self._shown("User", self.backend.get_user(self.params["UserName"]))

    def get_group_policy(self) -> ActionResult:
        return self._shown("Group", self.backend.get_group(self.params["GroupName"]))

    def get_role_policy(self) -> ActionResult:
        return self._shown("Role", self.backend.get_role(self.params["RoleName"]))

    def delete_user_policy(self) -> ActionResult:
        return self._deleted("User", self.backend.get_user(self.params["UserName"]))

    def delete_group_policy(self) -> ActionResult:
        return self._deleted("Group", self.backend.get_group(self.params["GroupName"]))

    def delete_role_policy(self) -> ActionResult:
        return self._deleted("Role", self.backend.get_role(self.params["RoleName"]))

    def _shown(self, kind: str, holder: Any) -> ActionResult:
        name = self._name_of_one(kind, holder)
        document = quote(holder.policies[name])
        return PlainResult({f"{kind}Name": holder.name, "PolicyName": name, "PolicyDocument": document})

    def _deleted(self, kind: str, holder: Any) -> ActionResult:
        del holder.policies[self._name_of_one(kind, holder)]
        return EmptyResult()

    def _name_of_one(self, kind: str, holder: Any) -> str:
        name: str = self.params["PolicyName"]
        if name not in holder.policies:
            raise no_such_entity(f"The {kind.lower()} policy with name {name} cannot be found.")
        return name


def _check_size(held: Mapping[str, str], name: str, document: str, limit: int, holder: str) -> None:
    check_document(document)
    if sum(size_of(text) for text in {**held, name: document}.values()) > limit:
        raise iam_error("LimitExceeded", f"Maximum policy size of {limit} bytes exceeded for {holder}")


#: Quotas of managed policies: attached to one entity, and the characters of one.
POLICIES_PER_ENTITY, CHARACTERS = 10, 6_144

_POLICY_ARN = re.compile(r"arn:[\w-]+:iam::(aws|\d{12}):policy/.+")


@cache
def _catalogue(partition: str) -> dict[str, AWSManagedPolicy]:
    """AWS's managed policies, by ARN. They never change, so they are read once and shared by all accounts.

    Every partition has moto's policies of aws. moto loads them only if its environment says so, and parses their
    documents again for each account.
    """
    policies = {}
    for place, data in _catalogue_data().items():
        name = place.rpartition("/")[2]
        policy = AWSManagedPolicy.from_data(name, account_id="aws", region_name=partition, data=data)
        policy.id = entities.aws_policy_id(policy.arn)
        policies[policy.arn] = policy
    return policies


class ManagedPoliciesBackend(Backend):
    def _init_aws_policies(self) -> list[ManagedPolicy]:
        return list(_catalogue(self.partition).values())

    def _init_managed_policies(self) -> dict[str, ManagedPolicy]:
        return dict(_catalogue(self.partition))

    def create_policy(
        self,
        description: str,
        path: str,
        policy_document: str,
        policy_name: str,
        tags: list[dict[str, str]],
    ) -> ManagedPolicy:
        _check_managed(policy_document)
        policy = super().create_policy(description, path, policy_document, policy_name, tags)
        policy.id = entities.new_id(entities.MANAGED_POLICY, self.account_id)
        return policy

    def get_policy(self, policy_arn: str) -> ManagedPolicy:
        return self._policy(policy_arn, "was not found.")

    def attach_user_policy(self, policy_arn: str, user_name: str) -> None:
        self._attach(policy_arn, self.get_user(user_name), "PoliciesPerUser")

    def attach_group_policy(self, policy_arn: str, group_name: str) -> None:
        self._attach(policy_arn, self.get_group(group_name), "PoliciesPerGroup")

    def attach_role_policy(self, policy_arn: str, role_name: str) -> None:
        self._attach(policy_arn, self.get_role(role_name), "PoliciesPerRole")

    def detach_user_policy(self, policy_arn: str, user_name: str) -> None:
        self._detach(policy_arn, self.get_user(user_name))

    def detach_group_policy(self, policy_arn: str, group_name: str) -> None:
        self._detach(policy_arn, self.get_group(group_name))

    def detach_role_policy(self, policy_arn: str, role_name: str) -> None:
        self._detach(policy_arn, self.get_role(role_name))

    def _attach(self, policy_arn: str, entity: Any, quota: str) -> None:
        policy = self._policy(policy_arn, "does not exist or is not attachable.")
        if policy_arn in entity.managed_policies:
            return
        if len(entity.managed_policies) >= POLICIES_PER_ENTITY:
            raise quota_exceeded(quota, POLICIES_PER_ENTITY)
        entity.managed_policies[policy_arn] = policy

    def _detach(self, policy_arn: str, entity: Any) -> None:
        if entity.managed_policies.pop(policy_arn, None) is None:
            self.get_policy(policy_arn)
            raise no_such_entity(f"Policy {policy_arn} was not found.")

    def _policy(self, policy_arn: str, missing: str) -> ManagedPolicy:
        """Raises ValidationError for an invalid ARN, and NoSuchEntity, which ends in `missing`, for an unknown one."""
        if not _POLICY_ARN.fullmatch(policy_arn):
            raise validation_error("Invalid ARN:  Could not be parsed!")
        if policy_arn not in self.managed_policies:
            raise no_such_entity(f"Policy {policy_arn} {missing}")
        return self.managed_policies[policy_arn]

    def check_boundary(self, policy_arn: str | None) -> None:
        """Raises InvalidInput for an invalid ARN, and NoSuchEntity for an unknown one. None: no boundary."""
        if policy_arn and not _POLICY_ARN.fullmatch(policy_arn):
            raise invalid_input(f"ARN {policy_arn} is not valid.")
        if policy_arn and policy_arn not in self.managed_policies:
            raise no_such_entity(f"Scope ARN: {policy_arn} does not exist or is not attachable.")

    def delete_policy(self, policy_arn: str) -> None:
        """DeleteConflict while attached, used as a boundary, or with more than its default version.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html.
        """
        policy = self._own_policy(policy_arn)
        usage = usage_in(self)
        if usage.attachments[policy_arn] or usage.boundaries[policy_arn]:
            raise delete_conflict("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise delete_conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        del self.managed_policies[policy_arn]

    def create_policy_version(
        self, policy_arn: str, policy_document: str, set_as_default: bool
    ) -> PolicyVersion:
        policy = self._own_policy(policy_arn)
        _check_managed(policy_document)
        version = super().create_policy_version(policy_arn, policy_document, set_as_default)
        policy.update_date = utcnow()
        return version

    def get_policy_version(self, policy_arn: str, version_id: str) -> PolicyVersion:
        missing = f"version {version_id} does not exist or is not attachable."
        policy = self._policy(policy_arn, missing)
        found = next((version for version in policy.versions if version.version_id == version_id), None)
        if found is None:
            raise no_such_entity(f"Policy {policy_arn} {missing}")
        return found

    def delete_policy_version(self, policy_arn: str, version_id: str) -> None:
        self._check_own(policy_arn)
        self.get_policy_version(policy_arn, version_id)
        super().delete_policy_version(policy_arn, version_id)

    def set_default_policy_version(self, policy_arn: str, version_id: str) -> None:
        self._check_own(policy_arn)
        self.get_policy_version(policy_arn, version_id)
        super().set_default_policy_version(policy_arn, version_id)

    def tag_policy(self, policy_arn: str, tags: list[dict[str, str]]) -> None:
        self._own_policy(policy_arn)
        super().tag_policy(policy_arn, tags)

    def _own_policy(self, policy_arn: str) -> ManagedPolicy:
        self._check_own(policy_arn)
        return self.get_policy(policy_arn)

    def _check_own(self, policy_arn: str) -> None:
        if isinstance(self.managed_policies.get(policy_arn), AWSManagedPolicy):
            raise invalid_input(f"Policy {policy_arn} is outside your own account.")


def _check_managed(document: str) -> None:
    check_document(document)
    if size_of(document) > CHARACTERS:
        raise quota_exceeded("PolicySize", CHARACTERS)


def default_document(policy: ManagedPolicy) -> str:
    """The document of the version that is in force."""
    return str(
        next(
            version.document for version in policy.versions if version.version_id == policy.default_version_id
        )
    )


@dataclass(frozen=True)
class Usage:
    """By policy ARN: to how many users, groups and roles it is attached, and how many users and roles it bounds."""

    attachments: Counter[str]
    boundaries: Counter[str]


#: The usage of a new policy.
UNUSED = Usage(Counter(), Counter())


def usage_in(account: Any) -> Usage:
    """The usage in one account, given its IAM backend."""
    bounded = [*account.users.values(), *account.roles.values()]
    entities = [*bounded, *account.groups.values()]
    return Usage(
        Counter(arn for entity in entities for arn in entity.managed_policies),
        Counter(entity.permissions_boundary_arn for entity in bounded if entity.permissions_boundary_arn),
    )


def aws_policy_exists(arn: str) -> bool:
    """Whether AWS has the managed policy. arn: of any partition; the catalogue is the same in all."""
    return _place(arn) in _catalogue_data()


def aws_policy(backend: IAMBackend, arn: str) -> Any:
    """AWS's managed policy in an account's IAM. arn must exist; one of another partition than `aws` is loaded first."""
    if arn not in backend.managed_policies:
        name = arn.rpartition("/")[2]
        data = _catalogue_data()[_place(arn)]
        policy = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
        backend.managed_policies[arn] = policy
    return backend.managed_policies[arn]


@cache
def _catalogue_data() -> dict[str, dict[str, Any]]:
    """Path and name -> moto's record of the policy."""
    policies = json.loads(aws_managed_policies_data)
    return {f"{data['Path']}{name}": data for name, data in policies.items()}


def _place(arn: str) -> str:
    """`/service-role/AWSConfigRole` of `arn:aws:iam::aws:policy/service-role/AWSConfigRole`."""
    return arn.partition(":policy")[2]


class PolicyListingsResponse(Response):
    """Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicies.html, API_GetPolicy.html and
    API_ListEntitiesForPolicy.html."""

    def create_policy(self) -> ActionResult:
        """The response has no description, although CreatePolicy takes one."""
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
        """The only response about versions that has the document."""
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
