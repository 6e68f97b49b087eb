# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

from aws_local_org import LocalOrg
from aws_local_org.authorization import requests
from aws_local_org.aws_request import AwsRequest
from aws_local_org.credentials import Principal, base, resolve
from aws_local_org.enforcement import Policies, check, policies_of, refusal
from aws_local_org.errors import AwsError
from c7n_iamusers.policy_comparison.evaluation import Request
from tests.iam.test_resource_types import reference

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
CALLER = Principal(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/ci", "AROA:ci", ROLE)
IAM, SSO, STORE = f"arn:aws:iam::{ACCOUNT}:", "arn:aws:sso:::", "arn:aws:identitystore::"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
EVENTS = f"arn:aws:events:us-east-1:{ACCOUNT}:"
D = "123456789012:identitystore/d-1"


def document(*actions: str, effect: str = "Allow", resource: str = "*", **given: Any) -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **given}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "wanted"),
    [
        ("iam", "ListUsers", {}, {("iam:ListUsers", "*")}),
        (
            "ses",
            "SendRawEmail",
            {"RawMessage": {"Data": b"From: A <a@example.com>\n\nx"}},
            {("ses:SendRawEmail", f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/a@example.com")},
        ),
        ("ses", "SendRawEmail", {"RawMessage": {"Data": b"x"}}, {("ses:SendRawEmail", None)}),
        ("iam", "GetUser", {"UserName": "x"}, {("iam:GetUser", f"{IAM}user/x")}),
        ("iam", "CreateUser", {"UserName": "x", "Path": "/a/"}, {("iam:CreateUser", f"{IAM}user/a/x")}),
        ("iam", "DeleteUser", {"UserName": "ci"}, {("iam:DeleteUser", f"{IAM}user/team/ci")}),
        (
            "iam",
            "GetAccessKeyLastUsed",
            {"AccessKeyId": "?"},
            {("iam:GetAccessKeyLastUsed", f"{IAM}user/team/ci")},
        ),
        (
            "iam",
            "AttachUserPolicy",
            {"UserName": "x", "PolicyArn": "arn:aws:iam::aws:policy/P"},
            {("iam:AttachUserPolicy", f"{IAM}user/x")},
        ),
        (
            "iam",
            "RemoveUserFromGroup",
            {"UserName": "x", "GroupName": "g"},
            {("iam:RemoveUserFromGroup", f"{IAM}group/g")},
        ),
        (
            "iam",
            "DeleteVirtualMFADevice",
            {"SerialNumber": f"{IAM}mfa/x"},
            {("iam:DeleteVirtualMFADevice", f"{IAM}mfa/x")},
        ),
        ("iam", "PutRolePolicy", {"RoleName": "r"}, {("iam:PutRolePolicy", f"{IAM}role/r")}),
        (
            "sso-admin",
            "CreateAccountAssignment",
            {
                "InstanceArn": f"{SSO}instance/i",
                "PermissionSetArn": f"{SSO}permissionSet/i/p",
                "TargetId": "1",
            },
            {
                ("sso:CreateAccountAssignment", f"{SSO}{each}")
                for each in ("instance/i", "permissionSet/i/p", "account/1")
            },
        ),
        (
            "identitystore",
            "CreateGroupMembership",
            {"IdentityStoreId": "d-1", "GroupId": "g", "MemberId": {"UserId": "u"}},
            {
                ("identitystore:CreateGroupMembership", f"{STORE}{each}")
                for each in (D, ":group/g", ":user/u")
            },
        ),
        (
            "identitystore",
            "ListUsers",
            {"IdentityStoreId": "d-1"},
            {("identitystore:ListUsers", f"{STORE}{each}") for each in (D, ":user/*")},
        ),
        ("s3", "ListObjectsV2", {"Bucket": "b", "Prefix": "p"}, {("s3:ListBucket", "arn:aws:s3:::b")}),
        (
            "s3",
            "PutObject",
            {"Bucket": "b", "Key": "k/x", "ACL": "bucket-owner-full-control"},
            {("s3:PutObject", "arn:aws:s3:::b/k/x"), ("s3:PutObjectAcl", "arn:aws:s3:::b/k/x")},
        ),
        (
            "sqs",
            "SendMessage",
            {"QueueUrl": "http://127.0.0.1:1/111122223333/q"},
            {("sqs:SendMessage", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q")},
        ),
        *(
            ("iam", operation, given, {(f"iam:{operation}", f"{IAM}{resource}")})
            for operation, given, resource in (
                ("CreatePolicy", {"PolicyName": "p", "Path": "/a/b/"}, "policy/a/b/p"),
                ("CreatePolicy", {"PolicyName": "p"}, "policy/p"),
                ("CreateVirtualMFADevice", {"VirtualMFADeviceName": "m", "Path": "/a/"}, "mfa/a/m"),
                (
                    "CreateInstanceProfile",
                    {"InstanceProfileName": "i", "Path": "/a/"},
                    "instance-profile/a/i",
                ),
                ("CreateRole", {"RoleName": "r", "Path": "/a/"}, "role/a/r"),
                ("CreateGroup", {"GroupName": "g", "Path": "/a/"}, "group/a/g"),
                (
                    "UploadServerCertificate",
                    {"ServerCertificateName": "c", "Path": "/a/"},
                    "server-certificate/a/c",
                ),
                ("CreateSAMLProvider", {"Name": "s"}, "saml-provider/s"),
                ("CreateOpenIDConnectProvider", {"Url": "https://a.b/c"}, "oidc-provider/a.b/c"),
                ("GetInstanceProfile", {"InstanceProfileName": "i"}, "instance-profile/i"),
            )
        ),
        *(
            (
                "iam",
                operation,
                {**given, "Tags": [{"Key": "k", "Value": "v"}]},
                {(f"iam:{each}", f"{IAM}{resource}") for each in (operation, tagging)},
            )
            for operation, given, resource, tagging in (
                ("CreateUser", {"UserName": "x", "Path": "/a/"}, "user/a/x", "TagUser"),
                ("CreateRole", {"RoleName": "r"}, "role/r", "TagRole"),
                ("CreatePolicy", {"PolicyName": "p"}, "policy/p", "TagPolicy"),
                (
                    "CreateInstanceProfile",
                    {"InstanceProfileName": "i"},
                    "instance-profile/i",
                    "TagInstanceProfile",
                ),
                ("CreateVirtualMFADevice", {"VirtualMFADeviceName": "m"}, "mfa/m", "TagMFADevice"),
                ("CreateSAMLProvider", {"Name": "s"}, "saml-provider/s", "TagSAMLProvider"),
            )
        ),
        (
            "iam",
            "UpdateUser",
            {"UserName": "ci", "NewUserName": "cd"},
            {("iam:UpdateUser", f"{IAM}user/team/{name}") for name in ("ci", "cd")},
        ),
        (
            "iam",
            "UpdateGroup",
            {"GroupName": "g", "NewPath": "/b/"},
            {("iam:UpdateGroup", f"{IAM}group{path}g") for path in ("/", "/b/")},
        ),
        (
            "iam",
            "AddRoleToInstanceProfile",
            {"InstanceProfileName": "i", "RoleName": "CloudCustodian"},
            {("iam:AddRoleToInstanceProfile", f"{IAM}instance-profile/i"), ("iam:PassRole", ROLE)},
        ),
        ("iam", "ListServiceSpecificCredentials", {}, {("iam:ListServiceSpecificCredentials", None)}),
        (
            "sso-admin",
            "CreatePermissionSet",
            {"InstanceArn": f"{SSO}instance/i", "Tags": [{"Key": "k", "Value": "v"}]},
            {
                (f"sso:{action}", f"{SSO}{resource}")
                for action in ("CreatePermissionSet", "TagResource")
                for resource in ("instance/i", "permissionSet/i/ps-new")
            },
        ),
        (
            "s3",
            "PutObject",
            {"Bucket": "b", "Key": "k", "GrantRead": "id=1", "Tagging": "a=b"},
            {(f"s3:PutObject{each}", "arn:aws:s3:::b/k") for each in ("", "Acl", "Tagging")},
        ),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}, {"Key": "l", "VersionId": "1"}]}},
            {("s3:DeleteObject", "arn:aws:s3:::b/k"), ("s3:DeleteObjectVersion", "arn:aws:s3:::b/l")},
        ),
        ("s3", "DeleteObjects", {"Bucket": "b"}, {("s3:DeleteObject", None)}),
        (
            "s3",
            "CopyObject",
            {"Bucket": "b", "Key": "k", "CopySource": "c/a%20b?versionId=1"},
            {("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObjectVersion", "arn:aws:s3:::c/a b")},
        ),
        (
            "s3",
            "CreateBucket",
            {"Bucket": "b", "ACL": "private"},
            {("s3:CreateBucket", "arn:aws:s3:::b"), ("s3:PutBucketAcl", "arn:aws:s3:::b")},
        ),
        (
            "sqs",
            "SendMessage",
            {"QueueUrl": "http://127.0.0.1:1/999999999999/q"},
            {("sqs:SendMessage", "arn:aws:sqs:us-east-1:999999999999:q")},
        ),
        (
            "sqs",
            "SendMessageBatch",
            {"QueueUrl": "http://127.0.0.1:1/111122223333/q"},
            {("sqs:SendMessage", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q")},
        ),
        (
            "sqs",
            "CreateQueue",
            {"QueueName": "q", "tags": {"k": "v"}},
            {(f"sqs:{each}", f"arn:aws:sqs:us-east-1:{ACCOUNT}:q") for each in ("CreateQueue", "TagQueue")},
        ),
        (
            "sts",
            "AssumeRole",
            {"RoleArn": ROLE, "Tags": [{"Key": "k", "Value": "v"}], "SourceIdentity": "x"},
            {(f"sts:{each}", ROLE) for each in ("AssumeRole", "TagSession", "SetSourceIdentity")},
        ),
        ("sts", "AssumeRole", {"RoleArn": ROLE}, {("sts:AssumeRole", ROLE)}),
        ("sts", "GetCallerIdentity", {}, set()),
        (
            "lambda",
            "CreateFunction",
            {"FunctionName": "f", "Role": f"{IAM}role/r", "Tags": {"k": "v"}},
            {
                ("lambda:CreateFunction", FUNCTION),
                ("lambda:TagResource", FUNCTION),
                ("iam:PassRole", f"{IAM}role/r"),
            },
        ),
        (
            "lambda",
            "UpdateFunctionConfiguration",
            {"FunctionName": FUNCTION, "Role": f"{IAM}role/r"},
            {("lambda:UpdateFunctionConfiguration", FUNCTION), ("iam:PassRole", f"{IAM}role/r")},
        ),
        ("lambda", "UntagResource", {"Resource": FUNCTION}, {("lambda:UntagResource", FUNCTION)}),
        # which this module does not know
        ("lambda", "Invoke", {"FunctionName": "f"}, {("lambda:Invoke", None)}),
        ("events", "PutRule", {"Name": "r"}, {("events:PutRule", f"{EVENTS}rule/r")}),
        (
            "events",
            "PutTargets",
            {"Rule": "r", "EventBusName": "b", "Targets": [{"Id": "1", "RoleArn": f"{IAM}role/r"}]},
            {("events:PutTargets", f"{EVENTS}rule/b/r"), ("iam:PassRole", f"{IAM}role/r")},
        ),
        ("organizations", "ListAccounts", {}, {("organizations:ListAccounts", "*")}),
        (
            "organizations",
            "ListTagsForResource",
            {"ResourceId": "1"},
            {("organizations:ListTagsForResource", None)},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_request_needs(
    org: LocalOrg,
    service: str,
    operation: str,
    parameters: dict[str, Any],
    wanted: set[tuple[str, str | None]],
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="ci", Path="/team/")
    if "AccessKeyId" in parameters:
        key = iam.create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
        parameters = {"AccessKeyId": key}
    request = AwsRequest(service, operation, "json", "us-east-1", None, parameters)
    assert {(each.action, each.resource) for each in requests(CALLER, request)} == wanted


SERVICES = {
    "iam": "iam",
    "sso-admin": "sso",
    "s3": "s3",
    "sqs": "sqs",
    "identitystore": "identitystore",
    "sts": "sts",
}
#: A value for each parameter that names a resource.
VALUES = {
    **dict.fromkeys(("UserName", "GroupName", "RoleName", "PolicyName", "Name", "Bucket", "Key"), "x"),
    **dict.fromkeys(("UserId", "GroupId", "MembershipId", "IdentityStoreId", "AccountId", "TargetId"), "x"),
    **dict.fromkeys(("InstanceProfileName", "ServerCertificateName", "VirtualMFADeviceName"), "x"),
    "Arn": f"{IAM}user/x",
    "InstanceArn": f"{SSO}instance/i",
    "OpenIDConnectProviderArn": f"{IAM}oidc-provider/x",
    "PermissionSetArn": f"{SSO}permissionSet/i/p",
    "PolicyArn": f"{IAM}policy/x",
    "PolicySourceArn": f"{IAM}user/x",
    "QueueName": "x",
    "QueueUrl": "https://x/111122223333/x",
    "ResourceArn": f"{SSO}instance/i",
    "RoleArn": ROLE,
    "SAMLProviderArn": f"{IAM}saml-provider/x",
    "SerialNumber": f"{IAM}mfa/x",
    "TrustedTokenIssuerArn": f"{SSO}trustedTokenIssuer/x",
    "ApplicationArn": "arn:aws:sso::111122223333:application/i/x",
    "ApplicationProviderArn": "arn:aws:sso::aws:applicationProvider/x",
    "Url": "https://x",
}


#: Operations whose permissions the local organization does not know.
REFUSED = {
    *("BucketCORSPreflightCheck", "CreateBucketMetadataConfiguration", "CreateSession", "RenameObject"),
    *("DeleteBucketMetadataConfiguration", "GetBucketMetadataConfiguration", "ListDirectoryBuckets"),
    *("ObjectCORSPreflightCheck", "PostObject", "WriteGetObjectResponse"),
}


#: Actions that this copy of the reference does not have.
NEWER = {"AcquireRole", "UpdateDelegationRequest"}


def fits(prefix: str, action: str, resource: str | None) -> bool:
    """Whether the action has this kind of resource in the reference; an unknown one may be of any kind."""
    entry = reference()[prefix]["Actions"].get(action.lower())
    if entry is None:
        return action in NEWER and resource is None
    names = entry.get("Resources") or ()
    formats = [
        each for name in names for each in reference()[prefix]["Resources"][name.lower()]["ARNFormats"]
    ]
    if resource in (None, "*"):
        return bool(formats) == (resource is None)
    patterns = [re.sub(r"\$\{\w+\}", "[^:]*", each).replace("/*", "/.*") for each in formats]
    return any(re.fullmatch(each, str(resource)) for each in patterns)


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_an_action_and_the_resource_types_that_the_reference_has(
    org: LocalOrg, service: str
) -> None:
    user = Principal(ACCOUNT, f"{IAM}user/x", "AIDA", user_name="x")
    model = get_service_model(service)
    wrong, refused = [], []
    for operation in model.operation_names:
        shape = model.operation_model(operation).input_shape
        given = {name: VALUES[name] for name in shape.members if name in VALUES} if shape else {}
        try:
            found = [*requests(user, AwsRequest(service, operation, "json", "us-east-1", None, given))]
        except AwsError:
            refused.append(operation)
            continue
        for each in found:
            prefix, _, action = each.action.partition(":")
            if prefix != SERVICES[service] or not fits(prefix, action, each.resource):
                wrong.append((operation, each.action, each.resource))
    assert wrong == []
    assert set(refused) <= REFUSED


ALLOW, DENY = document("iam:*"), document("iam:DeleteUser", effect="Deny")


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        pytest.param(Policies((ALLOW,)), "", id="allowed"),
        pytest.param(
            Policies(()), "because no identity-based policy allows the iam:DeleteUser action", id="nothing"
        ),
        pytest.param(Policies((ALLOW, DENY)), "with an explicit deny in an identity-based policy", id="deny"),
        pytest.param(Policies((ALLOW,), ALLOW), "", id="within-boundary"),
        pytest.param(
            Policies((ALLOW,), document("s3:*")),
            "because no permissions boundary allows the iam:DeleteUser action",
            id="beyond-boundary",
        ),
        pytest.param(
            Policies((ALLOW,), DENY), "with an explicit deny in a permissions boundary", id="boundary-denies"
        ),
    ],
)
def test_why_it_is_refused(policies: Policies, reason: str) -> None:
    assert refusal(Request("iam:DeleteUser", f"{IAM}user/x"), policies) == reason


def denied(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**parameters)
    assert raised.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(raised.value.response["Error"]["Message"])


def put_policy(org: LocalOrg, *actions: str) -> None:
    org.backend("iam", ACCOUNT).put_role_policy("CloudCustodian", "own", document(*actions))


def narrowed(org: LocalOrg, policy: str) -> Any:
    """The IAM client of the role, which may do what ``policy`` says from now on."""
    iam = org.client("iam", ACCOUNT)
    iam.put_role_policy(RoleName="CloudCustodian", PolicyName="own", PolicyDocument=policy)
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.detach_role_policy(RoleName="CloudCustodian", PolicyArn=arn)
    org.configure(enforce=True)
    return iam


def test_a_role_may_do_what_its_policies_allow(org: LocalOrg) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="x")
    only = {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/AWSDenyAll"}}
    iam = narrowed(org, document("iam:AttachUserPolicy", resource=f"{IAM}user/*", Condition=only))
    iam.attach_user_policy(UserName="x", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    other = {"UserName": "x", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/local-org"
    assert denied(iam.attach_user_policy, **other) == (
        f"User: {session} is not authorized to perform: iam:AttachUserPolicy on resource: {IAM}user/x "
        "because no identity-based policy allows the iam:AttachUserPolicy action"
    )
    assert denied(iam.list_users).endswith("allows the iam:ListUsers action")
    assert [call.error_code for call in org.calls[-2:]] == ["AccessDenied", "AccessDenied"]
    org.configure(enforce=False)
    assert iam.list_users()["Users"]


def test_other_protocols_and_who_is_not_bound(org: LocalOrg) -> None:
    narrowed(org, document("iam:GetUser"))
    sqs = org.session(ACCOUNT).client("sqs", region_name="us-east-1")
    assert "sqs:ListQueues on resource: *" in denied(sqs.list_queues)
    s3 = org.session(ACCOUNT).client("s3")
    assert "s3:GetObject on resource: arn:aws:s3:::b/k" in denied(s3.get_object, Bucket="b", Key="k")
    put_policy(org, "s3:PutObject", "iam:CreateUser")
    assert "s3:PutObjectAcl on" in denied(s3.put_object, Bucket="b", Key="k", Body=b"", GrantRead="id=1")
    tags = [{"Key": "k", "Value": "v"}]
    assert "iam:TagUser on" in denied(org.client("iam", ACCOUNT).create_user, UserName="x", Tags=tags)
    # the base credentials, and what needs no permission
    assert org.client("iam").list_users()["Users"] == []
    assert org.client("sts", ACCOUNT).get_caller_identity()["Account"] == ACCOUNT


def test_a_user_has_the_policies_of_its_groups(org: LocalOrg) -> None:
    import boto3

    iam = org.client("iam", ACCOUNT)
    iam.create_group(GroupName="g")
    iam.put_group_policy(GroupName="g", PolicyName="p", PolicyDocument=document("iam:GetGroup"))
    iam.create_user(UserName="x")
    iam.add_user_to_group(GroupName="g", UserName="x")
    key = iam.create_access_key(UserName="x")["AccessKey"]
    own = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], org.token).client("iam")
    org.configure(enforce=True)
    assert own.get_group(GroupName="g")["Group"]["GroupName"] == "g"
    assert f"User: {IAM}user/x is not authorized" in denied(own.list_users)


@pytest.fixture
def ada(org: LocalOrg) -> Principal:
    """The user /team/ada, who has a tag, and may do everything but what ``forbid`` says."""
    iam = org.backend("iam", ACCOUNT)
    user = iam.create_user("us-east-1", "ada", "/team/", [{"Key": "Team", "Value": "red"}])
    iam.put_user_policy("ada", "all", document("*"))
    return Principal(ACCOUNT, user.arn, user.id, user_name="ada")


def forbid(org: LocalOrg, *actions: str, **given: Any) -> None:
    text = document(*actions, effect="Deny", **given)
    org.backend("iam", ACCOUNT).put_user_policy("ada", "deny", text)


def why_not(principal: Principal, service: str, operation: str, **parameters: Any) -> str:
    """Why the principal may not make this request; empty if it may."""
    request = AwsRequest(service, operation, "query", "us-east-1", None, parameters)
    try:
        check(principal, request)
    except AwsError as error:
        return error.message
    return ""


def where(operator: str, key: str, *values: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


def on(resource: str) -> dict[str, Any]:
    return {"resource": resource}


ADA = f"{IAM}user/team/ada"
TAGS = {"Tags": [{"Key": "Team", "Value": "red"}, {"Key": "Size", "Value": "1"}]}
OBJECT, SELF = {"Bucket": "b", "Key": "k"}, {"UserName": "ada"}
DELETE = {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}]}}
BOUNDARY = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.mark.parametrize(
    ("forbidden", "given", "operation", "parameters"),
    [
        # without a name, the caller itself
        ("iam:CreateAccessKey", on(ADA), "CreateAccessKey", {}),
        ("iam:ListAccessKeys", on(ADA), "ListAccessKeys", {}),
        ("iam:GetUser", on(ADA), "GetUser", {}),
        ("iam:ChangePassword", on(ADA), "ChangePassword", {}),
        ("iam:GetMFADevice", on(ADA), "GetMFADevice", {"SerialNumber": f"{IAM}mfa/none"}),
        # what is to be created, with its path
        ("iam:CreatePolicy", on(f"{IAM}policy/a/*"), "CreatePolicy", {"Path": "/a/", "PolicyName": "p"}),
        ("iam:CreateVirtualMFADevice", on(f"{IAM}mfa/m"), "CreateVirtualMFADevice", {"VirtualMFADeviceName": "m"}),
        # tags
        ("iam:TagUser", {}, "CreateUser", {"UserName": "x", **TAGS}),
        ("iam:CreateUser", where("StringEquals", "aws:RequestTag/team", "red"), "CreateUser", TAGS),
        ("iam:TagUser", where("ForAnyValue:StringEquals", "aws:TagKeys", "Size"), "TagUser", TAGS),
        ("iam:UntagUser", where("ForAnyValue:StringEquals", "aws:TagKeys", "a"), "UntagUser", {"TagKeys": ["a"]}),
        ("iam:GetUser", where("StringEquals", "iam:ResourceTag/team", "red"), "GetUser", {}),
        ("iam:GetUser", where("StringEquals", "aws:ResourceTag/team", "red"), "GetUser", {}),
        ("iam:GetUser", where("StringEquals", "aws:PrincipalTag/team", "red"), "GetUser", {}),
        ("sqs:TagQueue", {}, "CreateQueue", {"QueueName": "q", "tags": {"a": "b"}}),
        ("sso:TagResource", {}, "CreatePermissionSet", {"InstanceArn": f"{SSO}instance/i", **TAGS}),
        # other keys
        ("iam:GetUser", where("StringEquals", "aws:ResourceAccount", ACCOUNT), "GetUser", {}),
        ("iam:GetUser", where("StringEquals", "aws:ResourceOrgID", "${aws:PrincipalOrgID}"), "GetUser", {}),
        ("iam:GetUser", where("BoolIfExists", "aws:MultiFactorAuthPresent", "false"), "GetUser", {}),
        ("iam:GetUser", where("DateLessThan", "aws:CurrentTime", "2999-01-01T00:00:00Z"), "GetUser", {}),
        ("iam:DeleteUserPolicy", where("ArnEquals", "iam:PermissionsBoundary", BOUNDARY), "DeleteUserPolicy", SELF),
        # objects
        ("s3:PutObjectAcl", {}, "PutObject", {**OBJECT, "GrantRead": "id=1"}),
        ("s3:PutObjectAcl", {}, "PutObject", {**OBJECT, "ACL": "private"}),
        ("s3:PutObjectTagging", {}, "PutObject", {**OBJECT, "Tagging": "a=b"}),
        ("s3:PutObject", where("StringEquals", "s3:x-amz-acl", "private"), "PutObject", {"ACL": "private"}),
        ("s3:PutObject", where("StringLike", "s3:x-amz-grant-read-acp", "*"), "PutObject", {"GrantReadACP": "id=1"}),
        ("s3:PutObject*", where("StringEquals", "s3:RequestObjectTag/a", "b"), "PutObject", {"Tagging": "a=b"}),
        ("s3:DeleteObject", on("arn:aws:s3:::b/k"), "DeleteObjects", DELETE),
        ("s3:*", where("ForAnyValue:StringEquals", "s3:RequestObjectTagKeys", "a"), "PutObject", {"Tagging": "a"}),
        ("sqs:*", where("StringEquals", "aws:RequestTag/a", "b"), "CreateQueue", {"tags": {"a": "b", "A": "b"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_an_explicit_deny_of_a_part_of_the_request(
    org: LocalOrg, ada: Principal, forbidden: str, given: dict[str, Any], operation: str, parameters: Any
) -> None:
    org.backend("iam", ACCOUNT).get_user("ada").permissions_boundary_arn = BOUNDARY
    forbid(org, forbidden, **given)
    service = forbidden.partition(":")[0].replace("sso", "sso-admin")
    text = why_not(ada, service, operation, **parameters)
    assert text.endswith("with an explicit deny in an identity-based policy")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(where("StringEquals", "aws:SourceVpc", "v"), "condition key aws:sourcevpc", id="key"),
        pytest.param(where("StringNotEquals", "aws:SourceVpc", "v"), "condition key aws:sourcevpc", id="not"),
        pytest.param(where("Null", "aws:SourceVpc", "false"), "condition key aws:sourcevpc", id="null"),
        pytest.param(on(f"{IAM}user/${{aws:SourceVpc}}*"), "condition key aws:sourcevpc", id="variable"),
        pytest.param(on(f"{IAM}user/${{aws:SourceVpc}}/*"), "condition key aws:sourcevpc", id="path"),
        pytest.param(on(f"{IAM}user/a${{aws:SourceVpc}}"), "", id="another resource"),
        pytest.param(where("StringEquals", "aws:PrincipalTag/none", "v"), "", id="known and missing"),
        pytest.param(where("StringEquals", "iam:ResourceTag/none", "v"), "", id="no such tag"),
        pytest.param(where("Bool", "aws:MultiFactorAuthPresent", "false"), "", id="MFA of a long-term key"),
        pytest.param(where("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"), "", id="ended"),
        pytest.param(
            where("IpAddress", "aws:PrincipalArn", "10.0.0.0/8"),
            "condition operator IpAddress",
            id="operator",
        ),
    ],
)
def test_a_deny_on_what_is_not_known_denies_and_names_it(
    org: LocalOrg, ada: Principal, given: dict[str, Any], reason: str
) -> None:
    forbid(org, "iam:GetUser", **given)
    text = why_not(ada, "iam", "GetUser")
    assert text.endswith(f" (unsupported {reason} in the local organization)" if reason else "")
    assert bool(text) == bool(reason)


@pytest.mark.parametrize(
    ("statements", "owner", "reason"),
    [
        pytest.param([], ACCOUNT, "", id="own"),
        pytest.param(
            [{"Effect": "Deny"}], ACCOUNT, "with an explicit deny in a resource-based policy", id="denied"
        ),
        pytest.param([{"Effect": "Deny", "Principal": {"AWS": "444455556666"}}], ACCOUNT, "", id="others"),
        pytest.param(
            [],
            "444455556666",
            "because no resource-based policy allows the s3:GetObject action",
            id="foreign",
        ),
        pytest.param([{"Effect": "Allow"}], "444455556666", "", id="shared"),
        pytest.param(
            [{"Effect": "Allow", "Action": "s3:PutObject"}],
            "444455556666",
            "because no resource-based policy allows the s3:GetObject action",
            id="shared otherwise",
        ),
        pytest.param(
            [{"Effect": "Allow"}, {"Effect": "Deny", **where("Bool", "aws:SecureTransport", "false")}],
            "444455556666",
            "",
            id="loopback counts as TLS",
        ),
        pytest.param(
            [{"Effect": "Allow"}, {"Effect": "Deny", **where("StringEquals", "aws:SourceVpc", "vpc-1")}],
            "444455556666",
            "with an explicit deny in a resource-based policy "
            "(unsupported condition key aws:sourcevpc in the local organization)",
            id="not known",
        ),
    ],
)
def test_the_policy_of_a_bucket(
    org: LocalOrg, ada: Principal, statements: list[dict[str, Any]], owner: str, reason: str
) -> None:
    s3 = org.client("s3", owner)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=b"")
    every = {"Principal": {"AWS": ACCOUNT}, "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}
    if statements:
        policy = {"Version": "2012-10-17", "Statement": [{**every, **each} for each in statements]}
        s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps(policy))
    text = why_not(ada, "s3", "GetObject", Bucket="bucket", Key="k")
    assert text.endswith(reason)
    assert bool(text) == bool(reason)


@pytest.mark.parametrize(
    ("condition", "key", "operation", "listing"),
    [
        pytest.param({}, "k", "GetObject", True, id="may-list"),
        pytest.param(where("StringLike", "s3:prefix", "all/*"), "all/x", "HeadObject", True, id="prefix"),
        pytest.param(where("StringLike", "s3:prefix", "all/*"), "k", "HeadObject", False, id="other-prefix"),
        pytest.param(None, "k", "GetObject", False, id="may-not"),
        pytest.param(None, "k", "GetObjectAttributes", False, id="attributes"),
        pytest.param(None, "there", "GetObject", True, id="there"),
        pytest.param(None, "k", "PutObject", True, id="writes"),
    ],
)
def test_who_may_not_list_is_not_told_that_an_object_is_missing(
    org: LocalOrg, ada: Principal, condition: dict[str, Any] | None, key: str, operation: str, listing: bool
) -> None:
    s3 = org.client("s3", ACCOUNT)
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="there", Body=b"")
    iam = org.backend("iam", ACCOUNT)
    iam.put_user_policy("ada", "all", document("s3:GetObject*", "s3:PutObject"))
    if condition is not None:
        iam.put_user_policy("ada", "list", document("s3:ListBucket", **condition))
    text = why_not(ada, "s3", operation, Bucket="bucket", Key=key)
    missing = "s3:ListBucket on resource: arn:aws:s3:::bucket because no identity-based policy allows"
    assert (missing in text) == (not listing)
    assert bool(text) == (not listing)
    # of a bucket that does not exist, S3 says so
    assert why_not(ada, "s3", operation, Bucket="none", Key=key) == ""


@pytest.mark.parametrize("shared", [True, False])
def test_a_queue_of_another_account_needs_its_policy(org: LocalOrg, ada: Principal, shared: bool) -> None:
    sqs = org.client("sqs")
    url = sqs.create_queue(QueueName="mail")["QueueUrl"]
    if shared:
        resource = "arn:aws:sqs:us-east-1:123456789012:mail"
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": ACCOUNT},
            "Action": "sqs:*",
            "Resource": resource,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    text = why_not(ada, "sqs", "SendMessage", QueueUrl=url)
    assert text.endswith(
        "" if shared else "because no resource-based policy allows the sqs:SendMessage action"
    )
    assert bool(text) == (not shared)
    if shared:  # it is that account's queue that answers
        org.client("sqs", ACCOUNT).send_message(QueueUrl=url, MessageBody="hello")
        assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "hello"
    elsewhere = why_not(ada, "sqs", "SendMessage", QueueUrl="https://x/999999999999/mail")
    assert elsewhere.endswith("because no resource-based policy allows the sqs:SendMessage action")


def test_an_operation_that_takes_unknown_permissions_is_refused(ada: Principal) -> None:
    assert "does not know which permissions s3 RenameObject takes" in why_not(ada, "s3", "RenameObject")
    assert "does not know which permissions iam GET / takes" in why_not(ada, "iam", "GET /")


def test_a_new_role_of_the_same_name_gives_no_session_of_the_old_one_its_permissions(
    org: LocalOrg,
) -> None:
    iam = org.backend("iam", ACCOUNT)
    role = next(each for each in iam.roles.values() if each.name == "CloudCustodian")
    session = Principal(ACCOUNT, CALLER.arn, f"{role.id}:ci", ROLE)
    assert policies_of(session).own
    assert policies_of(CALLER).own == ()


def test_only_the_base_credentials_are_unbound(org: LocalOrg) -> None:
    """Not a role of that name elsewhere."""
    other = replace(CALLER, role_arn=f"{IAM}role/LocalOrgOperator")
    assert why_not(other, "iam", "ListUsers")
    keys = base(org.token)
    assert not why_not(resolve(keys.access_key_id, keys.session_token), "iam", "ListUsers")
