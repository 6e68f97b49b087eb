# SPDX-License-Identifier: Apache-2.0
"""The calls of sso-admin and identitystore that create and delete groups, assignments, users and memberships. Pure.

Those of permission sets are in ``permission_sets``. Parameters are those of botocore's shapes. Assignments are
asynchronous: a call waits for its request's end (``Wait``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from c7n_iamusers.execution.calls import ApiCall, Deferred, Ref, Wait
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.object_records import RECORD, Removed

#: The Refs to the ids of new objects.
GROUP_ID, USER_ID, MEMBERSHIP_ID, REQUEST = "group", "user", "membership", "assignment-request"
# One for all calls of a kind, as a plan may have hundreds of thousands.
_SAVED_USER: Mapping[str, tuple[str, ...]] = {USER_ID: ("UserId",)}
_SAVED_MEMBERSHIP: Mapping[str, tuple[str, ...]] = {MEMBERSHIP_ID: ("MembershipId",)}
_SAVED_GROUP: Mapping[str, tuple[str, ...]] = {GROUP_ID: ("GroupId",)}
_CREATION, _DELETION = "AccountAssignmentCreationStatus", "AccountAssignmentDeletionStatus"
_SAVED_REQUEST: Mapping[str, tuple[str, ...]] = {REQUEST: (_CREATION, "RequestId")}
#: A deletion is done if the object no longer exists.
_GONE = frozenset({"ResourceNotFoundException"})
#: The IAM actions that ``c7n-iamusers provision prune`` and ``undo`` need beyond those of provisioning.
REMOVING = (
    "identitystore:DeleteGroup",
    "identitystore:DeleteGroupMembership",
    "identitystore:DeleteUser",
    "identitystore:ListGroupMembershipsForMember",
    "sso:DeleteAccountAssignment",
    "sso:DeletePermissionSet",
    "sso:DeletePermissionsBoundaryFromPermissionSet",
    "sso:DetachCustomerManagedPolicyReferenceFromPermissionSet",
)


def group_creation_if_missing(
    group: model.Group, known: model.KnownGroup | None, instance: model.Instance
) -> tuple[ApiCall, ...]:
    """The call that creates ``group``; none for an existing or external group."""
    if known is not None or group.external:
        return ()
    return (group_creation(group.name, group.description, instance),)


def group_creation(name: str, description: str, instance: model.Instance) -> ApiCall:
    """CreateGroup; the group has no members and no assignments."""
    parameters = Deferred(_group_parameters, name, description, instance.identity_store_id)
    return ApiCall("identitystore", "CreateGroup", parameters, save=_SAVED_GROUP)


def assignment_creation(
    account_id: str, permission_set_arn: str | Ref, group_id: str | Ref, instance: model.Instance
) -> ApiCall:
    """CreateAccountAssignment, until its status is SUCCEEDED."""
    parameters = Deferred(_assignment, account_id, permission_set_arn, group_id, instance)
    wait = _wait("Creation", REQUEST, instance)
    return ApiCall("sso-admin", "CreateAccountAssignment", parameters, save=_SAVED_REQUEST, wait=wait)


def user_creation(person: model.Person, instance: model.Instance) -> ApiCall:
    """CreateUser."""
    parameters = Deferred(_user_parameters, person, instance.identity_store_id)
    return ApiCall("identitystore", "CreateUser", parameters, save=_SAVED_USER)


def membership_of_new_user(group_id: str | Ref, user_key: str, instance: model.Instance) -> ApiCall:
    """CreateGroupMembership for the user that the change ``user_key`` creates."""
    parameters = Deferred(_new_user_parameters, group_id, user_key, instance.identity_store_id)
    return ApiCall("identitystore", "CreateGroupMembership", parameters, save=_SAVED_MEMBERSHIP)


def membership_creation(group_id: str | Ref, user_id: str | Ref, instance: model.Instance) -> ApiCall:
    """CreateGroupMembership."""
    parameters = Deferred(_membership_parameters, group_id, user_id, instance.identity_store_id)
    return ApiCall("identitystore", "CreateGroupMembership", parameters, save=_SAVED_MEMBERSHIP)


def membership_deletion(
    membership_id: str, instance: model.Instance, record: Removed | None = None
) -> ApiCall:
    """DeleteGroupMembership: the person loses the group's access at once. ``record``: for the journal."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "MembershipId": membership_id}
    return ApiCall("identitystore", "DeleteGroupMembership", parameters, _GONE, notes=_notes(record))


def assignment_deletion(
    group_id: str, assignment: model.Assignment, instance: model.Instance, record: Removed | None = None
) -> ApiCall:
    """DeleteAccountAssignment, until its status is SUCCEEDED. ``record``: for the journal."""
    parameters = _assignment(assignment.account_id, assignment.permission_set_arn, group_id, instance)
    wait = _wait("Deletion", "request", instance)
    save = {"request": (_DELETION, "RequestId")}
    operation = "DeleteAccountAssignment"
    return ApiCall("sso-admin", operation, parameters, _GONE, save, wait, notes=_notes(record))


def group_deletion(group_id: str, instance: model.Instance, record: Removed | None = None) -> ApiCall:
    """DeleteGroup. ``record``: for the journal."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "GroupId": group_id}
    return ApiCall("identitystore", "DeleteGroup", parameters, _GONE, notes=_notes(record))


def permission_set_deletion(arn: str, instance: model.Instance, record: Removed | None = None) -> ApiCall:
    """DeletePermissionSet, for a permission set without assignments. ``record``: for the journal."""
    parameters = {"InstanceArn": instance.arn, "PermissionSetArn": arn}
    return ApiCall("sso-admin", "DeletePermissionSet", parameters, _GONE, notes=_notes(record))


def user_deletion(user_id: str, instance: model.Instance) -> ApiCall:
    """DeleteUser."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "UserId": user_id}
    return ApiCall("identitystore", "DeleteUser", parameters, _GONE)


def _assignment(
    account_id: str, permission_set_arn: str | Ref, group_id: str | Ref, instance: model.Instance
) -> dict[str, Any]:
    return {
        "InstanceArn": instance.arn,
        "TargetId": account_id,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": permission_set_arn,
        "PrincipalType": "GROUP",
        "PrincipalId": group_id,
    }


@lru_cache
def _wait(kind: str, request: str, instance: model.Instance) -> Wait:
    """One for all calls of a kind. ``kind``: Creation or Deletion. ``request``: the Ref to the request's id."""
    status = f"AccountAssignment{kind}Status"
    return Wait(
        f"Describe{status}",
        {"InstanceArn": instance.arn, f"AccountAssignment{kind}RequestId": Ref(request)},
        (status, "Status"),
        (status, "FailureReason"),
    )


def _group_parameters(name: str, description: str, store_id: str) -> dict[str, Any]:
    return {"IdentityStoreId": store_id, "DisplayName": name, "Description": description}


def _membership_parameters(group_id: str | Ref, user_id: str | Ref, store_id: str) -> dict[str, Any]:
    return {"IdentityStoreId": store_id, "GroupId": group_id, "MemberId": {"UserId": user_id}}


def _new_user_parameters(group_id: str | Ref, user_key: str, store_id: str) -> dict[str, Any]:
    return _membership_parameters(group_id, Ref(f"{user_key}:{USER_ID}"), store_id)


def _user_parameters(person: model.Person, store_id: str) -> dict[str, Any]:
    return {
        "IdentityStoreId": store_id,
        "UserName": person.username,
        "Name": {"GivenName": person.given_name, "FamilyName": person.family_name},
        "DisplayName": person.display_name,
        "Emails": [{"Value": person.email, "Type": "work", "Primary": True}],
    }


def _notes(record: Removed | None) -> Mapping[str, Any]:
    return {RECORD: record.as_data()} if record else {}
