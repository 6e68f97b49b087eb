# SPDX-License-Identifier: Apache-2.0
"""Writes a managed policy with all of its versions."""

from __future__ import annotations

from typing import Any

from moto.iam.models import AWSManagedPolicy
from moto.iam.models import ManagedPolicy as CustomerManagedPolicy
from moto.iam.models import PolicyVersion as IamPolicyVersion

from aws_local_org.iam.seeding import naive_utc
from aws_local_org.seeding.records import ManagedPolicy


def write_policy(backend: Any, policy: ManagedPolicy) -> None:
    """Add a customer-managed policy, or one to AWS's catalogue as this account sees it, in the place of a known one."""
    entity = (AWSManagedPolicy if policy.aws_managed else CustomerManagedPolicy)(
        policy.name,
        account_id=backend.account_id,
        region=backend.region_name,
        default_version_id=policy.default_version,
        description=policy.description,
        path=policy.path,
        create_date=naive_utc(policy.created),
        update_date=naive_utc(policy.updated or policy.created),
        tags={key: {"Key": key, "Value": value} for key, value in policy.tags.items()},
    )
    entity.id = policy.policy_id
    entity.versions = [
        IamPolicyVersion(
            entity.arn,
            version.document,
            version.version_id == policy.default_version,
            version.version_id,
            naive_utc(version.created),
        )
        for version in policy.versions
    ]
    numbers = [int(version.version_id[1:]) for version in policy.versions if version.version_id[1:].isdigit()]
    entity.next_version_num = max(numbers, default=0) + 1
    backend.managed_policies[entity.arn] = entity
    if policy.aws_managed:
        others = (known for known in backend.aws_managed_policies if known.arn != entity.arn)
        backend.aws_managed_policies = [*others, entity]
    for holder in (*backend.users.values(), *backend.groups.values(), *backend.roles.values()):
        if entity.arn in holder.managed_policies:
            holder.managed_policies[entity.arn] = entity
