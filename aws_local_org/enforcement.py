# SPDX-License-Identifier: Apache-2.0
"""Permissions: whether the policies of a caller allow its request. Only with the setting ``enforce``.

The policies of a role or user, its groups and its boundary decide, with resources and conditions. Policies of resources
(buckets, queues) and service control policies do not exist here, so nothing but an identity-based policy can allow a
request, also sts:AssumeRole within an account. The base credentials may do everything.

Sources: "Policy evaluation logic" and "Troubleshoot access denied error messages" (IAM User Guide); Service
Authorization Reference for actions and resources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from moto.iam.models import iam_backends

from aws_local_org import settings
from aws_local_org.aws_request import AwsRequest
from aws_local_org.credentials import OPERATOR_ROLE, Principal
from aws_local_org.errors import AwsError, access_denied
from c7n_iamusers.policy_comparison.evaluation import ALLOWED, EXPLICIT_DENY, Request, decision

_ANYTHING = "*"
#: boto3's name of a service -> the prefix of its actions.
_PREFIXES = {"sso-admin": "sso"}
#: "No permissions are required to perform this operation" (STS API reference).
_FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
#: Operations of S3 whose action has another name.
_S3_ACTIONS = {
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
}
Parameters = Mapping[str, Any]


def check(principal: Principal, request: AwsRequest) -> None:
    """Raises AwsError AccessDenied, in AWS's words, where ``principal`` may not make ``request``."""
    if (principal.role_arn or "").endswith(f":role/{OPERATOR_ROLE}"):
        return
    policies = policies_of(principal)
    for each in requests(principal, request):
        if reason := refusal(each, policies):
            raise _denied(principal, each, reason)


@dataclass(frozen=True)
class Policies:
    """JSON documents. ``boundary``: None if there is none."""

    own: tuple[str, ...]
    boundary: str | None = None


def refusal(request: Request, policies: Policies) -> str:
    """Why ``request`` is denied, as the end of AWS's message; empty if it is allowed."""
    own = decision(request, policies.own)
    limit = ALLOWED if policies.boundary is None else decision(request, [policies.boundary])
    for found, kind in ((own, "identity-based policy"), (limit, "permissions boundary")):
        if found == EXPLICIT_DENY:
            article = "an" if kind.startswith("i") else "a"
            return f"with an explicit deny in {article} {kind}"
    for found, kind in ((own, "identity-based policy"), (limit, "permissions boundary")):
        if found != ALLOWED:
            return f"because no {kind} allows the {request.action} action"
    return ""


def _denied(principal: Principal, request: Request, reason: str) -> AwsError:
    return access_denied(
        f"User: {principal.arn} is not authorized to perform: {request.action} on resource: {request.resource} {reason}"
    )


def policies_of(principal: Principal) -> Policies:
    """The policies of the role or user behind ``principal``; none if it was deleted meanwhile."""
    backend: Any = iam_backends[principal.account][settings.current().partition]
    entities: Sequence[Any]
    if principal.role_arn:
        entities = [role for role in backend.roles.values() if role.arn == principal.role_arn]
    else:
        user = backend.users.get(principal.user_name)
        groups = [group for group in backend.groups.values() if user in group.users]
        entities = [user, *groups] if user else []
    documents = [
        document
        for entity in entities
        for document in (*entity.policies.values(), *map(_document, entity.managed_policies.values()))
    ]
    boundary = getattr(entities[0], "permissions_boundary_arn", None) if entities else None
    return Policies(tuple(documents), _document(backend.get_policy(boundary)) if boundary else None)


def _document(policy: Any) -> str:
    version = next(each for each in policy.versions if each.version_id == policy.default_version_id)
    return str(version.document)


def requests(principal: Principal, request: AwsRequest) -> Iterator[Request]:
    """What must be allowed for ``request``: each of its actions on each of its resources."""
    context = _context(principal, request.parameters)
    for action in _actions(request):
        if action not in _FREE:
            for resource in dict.fromkeys(_resources(principal, request)) or (_ANYTHING,):
                yield Request(action, resource, context)


def _actions(request: AwsRequest) -> Iterator[str]:
    prefix = _PREFIXES.get(request.service, request.service)
    operation = request.operation
    if request.service == "s3":
        operation = _S3_ACTIONS.get(operation, operation)
        if operation == "PutObject" and "ACL" in request.parameters:
            yield "s3:PutObjectAcl"
    yield f"{prefix}:{operation}"


def _context(principal: Principal, parameters: Parameters) -> dict[str, str]:
    """The condition keys that the policies of this package use, and a few more."""
    given = {
        "aws:principalarn": principal.role_arn or principal.arn,
        "aws:principalaccount": principal.account,
        "aws:userid": principal.user_id,
        "aws:username": principal.user_name,
        "iam:policyarn": parameters.get("PolicyArn"),
        "iam:permissionsboundary": parameters.get("PermissionsBoundary"),
        "s3:prefix": parameters.get("Prefix"),
        "sts:externalid": parameters.get("ExternalId"),
    }
    return {key: str(value) for key, value in given.items() if value is not None}


def _resources(principal: Principal, request: AwsRequest) -> Iterator[str]:
    """The ARNs that ``request`` acts on; none for an action without a resource type."""
    if find := _FINDERS.get(request.service):
        yield from find(principal, request)


def _in_iam(principal: Principal, request: AwsRequest) -> Iterator[str]:
    parameters, backend = request.parameters, iam_backends[principal.account][settings.current().partition]
    if "AccessKeyId" in parameters and "UserName" not in parameters:
        # GetAccessKeyLastUsed acts on the user that has the key.
        key: Any = backend.access_keys.get(parameters["AccessKeyId"])
        parameters = {**parameters, "UserName": key.user_name} if key else parameters
    for member in ("SerialNumber", "PolicyArn", "PolicySourceArn"):
        arn = str(parameters.get(member, ""))
        # Of a call on a user, group or role these only say what is attached.
        if arn.startswith("arn:") and not parameters.keys() & {"UserName", "GroupName", "RoleName"}:
            yield arn
    for member, kind, known in (
        ("GroupName", "group", backend.groups),
        ("UserName", "user", backend.users),
        ("RoleName", "role", {role.name: role for role in backend.roles.values()}),
    ):
        if name := parameters.get(member):
            # With a path, if the entity is there, or is to be created with one.
            path = parameters.get("Path") or getattr(known.get(name), "path", None) or "/"
            yield f"arn:{settings.current().partition}:iam::{principal.account}:{kind}{path}{name}"
            return  # of a membership the group counts


def _in_center(principal: Principal, request: AwsRequest) -> Iterator[str]:
    parameters = request.parameters
    for member in ("InstanceArn", "PermissionSetArn", "ResourceArn"):
        if member in parameters:
            yield str(parameters[member])
    for member in ("TargetId", "AccountId"):
        if member in parameters:
            yield f"arn:{settings.current().partition}:sso:::account/{parameters[member]}"


#: Operations of Identity Store that act on all objects of a kind.
_STORE_LISTS = {
    "GetUserId": "user",
    "ListUsers": "user",
    "GetGroupId": "group",
    "ListGroups": "group",
    "GetGroupMembershipId": "membership",
    "ListGroupMemberships": "membership",
    "ListGroupMembershipsForMember": "membership",
}


def _in_store(principal: Principal, request: AwsRequest) -> Iterator[str]:
    parameters, current = request.parameters, settings.current()
    if store := parameters.get("IdentityStoreId"):
        yield f"arn:{current.partition}:identitystore::{current.management_account}:identitystore/{store}"
    if kind := _STORE_LISTS.get(request.operation):
        yield f"arn:{current.partition}:identitystore:::{kind}/*"
    ids = {**parameters, **(parameters.get("MemberId") or {})}
    for member, kind in (("UserId", "user"), ("GroupId", "group"), ("MembershipId", "membership")):
        if member in ids:
            yield f"arn:{current.partition}:identitystore:::{kind}/{ids[member]}"


def _in_s3(principal: Principal, request: AwsRequest) -> Iterator[str]:
    if bucket := request.parameters.get("Bucket"):
        key = request.parameters.get("Key")
        yield f"arn:{settings.current().partition}:s3:::{bucket}" + (f"/{key}" if key else "")


def _in_sqs(principal: Principal, request: AwsRequest) -> Iterator[str]:
    account, name = principal.account, request.parameters.get("QueueName")
    if url := request.parameters.get("QueueUrl"):
        account, name = urlparse(str(url)).path.strip("/").split("/")[-2:]
    if name:
        yield f"arn:{settings.current().partition}:sqs:{request.region}:{account}:{name}"


def _in_sts(principal: Principal, request: AwsRequest) -> Iterator[str]:
    if role := request.parameters.get("RoleArn"):
        yield str(role)


_FINDERS: Mapping[str, Callable[[Principal, AwsRequest], Iterator[str]]] = {
    "iam": _in_iam,
    "sso-admin": _in_center,
    "identitystore": _in_store,
    "s3": _in_s3,
    "sqs": _in_sqs,
    "sts": _in_sts,
}
