# SPDX-License-Identifier: Apache-2.0
"""Permission sets in accounts: provisioned by an assignment or by ProvisionPermissionSet, each as an IAM role.

The role is `AWSReservedSSO_<name>_<suffix>` under `/aws-reserved/sso.amazonaws.com/`, with the Region appended to the
path everywhere but in us-east-1. The suffix is new each time (IAM Identity Center User Guide, "Referencing permission
sets in resource policies"), so a role that is provisioned again has another ARN.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.models import IAMBackend, Role, iam_backends
from moto.iam.policy_validation import IAMPolicyDocumentValidator
from moto.moto_api._internal import mock_random

from aws_local_org import organization
from aws_local_org.iam.policies import aws_policy
from aws_local_org.identity_center import rules
from aws_local_org.identity_center.asynchronous import PROVISIONING, OperationFailed
from aws_local_org.identity_center.permission_sets import find, role_definition
from aws_local_org.identity_center.state import Instance, PermissionSet, Provisioned, RoleDefinition

LATEST, OUTDATED = "LATEST_PERMISSION_SET_PROVISIONED", "LATEST_PERMISSION_SET_NOT_PROVISIONED"


def provision(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Asynchronous. TargetType AWS_ACCOUNT needs a TargetId; ALL_PROVISIONED_ACCOUNTS are those of this moment."""
    permission_set = find(instance, parameters["PermissionSetArn"])
    quota = instance.quotas.concurrent_provisionings
    if len(PROVISIONING.in_progress(instance)) >= quota:
        # The quota page gives the number, not the error; this is the one that declares "too many at once".
        raise rules.throttled(f"No more than {quota} ProvisionPermissionSet requests may be in progress")
    accounts = _targets(instance, permission_set, parameters)
    subject = {"PermissionSetArn": permission_set.arn, "AccountId": parameters.get("TargetId")}
    return PROVISIONING.start(instance, subject, partial(_refresh_all, instance, permission_set, accounts))


def list_permission_sets(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """ListPermissionSetsProvisionedToAccount; without ProvisioningStatus both kinds."""
    here = [arn for account, arn in instance.provisioned if account == parameters["AccountId"]]
    found = [arn for arn in here if _matches(instance, parameters["AccountId"], arn, parameters)]
    return rules.page("PermissionSets", found, parameters)


def list_accounts(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """ListAccountsForProvisionedPermissionSet; without ProvisioningStatus both kinds."""
    permission_set = find(instance, parameters["PermissionSetArn"])
    accounts = accounts_of(instance, permission_set)
    found = [account for account in accounts if _matches(instance, account, permission_set.arn, parameters)]
    return rules.page("AccountIds", found, parameters)


def accounts_of(instance: Instance, permission_set: PermissionSet) -> list[str]:
    return [account for account, arn in instance.provisioned if arn == permission_set.arn]


def bring(instance: Instance, permission_set: PermissionSet, account: str) -> None:
    """Provisions the set in the account as it is now.

    So does an assignment, even of a set that is provisioned but outdated: "As part of a successful
    CreateAccountAssignment call, the specified permission set will automatically be provisioned to the account" (API
    reference). Raises OperationFailed.
    """
    check_account(instance, account)
    key, definition = (account, permission_set.arn), role_definition(permission_set)
    provisioned = instance.provisioned.get(key)
    if provisioned is None:
        name = _create_role(instance, permission_set, account, definition)
        instance.provisioned[key] = Provisioned(name, definition)
    else:
        _update_role(instance, provisioned.role_name, account, definition)
        provisioned.definition = definition


def remove(instance: Instance, permission_set_arn: str, account: str) -> None:
    provisioned = instance.provisioned.pop((account, permission_set_arn))
    _delete_role(instance, provisioned.role_name, account)


def check_account(instance: Instance, account: str) -> None:
    """Raises OperationFailed for an account that the instance can't reach.

    An account instance is only for its own account (User Guide, "Account instances of IAM Identity Center"). Which
    error AWS gives is UNCONFIRMED.
    """
    if not organization.has_active_account(account):
        raise OperationFailed(f"Account {account} is not an active account of the organization")
    if instance.owner not in (organization.management_account(), account):
        raise OperationFailed(f"Account {account} is not the account of instance {instance.arn}")


def _targets(instance: Instance, permission_set: PermissionSet, parameters: dict[str, Any]) -> list[str]:
    if parameters["TargetType"] == "ALL_PROVISIONED_ACCOUNTS":
        return accounts_of(instance, permission_set)
    if not parameters.get("TargetId"):
        raise rules.invalid("TargetId is required for TargetType AWS_ACCOUNT")
    return [parameters["TargetId"]]


def _refresh_all(instance: Instance, permission_set: PermissionSet, accounts: list[str]) -> None:
    for account in accounts:
        bring(instance, permission_set, account)


def _matches(instance: Instance, account: str, arn: str, parameters: dict[str, Any]) -> bool:
    current = instance.provisioned[account, arn].definition == role_definition(find(instance, arn))
    return parameters.get("ProvisioningStatus") in (None, LATEST if current else OUTDATED)


INLINE_POLICY_NAME = "AwsSSOInlinePolicy"
#: The role always allows twelve hours; Identity Center applies the permission set's own session duration.
MAX_SESSION_SECONDS = "43200"


def _create_role(
    instance: Instance, permission_set: PermissionSet, account: str, definition: RoleDefinition
) -> str:
    """The new role's name. Raises OperationFailed with IAM's reason, leaving nothing behind."""
    backend = _backend(instance, account)
    if len(backend.roles) >= instance.quotas.roles_per_account:
        raise OperationFailed(_quota_exceeded(f"RolesPerAccount: {instance.quotas.roles_per_account}"))
    policies = _role_policies(backend, instance, definition)
    role = backend.create_role(
        role_name=f"AWSReservedSSO_{permission_set.name}_{mock_random.get_random_hex(16)}",
        assume_role_policy_document=json.dumps(_role_trust(instance, account)),
        path=_role_path(instance.region),
        permissions_boundary=None,
        description=permission_set.description or "",
        tags=[],
        max_session_duration=MAX_SESSION_SECONDS,
    )
    _write_role(backend, role, policies, definition)
    return str(role.name)


def _update_role(instance: Instance, name: str, account: str, definition: RoleDefinition) -> None:
    """Makes the role what the definition says. Raises OperationFailed before anything is changed."""
    backend = _backend(instance, account)
    _write_role(backend, backend.get_role(name), _role_policies(backend, instance, definition), definition)


def _delete_role(instance: Instance, name: str, account: str) -> None:
    backend = _backend(instance, account)
    role = backend.get_role(name)
    _clear_role(role)
    backend.delete_role(name)


def _role_policies(backend: IAMBackend, instance: Instance, definition: RoleDefinition) -> list[Any]:
    """The managed policies to attach, after all of IAM's checks of them and of the inline policy."""
    count = len(definition.managed_policies) + len(definition.customer_policies)
    if count > instance.quotas.policies_per_role:
        raise OperationFailed(_quota_exceeded(f"PoliciesPerRole: {instance.quotas.policies_per_role}"))
    _boundary_arn(backend, definition)
    if definition.inline_policy:
        try:
            IAMPolicyDocumentValidator(definition.inline_policy).validate()
        except MalformedPolicyDocument as error:
            raise OperationFailed(f"Received a 400 status error: {error.message}") from error
    managed = [aws_policy(backend, arn) for arn in sorted(definition.managed_policies)]
    customer = [_customer_policy(backend, place) for place in sorted(definition.customer_policies)]
    return managed + customer


def _write_role(backend: IAMBackend, role: Role, policies: list[Any], definition: RoleDefinition) -> None:
    _clear_role(role)
    for policy in policies:
        policy.attach_to(role)
    if definition.inline_policy:
        role.put_policy(INLINE_POLICY_NAME, definition.inline_policy)
    role.permissions_boundary_arn = _boundary_arn(backend, definition)


def _clear_role(role: Role) -> None:
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


def _quota_exceeded(quota: str) -> str:
    return f"Received a 409 status error: Cannot exceed quota for {quota}"


def _backend(instance: Instance, account: str) -> IAMBackend:
    return iam_backends[account][instance.store.partition]


def _role_path(region: str) -> str:
    return "/aws-reserved/sso.amazonaws.com/" + ("" if region == "us-east-1" else f"{region}/")


def _role_trust(instance: Instance, account: str) -> dict[str, Any]:
    provider = f"AWSSSO_{instance.id.rpartition('-')[2]}_DO_NOT_DELETE"
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:{instance.store.partition}:iam::{account}:saml-provider/{provider}"},
        "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
        "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
