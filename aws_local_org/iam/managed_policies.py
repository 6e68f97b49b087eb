# SPDX-License-Identifier: Apache-2.0
"""Managed policies: AWS-managed, shared between accounts, and customer-managed, deletable only while unused."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.core.utils import utcnow
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy, PolicyVersion

from aws_local_org.errors import (
    delete_conflict,
    invalid_input,
    no_such_entity,
    quota_exceeded,
    validation_error,
)
from aws_local_org.iam import entities
from aws_local_org.iam.base import Backend
from aws_local_org.iam.inline_policies import check_document, size_of

#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
POLICIES_PER_ENTITY = 10
CHARACTERS = 6_144

_POLICY_ARN = re.compile(r"arn:[\w-]+:iam::(aws|\d{12}):policy/.+")


@cache
def _catalogue(partition: str) -> dict[str, AWSManagedPolicy]:
    """AWS's managed policies, by ARN, read once and shared by all accounts: nothing changes them.

    Every partition has those that moto knows of aws. moto loads them only where its environment says
    so, and then parses their documents again for each account.
    """
    policies = {}
    for place, data in _catalogue_data().items():
        name = place.rpartition("/")[2]
        policy = AWSManagedPolicy.from_data(name, account_id="aws", region_name=partition, data=data)
        policy.id = entities.aws_policy_id(policy.arn)
        policies[policy.arn] = policy
    return policies


class ManagedPoliciesBackend(Backend):
    def _init_aws_policies(self) -> list[ManagedPolicy]:
        return list(_catalogue(self.partition).values())

    def _init_managed_policies(self) -> dict[str, ManagedPolicy]:
        return dict(_catalogue(self.partition))

    def create_policy(
        self,
        description: str,
        path: str,
        policy_document: str,
        policy_name: str,
        tags: list[dict[str, str]],
    ) -> ManagedPolicy:
        _check_managed(policy_document)
        policy = super().create_policy(description, path, policy_document, policy_name, tags)
        policy.id = entities.new_id(entities.MANAGED_POLICY, self.account_id)
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
        _check_managed(policy_document)
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


def _check_managed(document: str) -> None:
    check_document(document)
    if size_of(document) > CHARACTERS:
        raise quota_exceeded("PolicySize", CHARACTERS)


@dataclass(frozen=True)
class Usage:
    """By policy ARN: to how many users, groups and roles it is attached, and how many users and roles it bounds."""

    attachments: Counter[str]
    boundaries: Counter[str]


#: Of a policy that is new.
UNUSED = Usage(Counter(), Counter())


def usage_in(account: Any) -> Usage:
    """The usage in one account, given its IAM backend."""
    bounded = [*account.users.values(), *account.roles.values()]
    entities = [*bounded, *account.groups.values()]
    return Usage(
        Counter(arn for entity in entities for arn in entity.managed_policies),
        Counter(entity.permissions_boundary_arn for entity in bounded if entity.permissions_boundary_arn),
    )


def aws_policy_exists(arn: str) -> bool:
    """Whether AWS has the managed policy. arn: of any partition; the catalogue is the same in all."""
    return _place(arn) in _catalogue_data()


def aws_policy(backend: IAMBackend, arn: str) -> Any:
    """AWS's managed policy in an account's IAM. arn must exist; one of another partition than `aws` is loaded first."""
    if arn not in backend.managed_policies:
        name = arn.rpartition("/")[2]
        data = _catalogue_data()[_place(arn)]
        policy = AWSManagedPolicy.from_data(name, backend.account_id, backend.region_name, data)
        backend.managed_policies[arn] = policy
    return backend.managed_policies[arn]


@cache
def _catalogue_data() -> dict[str, dict[str, Any]]:
    """Path and name -> moto's record of the policy."""
    policies = json.loads(aws_managed_policies_data)
    return {f"{data['Path']}{name}": data for name, data in policies.items()}


def _place(arn: str) -> str:
    """`/service-role/AWSConfigRole` of `arn:aws:iam::aws:policy/service-role/AWSConfigRole`."""
    return arn.partition(":policy")[2]
