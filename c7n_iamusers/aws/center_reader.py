# SPDX-License-Identifier: Apache-2.0
"""Reading once what of Identity Center matters to a desired access: in bulk where that is fewer calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from c7n_iamusers.aws.assignments import Assignments
from c7n_iamusers.aws.identity_store import IdentityStore
from c7n_iamusers.aws.permission_sets import PermissionSets
from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.model.access import DesiredAccess, Group
from c7n_iamusers.model.access_plan import CenterState
from c7n_iamusers.model.identity_center import (
    Assignment,
    Instance,
    KnownGroup,
    KnownPermissionSet,
    KnownPerson,
    Person,
    folded,
)

#: Up to so many, each is looked up; beyond, everybody is listed.
_FEW = 50
_WORKERS = 8


@dataclass(frozen=True)
class CenterReader:
    """``clients``: boto3 service name -> client; they are thread-safe."""

    permission_sets: PermissionSets
    store: IdentityStore
    assignments: Assignments

    @classmethod
    def through(cls, clients: Mapping[str, Any], instance: Instance, backoff: Backoff) -> CenterReader:
        """One that reads ``instance`` through ``clients``."""
        sso = clients["sso-admin"]
        return cls(
            PermissionSets(sso, instance, backoff),
            IdentityStore(clients["identitystore"], instance, backoff),
            Assignments(sso, instance, backoff),
        )

    def read(self, desired: DesiredAccess) -> CenterState:
        """Raises IdentityCenterError from an account that may not ask what groups are assigned, and ClientError."""
        usernames, emails = self._people(list(desired.people.values()))
        accounts = sorted({grant.account_id for group in desired.groups.values() for grant in group.grants})
        sets = self.permission_sets.find(frozenset(desired.permission_sets), accounts)
        groups = self._groups(list(desired.groups.values()), sets)
        return CenterState(usernames, emails, groups, sets, self.assignments.pending())

    def group(self, group: Group, sets: Mapping[str, KnownPermissionSet]) -> KnownGroup | None:
        """The group with its members and assignments."""
        known = self.store.find_group(group.name)
        return self._completed(group, known, sets) if known else None

    def _people(self, people: list[Person]) -> tuple[dict[str, KnownPerson], dict[str, KnownPerson]]:
        if len(people) > _FEW:
            return self.store.all_people()
        usernames: dict[str, KnownPerson] = {}
        emails: dict[str, KnownPerson] = {}
        for person, (by_username, by_email) in zip(
            people, _each(self.store.find_person, people), strict=True
        ):
            username, email = person.key
            usernames.update({username: by_username} if by_username else {})
            emails.update({email: by_email} if by_email else {})
        return usernames, emails

    def _groups(self, groups: list[Group], sets: Mapping[str, KnownPermissionSet]) -> dict[str, KnownGroup]:
        if len(groups) > _FEW:
            everyone = self.store.all_groups()
            known = [everyone.get(folded(group.name)) for group in groups]
        else:
            known = _each(lambda group: self.store.find_group(group.name), groups)
        present = [(group, found) for group, found in zip(groups, known, strict=True) if found]
        completed = _each(lambda pair: self._completed(pair[0], pair[1], sets), present)
        return {group.name: found for (group, _), found in zip(present, completed, strict=True)}

    def _completed(
        self, group: Group, known: KnownGroup, sets: Mapping[str, KnownPermissionSet]
    ) -> KnownGroup:
        members = self.store.members(known.group_id)
        if group.shared:
            # What else it has does not matter, and a delegated administrator may not ask.
            held = frozenset(
                each for each in _own(group, sets) if self.assignments.exists(each, known.group_id)
            )
            return replace(known, members=members, assignments=held)
        return replace(known, members=members, assignments=self.assignments.of_group(known.group_id))


def _own(group: Group, sets: Mapping[str, KnownPermissionSet]) -> Iterable[Assignment]:
    for grant in sorted(group.grants):
        if grant.permission_set in sets:
            yield Assignment(grant.account_id, sets[grant.permission_set].arn)


def _each(read: Any, of: list[Any]) -> list[Any]:
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return list(pool.map(read, of))
