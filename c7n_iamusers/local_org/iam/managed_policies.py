# SPDX-License-Identifier: Apache-2.0
"""Managed policies: AWS's own, shared between accounts, and the account's, which are deleted only while unused."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, ManagedPolicy, PolicyVersion

from c7n_iamusers.local_org.iam import identifiers
from c7n_iamusers.local_org.iam.base import Backend
from c7n_iamusers.local_org.iam.errors import delete_conflict, invalid_input, no_such_entity, quota_exceeded
from c7n_iamusers.local_org.iam.policy_usage import usage_in

#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
POLICIES_PER_ENTITY = 10


@cache
def _catalogue() -> dict[str, AWSManagedPolicy]:
    """AWS's managed policies as moto knows them, by ARN, read once and shared by all accounts: nothing changes them.

    moto loads them only where its environment says so, and then parses their documents for each account anew.
    """
    policies = {}
    for name, data in json.loads(aws_managed_policies_data).items():
        policy = AWSManagedPolicy.from_data(name, account_id="aws", region_name="aws", data=data)
        policy.id = identifiers.aws_policy_id(policy.arn)
        policies[policy.arn] = policy
    return policies


class ManagedPoliciesBackend(Backend):
    def _init_aws_policies(self) -> list[ManagedPolicy]:
        return list(_catalogue().values())

    def _init_managed_policies(self) -> dict[str, ManagedPolicy]:
        return dict(_catalogue())

    def create_policy(
        self,
        description: str,
        path: str,
        policy_document: str,
        policy_name: str,
        tags: list[dict[str, str]],
    ) -> ManagedPolicy:
        policy = super().create_policy(description, path, policy_document, policy_name, tags)
        policy.id = identifiers.new_id(identifiers.MANAGED_POLICY, self.account_id)
        return policy

    def attach_user_policy(self, policy_arn: str, user_name: str) -> None:
        self._attach(policy_arn, self.get_user(user_name), "AttachedPoliciesPerUser")

    def attach_group_policy(self, policy_arn: str, group_name: str) -> None:
        self._attach(policy_arn, self.get_group(group_name), "AttachedPoliciesPerGroup")

    def attach_role_policy(self, policy_arn: str, role_name: str) -> None:
        self._attach(policy_arn, self.get_role(role_name), "AttachedPoliciesPerRole")

    def detach_user_policy(self, policy_arn: str, user_name: str) -> None:
        _detach(policy_arn, self.get_user(user_name))

    def detach_group_policy(self, policy_arn: str, group_name: str) -> None:
        _detach(policy_arn, self.get_group(group_name))

    def detach_role_policy(self, policy_arn: str, role_name: str) -> None:
        _detach(policy_arn, self.get_role(role_name))

    def _attach(self, policy_arn: str, entity: Any, quota: str) -> None:
        policy = self.managed_policies.get(policy_arn)
        if policy is None:
            raise no_such_entity(f"Policy {policy_arn} does not exist or is not attachable.")
        if policy_arn in entity.managed_policies:
            return
        if len(entity.managed_policies) >= POLICIES_PER_ENTITY:
            raise quota_exceeded(quota, POLICIES_PER_ENTITY)
        entity.managed_policies[policy_arn] = policy

    def delete_policy(self, policy_arn: str) -> None:
        """DeleteConflict while attached, used as a boundary, or with more than its default version.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html.
        """
        policy = self._own_policy(policy_arn)
        usage = usage_in(self)
        if usage.attachments[policy_arn] or usage.boundaries[policy_arn]:
            raise delete_conflict("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise delete_conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        del self.managed_policies[policy_arn]

    def create_policy_version(
        self, policy_arn: str, policy_document: str, set_as_default: bool
    ) -> PolicyVersion:
        self._own_policy(policy_arn)
        return super().create_policy_version(policy_arn, policy_document, set_as_default)

    def delete_policy_version(self, policy_arn: str, version_id: str) -> None:
        self._own_policy(policy_arn)
        super().delete_policy_version(policy_arn, version_id)

    def set_default_policy_version(self, policy_arn: str, version_id: str) -> None:
        self._own_policy(policy_arn)
        super().set_default_policy_version(policy_arn, version_id)

    def tag_policy(self, policy_arn: str, tags: list[dict[str, str]]) -> None:
        self._own_policy(policy_arn)
        super().tag_policy(policy_arn, tags)

    def _own_policy(self, policy_arn: str) -> ManagedPolicy:
        policy = self.get_policy(policy_arn)
        if isinstance(policy, AWSManagedPolicy):
            raise invalid_input(f"Policy {policy_arn} is outside your own account.")
        return policy


def _detach(policy_arn: str, entity: Any) -> None:
    if entity.managed_policies.pop(policy_arn, None) is None:
        raise no_such_entity(f"Policy {policy_arn} was not found.")
