# SPDX-License-Identifier: Apache-2.0
"""What can be asked about account assignments and about the requests that make and remove them."""

from __future__ import annotations

from typing import Any

from . import asynchronous, paging
from .asynchronous import CREATION, DELETION
from .permission_sets import find
from .state import Assignment, Instance


def describe_creation(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    status = asynchronous.describe(instance, CREATION, parameters["AccountAssignmentCreationRequestId"])
    return {"AccountAssignmentCreationStatus": status}


def describe_deletion(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    status = asynchronous.describe(instance, DELETION, parameters["AccountAssignmentDeletionRequestId"])
    return {"AccountAssignmentDeletionStatus": status}


def list_creations(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return asynchronous.list_statuses(instance, CREATION, "AccountAssignmentsCreationStatus", parameters)


def list_deletions(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    return asynchronous.list_statuses(instance, DELETION, "AccountAssignmentsDeletionStatus", parameters)


def list_for_account(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    arn, account = find(instance, parameters["PermissionSetArn"]).arn, parameters["AccountId"]
    found = [
        each for each in instance.assignments if (each.permission_set_arn, each.account_id) == (arn, account)
    ]
    return paging.page("AccountAssignments", [_listed(each) for each in found], parameters)


def list_for_principal(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Direct assignments, and for a user also those of the user's groups.

    The API reference says "accounts that the principal has access to", which for a user includes what groups give.
    """
    account = parameters.get("Filter", {}).get("AccountId")
    principals = _principals(instance, parameters["PrincipalType"], parameters["PrincipalId"])
    found = [
        each
        for each in instance.assignments
        if (each.principal_type, each.principal_id) in principals and account in (None, each.account_id)
    ]
    return paging.page("AccountAssignments", [_listed(each) for each in found], parameters)


def _principals(instance: Instance, kind: str, principal_id: str) -> set[tuple[str, str]]:
    memberships = instance.store.memberships.values() if kind == "USER" else ()
    groups = {("GROUP", each.group_id) for each in memberships if each.user_id == principal_id}
    return {(kind, principal_id)} | groups


def _listed(assignment: Assignment) -> dict[str, Any]:
    return {
        "AccountId": assignment.account_id,
        "PermissionSetArn": assignment.permission_set_arn,
        "PrincipalType": assignment.principal_type,
        "PrincipalId": assignment.principal_id,
    }
