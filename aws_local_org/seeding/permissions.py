# SPDX-License-Identifier: Apache-2.0
"""The permissions of seeded users: policies, and combinations that recur over the organization, as in real ones.

A policy's name here is what follows ``policy/`` in its ARN: path and name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Statement = Mapping[str, Any]


def document(*statements: Statement) -> str:
    """The JSON text of a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: str, *resources: str, **rest: Any) -> Statement:
    """An Allow statement; ``actions`` are separated by spaces, no resource means all."""
    return {"Effect": "Allow", "Action": actions.split(), "Resource": list(resources) or "*", **rest}


def trust(principal: Mapping[str, Any], **rest: Any) -> str:
    """A role's trust policy for one principal."""
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **rest})


_OWN_USER = "arn:aws:iam::*:user/${aws:username}"
_OWN_CREDENTIALS = (
    "iam:ChangePassword iam:GetUser iam:CreateAccessKey iam:DeleteAccessKey iam:ListAccessKeys iam:UpdateAccessKey "
    "iam:EnableMFADevice iam:ListMFADevices iam:ResyncMFADevice"
)

DEVELOPER_ACCESS = "DeveloperAccess"
DEVELOPER_BOUNDARY = "DeveloperBoundary"
FORCE_MFA = "ForceMFA"
SELF_MANAGE = "SelfManageCredentials"
DATA_LAKE_READ = "DataLakeRead"
DEPLOY_PIPELINE = "ci/DeployPipeline"
INVOICES_EXPORT = "InvoicesExport"

#: Two documents of DeveloperAccess in different accounts. Merging them by name would lose one.
DEVELOPER_ACCESS_DOCUMENTS = (
    document(allow("ec2:* lambda:* logs:* s3:* sqs:* sns:*")),
    document(
        allow("ec2:Describe* lambda:* logs:* s3:Get* s3:List* s3:PutObject dynamodb:*"),
        {"Effect": "Deny", "Action": "lambda:DeleteFunction", "Resource": "*"},
    ),
)
#: Customer-managed policies that are the same in every account; DeveloperAccess is not.
CUSTOMER_POLICIES: Mapping[str, str] = {
    DEVELOPER_BOUNDARY: document(
        allow("*", Condition={"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-1"]}}),
        {"Effect": "Deny", "Action": ["iam:*", "organizations:*"], "Resource": "*"},
    ),
    # AWS's own example, "Allows MFA-authenticated IAM users to manage their own credentials" (IAM User Guide).
    FORCE_MFA: document(
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
    ),
    SELF_MANAGE: document(
        allow("iam:*AccessKey* iam:*SSHPublicKey* iam:*ServiceSpecificCredential*", _OWN_USER)
    ),
    DATA_LAKE_READ: document(
        allow(
            "s3:GetObject s3:ListBucket", "arn:aws:s3:::example-data-lake", "arn:aws:s3:::example-data-lake/*"
        ),
        allow("glue:Get* athena:Get* athena:StartQueryExecution"),
    ),
    DEPLOY_PIPELINE: document(
        allow("cloudformation:* codedeploy:* ecs:UpdateService"),
        allow("iam:PassRole", "arn:aws:iam::*:role/service/*"),
    ),
    INVOICES_EXPORT: document(allow("s3:GetObject", "arn:aws:s3:::example-invoices/${aws:username}/*")),
}
#: The document of every project's customer-managed policy.
PROJECT = document(allow("s3:GetObject", "arn:aws:s3:::example-projects/*"))

#: Documents of inline policies.
OWN_SANDBOX = document(allow("s3:*", "arn:aws:s3:::example-sandbox/${aws:username}/*"))
ASSUME_DEPLOY = document(allow("sts:AssumeRole", "arn:aws:iam::*:role/deploy"))
UPLOADER = document(allow("s3:PutObject s3:AbortMultipartUpload", "arn:aws:s3:::example-uploads/*"))
METRICS = document(allow("cloudwatch:PutMetricData logs:CreateLogStream logs:PutLogEvents"))


def policy_arn(account_id: str, policy: str) -> str:
    """The ARN of a policy with its name in this module."""
    owner = account_id if policy in CUSTOMER_POLICIES or policy == DEVELOPER_ACCESS else "aws"
    return f"arn:aws:iam::{owner}:policy/{policy}"


@dataclass(frozen=True)
class Permissions:
    """One combination: ``weight`` says how common it is among users of its kind."""

    weight: int
    groups: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    inline: Mapping[str, str] = field(default_factory=dict)


#: The grants of every account's groups.
GROUPS: Mapping[str, Permissions] = {
    "Admins": Permissions(0, policies=("AdministratorAccess",)),
    "Auditors": Permissions(0, policies=("SecurityAudit", "job-function/ViewOnlyAccess")),
    "Billing": Permissions(0, policies=("job-function/Billing", INVOICES_EXPORT)),
    "BuildAgents": Permissions(0, policies=(DEPLOY_PIPELINE,)),
    "Contractors-2019": Permissions(0),
    "DatabaseAdmins": Permissions(0, policies=("job-function/DatabaseAdministrator",)),
    "DataScience": Permissions(0, policies=(DATA_LAKE_READ, "AmazonAthenaFullAccess")),
    "Developers": Permissions(0, policies=(DEVELOPER_ACCESS,), inline={"OwnSandbox": OWN_SANDBOX}),
    "Everyone": Permissions(0, policies=(FORCE_MFA, "IAMUserChangePassword")),
    "NetworkAdmins": Permissions(0, policies=("job-function/NetworkAdministrator",)),
    "ReadOnly": Permissions(0, policies=("ReadOnlyAccess",)),
    "Support": Permissions(0, policies=("job-function/SupportUser",)),
}

#: For the boundary: developers who may create roles.
BOUNDED_PERMISSIONS = Permissions(1, ("Everyone", "Developers"))
HUMAN_PERMISSIONS: tuple[Permissions, ...] = (
    Permissions(12, ("Everyone", "ReadOnly")),
    Permissions(12, ("Everyone", "Developers")),
    Permissions(6, ("Everyone", "Developers", "ReadOnly")),
    Permissions(4, ("Everyone", "Developers", "DataScience")),
    Permissions(6, ("Everyone", "DataScience")),
    Permissions(3, ("Everyone", "Billing")),
    Permissions(2, ("Everyone", "Billing", "ReadOnly")),
    Permissions(3, ("Everyone", "Auditors")),
    Permissions(4, ("Everyone", "Support")),
    Permissions(2, ("Everyone", "DatabaseAdmins")),
    Permissions(2, ("Everyone", "DatabaseAdmins", "Developers")),
    Permissions(2, ("Everyone", "NetworkAdmins")),
    Permissions(2, ("Everyone", "Developers"), ("PowerUserAccess",)),
    Permissions(2, ("Everyone",), ("ReadOnlyAccess",)),
    Permissions(2, (), ("AmazonS3ReadOnlyAccess", "CloudWatchReadOnlyAccess")),
    Permissions(2, ("Everyone", "ReadOnly"), inline={"AssumeDeploy": ASSUME_DEPLOY}),
)
MACHINE_PERMISSIONS: tuple[Permissions, ...] = (
    Permissions(6, inline={"Upload": UPLOADER}),
    Permissions(5, policies=("AmazonS3FullAccess",)),
    Permissions(4, policies=(DEPLOY_PIPELINE, "AmazonEC2ContainerRegistryPowerUser")),
    Permissions(4, ("BuildAgents",)),
    Permissions(3, policies=("AmazonSESFullAccess",)),
    Permissions(3, inline={"Metrics": METRICS}),
    Permissions(2, policies=("AWSLambda_FullAccess",)),
)
VENDOR_PERMISSIONS: tuple[Permissions, ...] = (
    Permissions(4, policies=("SecurityAudit",)),
    Permissions(3, policies=("CloudWatchReadOnlyAccess",)),
    Permissions(1, policies=("AWSBillingReadOnlyAccess",)),
)
