# SPDX-License-Identifier: Apache-2.0
"""Whether a group may be used, and the calls that create it, assign it and put people into it. Pure.

A group that exists is used only where nothing is handed to anybody by it: its members get what it is
assigned, and newcomers get all that it has.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from c7n_iamusers.decisions.wording import shown
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.access import Group
from c7n_iamusers.model.calls import ApiCall, Deferred, Ref, Wait
from c7n_iamusers.model.identity_center import Assignment, Instance, KnownGroup

#: The Refs under which what is created is kept.
GROUP, MEMBERSHIP, REQUEST = "group", "membership", "assignment-request"
_CREATION_STATUS = "AccountAssignmentCreationStatus"
_SAVED_GROUP, _SAVED_MEMBERSHIP = {GROUP: ("GroupId",)}, {MEMBERSHIP: ("MembershipId",)}
_SAVED_REQUEST = {REQUEST: (_CREATION_STATUS, "RequestId")}


def check_group(group: Group, known: KnownGroup | None, own: Collection[Assignment]) -> None:
    """Raises IdentityCenterError where an existing group would reach further, or is not ours to fill.

    ``own``: the assignments that it is to have, as far as their permission sets exist.
    """
    if known is None or group.shared:
        return
    if not group.external and not known.description.startswith(group.description):
        raise IdentityCenterError(
            f"group {group.name} exists, and its description {known.description!r} does not begin with "
            f"{group.description!r}, so it was not made for this: give another group name, or set "
            "shared-group: true if its members may have this access and newcomers all that the group has"
        )
    further = sorted(known.assignments.difference(own), key=str)
    if further:
        raise IdentityCenterError(
            f"group {group.name} also gives its members {_listed(further)}: give another group name (one that "
            "has {account_id} in it, for instance), remove those assignments, or set shared-group: true"
        )


def check_members(
    group: Group,
    known: KnownGroup | None,
    own: Collection[Assignment],
    complete: bool,
    expected: Collection[str],
) -> None:
    """Raises IdentityCenterError where assigning the group would give access to members nobody asked it for.

    ``complete``: every permission set of ``own`` exists, and none is missing from it. ``expected``: user ids of
    this run's people.
    """
    strangers = sorted((known.members if known else frozenset()).difference(expected))
    assigned = complete and known is not None and known.assignments.issuperset(own)
    if strangers and not (assigned or group.shared):
        remove = "have the identity provider's owner remove them" if group.external else "remove them"
        accounts = ", ".join(sorted({grant.account_id for grant in group.grants}))
        raise IdentityCenterError(
            f"group {group.name} is not assigned yet and has {len(strangers)} member(s) who are not among this "
            f"run's users (user ids {shown(strangers)}), and assigning it would give them access to "
            f"account {accounts}: {remove}, give another group name, or set shared-group: true"
        )


def group_calls(group: Group, known: KnownGroup | None, instance: Instance) -> tuple[ApiCall, ...]:
    """The creation of the group, where it isn't there and is ours to create."""
    if known is not None or group.external:
        return ()
    return (group_call(group.name, group.description, instance),)


def group_call(name: str, description: str, instance: Instance) -> ApiCall:
    """The creation of a group."""
    parameters = {
        "IdentityStoreId": instance.identity_store_id,
        "DisplayName": name,
        "Description": description,
    }
    return ApiCall("identitystore", "CreateGroup", parameters, save=_SAVED_GROUP)


def assignment_call(
    account_id: str, permission_set_arn: str | Ref, group_id: str | Ref, instance: Instance
) -> ApiCall:
    """The assignment of the group, to be seen through to SUCCEEDED."""
    parameters = {
        "InstanceArn": instance.arn,
        "TargetId": account_id,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": permission_set_arn,
        "PrincipalType": "GROUP",
        "PrincipalId": group_id,
    }
    wait = Wait(
        "DescribeAccountAssignmentCreationStatus",
        {"InstanceArn": instance.arn, "AccountAssignmentCreationRequestId": Ref(REQUEST)},
        (_CREATION_STATUS, "Status"),
        (_CREATION_STATUS, "FailureReason"),
    )
    return ApiCall("sso-admin", "CreateAccountAssignment", parameters, save=_SAVED_REQUEST, wait=wait)


def membership_call(group_id: str | Ref, user_id: str | Ref, instance: Instance) -> ApiCall:
    """The user's becoming a member of the group."""
    parameters = Deferred(_membership_parameters, group_id, user_id, instance.identity_store_id)
    return ApiCall("identitystore", "CreateGroupMembership", parameters, save=_SAVED_MEMBERSHIP)


def _membership_parameters(group_id: str | Ref, user_id: str | Ref, store_id: str) -> dict[str, Any]:
    return {"IdentityStoreId": store_id, "GroupId": group_id, "MemberId": {"UserId": user_id}}


def _listed(assignments: list[Assignment]) -> str:
    return shown([f"{each.permission_set_arn} in account {each.account_id}" for each in assignments])
