# SPDX-License-Identifier: Apache-2.0
"""The calls that take away what was given through Identity Center, and the records to bring it back by. Pure.

The journal has a removal's record before the call is made: the ids are gone after it. What a group gave is recorded
by account and by a digest of the set, so that nobody comes back to more than was taken away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.decisions.permission_set_settings import duration_seconds
from c7n_iamusers.model import access_plan as plan
from c7n_iamusers.model.calls import ApiCall, Ref, Wait
from c7n_iamusers.model.creations import Removed
from c7n_iamusers.model.identity_center import (
    Assignment,
    Instance,
    KnownGroup,
    KnownPermissionSet,
    PermissionSet,
)
from c7n_iamusers.model.intent_documents import permission_set_data

#: Under which key of a call's ``notes`` the record stands.
RECORD = "removed"
_GONE = frozenset({"ResourceNotFoundException"})
_STATUS = "AccountAssignmentDeletionStatus"


def content_of(settings: PermissionSet | None) -> str:
    """A digest of the set's name and of all that it gives; empty for a set that is not known."""
    if settings is None:
        return ""
    seconds = duration_seconds(settings.session_duration)
    given = {**permission_set_data(settings), "session_duration": seconds}
    for words in ("description", "relay_state", "tags"):
        del given[words]
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def membership_record(group: KnownGroup, user_id: str, username: str, gives: list[list[str]]) -> Removed:
    """``gives``: [account id, ``content_of`` a set] of everything that the group gives."""
    named = {"group": group.name, "group-id": group.group_id, "user-id": user_id, "username": username}
    return Removed(plan.MEMBERSHIP, {**named, "gives": gives})


def assignment_record(group: KnownGroup, each: Assignment, set_name: str, content: str) -> Removed:
    """``content``: see ``content_of``."""
    named = {"group": group.name, "group-id": group.group_id, "account": each.account_id}
    return Removed(
        plan.ASSIGNMENT,
        {
            **named,
            "permission-set": set_name,
            "permission-set-arn": each.permission_set_arn,
            "content": content,
        },
    )


def group_record(group: KnownGroup) -> Removed:
    """Its name and description; members and assignments are removed before it, each with a record."""
    named = {"group": group.name, "group-id": group.group_id, "description": group.description}
    return Removed(plan.GROUP, named)


def permission_set_record(known: KnownPermissionSet) -> Removed:
    """All that the set is."""
    settings = permission_set_data(known.settings)
    return Removed(plan.PERMISSION_SET, {"permission-set-arn": known.arn, "settings": settings})


def membership_removal(membership_id: str, instance: Instance, record: Removed | None = None) -> ApiCall:
    """The end of a membership: the person's access through the group ends at once."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "MembershipId": membership_id}
    return ApiCall("identitystore", "DeleteGroupMembership", parameters, _GONE, notes=_notes(record))


def assignment_removal(
    group_id: str, assignment: Assignment, instance: Instance, record: Removed | None = None
) -> ApiCall:
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
    operation = "DeleteAccountAssignment"
    return ApiCall("sso-admin", operation, parameters, _GONE, save, wait, notes=_notes(record))


def group_removal(group_id: str, instance: Instance, record: Removed | None = None) -> ApiCall:
    """The end of a group."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "GroupId": group_id}
    return ApiCall("identitystore", "DeleteGroup", parameters, _GONE, notes=_notes(record))


def permission_set_removal(arn: str, instance: Instance, record: Removed | None = None) -> ApiCall:
    """The end of a permission set that nobody holds."""
    parameters = {"InstanceArn": instance.arn, "PermissionSetArn": arn}
    return ApiCall("sso-admin", "DeletePermissionSet", parameters, _GONE, notes=_notes(record))


def user_removal(user_id: str, instance: Instance) -> ApiCall:
    """The end of an Identity Center user."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "UserId": user_id}
    return ApiCall("identitystore", "DeleteUser", parameters, _GONE)


def _notes(record: Removed | None) -> Mapping[str, Any]:
    return {RECORD: record.as_data()} if record else {}
