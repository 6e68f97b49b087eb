# SPDX-License-Identifier: Apache-2.0
"""Whether a group or a person may be used, and the calls that give access through them. Pure.

An identity or group that exists is adopted only where nothing is handed to anybody by it: adopting
somebody else's identity gives away the IAM user's access, adopting a group gives its members more.
"""

from __future__ import annotations

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.calls import ApiCall, Ref, Wait
from c7n_iamusers.model.identity_center import (
    MANAGED_GROUP,
    Access,
    Assignment,
    Instance,
    KnownGroup,
    KnownPerson,
    Person,
)

#: The Refs under which what is created is kept.
GROUP, USER, _REQUEST = "group", "user", "assignment-request"
_SHOWN = 3


def group_description(access: Access) -> str:
    """What marks a group as ours: and, where it is one account's alone, whose.

    Creating a group is atomic, so of two runs that take one name for two accounts the second is refused
    even before the first has assigned it.
    """
    return (
        f"{MANAGED_GROUP}, shared"
        if access.shared_group
        else f"{MANAGED_GROUP} for account {access.account_id}"
    )


def check_group(access: Access, group: KnownGroup | None, permission_set_arn: str | None) -> None:
    """Raises IdentityCenterError where an existing group would reach further, or is not ours to fill.

    ``permission_set_arn``: None where the set is yet to be created.
    """
    if group is None or access.shared_group:
        return
    if not access.external and not group.description.startswith(group_description(access)):
        raise IdentityCenterError(
            f"group {group.name} exists, and its description {group.description!r} does not begin with "
            f"{group_description(access)!r}, so it was not made for this: give another group name, or set "
            "shared-group: true if its members may have this access and newcomers all that the group has"
        )
    own = Assignment(access.account_id, permission_set_arn or "")
    further = sorted((group.assignments or frozenset()) - {own}, key=str)
    if further:
        raise IdentityCenterError(
            f"group {group.name} also gives its members {_listed(further)}: give another group name (one that "
            "has {account_id} in it, for instance), remove those assignments, or set shared-group: true"
        )


def check_members(access: Access, group: KnownGroup | None, assigned: bool, expected: frozenset[str]) -> None:
    """Raises IdentityCenterError where assigning the group would give access to members nobody asked it for.

    ``expected``: user ids of this run's people. Whom an external identity provider puts into a group is
    its own affair.
    """
    strangers = (group.members if group else frozenset()) - expected
    if strangers and not (assigned or access.shared_group or access.external):
        raise IdentityCenterError(
            f"group {access.group} is not assigned yet and has {len(strangers)} member(s) who are not among this "
            f"run's users (user ids {_shown(sorted(strangers))}), and assigning it would give them access to "
            f"account {access.account_id}: remove them, give another group name, or set shared-group: true"
        )


def group_calls(access: Access, group: KnownGroup | None, instance: Instance) -> tuple[ApiCall, ...]:
    """The creation of the group, where it isn't there and is ours to create."""
    if group is not None or access.external:
        return ()
    parameters = {
        "IdentityStoreId": instance.identity_store_id,
        "DisplayName": access.group,
        "Description": group_description(access),
    }
    return (ApiCall("identitystore", "CreateGroup", parameters, save={GROUP: ("GroupId",)}),)


def assignment_calls(
    assignment: Assignment, group_id: str, assigned: bool, instance: Instance
) -> tuple[ApiCall, ...]:
    """The assignment of the group, seen through to SUCCEEDED."""
    if assigned:
        return ()
    status = "AccountAssignmentCreationStatus"
    parameters = {
        "InstanceArn": instance.arn,
        "TargetId": assignment.account_id,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": assignment.permission_set_arn,
        "PrincipalType": "GROUP",
        "PrincipalId": group_id,
    }
    wait = Wait(
        "DescribeAccountAssignmentCreationStatus",
        {"InstanceArn": instance.arn, "AccountAssignmentCreationRequestId": Ref(_REQUEST)},
        (status, "Status"),
        (status, "FailureReason"),
    )
    save = {_REQUEST: (status, "RequestId")}
    return (ApiCall("sso-admin", "CreateAccountAssignment", parameters, save=save, wait=wait),)


def same_person(
    person: Person, by_username: KnownPerson | None, by_email: KnownPerson | None
) -> KnownPerson | None:
    """The existing user that both username and e-mail lead to, None where neither leads anywhere.

    Raises IdentityCenterError where only one of the two leads to somebody, or that user is disabled.
    """
    if by_username and by_username.email.casefold() != person.email.casefold():
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


def person_calls(
    person: Person, known: KnownPerson | None, member: bool, group_id: str, instance: Instance
) -> tuple[ApiCall, ...]:
    """The creation of the user and its membership, as far as they are missing."""
    creation = () if known else (_user_creation(person, instance),)
    if member:
        return creation
    parameters = {
        "IdentityStoreId": instance.identity_store_id,
        "GroupId": group_id,
        "MemberId": {"UserId": known.user_id if known else Ref(USER)},
    }
    return (*creation, ApiCall("identitystore", "CreateGroupMembership", parameters))


def _user_creation(person: Person, instance: Instance) -> ApiCall:
    parameters = {
        "IdentityStoreId": instance.identity_store_id,
        "UserName": person.username,
        "Name": {"GivenName": person.given_name, "FamilyName": person.family_name},
        "DisplayName": person.display_name,
        "Emails": [{"Value": person.email, "Type": "work", "Primary": True}],
    }
    return ApiCall("identitystore", "CreateUser", parameters, save={USER: ("UserId",)})


def _listed(assignments: list[Assignment]) -> str:
    return _shown([f"{each.permission_set_arn} in account {each.account_id}" for each in assignments])


def _shown(texts: list[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
