# SPDX-License-Identifier: Apache-2.0
"""Managed policies of a permission set: AWS's by ARN, the customer's by name and path.

A customer-managed policy is only a reference: whether it exists in a target account shows when the set is
provisioned there.
"""

from __future__ import annotations

from typing import Any

from . import aws_managed_policies, errors, paging
from .permission_sets import find, policy_path
from .state import Instance, PermissionSet


def attach_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set, arn = find(instance, parameters["PermissionSetArn"]), parameters["ManagedPolicyArn"]
    if not aws_managed_policies.exists(arn):
        raise errors.not_found(f"Policy does not exist with ARN: {arn}")
    if arn in permission_set.managed_policies:
        raise errors.conflict(
            f"Permission set with id {_id(permission_set)} already has a typed link attachment to a "
            f"managed policy with {arn}"
        )
    _check_room(instance, permission_set)
    permission_set.managed_policies[arn] = arn.rpartition("/")[2]
    return {}


def detach_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set, arn = find(instance, parameters["PermissionSetArn"]), parameters["ManagedPolicyArn"]
    if arn not in permission_set.managed_policies:
        raise errors.not_found(f"Could not find ManagedPolicy with arn {arn}")
    del permission_set.managed_policies[arn]
    return {}


def list_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    attached = find(instance, parameters["PermissionSetArn"]).managed_policies
    items = [{"Arn": arn, "Name": name} for arn, name in attached.items()]
    return paging.page("AttachedManagedPolicies", items, parameters)


def attach_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    reference = parameters["CustomerManagedPolicyReference"]
    place = policy_path(reference)
    if place in permission_set.customer_policies:
        raise errors.conflict(f"Given customer managed policy {place} is already attached")
    _check_room(instance, permission_set)
    permission_set.customer_policies[place] = {"Name": reference["Name"], "Path": reference.get("Path", "/")}
    return {}


def detach_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    place = policy_path(parameters["CustomerManagedPolicyReference"])
    if place not in permission_set.customer_policies:
        raise errors.not_found(f"Given customer managed policy {place} does not exist on the permission set")
    del permission_set.customer_policies[place]
    return {}


def list_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    attached = find(instance, parameters["PermissionSetArn"]).customer_policies
    return paging.page("CustomerManagedPolicyReferences", list(attached.values()), parameters)


def _check_room(instance: Instance, permission_set: PermissionSet) -> None:
    """Managed and customer-managed policies count together (Quotas and limits, AWS account quotas)."""
    quota = instance.quotas.policies_per_set
    if len(permission_set.managed_policies) + len(permission_set.customer_policies) >= quota:
        raise errors.over_quota(
            f"You have exceeded AWS SSO limits. Cannot attach more than {quota} policies to "
            f"permission set {_id(permission_set)}"
        )


def _id(permission_set: PermissionSet) -> str:
    return permission_set.arn.rpartition("/")[2]
