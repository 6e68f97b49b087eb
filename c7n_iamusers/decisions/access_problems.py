# SPDX-License-Identifier: Apache-2.0
"""Why nothing may be done for somebody: the first of its parts that forbids it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from c7n_iamusers.decisions.groups import check_group, check_members
from c7n_iamusers.decisions.permission_sets import check_permission_set, permission_set_calls
from c7n_iamusers.decisions.quotas import check_policies
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.access import Claim, DesiredAccess, Group, PersonKey
from c7n_iamusers.model.access_plan import CenterState
from c7n_iamusers.model.center_quotas import CenterQuotas
from c7n_iamusers.model.identity_center import (
    Assignment,
    Instance,
    KnownPermissionSet,
    KnownPerson,
    PermissionSet,
)


def own_assignments(group: Group, state: CenterState) -> tuple[frozenset[Assignment], bool]:
    """The assignments that the group is to have whose permission sets exist, and whether these are all."""
    sets = state.permission_sets
    found = frozenset(
        Assignment(grant.account_id, sets[grant.permission_set].arn)
        for grant in group.grants
        if grant.permission_set in sets
    )
    return found, len(found) == len(group.grants)


class Problems:
    """Why nothing may be done for a claim, by the first of its parts that forbids it."""

    def __init__(
        self,
        desired: DesiredAccess,
        state: CenterState,
        people: Mapping[PersonKey, KnownPerson],
        strange: Mapping[PersonKey, str],
        instance: Instance,
        quotas: CenterQuotas,
    ) -> None:
        self._people = strange
        self._sets = {
            name: text
            for name, wanted in desired.permission_sets.items()
            if (
                text := _told(
                    lambda w=wanted, n=name: _check_set(
                        w, state.permission_sets.get(n), state, instance, quotas
                    )
                )
            )
        }
        self._groups = {
            name: text
            for name, group in desired.groups.items()
            if (text := _told(lambda g=group: self._check(g, desired, state, people, instance)))
        }

    def of(self, claim: Claim) -> str:
        """The problem; empty where there is none."""
        return self._people.get(claim.person) or self._groups.get(claim.group) or ""

    def _check(
        self,
        group: Group,
        desired: DesiredAccess,
        state: CenterState,
        people: Mapping[PersonKey, KnownPerson],
        instance: Instance,
    ) -> None:
        if state.is_delegated and any(grant.account_id == instance.owner for grant in group.grants):
            raise IdentityCenterError(
                f"group {group.name} is to be assigned in management account {instance.owner}, which a delegated "
                "administrator can't: give as role: one of the management account"
            )
        for name in sorted({grant.permission_set for grant in group.grants}):
            if problem := self._sets.get(name):
                raise IdentityCenterError(problem)
        known = state.groups.get(group.name)
        own, complete = own_assignments(group, state)
        check_group(group, known, own)
        expected = {people[key].user_id for key in desired.members(group.name) if key in people}
        check_members(group, known, own, complete, expected)


def _check_set(
    wanted: PermissionSet,
    known: KnownPermissionSet | None,
    state: CenterState,
    instance: Instance,
    quotas: CenterQuotas,
) -> None:
    check_permission_set(wanted, known)
    if fault := check_policies(wanted, quotas):
        raise IdentityCenterError(fault)
    barred = known is not None and state.is_delegated and instance.owner in known.accounts
    if barred and permission_set_calls(wanted, known, instance, [instance.owner]):
        raise IdentityCenterError(
            f"permission set {wanted.name} is provisioned in management account {instance.owner}, and to be "
            "changed, which a delegated administrator can't: give as role: one of the management account"
        )


def _told(check: object) -> str:
    try:
        check()  # type: ignore[operator]
    except IdentityCenterError as error:
        return str(error)
    return ""
