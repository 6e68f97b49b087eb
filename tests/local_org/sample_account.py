# SPDX-License-Identifier: Apache-2.0
"""A small account as its owner would save it: authorization details and credential report."""

from __future__ import annotations

from typing import Any

from aws_local_org import LocalOrg

SOURCE, TARGET, OTHER = "210987654321", "111122223333", "444455556666"
ALLOW = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements or [ALLOW])}


DETAILS: dict[str, Any] = {
    "UserDetailList": [
        {
            "Path": "/staff/",
            "UserName": "ana",
            "UserId": "AIDAQWERTYUIOPASDFGHJ",
            "Arn": f"arn:aws:iam::{SOURCE}:user/staff/ana",
            "CreateDate": "2019-05-01T08:00:00Z",
            "UserPolicyList": [{"PolicyName": "Own", "PolicyDocument": policy()}],
            "GroupList": ["Developers"],
            "AttachedManagedPolicies": [
                {"PolicyName": "Deploy", "PolicyArn": f"arn:aws:iam::{SOURCE}:policy/ci/Deploy"},
                {"PolicyName": "ReadOnlyAccess", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
            ],
            "PermissionsBoundary": {
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": f"arn:aws:iam::{SOURCE}:policy/ci/Deploy",
            },
            "Tags": [{"Key": "Email", "Value": "ana@example.com"}],
        },
        {
            "Path": "/",
            "UserName": "bot",
            "UserId": "AIDAZXCVBNMLKJHGFDSAQ",
            "Arn": f"arn:aws:iam::{SOURCE}:user/bot",
            "CreateDate": "2020-05-01T08:00:00Z",
        },
    ],
    "GroupDetailList": [
        {
            "Path": "/",
            "GroupName": "Developers",
            "GroupId": "AGPAQWERTYUIOPASDFGHJ",
            "Arn": f"arn:aws:iam::{SOURCE}:group/Developers",
            "CreateDate": "2018-05-01T08:00:00Z",
            "GroupPolicyList": [{"PolicyName": "Sandbox", "PolicyDocument": policy()}],
            "AttachedManagedPolicies": [],
        }
    ],
    "RoleDetailList": [
        {
            "Path": "/",
            "RoleName": "deploy",
            "RoleId": "AROAQWERTYUIOPASDFGHJ",
            "Arn": f"arn:aws:iam::{SOURCE}:role/deploy",
            "CreateDate": "2018-06-01T08:00:00Z",
            "AssumeRolePolicyDocument": policy(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{SOURCE}:user/bot"},
                    "Action": "sts:AssumeRole",
                }
            ),
            "InstanceProfileList": [{"InstanceProfileName": "deploy"}],
            "RolePolicyList": [],
            "AttachedManagedPolicies": [],
            "RoleLastUsed": {"LastUsedDate": "2024-01-01T00:00:00Z", "Region": "eu-west-1"},
            "Tags": [],
        }
    ],
    "Policies": [
        {
            "PolicyName": "Deploy",
            "PolicyId": "ANPAQWERTYUIOPASDFGHJ",
            "Arn": f"arn:aws:iam::{SOURCE}:policy/ci/Deploy",
            "Path": "/ci/",
            "DefaultVersionId": "v2",
            "AttachmentCount": 1,
            "PermissionsBoundaryUsageCount": 1,
            "IsAttachable": True,
            "CreateDate": "2018-07-01T08:00:00Z",
            "UpdateDate": "2018-08-01T08:00:00Z",
            "PolicyVersionList": [
                {
                    "VersionId": "v1",
                    "IsDefaultVersion": False,
                    "CreateDate": "2018-07-01T08:00:00Z",
                    "Document": policy(),
                },
                {
                    "VersionId": "v2",
                    "IsDefaultVersion": True,
                    "CreateDate": "2018-08-01T08:00:00Z",
                    "Document": policy({**ALLOW, "Resource": f"arn:aws:iam::{SOURCE}:role/deploy"}),
                },
            ],
        }
    ],
    "IsTruncated": False,
}

REPORT_COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)


def report(*rows: dict[str, str], columns: str = REPORT_COLUMNS) -> str:
    lines = [",".join(row.get(column, "N/A") for column in columns.split(",")) for row in rows]
    return "\n".join([columns, *lines])


ANA = {
    "user": "ana",
    "password_enabled": "true",
    "password_last_used": "2026-01-05T10:00:00+00:00",
    "password_last_changed": "2025-01-05T10:00:00+00:00",
    "mfa_active": "true",
    "access_key_1_active": "true",
    "access_key_1_last_rotated": "2024-01-05T10:00:00+00:00",
    "access_key_1_last_used_date": "2026-01-06T10:00:00+00:00",
    "access_key_1_last_used_region": "eu-west-1",
    "access_key_1_last_used_service": "s3",
    "access_key_2_active": "false",
    "access_key_2_last_rotated": "2025-01-05T10:00:00+00:00",
    "cert_1_active": "true",
    "cert_1_last_rotated": "2022-01-05T10:00:00+00:00",
}
BOT = {"user": "bot", "password_enabled": "false", "access_key_1_active": "false"}
ROOT = {"user": "<root_account>", "password_enabled": "not_supported", "mfa_active": "true"}


def details_of(org: LocalOrg, account_id: str = TARGET) -> dict[str, dict[str, Any]]:
    """Everything of an account as its own authorization details tell it: list -> name -> entry."""
    pages = org.client("iam", account_id).get_paginator("get_account_authorization_details").paginate()
    found = pages.build_full_result()
    names = {
        "UserDetailList": "UserName",
        "GroupDetailList": "GroupName",
        "RoleDetailList": "RoleName",
        "Policies": "PolicyName",
    }
    return {key: {entry[name]: entry for entry in found[key]} for key, name in names.items()}
