# SPDX-License-Identifier: Apache-2.0
"""Permission sets in accounts: provisioned by an assignment or by ProvisionPermissionSet, and current or not."""

from __future__ import annotations

from functools import partial
from typing import Any

from aws_local_org import organization

from . import asynchronous, errors, paging, reserved_roles
from .asynchronous import PROVISIONING, OperationFailed
from .permission_sets import find, role_definition
from .state import Instance, PermissionSet, Provisioned

LATEST, OUTDATED = "LATEST_PERMISSION_SET_PROVISIONED", "LATEST_PERMISSION_SET_NOT_PROVISIONED"


def provision(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Asynchronous. TargetType AWS_ACCOUNT needs a TargetId; ALL_PROVISIONED_ACCOUNTS takes those there are now."""
    permission_set = find(instance, parameters["PermissionSetArn"])
    quota = instance.quotas.concurrent_provisionings
    if len(asynchronous.in_progress(instance, PROVISIONING)) >= quota:
        # The quota page gives the number, not the error; this is the one that declares "too many at once".
        raise errors.throttled(f"No more than {quota} ProvisionPermissionSet requests may be in progress")
    accounts = _targets(instance, permission_set, parameters)
    subject = {"PermissionSetArn": permission_set.arn, "AccountId": parameters.get("TargetId")}
    apply = partial(_refresh_all, instance, permission_set, accounts)
    operation = asynchronous.start(instance, PROVISIONING, subject, apply)
    return {"PermissionSetProvisioningStatus": asynchronous.status(operation)}


def describe_status(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    request_id = parameters["ProvisionPermissionSetRequestId"]
    status = asynchronous.describe(instance, PROVISIONING, request_id)
    return {"PermissionSetProvisioningStatus": status}


def list_statuses(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return asynchronous.list_statuses(instance, PROVISIONING, "PermissionSetsProvisioningStatus", parameters)


def list_permission_sets(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """ListPermissionSetsProvisionedToAccount; without ProvisioningStatus both kinds."""
    here = [arn for account, arn in instance.provisioned if account == parameters["AccountId"]]
    found = [arn for arn in here if _matches(instance, parameters["AccountId"], arn, parameters)]
    return paging.page("PermissionSets", found, parameters)


def list_accounts(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """ListAccountsForProvisionedPermissionSet; without ProvisioningStatus both kinds."""
    permission_set = find(instance, parameters["PermissionSetArn"])
    accounts = accounts_of(instance, permission_set)
    found = [each for each in accounts if _matches(instance, each, permission_set.arn, parameters)]
    return paging.page("AccountIds", found, parameters)


def accounts_of(instance: Instance, permission_set: PermissionSet) -> list[str]:
    return [account for account, arn in instance.provisioned if arn == permission_set.arn]


def ensure(instance: Instance, permission_set: PermissionSet, account: str) -> None:
    """Provisions the set in the account unless it is there; one that is there but outdated stays outdated."""
    key = (account, permission_set.arn)
    if key not in instance.provisioned:
        definition = role_definition(permission_set)
        name = reserved_roles.create(instance, permission_set, account, definition)
        instance.provisioned[key] = Provisioned(name, definition)


def remove(instance: Instance, permission_set_arn: str, account: str) -> None:
    provisioned = instance.provisioned.pop((account, permission_set_arn))
    reserved_roles.delete(instance, provisioned.role_name, account)


def check_account(account: str) -> None:
    """Raises OperationFailed for an account that is not an active one of the organization."""
    if not organization.has_active_account(account):
        raise OperationFailed(f"Account {account} is not an active account of the organization")


def _targets(instance: Instance, permission_set: PermissionSet, parameters: dict[str, Any]) -> list[str]:
    if parameters["TargetType"] == "ALL_PROVISIONED_ACCOUNTS":
        return accounts_of(instance, permission_set)
    if not parameters.get("TargetId"):
        raise errors.invalid("TargetId is required for TargetType AWS_ACCOUNT")
    return [parameters["TargetId"]]


def _refresh_all(instance: Instance, permission_set: PermissionSet, accounts: list[str]) -> None:
    for account in accounts:
        check_account(account)
        ensure(instance, permission_set, account)
        _refresh(instance, permission_set, account)


def _refresh(instance: Instance, permission_set: PermissionSet, account: str) -> None:
    provisioned = instance.provisioned[account, permission_set.arn]
    definition = role_definition(permission_set)
    reserved_roles.update(instance, provisioned.role_name, account, definition)
    provisioned.definition = definition


def _matches(instance: Instance, account: str, arn: str, parameters: dict[str, Any]) -> bool:
    current = instance.provisioned[account, arn].definition == role_definition(find(instance, arn))
    return parameters.get("ProvisioningStatus") in (None, LATEST if current else OUTDATED)
