# SPDX-License-Identifier: Apache-2.0
"""The calls that take away what was given through Identity Center. Pure."""

from __future__ import annotations

from c7n_iamusers.model.calls import ApiCall, Ref, Wait
from c7n_iamusers.model.identity_center import Assignment, Instance

_GONE = frozenset({"ResourceNotFoundException"})
_STATUS = "AccountAssignmentDeletionStatus"


def membership_removal(membership_id: str, instance: Instance) -> ApiCall:
    """The end of a membership: the person's access through the group ends at once."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "MembershipId": membership_id}
    return ApiCall("identitystore", "DeleteGroupMembership", parameters, _GONE)


def assignment_removal(group_id: str, assignment: Assignment, instance: Instance) -> ApiCall:
    """The end of a group's assignment, to be seen through to SUCCEEDED."""
    parameters = {
        "InstanceArn": instance.arn,
        "TargetId": assignment.account_id,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": assignment.permission_set_arn,
        "PrincipalType": "GROUP",
        "PrincipalId": group_id,
    }
    wait = Wait(
        "DescribeAccountAssignmentDeletionStatus",
        {"InstanceArn": instance.arn, "AccountAssignmentDeletionRequestId": Ref("request")},
        (_STATUS, "Status"),
        (_STATUS, "FailureReason"),
    )
    save = {"request": (_STATUS, "RequestId")}
    return ApiCall("sso-admin", "DeleteAccountAssignment", parameters, _GONE, save, wait)


def group_removal(group_id: str, instance: Instance) -> ApiCall:
    """The end of a group."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "GroupId": group_id}
    return ApiCall("identitystore", "DeleteGroup", parameters, _GONE)


def permission_set_removal(arn: str, instance: Instance) -> ApiCall:
    """The end of a permission set that nobody holds."""
    parameters = {"InstanceArn": instance.arn, "PermissionSetArn": arn}
    return ApiCall("sso-admin", "DeletePermissionSet", parameters, _GONE)


def user_removal(user_id: str, instance: Instance) -> ApiCall:
    """The end of an Identity Center user."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "UserId": user_id}
    return ApiCall("identitystore", "DeleteUser", parameters, _GONE)
