# SPDX-License-Identifier: Apache-2.0
"""The one permissions boundary of a permission set: an AWS-managed or a customer-managed policy."""

from __future__ import annotations

from typing import Any

from . import aws_managed_policies, errors
from .permission_sets import find
from .state import Instance


def put(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Replaces any boundary there is."""
    permission_set = find(instance, parameters["PermissionSetArn"])
    boundary = parameters["PermissionsBoundary"]
    if len(boundary.keys() & {"CustomerManagedPolicyReference", "ManagedPolicyArn"}) != 1:
        raise errors.invalid("Specify either CustomerManagedPolicyReference or ManagedPolicyArn")
    arn = boundary.get("ManagedPolicyArn")
    if arn and not aws_managed_policies.exists(arn):
        raise errors.not_found(f"Policy does not exist with ARN: {arn}")
    permission_set.boundary = boundary
    return {}


def get(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"PermissionsBoundary": _present(instance, parameters)}


def delete(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    _present(instance, parameters)
    find(instance, parameters["PermissionSetArn"]).boundary = None
    return {}


def _present(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    permission_set = find(instance, parameters["PermissionSetArn"])
    if permission_set.boundary is None:
        raise errors.not_found(f"Permissions boundary does not exist for {permission_set.arn}")
    return permission_set.boundary
