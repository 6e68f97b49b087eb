# SPDX-License-Identifier: Apache-2.0
"""Checks right before a person joins a group: it may no longer give what the plan rests on."""

from __future__ import annotations

from collections.abc import Callable

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.applying.deletion_checks import FRESH, RecentlyInProgress
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.planning.account_provisioning import earlier_form
from c7n_iamusers.identity_center.planning.adoption import own_assignments
from c7n_iamusers.text.wording import shown


class JoiningChecks:
    """Checks right before memberships. ``state``: that the plan rests on. ``clock``: in seconds. Thread-safe."""

    def __init__(
        self,
        reader: CenterReader,
        state: model.CenterState,
        clock: Callable[[], float],
    ) -> None:
        self._reader, self._state, self._clock = reader, state, clock
        self._in_progress = RecentlyInProgress(reader.assignments, clock)
        #: Name of a group -> when its assignments were read, and the assignments.
        self._assignments_read: dict[str, tuple[float, frozenset[model.Assignment]]] = {}
        #: ARN of a permission set -> when the accounts with an earlier form were read, and the accounts.
        self._stale_read: dict[str, tuple[float, frozenset[str]]] = {}
        #: ARN -> name, which never changes.
        self._set_names = dict(state.current.set_names)
        self._added = set[str]()
        self._sets = state.sets_by_arn

    def add(self, known: model.KnownPermissionSet) -> None:
        """A permission set that others may have created since the plan."""
        self._sets[known.arn] = known
        self._added.add(known.arn)

    def __call__(self, group: model.Group, group_id: str) -> None:
        """Raises IdentityCenterError if the group gives what is not requested, or an earlier form of what is."""
        now = self._clock()
        asked, used = self._assignments_read.get(group.name, (now - 2 * FRESH, frozenset()))
        if now - asked > FRESH:
            used = self._reader.used(group_id, self._in_progress())
            self._assignments_read[group.name] = now, used
        if further := self._not_requested(group, used):
            raise IdentityCenterError(
                f"group {group.name} has since been assigned {further}, which is not requested. The membership would "
                "give it, so it was not made: find out who assigned it, and remove it"
            )
        self._check_forms(group, group_id, used)

    def assigned_by_others(self, group: model.Group, group_id: str) -> str:
        """What the group now gives that is neither requested nor known to the plan, in words; empty for nothing.

        For a caller that may not list it, empty: the plan refuses the unknown.
        """
        return self._not_requested(group, self._reader.used(group_id, self._in_progress()))

    def _not_requested(self, group: model.Group, used: frozenset[model.Assignment]) -> str:
        known = self._state.groups.get(group.name)
        further = used - {model.UNKNOWN_ASSIGNMENT}
        further = further.difference(
            known.assignments if known else (), own_assignments(group, self._state)[0]
        )
        unnamed = {each.permission_set_arn for each in further} - self._set_names.keys()
        self._set_names |= self._reader.permission_sets.names(sorted(unnamed))
        grants = {
            model.Grant(
                each.account_id, self._set_names.get(each.permission_set_arn, each.permission_set_arn)
            )
            for each in further
        }
        return shown([str(each) for each in sorted(grants - group.grants)]) if grants - group.grants else ""

    def _check_forms(self, group: model.Group, group_id: str, used: frozenset[model.Assignment]) -> None:
        """Raises IdentityCenterError if an account has an earlier form of what the group gives there.

        Provisioning failed there or is in progress, or others have changed the permission set. A set that only this run
        creates has no earlier form. An earlier form of others' set was known to the plan, or is new.
        """
        arns = {each.permission_set_arn for each in used}
        if model.UNKNOWN_ASSIGNMENT in used:
            arns |= {each.permission_set_arn for each in own_assignments(group, self._state)[0]} | self._added
        for arn in sorted(arns & self._sets.keys()):
            if self._earlier(arn, group_id, used) and (
                found := self._earlier(arn, group_id, used, is_anew=True)
            ):
                name = self._sets[arn].settings.name
                raise IdentityCenterError(earlier_form(group.name, name, found[0]))

    def _earlier(
        self, arn: str, group_id: str, used: frozenset[model.Assignment], is_anew: bool = False
    ) -> list[str]:
        """The accounts with an earlier form of the permission set that the group gives there. ``is_anew``: read again,
        because an earlier reading may be out of date.
        """
        known, now = self._sets[arn], self._clock()
        asked, stale = self._stale_read.get(arn, (now - 2 * FRESH, frozenset()))
        if is_anew or now - asked > FRESH:
            stale = self._reader.permission_sets.stale_accounts(arn)
            self._stale_read[arn] = now, stale
        if not known.settings.is_managed:
            stale -= known.stale
        assigned = [each for each in sorted(stale) if model.Assignment(each, arn) in used]
        if model.UNKNOWN_ASSIGNMENT in used:
            exists = self._reader.assignments.exists
            assigned = [each for each in sorted(stale) if exists(model.Assignment(each, arn), group_id)]
        return assigned
