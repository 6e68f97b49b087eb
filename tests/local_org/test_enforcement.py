# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.aws_request import AwsRequest
from aws_local_org.credentials import Principal
from aws_local_org.enforcement import Policies, refusal, requests
from c7n_iamusers.policy_comparison.evaluation import Request

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
CALLER = Principal(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/ci", "AROA:ci", ROLE)
IAM, SSO, STORE = f"arn:aws:iam::{ACCOUNT}:", "arn:aws:sso:::", "arn:aws:identitystore::"
D = "123456789012:identitystore/d-1"


def document(*actions: str, effect: str = "Allow", resource: str = "*", **given: Any) -> str:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **given}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "wanted"),
    [
        ("iam", "ListUsers", {}, {("iam:ListUsers", "*")}),
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
            {"QueueUrl": "http://127.0.0.1:1/123456789012/q"},
            {("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:q")},
        ),
        ("sts", "AssumeRole", {"RoleArn": ROLE}, {("sts:AssumeRole", ROLE)}),
        ("sts", "GetCallerIdentity", {}, set()),
        ("organizations", "ListAccounts", {}, {("organizations:ListAccounts", "*")}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_request_needs(
    org: LocalOrg, service: str, operation: str, parameters: dict[str, Any], wanted: set[tuple[str, str]]
) -> None:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="ci", Path="/team/")
    if "AccessKeyId" in parameters:
        key = iam.create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
        parameters = {"AccessKeyId": key}
    request = AwsRequest(service, operation, "json", "us-east-1", None, parameters)
    assert {(each.action, each.resource) for each in requests(CALLER, request)} == wanted


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
    own = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], "").client("iam")
    org.configure(enforce=True)
    assert own.get_group(GroupName="g")["Group"]["GroupName"] == "g"
    assert f"User: {IAM}user/x is not authorized" in denied(own.list_users)
