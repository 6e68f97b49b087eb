# SPDX-License-Identifier: Apache-2.0
"""Checks that existing objects were made for the desired access, and give nobody more. Else users are refused. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.planning import permission_sets
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas, check_policies
from c7n_iamusers.text.wording import folded, shown


def check_group(
    group: model.Group,
    known: model.KnownGroup | None,
    own: Collection[model.Assignment],
    names: Mapping[str, str] | None = None,
) -> None:
    """Raises IdentityCenterError for an existing group that gives more than requested, or has another purpose.

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
            f"the assignments of group {group.name} can't be read, so its other access is unknown: only the "
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
    return shown(
        [
            str(
                model.Grant(
                    assignment.account_id,
                    names.get(assignment.permission_set_arn, assignment.permission_set_arn),
                )
            )
            for assignment in assignments
        ]
    )


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
    """How the people file contradicts Identity Center about who has the username; empty if it does not.

    ``user_id``: the person's, by the file; empty if it has none. ``known``: the user with the username.
    """
    if user_id in ("", known.user_id if known else None):
        return ""
    return (
        f"the people file says that it is user id {user_id}, and username {username} "
        f"{f'is that of user id {known.user_id}' if known else 'has no user'} in Identity Center: correct the row"
    )


def own_assignments(group: model.Group, state: model.CenterState) -> tuple[frozenset[model.Assignment], bool]:
    """The group's requested assignments of existing permission sets, and whether these are all."""
    sets = state.permission_sets
    own = frozenset(
        model.Assignment(grant.account_id, sets[grant.permission_set].arn)
        for grant in group.grants
        if grant.permission_set in sets
    )
    return own, len(own) == len(group.grants)


class Problems:
    """Reasons to refuse claims: the person, the group or a permission set."""

    def __init__(
        self,
        desired: model.DesiredAccess,
        state: model.CenterState,
        people: Mapping[model.PersonKey, model.KnownPerson],
        unrecognized: Mapping[model.PersonKey, str],
        instance: model.Instance,
        quotas: CenterQuotas,
    ) -> None:
        self._people = unrecognized
        self._sets = {
            name: text
            for name, requested in desired.permission_sets.items()
            if (
                text := _error_text(
                    _check_set, requested, state.permission_sets.get(name), state, instance, quotas
                )
            )
        }
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        for name in desired.groups.keys() & state.groups.keys():
            self._names[state.groups[name].group_id].add(name)
        self._groups = {
            name: text
            for name, group in desired.groups.items()
            if (text := _error_text(self._check, group, desired, state, people, instance))
        }

    def of(self, claim: model.Claim) -> str:
        """The first reason; empty if the claim is not refused."""
        return self._people.get(claim.person) or self._groups.get(claim.group) or ""

    def _check(
        self,
        group: model.Group,
        desired: model.DesiredAccess,
        state: model.CenterState,
        people: Mapping[model.PersonKey, model.KnownPerson],
        instance: model.Instance,
    ) -> None:
        for name in sorted({grant.permission_set for grant in group.grants}):
            if problem := self._sets.get(name):
                raise IdentityCenterError(problem)
        _check_delegate(group, state, instance)
        known = state.groups.get(group.name)
        if known and len(names := self._names[known.group_id]) > 1:
            raise IdentityCenterError(
                f"groups {shown(sorted(names))} are one group in Identity Center (id {known.group_id}), whose members "
                "would get the access of all of them: write one name in the same way, or give clearly different names"
            )
        own, complete = own_assignments(group, state)
        check_group(group, known, own, state.current.set_names)
        expected = {people[key].user_id for key in desired.members(group.name) if key in people}
        held = replace(known, assignments=state.in_progress.held(known)) if known else None
        check_members(group, held, own, complete, expected)


def _check_delegate(group: model.Group, state: model.CenterState, instance: model.Instance) -> None:
    """Raises IdentityCenterError for assignments that a delegated administrator can't make."""
    if not state.is_delegated:
        return
    if any(grant.account_id == instance.owner for grant in group.grants):
        raise IdentityCenterError(
            f"group {group.name} is to be assigned in management account {instance.owner}, which a delegated "
            "administrator can't do: set role: to a role of the management account"
        )
    for grant in sorted(group.grants):
        known = state.permission_sets.get(grant.permission_set)
        if known and instance.owner in known.accounts and not state.is_assigned(group.name, grant):
            raise IdentityCenterError(
                f"permission set {grant.permission_set} is provisioned in management account {instance.owner}, and a "
                f"delegated administrator can't assign such a set in account {grant.account_id} either: set role: to "
                "a role of the management account, or give another permission set"
            )


def _check_set(
    requested: PermissionSet,
    known: model.KnownPermissionSet | None,
    state: model.CenterState,
    instance: model.Instance,
    quotas: CenterQuotas,
) -> None:
    permission_sets.check_permission_set(requested, known)
    permission_sets.check_resources(requested)
    if fault := check_policies(requested, quotas):
        raise IdentityCenterError(fault)
    barred = known is not None and state.is_delegated and instance.owner in known.accounts
    if (
        barred
        and known
        and (
            permission_sets.permission_set_calls(requested, known, instance)
            or permission_sets.accounts_to_provision(requested, known, instance, [instance.owner])
        )
    ):
        raise IdentityCenterError(
            f"permission set {requested.name} is provisioned in management account {instance.owner} and must be "
            "changed, which a delegated administrator can't do: set role: to a role of the management account"
        )


def _error_text(check: Callable[..., None], *given: object) -> str:
    try:
        check(*given)
    except IdentityCenterError as error:
        return str(error)
    return ""
