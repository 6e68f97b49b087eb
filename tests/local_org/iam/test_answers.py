# SPDX-License-Identifier: Apache-2.0
"""Answers member by member, and refusals word by word, as AWS gave them in February and March 2026.

Source: what localstack's tests of IAM recorded of AWS. ANY stands for ids, dates and secrets. A member that AWS leaves
out must be missing, which no comparison of single members would notice.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org.iam import seeding
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from tests.local_org.iam.attachments import CODES
from tests.local_org.iam.conftest import ACCOUNT

ARN = f"arn:aws:iam::{ACCOUNT}"
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
}
TEXT = json.dumps(DOCUMENT)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
TAGS = [{"Key": "Environment", "Value": "Test"}, {"Key": "Team", "Value": "Platform"}]
#: Identities of what nobody made.
NO_KEY, NO_SSH_KEY, NO_CERTIFICATE = (
    "AKIAIOSFODNN7EXAMPLE",
    "APKAXXXXXXXXXXXXXXXXX",
    "NONEXISTENTCERTID12345678901",
)


class _Any:
    def __eq__(self, other: object) -> bool:
        return other is not None

    def __repr__(self) -> str:
        return "ANY"


ANY: Any = _Any()


def user(name: str, path: str = "/", **more: Any) -> dict[str, Any]:
    return {
        "Path": path,
        "UserName": name,
        "UserId": ANY,
        "Arn": f"{ARN}:user{path}{name}",
        "CreateDate": ANY,
        **more,
    }


def group(name: str) -> dict[str, Any]:
    return {"Path": "/", "GroupName": name, "GroupId": ANY, "Arn": f"{ARN}:group/{name}", "CreateDate": ANY}


def policy(name: str, **more: Any) -> dict[str, Any]:
    return {
        "PolicyName": name,
        "PolicyId": ANY,
        "Arn": f"{ARN}:policy/{name}",
        "Path": "/",
        "DefaultVersionId": "v1",
        "AttachmentCount": 0,
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": ANY,
        "UpdateDate": ANY,
        **more,
    }


def version(number: int, *, default: bool = False, **more: Any) -> dict[str, Any]:
    return {"VersionId": f"v{number}", "IsDefaultVersion": default, "CreateDate": ANY, **more}


def role(name: str, **more: Any) -> dict[str, Any]:
    return {
        "Path": "/",
        "RoleName": name,
        "RoleId": ANY,
        "Arn": f"{ARN}:role/{name}",
        "CreateDate": ANY,
        "AssumeRolePolicyDocument": TRUST,
        **more,
    }


def profile(*roles: dict[str, Any]) -> dict[str, Any]:
    return {
        "Path": "/",
        "InstanceProfileName": "app",
        "InstanceProfileId": ANY,
        "Arn": f"{ARN}:instance-profile/app",
        "CreateDate": ANY,
        "Roles": list(roles),
    }


BOUNDARY = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": f"{ARN}:policy/own"}
ADA, ROLE, OWN = {"UserName": "ada"}, {"RoleName": "app"}, {"PolicyArn": f"{ARN}:policy/own"}
WHOLE = {"IsTruncated": False}
TRUSTED = {"AssumeRolePolicyDocument": json.dumps(TRUST)}


@pytest.fixture
def filled(iam: Any, account: Any) -> Any:
    """ada has one of much, bob has tags alone, eve has nothing; own has the versions 1 to 3, of which 2 counts."""
    users = {
        name: seeding.add_user(account, name, tags=tags)
        for name, tags in (("ada", {}), ("bob", {tag["Key"]: tag["Value"] for tag in TAGS}), ("eve", {}))
    }
    for name in ("one", "two"):
        account.create_group(name)
    account.create_policy("", "/", TEXT, "own", [])
    account.create_policy_version(OWN["PolicyArn"], TEXT, set_as_default=True)
    account.create_policy_version(OWN["PolicyArn"], TEXT, set_as_default=False)
    account.create_role("app", json.dumps(TRUST), "/", None, "", [], 3600)
    account.create_instance_profile("app", "/", ["app"])
    ada = users["ada"]
    account.put_user_policy("ada", "inline", TEXT)
    ada.permissions_boundary_arn = OWN["PolicyArn"]
    account.add_user_to_group("one", "ada")
    seeding.add_mfa_device(account, ada, f"{ARN}:mfa/ada", ada.create_date)
    seeding.add_access_key(account, ada)
    seeding.add_ssh_public_key(ada, SSH_PUBLIC_KEYS[0])
    seeding.add_service_credential(ada, "codecommit.amazonaws.com", ada.create_date)
    return iam


SSH_KEY = {"SSHPublicKeyId": ANY, "Status": "Active", "UploadDate": ANY, "UserName": "ada"}
CREDENTIAL = {
    "CreateDate": ANY,
    "ServiceName": "codecommit.amazonaws.com",
    "ServiceSpecificCredentialId": ANY,
    "ServiceUserName": f"ada-at-{ACCOUNT}",
    "Status": "Active",
    "UserName": "ada",
}
DEVICE = {"EnableDate": ANY, "SerialNumber": f"{ARN}:mfa/ada", "UserName": "ada"}
UNUSED_ROLE = {"MaxSessionDuration": 3600, "RoleLastUsed": {}}

ANSWERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a new user": ("create_user", {"UserName": "new"}, {"User": user("new")}),
    "a new user with tags": (
        "create_user",
        {"UserName": "new", "Path": "/eng/", "Tags": TAGS},
        {"User": user("new", "/eng/", Tags=TAGS)},
    ),
    "a user without tags": ("get_user", {"UserName": "eve"}, {"User": user("eve")}),
    "a user with tags": ("get_user", {"UserName": "bob"}, {"User": user("bob", Tags=TAGS)}),
    "a user with a boundary": ("get_user", ADA, {"User": user("ada", PermissionsBoundary=BOUNDARY)}),
    "users": ("list_users", {}, {**WHOLE, "Users": [user("ada"), user("bob"), user("eve")]}),
    "no tags": ("list_user_tags", ADA, {**WHOLE, "Tags": []}),
    "tags": ("list_user_tags", {"UserName": "bob"}, {**WHOLE, "Tags": TAGS}),
    "a new group": ("create_group", {"GroupName": "new"}, {"Group": group("new")}),
    "a group": ("get_group", {"GroupName": "one"}, {**WHOLE, "Group": group("one"), "Users": [user("ada")]}),
    "groups of a user": ("list_groups_for_user", ADA, {**WHOLE, "Groups": [group("one")]}),
    "no member": ("remove_user_from_group", {**ADA, "GroupName": "two"}, {}),
    "a group's new name": ("update_group", {"GroupName": "one", "NewGroupName": "new"}, {}),
    "a new policy": (
        "create_policy",
        {"PolicyName": "new", "PolicyDocument": TEXT, "Description": "told by GetPolicy"},
        {"Policy": policy("new")},
    ),
    "a new policy with tags": (
        "create_policy",
        {"PolicyName": "new", "PolicyDocument": TEXT, "Tags": TAGS},
        {"Policy": policy("new", Tags=TAGS)},
    ),
    "a policy": (
        "get_policy",
        OWN,
        {"Policy": policy("own", DefaultVersionId="v2", PermissionsBoundaryUsageCount=1, Tags=[])},
    ),
    "policies": (
        "list_policies",
        {"Scope": "Local"},
        {**WHOLE, "Policies": [policy("own", DefaultVersionId="v2", PermissionsBoundaryUsageCount=1)]},
    ),
    "a new version": (
        "create_policy_version",
        {**OWN, "PolicyDocument": TEXT},
        {"PolicyVersion": version(4)},
    ),
    "a new default version": (
        "create_policy_version",
        {**OWN, "PolicyDocument": TEXT, "SetAsDefault": True},
        {"PolicyVersion": version(4, default=True)},
    ),
    "a version": (
        "get_policy_version",
        {**OWN, "VersionId": "v2"},
        {"PolicyVersion": version(2, default=True, Document=DOCUMENT)},
    ),
    "versions": (
        "list_policy_versions",
        OWN,
        {**WHOLE, "Versions": [version(3), version(2, default=True), version(1)]},
    ),
    "an inline policy": (
        "get_user_policy",
        {**ADA, "PolicyName": "inline"},
        {"UserName": "ada", "PolicyName": "inline", "PolicyDocument": DOCUMENT},
    ),
    "inline policies": ("list_user_policies", ADA, {**WHOLE, "PolicyNames": ["inline"]}),
    "no attached policies": ("list_attached_user_policies", ADA, {**WHOLE, "AttachedPolicies": []}),
    "a new login profile": (
        "create_login_profile",
        {**ADA, "Password": "Pa55word!Pa55word"},
        {"LoginProfile": {"CreateDate": ANY, "PasswordResetRequired": False, "UserName": "ada"}},
    ),
    "a new access key": (
        "create_access_key",
        {"UserName": "eve"},
        {
            "AccessKey": {
                "AccessKeyId": ANY,
                "CreateDate": ANY,
                "SecretAccessKey": ANY,
                "Status": "Active",
                "UserName": "eve",
            }
        },
    ),
    "access keys": (
        "list_access_keys",
        ADA,
        {
            **WHOLE,
            "AccessKeyMetadata": [
                {"AccessKeyId": ANY, "CreateDate": ANY, "Status": "Active", "UserName": "ada"}
            ],
        },
    ),
    "a new certificate": (
        "upload_signing_certificate",
        {**ADA, "CertificateBody": CERTIFICATES[0]},
        {
            "Certificate": {
                "CertificateBody": ANY,
                "CertificateId": ANY,
                "Status": "Active",
                "UploadDate": ANY,
                "UserName": "ada",
            }
        },
    ),
    "SSH keys": ("list_ssh_public_keys", ADA, {**WHOLE, "SSHPublicKeys": [SSH_KEY]}),
    "service credentials": (
        "list_service_specific_credentials",
        ADA,
        {**WHOLE, "ServiceSpecificCredentials": [CREDENTIAL]},
    ),
    "MFA devices": ("list_mfa_devices", ADA, {**WHOLE, "MFADevices": [DEVICE]}),
    "virtual MFA devices": (
        "list_virtual_mfa_devices",
        {},
        {
            **WHOLE,
            "VirtualMFADevices": [{"EnableDate": ANY, "SerialNumber": f"{ARN}:mfa/ada", "User": user("ada")}],
        },
    ),
    "a new role": ("create_role", {"RoleName": "new", **TRUSTED}, {"Role": role("new")}),
    "a new role with a boundary": (
        "create_role",
        {"RoleName": "new", **TRUSTED, "PermissionsBoundary": OWN["PolicyArn"], "Tags": TAGS},
        {"Role": role("new", PermissionsBoundary=BOUNDARY, Tags=TAGS)},
    ),
    "a role": ("get_role", ROLE, {"Role": role("app", **UNUSED_ROLE)}),
    "a role's new description": (
        "update_role_description",
        {**ROLE, "Description": "told"},
        {"Role": role("app", Description="told")},
    ),
    "a new instance profile": (
        "create_instance_profile",
        {"InstanceProfileName": "app2"},
        {
            "InstanceProfile": {
                **profile(),
                "InstanceProfileName": "app2",
                "Arn": f"{ARN}:instance-profile/app2",
            }
        },
    ),
    "an instance profile": (
        "get_instance_profile",
        {"InstanceProfileName": "app"},
        {"InstanceProfile": {**profile(role("app")), "Tags": []}},
    ),
    "instance profiles": (
        "list_instance_profiles",
        {},
        {**WHOLE, "InstanceProfiles": [profile(role("app"))]},
    ),
    "instance profiles of a role": (
        "list_instance_profiles_for_role",
        ROLE,
        {**WHOLE, "InstanceProfiles": [profile(role("app"))]},
    ),
}


@pytest.mark.parametrize(("operation", "parameters", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_has_the_members_that_aws_gives(
    filled: Any, operation: str, parameters: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = getattr(filled, operation)(**parameters)
    del answer["ResponseMetadata"]
    assert answer == expected


@pytest.mark.parametrize(
    ("kind", "member", "expected"),
    [
        pytest.param(
            "User",
            "UserDetailList",
            [
                user(
                    "ada",
                    AttachedManagedPolicies=[],
                    GroupList=["one"],
                    PermissionsBoundary=BOUNDARY,
                    Tags=[],
                    UserPolicyList=[{"PolicyName": "inline", "PolicyDocument": DOCUMENT}],
                ),
                user("bob", AttachedManagedPolicies=[], GroupList=[], Tags=TAGS),
                user("eve", AttachedManagedPolicies=[], GroupList=[], Tags=[]),
            ],
            id="users",
        ),
        pytest.param(
            "Group",
            "GroupDetailList",
            [
                {**group(name), "AttachedManagedPolicies": [], "GroupPolicyList": []}
                for name in ("one", "two")
            ],
            id="groups",
        ),
        pytest.param(
            "LocalManagedPolicy",
            "Policies",
            [
                policy(
                    "own",
                    DefaultVersionId="v2",
                    PermissionsBoundaryUsageCount=1,
                    PolicyVersionList=[
                        version(number, default=number == 2, Document=DOCUMENT) for number in (3, 2, 1)
                    ],
                )
            ],
            id="policies",
        ),
    ],
)
def test_authorization_details(filled: Any, kind: str, member: str, expected: list[dict[str, Any]]) -> None:
    answer = filled.get_account_authorization_details(Filter=[kind])
    del answer["ResponseMetadata"]
    nothing: dict[str, Any] = {
        "UserDetailList": [],
        "GroupDetailList": [],
        "RoleDetailList": [],
        "Policies": [],
    }
    assert answer == {**nothing, **WHOLE, member: expected}


def test_a_role_in_authorization_details_and_in_the_list(filled: Any) -> None:
    listed = filled.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
    (detail,) = (shown for shown in listed if shown["RoleName"] == "app")
    assert detail == role(
        "app",
        AttachedManagedPolicies=[],
        InstanceProfileList=[profile(role("app"))],
        RoleLastUsed={},
        RolePolicyList=[],
        Tags=[],
    )
    (item,) = (shown for shown in filled.list_roles()["Roles"] if shown["RoleName"] == "app")
    assert item == role("app", MaxSessionDuration=3600)


def test_versions_are_listed_by_number(filled: Any) -> None:
    """v10 before v9, though made in the same second; page by page too."""
    for number in range(4, 11):
        filled.create_policy_version(**OWN, PolicyDocument=TEXT)
        filled.delete_policy_version(**OWN, VersionId=f"v{number - 1}" if number > 4 else "v1")
    filled.create_policy_version(**OWN, PolicyDocument=TEXT)
    pages = filled.get_paginator("list_policy_versions").paginate(**OWN, PaginationConfig={"PageSize": 1})
    expected = ["v11", "v10", "v3", "v2"]
    assert [entry["VersionId"] for page in pages for entry in page["Versions"]] == expected
    (details,) = filled.get_account_authorization_details(Filter=["LocalManagedPolicy"])["Policies"]
    assert [entry["VersionId"] for entry in details["PolicyVersionList"]] == expected


def test_the_account_summary(filled: Any, account: Any) -> None:
    summary = filled.get_account_summary()["SummaryMap"]
    assert (summary["Users"], summary["Groups"], summary["Policies"], summary["Roles"]) == (3, 2, 1, 3)
    assert (summary["MFADevices"], summary["MFADevicesInUse"], summary["PolicyVersionsInUse"]) == (1, 1, 3)
    assert (summary["AccountPasswordPresent"], summary["AccountMFAEnabled"]) == (1, 0)
    seeding.add_root_mfa_device(account, account.created)
    assert filled.get_account_summary()["SummaryMap"]["AccountMFAEnabled"] == 1


def no_user(name: str = "nobody") -> tuple[str, int, str]:
    return "NoSuchEntity", 404, f"The user with name {name} cannot be found."


def no_group(name: str = "nothing") -> tuple[str, int, str]:
    return "NoSuchEntity", 404, f"The group with name {name} cannot be found."


def gone(message: str) -> tuple[str, int, str]:
    return "NoSuchEntity", 404, message


def taken(message: str) -> tuple[str, int, str]:
    return "EntityAlreadyExists", 409, message


def invalid(message: str) -> tuple[str, int, str]:
    return "ValidationError", 400, message


NOBODY, NO_POLICY = {"UserName": "nobody"}, f"{ARN}:policy/none"
NO_DEVICE = f"{ARN}:mfa/none"
PATH = (
    "The specified value for path is invalid. "
    "It must begin and end with / and contain only alphanumeric characters and/or / characters."
)

REFUSALS: dict[str, tuple[str, dict[str, Any], tuple[str, int, str]]] = {
    "a name in use": ("create_user", ADA, taken("User with name ada already exists.")),
    "no user to get": ("get_user", NOBODY, no_user()),
    "no user to delete": ("delete_user", NOBODY, no_user()),
    "no user to tag": ("tag_user", {**NOBODY, "Tags": TAGS}, no_user()),
    "a malformed policy ARN": (
        "attach_user_policy",
        {**ADA, "PolicyArn": "longpolicynamebutnoarn"},
        invalid("Invalid ARN:  Could not be parsed!"),
    ),
    "a role's ARN as a policy's": (
        "attach_user_policy",
        {**ADA, "PolicyArn": f"{ARN}:role/app"},
        invalid("Invalid ARN:  Could not be parsed!"),
    ),
    "no policy to attach": (
        "attach_user_policy",
        {**ADA, "PolicyArn": NO_POLICY},
        gone(f"Policy {NO_POLICY} does not exist or is not attachable."),
    ),
    "not attached": ("detach_user_policy", {**ADA, **OWN}, gone(f"Policy {ARN}:policy/own was not found.")),
    "not attached to the group": (
        "detach_group_policy",
        {"GroupName": "one", **OWN},
        gone(f"Policy {ARN}:policy/own was not found."),
    ),
    "no policy to delete": (
        "delete_policy",
        {"PolicyArn": NO_POLICY},
        gone(f"Policy {NO_POLICY} was not found."),
    ),
    "no policy to get": ("get_policy", {"PolicyArn": NO_POLICY}, gone(f"Policy {NO_POLICY} was not found.")),
    "no version to get": (
        "get_policy_version",
        {**OWN, "VersionId": "v9"},
        gone(f"Policy {ARN}:policy/own version v9 does not exist or is not attachable."),
    ),
    "no version to delete": (
        "delete_policy_version",
        {**OWN, "VersionId": "v9"},
        gone(f"Policy {ARN}:policy/own version v9 does not exist or is not attachable."),
    ),
    "no version of no policy": (
        "set_default_policy_version",
        {"PolicyArn": NO_POLICY, "VersionId": "v1"},
        gone(f"Policy {NO_POLICY} version v1 does not exist or is not attachable."),
    ),
    "the default version": (
        "delete_policy_version",
        {**OWN, "VersionId": "v2"},
        ("DeleteConflict", 409, "Cannot delete the default version of a policy."),
    ),
    "a policy of that name": (
        "create_policy",
        {"PolicyName": "own", "PolicyDocument": TEXT},
        taken("A policy called own already exists. Duplicate names are not allowed."),
    ),
    "a boundary that does not exist": (
        "put_user_permissions_boundary",
        {**ADA, "PermissionsBoundary": NO_POLICY},
        gone(f"Scope ARN: {NO_POLICY} does not exist or is not attachable."),
    ),
    "a boundary that is no policy": (
        "put_user_permissions_boundary",
        {**ADA, "PermissionsBoundary": f"{ARN}:role/app"},
        ("InvalidInput", 400, f"ARN {ARN}:role/app is not valid."),
    ),
    "a new role's boundary that is no policy": (
        "create_role",
        {"RoleName": "new", **TRUSTED, "PermissionsBoundary": f"{ARN}:role/app"},
        ("InvalidInput", 400, f"ARN {ARN}:role/app is not valid."),
    ),
    "a boundary of nobody": (
        "put_user_permissions_boundary",
        {**NOBODY, "PermissionsBoundary": OWN["PolicyArn"]},
        no_user(),
    ),
    "no inline policy to get": (
        "get_user_policy",
        {**ADA, "PolicyName": "none"},
        gone("The user policy with name none cannot be found."),
    ),
    "no inline policy to delete": (
        "delete_user_policy",
        {**ADA, "PolicyName": "none"},
        gone("The user policy with name none cannot be found."),
    ),
    "no inline policy of the group": (
        "get_group_policy",
        {"GroupName": "one", "PolicyName": "none"},
        gone("The group policy with name none cannot be found."),
    ),
    "no inline policy of the role": (
        "delete_role_policy",
        {**ROLE, "PolicyName": "none"},
        gone("The role policy with name none cannot be found."),
    ),
    "no password": ("get_login_profile", ADA, gone("Login Profile for User ada cannot be found.")),
    "no key to update": (
        "update_access_key",
        {**ADA, "AccessKeyId": NO_KEY, "Status": "Inactive"},
        gone(f"The Access Key with id {NO_KEY} cannot be found."),
    ),
    "no key to ask about": (
        "get_access_key_last_used",
        {"AccessKeyId": NO_KEY},
        (
            "AccessDenied",
            403,
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/local-org is not authorized to perform "
            f"iam:GetAccessKeyLastUsed on resource: access key {NO_KEY}",
        ),
    ),
    "a user must be named": (
        "delete_access_key",
        {"AccessKeyId": NO_KEY},
        invalid("Must specify userName when calling with non-User credentials"),
    ),
    "a group of that name": (
        "create_group",
        {"GroupName": "one"},
        taken("Group with name one already exists."),
    ),
    "a group's new name in use": (
        "update_group",
        {"GroupName": "one", "NewGroupName": "two"},
        taken("Group with name two already exists."),
    ),
    "no group to rename": ("update_group", {"GroupName": "nothing", "NewGroupName": "x"}, no_group()),
    "no group to leave": ("remove_user_from_group", {**ADA, "GroupName": "nothing"}, no_group()),
    "nobody to leave no group": ("remove_user_from_group", {**NOBODY, "GroupName": "nothing"}, no_user()),
    "nobody to join": ("add_user_to_group", {**NOBODY, "GroupName": "one"}, no_user()),
    "a device of that name": (
        "create_virtual_mfa_device",
        {"VirtualMFADeviceName": "ada"},
        taken("MFA device already exists."),
    ),
    "a device's path": (
        "create_virtual_mfa_device",
        {"VirtualMFADeviceName": "x", "Path": "/x"},
        invalid(PATH),
    ),
    "no device to delete": (
        "delete_virtual_mfa_device",
        {"SerialNumber": NO_DEVICE},
        gone(f"MFA Device with serial number {NO_DEVICE} does not exist."),
    ),
    "no device to deactivate": (
        "deactivate_mfa_device",
        {**ADA, "SerialNumber": NO_DEVICE},
        gone(f"MFA Device with serial number {NO_DEVICE} does not exist."),
    ),
    "a device in use": (
        "enable_mfa_device",
        {"UserName": "eve", "SerialNumber": f"{ARN}:mfa/ada", **CODES},
        taken("MFA Device is already in use."),
    ),
    "no certificate at all": (
        "upload_signing_certificate",
        {**ADA, "CertificateBody": "invalid-certificate-body"},
        ("MalformedCertificate", 400, "Certificate invalid-certificate-body is malformed."),
    ),
    "no certificate to delete": (
        "delete_signing_certificate",
        {**ADA, "CertificateId": NO_CERTIFICATE},
        gone(f"The Certificate with id {NO_CERTIFICATE} cannot be found."),
    ),
    "no SSH key to delete": (
        "delete_ssh_public_key",
        {**ADA, "SSHPublicKeyId": NO_SSH_KEY},
        gone(f"The Public Key with id {NO_SSH_KEY} cannot be found."),
    ),
    "no service credential to delete": (
        "delete_service_specific_credential",
        {**ADA, "ServiceSpecificCredentialId": "satisfiesregexbutstillinvalid"},
        gone("No such credential satisfiesregexbutstillinvalid exists"),
    ),
    "no such service": (
        "create_service_specific_credential",
        {**ADA, "ServiceName": "lambda.amazonaws.com"},
        gone("No such service lambda.amazonaws.com is supported for Service Specific Credentials"),
    ),
    "no such instance profile": (
        "get_instance_profile",
        {"InstanceProfileName": "none"},
        gone("Instance Profile none cannot be found."),
    ),
    "no such role": ("get_role", {"RoleName": "none"}, gone("The role with name none cannot be found.")),
}


@pytest.mark.parametrize(("operation", "parameters", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_says_what_aws_says(
    filled: Any, operation: str, parameters: dict[str, Any], expected: tuple[str, int, str]
) -> None:
    call: Callable[..., Any] = getattr(filled, operation)
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    error = refused.value.response["Error"]
    status = refused.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert (error["Code"], status, error["Message"]) == expected


LIMITS: dict[str, tuple[Callable[[Any, int], Any], int, str]] = {
    "inline policies": (
        lambda iam, number: iam.put_user_policy(
            UserName="eve",
            PolicyName=f"p{number}",
            PolicyDocument=json.dumps({**DOCUMENT, "Id": "x" * (512 - len(_compact()))}, indent=8),
        ),
        4,
        "Maximum policy size of 2048 bytes exceeded for user eve",
    ),
    "attached policies": (
        lambda iam, number: iam.attach_user_policy(
            UserName="eve", PolicyArn=sorted(_aws_policies(iam))[number]
        ),
        10,
        "Cannot exceed quota for PoliciesPerUser: 10",
    ),
    "tags": (
        lambda iam, number: iam.tag_user(UserName="eve", Tags=[{"Key": f"k{number}", "Value": "v"}]),
        50,
        "The number of tags has reached the maximum limit.",
    ),
    "groups": (
        lambda iam, number: (
            iam.create_group(GroupName=f"g{number}"),
            iam.add_user_to_group(GroupName=f"g{number}", UserName="eve"),
        ),
        10,
        "Cannot exceed quota for GroupsPerUser: 10",
    ),
    "versions of a policy": (
        lambda iam, number: iam.create_policy_version(**OWN, PolicyDocument=TEXT),
        2,
        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing "
        "version.",
    ),
}


def _compact() -> str:
    return json.dumps({**DOCUMENT, "Id": ""}, separators=(",", ":"))


def _aws_policies(iam: Any) -> list[str]:
    return [entry["Arn"] for entry in iam.list_policies(Scope="AWS", MaxItems=20)["Policies"]]


@pytest.mark.parametrize(("add", "limit", "expected"), LIMITS.values(), ids=LIMITS)
def test_a_limit(filled: Any, add: Callable[[Any, int], Any], limit: int, expected: str) -> None:
    """As many as the limit go on, white space not counted; one more is refused."""
    for number in range(limit):
        add(filled, number)
    with pytest.raises(ClientError) as refused:
        add(filled, limit)
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("LimitExceeded", expected)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
