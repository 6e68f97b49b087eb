# SPDX-License-Identifier: Apache-2.0
"""Whether an existing group or user may be adopted, and the calls that create and fill new ones. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Deferred, Ref, Wait
from c7n_iamusers.identity_center.model import Assignment, Group, Instance, KnownGroup, KnownPerson, Person
from c7n_iamusers.text.wording import folded, shown

#: The Refs under which what is created is kept.
GROUP_ID, MEMBERSHIP_ID, REQUEST = "group", "membership", "assignment-request"
_CREATION_STATUS = "AccountAssignmentCreationStatus"
_SAVED_GROUP, _SAVED_MEMBERSHIP = {GROUP_ID: ("GroupId",)}, {MEMBERSHIP_ID: ("MembershipId",)}
_SAVED_REQUEST = {REQUEST: (_CREATION_STATUS, "RequestId")}


def check_group(
    group: Group,
    known: KnownGroup | None,
    own: Collection[Assignment],
    names: Mapping[str, str] | None = None,
) -> None:
    """Raises IdentityCenterError where an existing group would reach further, or is not ours to fill.

    ``own``: the assignments that it is to have, as far as their permission sets exist. ``names``: of sets, by ARN.
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
            f"group {group.name} also gives its members {_listed(further, names or {})}: give another group name "
            "(one that has {account_id} in it, for instance), remove those assignments, or set shared-group: true"
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


def _listed(assignments: list[Assignment], names: Mapping[str, str]) -> str:
    found = [(names.get(each.permission_set_arn, each.permission_set_arn), each) for each in assignments]
    return shown([f"{name} in account {each.account_id}" for name, each in found])


#: The Ref under which a new user's id is kept.
USER_ID = "user"
_SAVED = {USER_ID: ("UserId",)}


def same_person(
    person: Person, by_username: KnownPerson | None, by_email: KnownPerson | None
) -> KnownPerson | None:
    """The existing user that both username and e-mail lead to, None where neither leads anywhere.

    ``by_email`` counts only where nobody has the username. Raises IdentityCenterError where only one of the
    two leads to somebody, or that user is disabled.
    """
    if by_username and folded(by_username.email) != folded(person.email):
        raise IdentityCenterError(
            f"Identity Center user {by_username.username} exists with another e-mail than {person.email}, so it may "
            "be somebody else's: make e-mail and username agree there or in what the policy reads"
        )
    if by_email and by_username is None:
        raise IdentityCenterError(
            f"e-mail {person.email} belongs to Identity Center user {by_email.username}, not to {person.username}, so "
            "it may be somebody else's: make e-mail and username agree there or in what the policy reads"
        )
    if by_username and not by_username.enabled:
        raise IdentityCenterError(
            f"Identity Center user {by_username.username} is disabled: enable it, or leave the IAM user out"
        )
    return by_username


def user_call(person: Person, instance: Instance) -> ApiCall:
    """The creation of the user."""
    parameters = Deferred(_user_parameters, person, instance.identity_store_id)
    return ApiCall("identitystore", "CreateUser", parameters, save=_SAVED)


def _user_parameters(person: Person, store_id: str) -> dict[str, Any]:
    return {
        "IdentityStoreId": store_id,
        "UserName": person.username,
        "Name": {"GivenName": person.given_name, "FamilyName": person.family_name},
        "DisplayName": person.display_name,
        "Emails": [{"Value": person.email, "Type": "work", "Primary": True}],
    }
