# SPDX-License-Identifier: Apache-2.0
"""The policy documents of a seeded account, of the sorts that real accounts carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Statement = Mapping[str, Any]


def document(*statements: Statement) -> str:
    """The JSON text of a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str, *resources: str, **rest: Any) -> Statement:
    """An Allow statement; ``actions`` are separated by spaces, no resource means all."""
    return {"Effect": "Allow", "Action": actions.split(), "Resource": list(resources) or "*", **rest}


_OWN_USER = "arn:aws:iam::*:user/${aws:username}"
_OWN_CREDENTIALS = (
    "iam:ChangePassword iam:GetUser iam:CreateAccessKey iam:DeleteAccessKey iam:ListAccessKeys iam:UpdateAccessKey "
    "iam:EnableMFADevice iam:ListMFADevices iam:ResyncMFADevice"
)

# AWS's own example, "Allows MFA-authenticated IAM users to manage their own credentials" (IAM User Guide).
FORCE_MFA = document(
    allow("iam:ListVirtualMFADevices iam:ListUsers"),
    allow(_OWN_CREDENTIALS, _OWN_USER, Sid="OwnCredentials"),
    allow("iam:CreateVirtualMFADevice", "arn:aws:iam::*:mfa/*"),
    {
        "Sid": "DenyAllExceptListedIfNoMFA",
        "Effect": "Deny",
        "NotAction": [*_OWN_CREDENTIALS.split(), "iam:CreateVirtualMFADevice", "sts:GetSessionToken"],
        "Resource": "*",
        "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    },
)
SELF_MANAGE = document(allow("iam:*AccessKey* iam:*SSHPublicKey* iam:*ServiceSpecificCredential*", _OWN_USER))
#: Two documents that go by one name in different accounts: merged by name, one of them would be lost.
DEVELOPER_ACCESS = (
    document(allow("ec2:* lambda:* logs:* s3:* sqs:* sns:*")),
    document(
        allow("ec2:Describe* lambda:* logs:* s3:Get* s3:List* s3:PutObject dynamodb:*"),
        {"Effect": "Deny", "Action": "lambda:DeleteFunction", "Resource": "*"},
    ),
)
DEVELOPER_BOUNDARY = document(
    allow("*", Condition={"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}),
    {"Effect": "Deny", "Action": ["iam:*", "organizations:*"], "Resource": "*"},
)
DATA_LAKE_READ = document(
    allow("s3:GetObject s3:ListBucket", "arn:aws:s3:::example-data-lake", "arn:aws:s3:::example-data-lake/*"),
    allow("glue:Get* athena:Get* athena:StartQueryExecution"),
)
DEPLOY_PIPELINE = document(
    allow("cloudformation:* codedeploy:* ecs:UpdateService"),
    allow("iam:PassRole", "arn:aws:iam::*:role/service/*"),
)
INVOICES_EXPORT = document(allow("s3:GetObject", "arn:aws:s3:::example-invoices/${aws:username}/*"))
PROJECT = document(allow("s3:GetObject", "arn:aws:s3:::example-projects/*"))

OWN_SANDBOX = document(allow("s3:*", "arn:aws:s3:::example-sandbox/${aws:username}/*"))
ASSUME_DEPLOY = document(allow("sts:AssumeRole", "arn:aws:iam::*:role/deploy"))
UPLOADER = document(allow("s3:PutObject s3:AbortMultipartUpload", "arn:aws:s3:::example-uploads/*"))
METRICS = document(allow("cloudwatch:PutMetricData logs:CreateLogStream logs:PutLogEvents"))


def trust(principal: Mapping[str, Any], **rest: Any) -> str:
    """A role's trust policy for one principal."""
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **rest})
