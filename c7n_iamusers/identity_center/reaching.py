# SPDX-License-Identifier: Apache-2.0
"""Whom a plan concerns beside what intents ask for: people in shared groups, holders of sets that change. Pure.

A group may be assigned to accounts of which there are no intents, and a set be held there. Who joins the group gains
those accounts, who is in it gains what it is assigned, and who holds the set has it changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from c7n_iamusers.identity_center.model import (
    Assignment,
    CenterState,
    Claim,
    DesiredAccess,
    Grant,
    Group,
    Instance,
    KnownGroup,
    KnownPerson,
    PersonKey,
    Reach,
)
from c7n_iamusers.identity_center.permission_sets import accounts_that_change, may_grow

DIRECT = "a direct assignment"


def accounts_by_set(groups: Iterable[Group]) -> Mapping[str, frozenset[str]]:
    """Name of a permission set -> the accounts in which some group is to be assigned it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for group in groups:
        for grant in group.grants:
            found[grant.permission_set].add(grant.account_id)
    return {name: frozenset(accounts) for name, accounts in found.items()}


class Reaching:
    """What the changes for ``claims`` reach. ``claims``: those that nothing forbids."""

    def __init__(
        self,
        desired: DesiredAccess,
        state: CenterState,
        people: Mapping[PersonKey, KnownPerson],
        claims: Sequence[Claim],
        instance: Instance,
    ) -> None:
        self._desired, self._state, self._people, self._instance = desired, state, people, instance
        self._groups = {claim.group: desired.groups[claim.group] for claim in claims}
        self._asked = {(claim.person, claim.grant) for claim in claims}
        self._joining: defaultdict[str, set[PersonKey]] = defaultdict(set)
        for claim in claims:
            self._joining[claim.group].add(claim.person)
        self._pending: defaultdict[str, set[Assignment]] = defaultdict(set)
        for each in state.pending.values():
            self._pending[each.group_id].add(Assignment(each.account_id, each.permission_set_arn))
        self._further: dict[str, list[Grant]] = {}
        self._keys = {known.user_id: key for key, known in people.items()}

    def all(self) -> tuple[Reach, ...]:
        """Everything, the widest first: what must be reviewed, then what policies consent to."""
        found = [*self._joined(), *self._assigned(), *self._changed()]
        return tuple(sorted(found, key=lambda each: (not each.review, each)))

    def further(self, group: str) -> list[Grant]:
        """What a group has, or is being assigned, beside what is asked for; its newcomers gain that too."""
        if group not in self._further:
            self._further[group] = self._further_of(group)
        return self._further[group]

    def _further_of(self, group: str) -> list[Grant]:
        known = self._state.groups.get(group)
        if known is None:
            return []
        found = {
            Grant(each.account_id, self._set_name(each.permission_set_arn))
            for each in known.assignments | self._pending.get(known.group_id, set())
        }
        return sorted(found - self._groups[group].grants)

    def assigning(self, group: str, grant: Grant) -> Iterator[str]:
        """Which members the assignment gives something that nobody asks for them."""
        known = self._state.groups.get(group)
        users = sorted(known.members) if known else []
        if names := sorted(self._username(user) for user in users if not self._is_asked(user, grant)):
            yield f"also gives it members whom nobody asks it for: {', '.join(names)} (shared-group)"

    def changing(self, name: str) -> Iterator[str]:
        """Where the set's change arrives, and for whom."""
        for account, through, users in self._holders(name):
            people = sorted(map(self._username, users))
            yield f"changes account {account}: {through}: {', '.join(people) or 'nobody is in it'}"

    def _joined(self) -> Iterator[Reach]:
        for name, keys in sorted(self._joining.items()):
            known, wanted = self._state.groups.get(name), self._groups[name]
            if self._desired.external:
                continue
            members = known.members if known else frozenset()
            new = [key for key in sorted(keys) if self._user_id(key) not in members]
            for grant in sorted({*wanted.grants, *self.further(name)}):
                people = tuple(
                    self._desired.people[key].username for key in new if (key, grant) not in self._asked
                )
                consent = wanted.shared and grant in wanted.grants
                if people:
                    yield Reach(
                        grant.account_id,
                        grant.permission_set,
                        f"group {name}",
                        f"joining group {name}",
                        people,
                        "" if consent else "no intents here ask that group for it",
                    )

    def _assigned(self) -> Iterator[Reach]:
        for name, group in sorted(self._groups.items()):
            known = self._state.groups.get(name)
            for grant in sorted(group.grants) if known else ():
                users = () if known is None or self._stands(known, grant) else sorted(known.members)
                people = sorted(self._username(user) for user in users if not self._is_asked(user, grant))
                if people:
                    by = f"the assignment of group {name}"
                    yield Reach(grant.account_id, grant.permission_set, f"group {name}", by, tuple(people))

    def _changed(self) -> Iterator[Reach]:
        for name in sorted(self._accounts):
            known = self._state.permission_sets.get(name)
            for account, through, users in self._holders(name):
                grant = Grant(account, name)
                people = sorted(self._username(user) for user in users if not self._is_asked(user, grant))
                if people and known:
                    grows = account in known.stale or may_grow(
                        self._desired.permission_sets[name], known.settings
                    )
                    review = "it may give them more, and no intents here are of them" if grows else ""
                    by = f"the change of permission set {name}"
                    yield Reach(account, name, through, by, tuple(people), review, True)

    def _holders(self, name: str) -> Iterator[tuple[str, str, frozenset[str]]]:
        """Account, through what, and the ids of the people who hold the set there, where that changes anything."""
        known, changing = self._state.permission_sets.get(name), self._state.changing
        if known is None:
            return
        wanted = self._desired.permission_sets[name]
        for account in sorted(accounts_that_change(wanted, known, self._instance, self._accounts[name])):
            for kind, principal in sorted(changing.holders.get(account, {}).get(known.arn, ())):
                group = changing.groups.get(principal)
                if kind == "USER":
                    yield account, DIRECT, frozenset({principal})
                elif group:
                    yield account, f"group {group.name}", group.members

    @cached_property
    def _accounts(self) -> Mapping[str, frozenset[str]]:
        return accounts_by_set(self._groups.values())

    def _is_asked(self, user_id: str, grant: Grant) -> bool:
        key = self._keys.get(user_id)
        return key is not None and (key, grant) in self._asked

    def _stands(self, known: KnownGroup, grant: Grant) -> bool:
        found = self._state.permission_sets.get(grant.permission_set)
        return bool(found) and Assignment(grant.account_id, found.arn if found else "") in known.assignments

    def _user_id(self, key: PersonKey) -> str:
        known = self._people.get(key)
        return known.user_id if known else ""

    def _username(self, user_id: str) -> str:
        key = self._keys.get(user_id)
        if key:
            return self._people[key].username
        for standing in (self._state.standing, self._state.changing):
            if user_id in standing.usernames:
                return standing.usernames[user_id]
        return f"user id {user_id}"

    def _set_name(self, arn: str) -> str:
        return self._state.standing.set_names.get(arn, arn) or "any permission set"
