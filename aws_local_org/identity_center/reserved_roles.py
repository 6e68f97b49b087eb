# SPDX-License-Identifier: Apache-2.0
"""The IAM role by which a permission set appears in a target account.

`AWSReservedSSO_<name>_<suffix>` under `/aws-reserved/sso.amazonaws.com/`, with the Region appended to the path
everywhere but in us-east-1. The suffix is new each time (IAM Identity Center User Guide, "Referencing permission sets
in resource policies"), so a role that comes back has another ARN.
"""

from __future__ import annotations

import json
from typing import Any

from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.models import IAMBackend, Role, iam_backends
from moto.iam.policy_validation import IAMPolicyDocumentValidator
from moto.moto_api._internal import mock_random

from . import aws_managed_policies
from .asynchronous import OperationFailed
from .state import Instance, PermissionSet, RoleDefinition

INLINE_POLICY_NAME = "AwsSSOInlinePolicy"
#: The role always allows twelve hours; Identity Center keeps to the permission set's own session duration.
MAX_SESSION_SECONDS = "43200"


def create(
    instance: Instance, permission_set: PermissionSet, account: str, definition: RoleDefinition
) -> str:
    """The new role's name. Raises OperationFailed with IAM's reason, leaving nothing behind."""
    backend = _backend(instance, account)
    if len(backend.roles) >= instance.quotas.roles_per_account:
        raise OperationFailed(_conflict(f"RolesPerAccount: {instance.quotas.roles_per_account}"))
    policies = _policies(backend, instance, definition)
    role = backend.create_role(
        role_name=f"AWSReservedSSO_{permission_set.name}_{mock_random.get_random_hex(16)}",
        assume_role_policy_document=json.dumps(_trust(instance, account)),
        path=_path(instance.region),
        permissions_boundary=None,
        description=permission_set.description or "",
        tags=[],
        max_session_duration=MAX_SESSION_SECONDS,
    )
    _write(backend, role, policies, definition)
    return str(role.name)


def update(instance: Instance, name: str, account: str, definition: RoleDefinition) -> None:
    """Makes the role what the definition says. Raises OperationFailed before anything is changed."""
    backend = _backend(instance, account)
    _write(backend, backend.get_role(name), _policies(backend, instance, definition), definition)


def delete(instance: Instance, name: str, account: str) -> None:
    backend = _backend(instance, account)
    role = backend.get_role(name)
    _clear(role)
    backend.delete_role(name)


def _policies(backend: IAMBackend, instance: Instance, definition: RoleDefinition) -> list[Any]:
    """The managed policies to attach, after every check that IAM makes on them and on the inline policy."""
    count = len(definition.managed_policies) + len(definition.customer_policies)
    if count > instance.quotas.policies_per_role:
        raise OperationFailed(_conflict(f"PoliciesPerRole: {instance.quotas.policies_per_role}"))
    _boundary_arn(backend, definition)
    if definition.inline_policy:
        try:
            IAMPolicyDocumentValidator(definition.inline_policy).validate()
        except MalformedPolicyDocument as error:
            raise OperationFailed(f"Received a 400 status error: {error.message}") from error
    managed = [aws_managed_policies.loaded(backend, arn) for arn in sorted(definition.managed_policies)]
    customer = [_customer_policy(backend, place) for place in sorted(definition.customer_policies)]
    return managed + customer


def _write(backend: IAMBackend, role: Role, policies: list[Any], definition: RoleDefinition) -> None:
    _clear(role)
    for policy in policies:
        policy.attach_to(role)
    if definition.inline_policy:
        role.put_policy(INLINE_POLICY_NAME, definition.inline_policy)
    role.permissions_boundary_arn = _boundary_arn(backend, definition)


def _clear(role: Role) -> None:
    for policy in list(role.managed_policies.values()):
        policy.detach_from(role)
    role.policies.clear()


def _boundary_arn(backend: IAMBackend, definition: RoleDefinition) -> str | None:
    if definition.boundary.startswith("/"):
        return str(_customer_policy(backend, definition.boundary).arn)
    return definition.boundary or None


def _customer_policy(backend: IAMBackend, place: str) -> Any:
    arn = f"arn:{backend.partition}:iam::{backend.account_id}:policy{place}"
    if arn not in backend.managed_policies:
        raise OperationFailed(f"Received a 404 status error: Not supported policy {arn}.")
    return backend.managed_policies[arn]


def _conflict(quota: str) -> str:
    return f"Received a 409 status error: Cannot exceed quota for {quota}"


def _backend(instance: Instance, account: str) -> IAMBackend:
    return iam_backends[account][instance.store.partition]


def _path(region: str) -> str:
    return "/aws-reserved/sso.amazonaws.com/" + ("" if region == "us-east-1" else f"{region}/")


def _trust(instance: Instance, account: str) -> dict[str, Any]:
    provider = f"AWSSSO_{instance.id.rpartition('-')[2]}_DO_NOT_DELETE"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:{instance.store.partition}:iam::{account}:saml-provider/{provider}"},
        "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
        "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
