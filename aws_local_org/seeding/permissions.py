# SPDX-License-Identifier: Apache-2.0
"""What seeded users may do: a handful of combinations that recur all over the organization, as they do in real ones.

A policy is named by what follows ``policy/`` in its ARN: path and name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aws_local_org.seeding import policy_documents as documents

DEVELOPER_ACCESS = "DeveloperAccess"
DEVELOPER_BOUNDARY = "DeveloperBoundary"
FORCE_MFA = "ForceMFA"
SELF_MANAGE = "SelfManageCredentials"
DATA_LAKE_READ = "DataLakeRead"
DEPLOY_PIPELINE = "ci/DeployPipeline"
INVOICES_EXPORT = "InvoicesExport"

#: Customer-managed policies that are the same in every account; DeveloperAccess is not.
CUSTOMER_POLICIES: Mapping[str, str] = {
    DEVELOPER_BOUNDARY: documents.DEVELOPER_BOUNDARY,
    FORCE_MFA: documents.FORCE_MFA,
    SELF_MANAGE: documents.SELF_MANAGE,
    DATA_LAKE_READ: documents.DATA_LAKE_READ,
    DEPLOY_PIPELINE: documents.DEPLOY_PIPELINE,
    INVOICES_EXPORT: documents.INVOICES_EXPORT,
}


def policy_arn(account_id: str, policy: str) -> str:
    """The ARN of a policy named as in this module."""
    owner = account_id if policy in CUSTOMER_POLICIES or policy == DEVELOPER_ACCESS else "aws"
    return f"arn:aws:iam::{owner}:policy/{policy}"


@dataclass(frozen=True)
class Permissions:
    """One combination: ``weight`` says how common it is among users of its sort."""

    weight: int
    groups: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    inline: Mapping[str, str] = field(default_factory=dict)


#: What the groups of every account grant.
GROUPS: Mapping[str, Permissions] = {
    "Admins": Permissions(0, policies=("AdministratorAccess",)),
    "Auditors": Permissions(0, policies=("SecurityAudit", "job-function/ViewOnlyAccess")),
    "Billing": Permissions(0, policies=("job-function/Billing", INVOICES_EXPORT)),
    "BuildAgents": Permissions(0, policies=(DEPLOY_PIPELINE,)),
    "Contractors-2019": Permissions(0),
    "DatabaseAdmins": Permissions(0, policies=("job-function/DatabaseAdministrator",)),
    "DataScience": Permissions(0, policies=(DATA_LAKE_READ, "AmazonAthenaFullAccess")),
    "Developers": Permissions(0, policies=(DEVELOPER_ACCESS,), inline={"OwnSandbox": documents.OWN_SANDBOX}),
    "Everyone": Permissions(0, policies=(FORCE_MFA, "IAMUserChangePassword")),
    "NetworkAdmins": Permissions(0, policies=("job-function/NetworkAdministrator",)),
    "ReadOnly": Permissions(0, policies=("ReadOnlyAccess",)),
    "Support": Permissions(0, policies=("job-function/SupportUser",)),
}

#: What the boundary is for: developers who may create roles.
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
    Permissions(2, ("Everyone", "ReadOnly"), inline={"AssumeDeploy": documents.ASSUME_DEPLOY}),
)
MACHINE_PERMISSIONS: tuple[Permissions, ...] = (
    Permissions(6, inline={"Upload": documents.UPLOADER}),
    Permissions(5, policies=("AmazonS3FullAccess",)),
    Permissions(4, policies=(DEPLOY_PIPELINE, "AmazonEC2ContainerRegistryPowerUser")),
    Permissions(4, ("BuildAgents",)),
    Permissions(3, policies=("AmazonSESFullAccess",)),
    Permissions(3, inline={"Metrics": documents.METRICS}),
    Permissions(2, policies=("AWSLambda_FullAccess",)),
)
VENDOR_PERMISSIONS: tuple[Permissions, ...] = (
    Permissions(4, policies=("SecurityAudit",)),
    Permissions(3, policies=("CloudWatchReadOnlyAccess",)),
    Permissions(1, policies=("AWSBillingReadOnlyAccess",)),
)
