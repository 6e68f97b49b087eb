# SPDX-License-Identifier: Apache-2.0
"""Which existing groups and users serve the desired access: made for it, and giving nobody more. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center import model
from c7n_iamusers.text.wording import folded, shown


def check_group(
    group: model.Group,
    known: model.KnownGroup | None,
    own: Collection[model.Assignment],
    names: Mapping[str, str] | None = None,
) -> None:
    """Raises IdentityCenterError for an existing group that gives more than requested, or was made for something else.

    ``own``: its requested assignments, as far as their permission sets exist. ``names``: of permission sets, by ARN.
    """
    if known is None or group.shared:
        return
    if not group.external and not known.description.startswith(group.description):
        raise IdentityCenterError(
            f"group {group.name} exists, and its description {known.description!r} does not begin with "
            f"{group.description!r}, so it was not made for this: give another group name, or set shared-group: true "
            "if its members may have this access and newcomers all that the group has"
        )
    further = sorted(known.assignments.difference(own), key=str)
    if model.UNKNOWN_ASSIGNMENT in further:
        raise IdentityCenterError(
            f"the assignments of group {group.name} can't be read, so it is not known what else it gives: only the "
            "management account may call sso:ListAccountAssignmentsForPrincipal: set role: to a role of it, or set "
            "shared-group: true"
        )
    if further:
        raise IdentityCenterError(
            f"group {group.name} also gives its members {_listed(further, names or {})}: give another group name "
            "(one that has {account_id} in it, for instance), remove those assignments, or set shared-group: true"
        )


def check_members(
    group: model.Group,
    known: model.KnownGroup | None,
    own: Collection[model.Assignment],
    complete: bool,
    expected: Collection[str],
) -> None:
    """Raises IdentityCenterError if assigning the group would give access to members who are not requested.

    ``own``: see ``check_group``. ``complete``: all permission sets of the group exist. ``expected``: the user ids of
    the requested members.
    """
    unexpected_members = sorted((known.members if known else frozenset()).difference(expected))
    assigned = complete and known is not None and known.assignments.issuperset(own)
    if unexpected_members and not (assigned or group.shared):
        remove = "have the identity provider's owner remove them" if group.external else "remove them"
        accounts = ", ".join(sorted({grant.account_id for grant in group.grants}))
        raise IdentityCenterError(
            f"group {group.name} is not assigned yet and has {len(unexpected_members)} member(s) who are not among "
            f"this run's users (user ids {shown(unexpected_members)}), and assigning it would give them access to "
            f"account {accounts}: {remove}, give another group name, or set shared-group: true"
        )


def _listed(assignments: list[model.Assignment], names: Mapping[str, str]) -> str:
    found = [(names.get(each.permission_set_arn, each.permission_set_arn), each) for each in assignments]
    return shown([f"{name} in account {each.account_id}" for name, each in found])


def same_person(
    person: model.Person, by_username: model.KnownPerson | None, by_email: model.KnownPerson | None
) -> model.KnownPerson | None:
    """The existing user with the person's username and e-mail; None if there is none.

    ``by_username``: the user with the username. ``by_email``: the user with the e-mail, if no user has the username.
    Raises IdentityCenterError if a user has only one of the two, or is disabled.
    """
    if by_username and folded(by_username.email) != folded(person.email):
        raise IdentityCenterError(
            f"Identity Center user {by_username.username} exists with an e-mail other than {person.email}, so it may "
            "be another person's: correct e-mail or username there, or where the policy reads them"
        )
    if by_email and by_username is None:
        raise IdentityCenterError(
            f"e-mail {person.email} belongs to Identity Center user {by_email.username}, not to {person.username}, so "
            "it may be another person's: correct e-mail or username there, or where the policy reads them"
        )
    if by_username and not by_username.enabled:
        raise IdentityCenterError(
            f"Identity Center user {by_username.username} is disabled: enable it, or leave the IAM user out"
        )
    return by_username


def another_id(user_id: str, username: str, known: model.KnownPerson | None) -> str:
    """How the people file contradicts Identity Center on who has the username; empty if it does not.

    ``user_id``: the person's, by the file; empty if it has none. ``known``: the user with the username.
    """
    if user_id in ("", known.user_id if known else None):
        return ""
    return (
        f"the people file says that it is user id {user_id}, and username {username} "
        f"{f'is that of user id {known.user_id}' if known else 'has no user'} in Identity Center: correct the row"
    )
