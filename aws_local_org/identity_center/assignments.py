# SPDX-License-Identifier: Apache-2.0
"""Account assignments, which take effect when they have SUCCEEDED, and what refuses them: conflicts and quotas."""

from __future__ import annotations

from functools import partial
from typing import Any

from aws_local_org.identity_center import provisioning, rules, state
from aws_local_org.identity_center.asynchronous import CREATION, DELETION, OperationFailed
from aws_local_org.identity_center.permission_sets import find
from aws_local_org.identity_center.state import Assignment, Instance

_MEMBERS = ("TargetId", "TargetType", "PermissionSetArn", "PrincipalType", "PrincipalId")


def create(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Creating an assignment that exists succeeds and changes nothing; AWS's behaviour is UNCONFIRMED.

    An unknown principal or account, a customer-managed policy that the account lacks and IAM's quotas there make the
    request FAIL later; an unknown permission set refuses it at once.
    """
    assignment = _requested(instance, parameters)
    _check_outstanding(instance)
    _check_idle(instance, parameters)
    _check_quotas(instance, assignment)
    return CREATION.start(instance, _subject(parameters), partial(_assign, instance, assignment))


def delete(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    assignment = _requested(instance, parameters)
    _check_idle(instance, parameters)
    if assignment not in instance.assignments:
        raise rules.not_found(
            f"Could not find an assignment of {assignment.principal_type} {assignment.principal_id} with "
            f"{assignment.permission_set_arn} in account {assignment.account_id}"
        )
    return DELETION.start(instance, _subject(parameters), partial(_unassign, instance, assignment))


def _requested(instance: Instance, parameters: dict[str, Any]) -> Assignment:
    return Assignment(
        account_id=parameters["TargetId"],
        permission_set_arn=find(instance, parameters["PermissionSetArn"]).arn,
        principal_type=parameters["PrincipalType"],
        principal_id=parameters["PrincipalId"],
    )


def _subject(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in _MEMBERS}


def _check_outstanding(instance: Instance) -> None:
    quota = instance.quotas.outstanding_assignments
    if len(CREATION.in_progress(instance)) >= quota:
        # The quota page calls it a throttle limit; AWS does not document the error.
        raise rules.throttled(f"No more than {quota} CreateAccountAssignment requests may be outstanding")


def _check_idle(instance: Instance, parameters: dict[str, Any]) -> None:
    """ConflictException means that an earlier write has not propagated (its shape), such as the deletion of an
    assignment that is created again."""
    running = CREATION.in_progress(instance) + DELETION.in_progress(instance)
    if any(each.subject == _subject(parameters) for each in running):
        raise rules.conflict("An earlier request for the same assignment is still in progress")


def _check_quotas(instance: Instance, assignment: Assignment) -> None:
    account, arn, quotas = assignment.account_id, assignment.permission_set_arn, instance.quotas
    here = [permission_set for owner, permission_set in instance.provisioned if owner == account]
    if arn not in here and len(here) >= quotas.provisioned_sets_per_account:
        raise rules.over_quota(
            f"Account {account} may have no more than {quotas.provisioned_sets_per_account} permission sets"
        )
    groups = [a for a in instance.assignments if (a.account_id, a.permission_set_arn) == (account, arn)]
    groups = [group for group in groups if group.principal_type == "GROUP" and group != assignment]
    if assignment.principal_type == "GROUP" and len(groups) >= quotas.groups_per_set_and_account:
        raise rules.over_quota(
            f"No more than {quotas.groups_per_set_and_account} groups may be assigned {arn}"
        )


def _assign(instance: Instance, assignment: Assignment) -> None:
    store = instance.store
    directory = store.users if assignment.principal_type == "USER" else store.groups
    if assignment.principal_id not in directory:
        raise OperationFailed(
            f"Received a 404 status error: {assignment.principal_type} {assignment.principal_id} not found."
        )
    provisioning.bring(instance, find(instance, assignment.permission_set_arn), assignment.account_id)
    instance.assignments.setdefault(assignment, state.now())


def _unassign(instance: Instance, assignment: Assignment) -> None:
    del instance.assignments[assignment]
    account, arn = assignment.account_id, assignment.permission_set_arn
    if not any((each.account_id, each.permission_set_arn) == (account, arn) for each in instance.assignments):
        provisioning.remove(instance, arn, account)


def list_for_account(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    arn, account = find(instance, parameters["PermissionSetArn"]).arn, parameters["AccountId"]
    found = [
        assignment
        for assignment in instance.assignments
        if (assignment.permission_set_arn, assignment.account_id) == (arn, account)
    ]
    return rules.page("AccountAssignments", [_listed(each) for each in found], parameters)


def list_for_principal(instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
    """Direct assignments, and a user's through groups.

    The API reference says "accounts that the principal has access to", which for a user includes what groups give.
    """
    account = parameters.get("Filter", {}).get("AccountId")
    principals = _principals(instance, parameters["PrincipalType"], parameters["PrincipalId"])
    found = [
        assignment
        for assignment in instance.assignments
        if (assignment.principal_type, assignment.principal_id) in principals
        and account in (None, assignment.account_id)
    ]
    return rules.page("AccountAssignments", [_listed(each) for each in found], parameters)


def _principals(instance: Instance, kind: str, principal_id: str) -> set[tuple[str, str]]:
    memberships = instance.store.memberships.values() if kind == "USER" else ()
    groups = {
        ("GROUP", membership.group_id) for membership in memberships if membership.user_id == principal_id
    }
    return {(kind, principal_id)} | groups


def _listed(assignment: Assignment) -> dict[str, Any]:
    return {
        "AccountId": assignment.account_id,
        "PermissionSetArn": assignment.permission_set_arn,
        "PrincipalType": assignment.principal_type,
        "PrincipalId": assignment.principal_id,
    }
