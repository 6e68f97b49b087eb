# SPDX-License-Identifier: Apache-2.0
"""The policies of a permission set: managed ones, one inline policy, one permissions boundary.

AWS's managed policies are named by ARN, the customer's by name and path. A customer-managed policy is only a
reference: whether it exists in a target account shows when the set is provisioned there. Putting the inline policy
checks that it is a JSON object of legal size; IAM's grammar, too, is checked only when the set is provisioned.
"""

from __future__ import annotations

import json
from typing import Any

from aws_local_org.iam import managed_policies
from aws_local_org.identity_center import rules
from aws_local_org.identity_center.permission_sets import find, policy_path
from aws_local_org.identity_center.state import Instance, PermissionSet


def attach_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set, arn = find(instance, parameters["PermissionSetArn"]), parameters["ManagedPolicyArn"]
    if not managed_policies.aws_policy_exists(arn):
        raise rules.not_found(f"Policy does not exist with ARN: {arn}")
    if arn in permission_set.managed_policies:
        raise rules.conflict(
            f"Permission set with id {_id(permission_set)} already has a typed link attachment to a "
            f"managed policy with {arn}"
        )
    _check_room(instance, permission_set)
    permission_set.managed_policies[arn] = arn.rpartition("/")[2]
    return {}


def detach_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set, arn = find(instance, parameters["PermissionSetArn"]), parameters["ManagedPolicyArn"]
    if arn not in permission_set.managed_policies:
        raise rules.not_found(f"Could not find ManagedPolicy with arn {arn}")
    del permission_set.managed_policies[arn]
    return {}


def list_managed(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    attached = find(instance, parameters["PermissionSetArn"]).managed_policies
    items = [{"Arn": arn, "Name": name} for arn, name in attached.items()]
    return rules.page("AttachedManagedPolicies", items, parameters)


def attach_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    reference = parameters["CustomerManagedPolicyReference"]
    place = policy_path(reference)
    if place in permission_set.customer_policies:
        raise rules.conflict(f"Given customer managed policy {place} is already attached")
    _check_room(instance, permission_set)
    permission_set.customer_policies[place] = {"Name": reference["Name"], "Path": reference.get("Path", "/")}
    return {}


def detach_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    place = policy_path(parameters["CustomerManagedPolicyReference"])
    if place not in permission_set.customer_policies:
        raise rules.not_found(f"Given customer managed policy {place} does not exist on the permission set")
    del permission_set.customer_policies[place]
    return {}


def list_customer(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    attached = find(instance, parameters["PermissionSetArn"]).customer_policies
    return rules.page("CustomerManagedPolicyReferences", list(attached.values()), parameters)


def _check_room(instance: Instance, permission_set: PermissionSet) -> None:
    """Managed and customer-managed policies count together (Quotas and limits, AWS account quotas)."""
    quota = instance.quotas.policies_per_set
    if len(permission_set.managed_policies) + len(permission_set.customer_policies) >= quota:
        raise rules.over_quota(
            f"You have exceeded AWS SSO limits. Cannot attach more than {quota} policies to "
            f"permission set {_id(permission_set)}"
        )


def _id(permission_set: PermissionSet) -> str:
    return permission_set.arn.rpartition("/")[2]


def put_inline(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    document = parameters["InlinePolicy"]
    _check_size(instance, document)
    _check_json(document)
    permission_set.inline_policy = document
    return {}


def get_inline(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """InlinePolicy is the empty string where there is none."""
    return {"InlinePolicy": find(instance, parameters["PermissionSetArn"]).inline_policy}


def delete_inline(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    find(instance, parameters["PermissionSetArn"]).inline_policy = ""
    return {}


def _check_size(instance: Instance, document: str) -> None:
    quotas = instance.quotas
    if len(document.encode()) > quotas.inline_policy_bytes:
        raise rules.invalid(f"The inline policy is larger than {quotas.inline_policy_bytes} bytes")
    if len("".join(document.split())) > quotas.inline_policy_characters:
        # Which error AWS gives is UNCONFIRMED; of those the operation declares, this one is about sizes.
        raise rules.over_quota(
            f"The inline policy has more than {quotas.inline_policy_characters} non-whitespace characters"
        )


def _check_json(document: str) -> None:
    try:
        parsed = json.loads(document)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or "Statement" not in parsed:
        raise rules.invalid("Invalid PermissionsPolicy Document")


def put_boundary(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Replaces any boundary there is."""
    permission_set = find(instance, parameters["PermissionSetArn"])
    boundary = parameters["PermissionsBoundary"]
    if len(boundary.keys() & {"CustomerManagedPolicyReference", "ManagedPolicyArn"}) != 1:
        raise rules.invalid("Specify either CustomerManagedPolicyReference or ManagedPolicyArn")
    arn = boundary.get("ManagedPolicyArn")
    if arn and not managed_policies.aws_policy_exists(arn):
        raise rules.not_found(f"Policy does not exist with ARN: {arn}")
    permission_set.boundary = boundary
    return {}


def get_boundary(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"PermissionsBoundary": _present_boundary(instance, parameters)}


def delete_boundary(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    _present_boundary(instance, parameters)
    find(instance, parameters["PermissionSetArn"]).boundary = None
    return {}


def _present_boundary(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    if permission_set.boundary is None:
        raise rules.not_found(f"Permissions boundary does not exist for {permission_set.arn}")
    return permission_set.boundary
