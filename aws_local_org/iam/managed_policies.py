# SPDX-License-Identifier: Apache-2.0
"""Managed policies: AWS's own, shared between accounts, and the account's, which are deleted only while unused."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from moto.core.utils import utcnow
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, ManagedPolicy, PolicyVersion

from aws_local_org.iam import identifiers
from aws_local_org.iam.base import Backend
from aws_local_org.iam.errors import (
    delete_conflict,
    invalid_input,
    no_such_entity,
    quota_exceeded,
    validation_error,
)
from aws_local_org.iam.policy_documents import check_document, size_of
from aws_local_org.iam.policy_usage import usage_in

#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
POLICIES_PER_ENTITY = 10
CHARACTERS = 6_144

_POLICY_ARN = re.compile(r"arn:[\w-]+:iam::(aws|\d{12}):policy/.+")


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
        _check(policy_document)
        policy = super().create_policy(description, path, policy_document, policy_name, tags)
        policy.id = identifiers.new_id(identifiers.MANAGED_POLICY, self.account_id)
        return policy

    def get_policy(self, policy_arn: str) -> ManagedPolicy:
        return self._policy(policy_arn, "was not found.")

    def attach_user_policy(self, policy_arn: str, user_name: str) -> None:
        self._attach(policy_arn, self.get_user(user_name), "PoliciesPerUser")

    def attach_group_policy(self, policy_arn: str, group_name: str) -> None:
        self._attach(policy_arn, self.get_group(group_name), "PoliciesPerGroup")

    def attach_role_policy(self, policy_arn: str, role_name: str) -> None:
        self._attach(policy_arn, self.get_role(role_name), "PoliciesPerRole")

    def detach_user_policy(self, policy_arn: str, user_name: str) -> None:
        self._detach(policy_arn, self.get_user(user_name))

    def detach_group_policy(self, policy_arn: str, group_name: str) -> None:
        self._detach(policy_arn, self.get_group(group_name))

    def detach_role_policy(self, policy_arn: str, role_name: str) -> None:
        self._detach(policy_arn, self.get_role(role_name))

    def _attach(self, policy_arn: str, entity: Any, quota: str) -> None:
        policy = self._policy(policy_arn, "does not exist or is not attachable.")
        if policy_arn in entity.managed_policies:
            return
        if len(entity.managed_policies) >= POLICIES_PER_ENTITY:
            raise quota_exceeded(quota, POLICIES_PER_ENTITY)
        entity.managed_policies[policy_arn] = policy

    def _detach(self, policy_arn: str, entity: Any) -> None:
        if entity.managed_policies.pop(policy_arn, None) is None:
            self.get_policy(policy_arn)
            raise no_such_entity(f"Policy {policy_arn} was not found.")

    def _policy(self, policy_arn: str, missing: str) -> ManagedPolicy:
        """Raises ValidationError for what is no policy's ARN, NoSuchEntity, ending in `missing`, for an unknown one."""
        if not _POLICY_ARN.fullmatch(policy_arn):
            raise validation_error("Invalid ARN:  Could not be parsed!")
        if policy_arn not in self.managed_policies:
            raise no_such_entity(f"Policy {policy_arn} {missing}")
        return self.managed_policies[policy_arn]

    def check_boundary(self, policy_arn: str | None) -> None:
        """Raises InvalidInput for what is no policy's ARN, NoSuchEntity for an unknown one; None is no boundary."""
        if policy_arn and not _POLICY_ARN.fullmatch(policy_arn):
            raise invalid_input(f"ARN {policy_arn} is not valid.")
        if policy_arn and policy_arn not in self.managed_policies:
            raise no_such_entity(f"Scope ARN: {policy_arn} does not exist or is not attachable.")

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
        policy = self._own_policy(policy_arn)
        _check(policy_document)
        version = super().create_policy_version(policy_arn, policy_document, set_as_default)
        policy.update_date = utcnow()
        return version

    def get_policy_version(self, policy_arn: str, version_id: str) -> PolicyVersion:
        missing = f"version {version_id} does not exist or is not attachable."
        policy = self._policy(policy_arn, missing)
        found = next((version for version in policy.versions if version.version_id == version_id), None)
        if found is None:
            raise no_such_entity(f"Policy {policy_arn} {missing}")
        return found

    def delete_policy_version(self, policy_arn: str, version_id: str) -> None:
        self._check_own(policy_arn)
        self.get_policy_version(policy_arn, version_id)
        super().delete_policy_version(policy_arn, version_id)

    def set_default_policy_version(self, policy_arn: str, version_id: str) -> None:
        self._check_own(policy_arn)
        self.get_policy_version(policy_arn, version_id)
        super().set_default_policy_version(policy_arn, version_id)

    def tag_policy(self, policy_arn: str, tags: list[dict[str, str]]) -> None:
        self._own_policy(policy_arn)
        super().tag_policy(policy_arn, tags)

    def _own_policy(self, policy_arn: str) -> ManagedPolicy:
        self._check_own(policy_arn)
        return self.get_policy(policy_arn)

    def _check_own(self, policy_arn: str) -> None:
        if isinstance(self.managed_policies.get(policy_arn), AWSManagedPolicy):
            raise invalid_input(f"Policy {policy_arn} is outside your own account.")


def _check(document: str) -> None:
    check_document(document)
    if size_of(document) > CHARACTERS:
        raise quota_exceeded("PolicySize", CHARACTERS)
