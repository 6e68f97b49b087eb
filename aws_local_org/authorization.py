# SPDX-License-Identifier: Apache-2.0
"""What permissions a request needs: its actions, each on its resources, with its known condition keys.

Sources: Service Authorization Reference for actions, dependent actions, resources and keys; "AWS global condition
context keys" (IAM User Guide); "Required permissions for Amazon S3 API operations" (S3 User Guide).
"""

from __future__ import annotations

import base64
import binascii
import calendar
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from email import message_from_bytes
from email.utils import parseaddr
from functools import cache
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlparse

from moto.core.utils import get_service_model, utcnow
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from aws_local_org import organization, settings
from aws_local_org.aws_request import AwsRequest
from aws_local_org.credentials import Principal
from aws_local_org.errors import NOT_IMPLEMENTED, AwsError
from aws_local_org.iam.base import entity_named, entity_of, is_of_caller
from aws_local_org.identity_center.state import instances
from c7n_iamusers.policy_comparison.evaluation import Request

Parameters: TypeAlias = Mapping[str, Any]
#: An action and its resource: an ARN, ANYTHING for an action without a resource type, None for an unknown one.
_Wanted: TypeAlias = tuple[str, str | None]
_Context: TypeAlias = dict[str, str | tuple[str, ...]]
ANYTHING = "*"
#: "No permissions are required to perform this operation" (STS API reference).
_FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
#: boto3's name of a service -> the prefix of its actions.
_PREFIXES = {"sso-admin": "sso", "sesv2": "ses"}


def requests(principal: Principal, request: AwsRequest) -> Iterator[Request]:
    """What ``request`` needs: each of its actions on each of its resources.

    Raises AwsError for an operation with unknown actions.
    """
    if request.operation not in _operations(request.service):
        raise _unsupported(request)
    find = _FINDERS.get(request.service, _of_other_services)
    for action, resource in dict.fromkeys(find(principal, request)):
        if action not in _FREE:
            context = {**_of_principal(principal, request), **_of_request(principal, request, action)}
            context |= _of_resource(principal, request, resource)
            yield Request(action, resource, context, _known(request, resource))


@cache
def _operations(service: str) -> frozenset[str]:
    try:
        return frozenset(get_service_model(service).operation_names)
    except Exception:  # noqa: BLE001 - whatever a loader raises for a service that botocore does not know
        return frozenset()


def _unsupported(request: AwsRequest) -> AwsError:
    return AwsError(
        NOT_IMPLEMENTED,
        f"The local organization does not know which permissions {request.service} {request.operation} takes, so it "
        "refuses it with --enforce.",
    )


# IAM

#: The parameter that names an operation's resource -> its type. The first one given counts.
_NAMES = {
    "InstanceProfileName": "instance-profile",
    "GroupName": "group",  # a membership counts as its group
    "UserName": "user",
    "RoleName": "role",
    "ServerCertificateName": "server-certificate",
    "VirtualMFADeviceName": "mfa",
    "PolicyName": "policy",
    "Name": "saml-provider",
}
_ARNS = ("SerialNumber", "PolicyArn", "PolicySourceArn", "Arn", "SAMLProviderArn", "OpenIDConnectProviderArn")
#: Operations with a resource type that don't name the resource.
_UNNAMED = frozenset(
    {
        "AcquireRole",
        "CreateServiceLinkedRole",
        "GenerateOrganizationsAccessReport",
        "GetAccessKeyLastUsed",  # of an unknown key
        "GetHumanReadableSummary",
        "GetRoleTemplateVersion",
        "GetServiceLinkedRoleDeletionStatus",
        "ListServiceSpecificCredentials",
    }
)
#: "IAM and AWS STS condition context keys", iam:PermissionsBoundary: by the Service Authorization Reference.
_BOUNDED = frozenset(
    f"iam:{verb}{kind}{what}"
    for kind in ("User", "Role")
    for verb, what in (
        ("Attach", "Policy"),
        ("Create", ""),
        ("Delete", "PermissionsBoundary"),
        ("Delete", "Policy"),
        ("Detach", "Policy"),
        ("Put", "PermissionsBoundary"),
        ("Put", "Policy"),
    )
)


def _of_iam(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    operation, parameters = request.operation, dict(request.parameters)
    if not parameters.get("UserName") and is_of_caller(operation) and principal.user_name:
        parameters["UserName"] = principal.user_name
    if owner := _owner(principal, operation, parameters):
        parameters["UserName"] = owner
    found: list[str | None] = [*_in_iam(principal, parameters)]
    for resource in found or [None if _is_unnamed(operation) else ANYTHING]:
        yield f"iam:{operation}", resource
        if parameters.get("Tags") and operation.startswith(("Create", "Upload")):
            kind = operation.removeprefix("Create").removeprefix("Upload")
            yield f"iam:Tag{kind.replace('VirtualMFA', 'MFA')}", resource
    if operation == "AddRoleToInstanceProfile":
        role = str(parameters.get("RoleName"))
        path = _path(principal.account, "role", role)
        yield "iam:PassRole", _iam_arn(principal.account, "role", role, path)


def _owner(principal: Principal, operation: str, parameters: Parameters) -> str | None:
    """The user of the named key or device, for an operation on the user."""
    backend: Any = iam_backends[principal.account][settings.current().partition]
    if operation == "GetAccessKeyLastUsed":
        key = backend.access_keys.get(parameters.get("AccessKeyId"))
        return key.user_name if key else None
    if operation == "GetMFADevice" and not parameters.get("UserName"):
        serial = parameters.get("SerialNumber")
        holders = (user.name for user in backend.users.values() if serial in user.mfa_devices)
        return next(holders, principal.user_name)
    return None


def _is_unnamed(operation: str) -> bool:
    return operation in _UNNAMED or operation.endswith(("DelegationRequest", "DelegationToken"))


def _in_iam(principal: Principal, parameters: Parameters) -> Iterator[str]:
    account, partition = principal.account, settings.current().partition
    for member, kind in _NAMES.items():
        if name := parameters.get(member):
            if path := parameters.get("Path"):  # the one to create
                yield _iam_arn(account, kind, str(name), str(path))
                return
            before = _path(account, kind, str(name))
            yield _iam_arn(account, kind, str(name), before)
            # "must have appropriate permissions on both the source object and the target object" (UpdateUser)
            renamed = parameters.get(f"New{member}") or name
            yield _iam_arn(account, kind, str(renamed), str(parameters.get("NewPath") or before))
            return
    for member in _ARNS:
        if str(arn := parameters.get(member, "")).startswith("arn:"):
            yield str(arn)
    if url := parameters.get("Url"):
        yield f"arn:{partition}:iam::{account}:oidc-provider/{str(url).partition('://')[2]}"


def _iam_arn(account: str, kind: str, name: str, path: str) -> str:
    return f"arn:{settings.current().partition}:iam::{account}:{kind}{path}{name}"


def _path(account: str, kind: str, name: str) -> str:
    return getattr(entity_named(account, kind, name), "path", None) or "/"


# IAM Identity Center


def _of_center(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    parameters, partition = request.parameters, settings.current().partition
    found: list[str | None] = [
        str(parameters[member])
        for member in (
            *("InstanceArn", "PermissionSetArn", "ResourceArn", "ApplicationArn", "ApplicationProviderArn"),
            "TrustedTokenIssuerArn",
        )
        if member in parameters
    ]
    for member in ("TargetId", "AccountId"):
        if member in parameters:
            found.append(f"arn:{partition}:sso:::account/{parameters[member]}")
    if request.operation == "CreatePermissionSet":
        # which has no id yet
        instance = str(parameters.get("InstanceArn", "")).rpartition("/")[2]
        found.append(f"arn:{partition}:sso:::permissionSet/{instance}/ps-new")
    elif request.operation.startswith("Create") and parameters.get("Tags"):
        found.append(None)
    if request.operation in ("ListApplications", "ListInstances"):
        found = [ANYTHING]
    for resource in found or [None]:
        yield f"sso:{request.operation}", resource
        if parameters.get("Tags") and request.operation.startswith("Create"):
            yield "sso:TagResource", resource


#: Operations of Identity Store that act on all objects of a kind.
_STORE_LISTS = {
    "GetUserId": "user",
    "ListUsers": "user",
    "GetGroupId": "group",
    "ListGroups": "group",
    "GetGroupMembershipId": "membership",
    "IsMemberInGroups": "membership",
    "ListGroupMemberships": "membership",
    "ListGroupMembershipsForMember": "membership",
}


def _of_store(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    for resource in [*_in_store(request)] or [ANYTHING]:
        yield f"identitystore:{request.operation}", resource


def _in_store(request: AwsRequest) -> Iterator[str]:
    parameters, current = request.parameters, settings.current()
    if store := parameters.get("IdentityStoreId"):
        yield f"arn:{current.partition}:identitystore::{current.management_account}:identitystore/{store}"
    if kind := _STORE_LISTS.get(request.operation):
        yield f"arn:{current.partition}:identitystore:::{kind}/*"
    ids = {**parameters, **(parameters.get("MemberId") or {})}
    for instance in instances:
        # A membership stands for its group and its user too.
        if membership := instance.store.memberships.get(str(ids.get("MembershipId"))):
            ids |= {"GroupId": membership.group_id, "UserId": membership.user_id}
    for member, kind in (("UserId", "user"), ("GroupId", "group"), ("MembershipId", "membership")):
        if member in ids:
            yield f"arn:{current.partition}:identitystore:::{kind}/{ids[member]}"
    for group in parameters.get("GroupIds") or ():
        yield f"arn:{current.partition}:identitystore:::group/{group}"


# S3

#: Action -> operations of another name.
_S3_ACTIONS = {
    operation: action
    for action, operations in {
        "DeleteObject": "DeleteObjects",
        "GetAccelerateConfiguration": "GetBucketAccelerateConfiguration",
        "GetAnalyticsConfiguration": "GetBucketAnalyticsConfiguration ListBucketAnalyticsConfigurations",
        "GetBucketNotification": "GetBucketNotificationConfiguration",
        "GetBucketObjectLockConfiguration": "GetObjectLockConfiguration",
        "GetBucketPublicAccessBlock": "GetPublicAccessBlock",
        "GetEncryptionConfiguration": "GetBucketEncryption",
        "GetIntelligentTieringConfiguration": (
            "GetBucketIntelligentTieringConfiguration ListBucketIntelligentTieringConfigurations"
        ),
        "GetInventoryConfiguration": "GetBucketInventoryConfiguration ListBucketInventoryConfigurations",
        "GetLifecycleConfiguration": "GetBucketLifecycle GetBucketLifecycleConfiguration",
        "GetMetricsConfiguration": "GetBucketMetricsConfiguration ListBucketMetricsConfigurations",
        "GetObject": "HeadObject SelectObjectContent",
        "GetReplicationConfiguration": "GetBucketReplication",
        "ListAllMyBuckets": "ListBuckets",
        "ListBucket": "HeadBucket ListObjects ListObjectsV2",
        "ListBucketMultipartUploads": "ListMultipartUploads",
        "ListBucketVersions": "ListObjectVersions",
        "ListMultipartUploadParts": "ListParts",
        "PutAccelerateConfiguration": "PutBucketAccelerateConfiguration",
        "PutAnalyticsConfiguration": "DeleteBucketAnalyticsConfiguration PutBucketAnalyticsConfiguration",
        "PutBucketCORS": "DeleteBucketCors PutBucketCors",
        "PutBucketNotification": "PutBucketNotificationConfiguration",
        "PutBucketObjectLockConfiguration": "PutObjectLockConfiguration",
        "PutBucketOwnershipControls": "DeleteBucketOwnershipControls",
        "PutBucketPublicAccessBlock": "DeletePublicAccessBlock PutPublicAccessBlock",
        "PutBucketTagging": "DeleteBucketTagging",
        "PutEncryptionConfiguration": "DeleteBucketEncryption PutBucketEncryption",
        "PutIntelligentTieringConfiguration": (
            "DeleteBucketIntelligentTieringConfiguration PutBucketIntelligentTieringConfiguration"
        ),
        "PutInventoryConfiguration": "DeleteBucketInventoryConfiguration PutBucketInventoryConfiguration",
        "PutLifecycleConfiguration": (
            "DeleteBucketLifecycle PutBucketLifecycle PutBucketLifecycleConfiguration"
        ),
        "PutMetricsConfiguration": "DeleteBucketMetricsConfiguration PutBucketMetricsConfiguration",
        "PutObject": "CompleteMultipartUpload CopyObject CreateMultipartUpload UploadPart UploadPartCopy",
        "PutReplicationConfiguration": "DeleteBucketReplication PutBucketReplication",
    }.items()
    for operation in operations.split()
}
#: Operations without an action of their name or in the table.
_S3_UNKNOWN = frozenset(
    {
        *("BucketCORSPreflightCheck", "CreateBucketMetadataConfiguration", "CreateSession"),
        *("DeleteBucketMetadataConfiguration", "GetBucketMetadataConfiguration", "ListDirectoryBuckets"),
        *("ObjectCORSPreflightCheck", "PostObject", "RenameObject", "WriteGetObjectResponse"),
    }
)
#: Actions with a second one for versions of objects.
_VERSIONED = frozenset(
    {
        *("DeleteObject", "DeleteObjectTagging", "GetObject", "GetObjectAcl", "GetObjectAttributes"),
        *("GetObjectTagging", "PutObjectAcl", "PutObjectTagging"),
    }
)
#: Operation -> parameters -> their additional actions. A star at the end stands for any rest of the name.
_WRITING = {
    "ACL Grant*": "PutObjectAcl",
    "Tagging": "PutObjectTagging",
    "ObjectLockMode ObjectLockRetainUntilDate": "PutObjectRetention",
    "ObjectLockLegalHoldStatus": "PutObjectLegalHold",
}
_DELETING = {"BypassGovernanceRetention": "BypassGovernanceRetention"}
_S3_PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "PutObject": _WRITING,
    "CopyObject": _WRITING,
    "CreateMultipartUpload": _WRITING,
    "CreateBucket": {
        "ACL Grant*": "PutBucketAcl",
        "ObjectLockEnabledForBucket": "PutBucketObjectLockConfiguration PutBucketVersioning",
        "ObjectOwnership": "PutBucketOwnershipControls",
    },
    "DeleteObject": _DELETING,
    "DeleteObjects": _DELETING,
    "PutObjectRetention": _DELETING,
}
#: Operations that report a missing object only to who may list the bucket (S3 API reference), else AccessDenied.
_TELLING = frozenset({"GetObject", "GetObjectAttributes", "HeadObject"})
_GRANTS = ("full-control", "read", "read-acp", "write", "write-acp")


def _of_s3(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    operation, parameters = request.operation, request.parameters
    if operation in _S3_UNKNOWN:
        raise _unsupported(request)
    if operation == "DeleteObjects":
        # one DeleteObject for each
        objects = (parameters.get("Delete") or {}).get("Objects") or ()
        asked: list[Parameters] = [{**parameters, **each} for each in objects]
        if not asked:
            yield "s3:DeleteObject", None
    else:
        asked = [parameters]
    for each in asked:
        resource = _in_s3(each)
        for action in _s3_actions(operation, each):
            yield f"s3:{action}", resource
    if source := parameters.get("CopySource"):
        yield _copied(str(source))
    if operation in _TELLING and _is_missing(parameters):
        yield "s3:ListBucket", _in_s3({"Bucket": parameters["Bucket"]})


def _is_missing(parameters: Parameters) -> bool:
    """Whether there is no such object, in a bucket that exists."""
    if parameters.get("VersionId") or not {"Bucket", "Key"} <= parameters.keys():
        return False
    bucket = str(parameters["Bucket"])
    partition, owner = s3_backends.bucket_accounts.get(bucket, ("", ""))
    return bool(owner) and s3_backends[owner][partition].get_object(bucket, str(parameters["Key"])) is None


def _in_s3(parameters: Parameters) -> str:
    if "Bucket" not in parameters:
        return ANYTHING
    key = f"/{parameters['Key']}" if "Key" in parameters else ""
    return f"arn:{settings.current().partition}:s3:::{parameters['Bucket']}{key}"


def _s3_actions(operation: str, parameters: Parameters) -> Iterator[str]:
    yield _on_version(_S3_ACTIONS.get(operation, operation), parameters)
    if operation == "GetObjectAttributes":
        yield _on_version("GetObject", parameters)
    for names, actions in _S3_PARAMETERS.get(operation, {}).items():
        if any(parameters.get(each) for name in names.split() for each in _named(name, parameters)):
            yield from actions.split()
    if (parameters.get("CreateBucketConfiguration") or {}).get("Tags"):
        yield "TagResource"


def _named(name: str, parameters: Parameters) -> list[str]:
    return (
        [parameter for parameter in parameters if parameter.startswith(name[:-1])]
        if name.endswith("*")
        else [name]
    )


def _on_version(action: str, parameters: Parameters) -> str:
    versioned = action in _VERSIONED and parameters.get("VersionId")
    return action.replace("Object", "ObjectVersion", 1) if versioned else action


def _copied(source: str) -> _Wanted:
    """``source``: the value of the header x-amz-copy-source."""
    place, _, version = source.partition("?versionId=")
    bucket, _, key = unquote(place).lstrip("/").partition("/")
    # an ARN names an access point
    resource = None if place.startswith("arn:") else _in_s3({"Bucket": bucket, "Key": key})
    return f"s3:{_on_version('GetObject', {'VersionId': version})}", resource


# SQS, STS and others


def _of_sqs(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    for resource in _in_sqs(principal, request):
        yield f"sqs:{request.operation.removesuffix('Batch')}", resource
        if request.operation == "CreateQueue" and _tags(request.parameters):
            yield "sqs:TagQueue", resource


def _in_sqs(principal: Principal, request: AwsRequest) -> Iterator[str | None]:
    parameters = request.parameters
    if request.operation == "ListQueues":
        yield ANYTHING
    elif name := parameters.get("QueueName"):
        yield _queue(request, principal.account, str(name))
    elif url := parameters.get("QueueUrl"):
        account, name = _account_and_name(str(url))
        yield _queue(request, account or principal.account, name)
    else:
        yield str(parameters["SourceArn"]) if "SourceArn" in parameters else None


def _account_and_name(url: str) -> tuple[str, str]:
    """The account (empty for none) and the name in a queue's URL."""
    place, _, name = urlparse(url).path.rpartition("/")
    return place.rpartition("/")[2], name


def answering_account(principal: Principal, request: AwsRequest) -> str:
    """The account of a request's resources: the caller's, or that of a queue with a policy."""
    account, name = _account_and_name(str(request.parameters.get("QueueUrl", "")))
    if request.service != "sqs" or account not in settings.current().account_ids:
        return principal.account
    queue: Any = sqs_backends[account][request.region].queues.get(name)
    return account if queue is not None and queue.policy else principal.account


def _queue(request: AwsRequest, account: str, name: str) -> str:
    return f"arn:{settings.current().partition}:sqs:{request.region}:{account}:{name}"


_WITHOUT_ROLE = frozenset(
    {
        *("DecodeAuthorizationMessage", "GetAccessKeyInfo", "GetCallerIdentity", "GetDelegatedAccessToken"),
        *("GetSessionToken", "GetWebIdentityToken"),
    }
)


def _of_sts(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    parameters = request.parameters
    role = str(parameters["RoleArn"]) if "RoleArn" in parameters else None
    yield f"sts:{request.operation}", ANYTHING if request.operation in _WITHOUT_ROLE else role
    # Tags that a session passes on to its own sessions need the same permissions.
    if parameters.get("Tags") or parameters.get("TransitiveTagKeys") or principal.transitive_tags:
        yield "sts:TagSession", role
    if parameters.get("SourceIdentity") or principal.source_identity:
        yield "sts:SetSourceIdentity", role


# AWS Lambda and EventBridge, as far as Cloud Custodian creates, updates and removes the functions of policies

_ON_FUNCTION = frozenset(
    {
        *("AddPermission", "CreateFunction", "DeleteFunction", "DeleteFunctionConcurrency", "GetFunction"),
        *("GetFunctionConfiguration", "PutFunctionConcurrency", "RemovePermission", "TagResource"),
        *("UntagResource", "UpdateFunctionCode", "UpdateFunctionConfiguration"),
    }
)
_ON_RULE = frozenset(
    {
        *("DeleteRule", "DescribeRule", "DisableRule", "EnableRule", "ListTargetsByRule", "PutRule"),
        *("PutTargets", "RemoveTargets"),
    }
)


def _of_lambda(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    parameters = request.parameters
    if request.operation not in _ON_FUNCTION:
        yield from _of_other_services(principal, request)
        return
    name = str(parameters.get("FunctionName") or parameters.get("Resource"))
    resource = name if name.startswith("arn:") else _arn(principal, request, f"function:{name}")
    yield f"lambda:{request.operation}", resource
    if _tags(parameters) and request.operation == "CreateFunction":
        yield "lambda:TagResource", resource
    if role := parameters.get("Role"):
        yield "iam:PassRole", str(role)


def _of_events(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    parameters = request.parameters
    if request.operation not in _ON_RULE:
        yield from _of_other_services(principal, request)
        return
    bus = str(parameters.get("EventBusName") or "default").rpartition("/")[2]
    name = parameters.get("Rule") or parameters.get("Name")
    resource = _arn(principal, request, f"rule/{name}" if bus == "default" else f"rule/{bus}/{name}")
    yield f"events:{request.operation}", resource
    if _tags(parameters) and request.operation == "PutRule":
        yield "events:TagResource", resource
    for each in (parameters, *(parameters.get("Targets") or ())):
        if role := each.get("RoleArn"):
            yield "iam:PassRole", str(role)


def _arn(principal: Principal, request: AwsRequest, resource: str) -> str:
    partition = settings.current().partition
    return f"arn:{partition}:{request.service}:{request.region}:{principal.account}:{resource}"


def _of_other_services(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    resource = None if request.parameters else ANYTHING
    prefix = _PREFIXES.get(request.service, request.service)
    yield f"{prefix}:{request.operation}", resource
    if request.service == "organizations" and _tags(request.parameters):
        yield "organizations:TagResource", None


#: Operations of SES that send as somebody.
_SENDING = frozenset({"SendEmail", "SendRawEmail"})


def _of_ses(principal: Principal, request: AwsRequest) -> Iterator[_Wanted]:
    sender = _sender(request.parameters)
    if request.operation not in _SENDING or not sender:
        yield from _of_other_services(principal, request)
        return
    yield f"ses:{request.operation}", _arn(principal, request, f"identity/{sender}")


def _sender(parameters: Parameters) -> str | None:
    """The sender's address; a raw mail has it in its header."""
    raw = dict(parameters.get("RawMessage") or {}).get("Data") or b""
    text = raw if isinstance(raw, bytes) else str(raw).encode()
    if text and b"\n" not in text:
        with suppress(binascii.Error):
            text = base64.b64decode(text)
    source = parameters.get("Source") or message_from_bytes(text)["From"]
    return parseaddr(str(source))[1] or None if source else None


_FINDERS: Mapping[str, Callable[[Principal, AwsRequest], Iterator[_Wanted]]] = {
    "events": _of_events,
    "lambda": _of_lambda,
    "iam": _of_iam,
    "sso-admin": _of_center,
    "identitystore": _of_store,
    "s3": _of_s3,
    "ses": _of_ses,
    "sqs": _of_sqs,
    "sts": _of_sts,
}

# Condition keys

#: Known keys, which a request lacks unless they are found below.
_KNOWN = frozenset(
    {
        *("aws:assumedroot", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast"),
        *("aws:federatedprovider", "aws:multifactorauthage", "aws:multifactorauthpresent"),
        *("aws:principalservicename", "aws:principalservicenameslist", "aws:principaltag/"),
        *("aws:sourceidentity", "aws:username"),
    }
)
_REQUEST_TAGS = frozenset({"aws:requesttag/", "aws:tagkeys"})
_KNOWN_OF_SERVICES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("events", "lambda"), _REQUEST_TAGS | {"iam:passedtoservice"}),
    "iam": _REQUEST_TAGS
    | {"iam:awsservicename", "iam:passedtoservice", "iam:permissionsboundary", "iam:policyarn"},
    "identitystore": _REQUEST_TAGS,
    "organizations": _REQUEST_TAGS,
    "s3": frozenset(
        {
            *("s3:delimiter", "s3:max-keys", "s3:prefix", "s3:requestobjecttag/", "s3:requestobjecttagkeys"),
            *("s3:x-amz-acl", *(f"s3:x-amz-grant-{grant}" for grant in _GRANTS)),
        }
    ),
    "ses": frozenset({"ses:fromaddress"}),
    "sqs": _REQUEST_TAGS,
    "sso-admin": _REQUEST_TAGS,
    "sts": _REQUEST_TAGS
    | {"sts:externalid", "sts:rolesessionname", "sts:sourceidentity", "sts:transitivetagkeys"},
}


def _known(request: AwsRequest, resource: str | None) -> frozenset[str]:
    known = _KNOWN | _KNOWN_OF_SERVICES.get(request.service, frozenset())
    if entity_of(resource or "") is None:
        # A resource that does not exist yet, or that this module does not find, could have any tags.
        return known
    return known | {"aws:resourcetag/", "iam:resourcetag/"}


def _of_principal(principal: Principal, request: AwsRequest) -> _Context:
    now = utcnow()
    given: dict[str, str | None] = {
        "aws:currenttime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "aws:epochtime": str(calendar.timegm(now.timetuple())),
        "aws:principalarn": principal.role_arn or principal.arn,
        "aws:principalaccount": principal.account,
        "aws:principalisawsservice": "false",
        "aws:principalorgid": organization.id_of(principal.account),
        "aws:principaltype": "AssumedRole" if principal.role_arn else "User",
        "aws:requestedregion": request.region,
        # as if loopback were TLS, because a bucket's usual policy denies everything without TLS
        "aws:securetransport": "true",
        "aws:sourceidentity": principal.source_identity,
        "aws:userid": principal.user_id,
        "aws:username": principal.user_name,
        "aws:viaawsservice": "false",
        **{f"aws:principaltag/{key.lower()}": value for key, value in tags_of(principal).items()},
        **_of_mfa(principal, request),
    }
    return {key: value for key, value in given.items() if value is not None}


def _of_mfa(principal: Principal, request: AwsRequest) -> dict[str, str]:
    """ "only when the principal uses temporary credentials", or where the request itself has a code."""
    code = {"SerialNumber", "TokenCode"} <= request.parameters.keys()
    since = utcnow() if code and request.service == "sts" else principal.mfa_since
    if since is not None:
        age = int((utcnow() - since).total_seconds())
        return {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": str(age)}
    return {"aws:multifactorauthpresent": "false"} if principal.is_session else {}


def tags_of(principal: Principal) -> dict[str, str]:
    """The principal's tags, overridden by its session's."""
    entity = entity_of(principal.role_arn or principal.arn)
    return {**listed_tags(getattr(entity, "tags", ())), **dict(principal.session_tags)}


#: The service of a request -> the service to which it passes a role.
_PASSED_TO = {
    "iam": "ec2.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
    "events": "events.amazonaws.com",
}


def _of_request(principal: Principal, request: AwsRequest, action: str) -> _Context:
    parameters = request.parameters
    if request.service not in _KNOWN_OF_SERVICES:
        return {}
    given: dict[str, Any] = {}
    if request.service == "s3":
        given = _of_s3_request(parameters)
        if action == "s3:ListBucket" and "Key" in parameters:
            # S3 compares the key of an object that is missing
            given["s3:prefix"] = parameters["Key"]
    else:
        tags = _tags(parameters)
        given = _by_key("aws:requesttag/", tags)
        given["aws:tagkeys"] = tuple(tags) or tuple(parameters.get("TagKeys") or ()) or None
    if action == "iam:PassRole":
        given["iam:passedtoservice"] = _PASSED_TO[request.service]
    if request.service == "ses":
        given["ses:fromaddress"] = _sender(parameters)
    if request.service == "sts":
        given |= {
            "sts:externalid": parameters.get("ExternalId"),
            "sts:rolesessionname": parameters.get("RoleSessionName"),
            "sts:sourceidentity": parameters.get("SourceIdentity") or principal.source_identity,
            "sts:transitivetagkeys": tuple(parameters.get("TransitiveTagKeys") or ()) or None,
        }
    if request.service == "iam":
        attaching = request.operation.startswith(("Attach", "Detach"))
        given |= {
            "iam:awsservicename": parameters.get("AWSServiceName"),
            "iam:permissionsboundary": parameters.get("PermissionsBoundary") if action in _BOUNDED else None,
            "iam:policyarn": parameters.get("PolicyArn") if attaching else None,
        }
    return {key: _text(value) for key, value in given.items() if value is not None}


def _of_s3_request(parameters: Parameters) -> dict[str, Any]:
    tagging = parameters.get("Tagging") or ()
    if isinstance(tagging, str):
        tags = dict(parse_qsl(tagging, keep_blank_values=True))
    else:
        tags = listed_tags(dict(tagging).get("TagSet", ()))
    return {
        "s3:delimiter": parameters.get("Delimiter"),
        "s3:max-keys": parameters.get("MaxKeys"),
        "s3:prefix": parameters.get("Prefix"),
        **_by_key("s3:requestobjecttag/", tags),
        "s3:requestobjecttagkeys": tuple(tags) or None,
        "s3:x-amz-acl": parameters.get("ACL"),
        **{f"s3:x-amz-grant-{grant}": parameters.get(_grant(grant)) for grant in _GRANTS},
    }


def _by_key(prefix: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """The condition keys of tags. Tag keys that differ only in case are one condition key."""
    found: dict[str, list[str]] = {}
    for key, value in tags.items():
        found.setdefault(f"{prefix}{key.lower()}", []).append(value)
    return {key: values[0] if len(values) == 1 else tuple(values) for key, values in found.items()}


def _grant(name: str) -> str:
    """Such as GrantReadACP for read-acp."""
    return "Grant" + "".join(each.upper() if each == "acp" else each.title() for each in name.split("-"))


def _of_resource(principal: Principal, request: AwsRequest, resource: str | None) -> _Context:
    given: dict[str, str | None] = {}
    fields = (resource or "").split(":", 5)
    account = fields[4] if len(fields) > 5 else ""
    if request.service == "s3" and len(fields) > 5:
        _, account = s3_backends.bucket_accounts.get(fields[5].partition("/")[0], ("", ""))
        account = principal.account if request.operation == "CreateBucket" else account
        given["s3:resourceaccount"] = account or None
    if account in settings.current().account_ids:
        given |= {"aws:resourceaccount": account, "aws:resourceorgid": organization.id_of(account)}
    if (entity := entity_of(resource or "")) is not None:
        # only users and roles have iam:ResourceTag
        prefixes = ("aws", "iam") if fields[5].startswith(("user/", "role/")) else ("aws",)
        for key, value in listed_tags(getattr(entity, "tags", ())).items():
            given |= {f"{prefix}:resourcetag/{key.lower()}": value for prefix in prefixes}
        if request.service == "iam" and f"iam:{request.operation}" in _BOUNDED:
            boundary = request.parameters.get("PermissionsBoundary")
            given["iam:permissionsboundary"] = boundary or getattr(entity, "permissions_boundary_arn", None)
    return {key: value for key, value in given.items() if value is not None}


def _tags(parameters: Parameters) -> dict[str, str]:
    return listed_tags(parameters.get("Tags") or parameters.get("tags") or ())


def listed_tags(tags: Any) -> dict[str, str]:
    """Tags by their keys, from any form in which AWS has them."""
    if isinstance(tags, Mapping):
        # moto keeps a policy's tags by their keys
        tags = [
            each if isinstance(each, Mapping) else {"Key": key, "Value": each} for key, each in tags.items()
        ]
    return {str(tag["Key"]): str(tag.get("Value") or "") for tag in tags or ()}


def _text(value: Any) -> str | tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple) else str(value)
