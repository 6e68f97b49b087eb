# SPDX-License-Identifier: Apache-2.0
"""Reading once what of Identity Center matters to a desired access: in bulk where that is fewer calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.client import Backoff
from c7n_iamusers.identity_center.aws.assignments import Assignments
from c7n_iamusers.identity_center.aws.identity_store import IdentityStore
from c7n_iamusers.identity_center.aws.permission_sets import PermissionSets
from c7n_iamusers.identity_center.model import (
    MANAGED_GROUP,
    UNKNOWN,
    Assignment,
    CenterState,
    DesiredAccess,
    Group,
    Instance,
    KnownGroup,
    KnownPermissionSet,
    KnownPerson,
    Person,
    Principal,
    StandingAccess,
)
from c7n_iamusers.identity_center.permission_sets import accounts_that_change, check_permission_set
from c7n_iamusers.identity_center.reaching import accounts_by_set
from c7n_iamusers.text.wording import folded

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

    def read(
        self,
        desired: DesiredAccess,
        more_accounts: Iterable[str] = (),
        everybody: bool = False,
        leftovers: bool = False,
    ) -> CenterState:
        """Everything that is held in the accounts that anything is asked for in, and in ``more_accounts``.

        ``everybody``: also the names of people whom nobody asks for anything. ``leftovers``: also the groups and sets
        of ours that give nobody anything, as a removal that was interrupted leaves them.
        Raises IdentityCenterError from an account that may not ask what groups are assigned, and ClientError.
        """
        usernames, emails = self._people(list(desired.people.values()), everybody)
        accounts = sorted({*_accounts(desired), *more_accounts})
        holders = self._holders(accounts)
        names = self.permission_sets.names(_arns(holders))
        wanted = frozenset(desired.permission_sets)
        earlier = {claim.earlier for claim in desired.claims if claim.earlier}
        sets = self.permission_sets.named(wanted, {each.grant.permission_set for each in earlier}, names)
        groups = [*desired.groups.values(), *{each.group.name: each.group for each in earlier}.values()]
        named, held = self._groups(groups, sets, holders, desired, usernames)
        names |= self._further_names(named, names)
        standing = self._standing(
            holders, {**held, **_shared(named, desired)}, names, sets, usernames, desired
        )
        standing = replace(standing, groups=held)
        return CenterState(
            usernames,
            emails,
            named,
            sets,
            self.assignments.pending(),
            standing=self._with_leftovers(standing, desired, accounts) if leftovers else standing,
            changing=self._changing(sets, standing, desired),
        )

    def group(self, group: Group, sets: Mapping[str, KnownPermissionSet]) -> KnownGroup | None:
        """The group with its members and assignments."""
        known = self.store.find_group(group.name)
        return self._completed(group, known, sets) if known else None

    def _people(
        self, people: list[Person], everybody: bool
    ) -> tuple[dict[str, KnownPerson], dict[str, KnownPerson]]:
        if everybody or len(people) > _FEW:
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

    def _holders(self, accounts: list[str]) -> dict[str, dict[str, frozenset[Principal]]]:
        """Account id -> ARN -> who is assigned it there. A call an account, and one a permission set in it."""
        provisioned = _each(self.permission_sets.provisioned_to, accounts)
        pairs = [(account, arn) for account, arns in zip(accounts, provisioned, strict=True) for arn in arns]
        found: dict[str, dict[str, frozenset[Principal]]] = {account: {} for account in accounts}
        for (account, arn), held in zip(
            pairs, _each(lambda pair: self.assignments.holders(*pair), pairs), strict=True
        ):
            found[account][arn] = held
        return found

    def _groups(
        self,
        groups: list[Group],
        sets: Mapping[str, KnownPermissionSet],
        holders: Mapping[str, Mapping[str, frozenset[Principal]]],
        desired: DesiredAccess,
        usernames: Mapping[str, KnownPerson],
    ) -> tuple[dict[str, KnownGroup], dict[str, KnownGroup]]:
        """The groups asked for by name, and all that hold anything by id, with members and assignments."""
        assigned: defaultdict[str, set[Assignment]] = defaultdict(set)
        for account, arn, principal in _principals(holders):
            assigned[principal].add(Assignment(account, arn))
        if len(groups) + len(assigned) > _FEW:
            everyone = self.store.all_groups()
            known = [everyone.get(folded(group.name)) for group in groups]
            by_id = {each.group_id: each for each in everyone.values()}
        else:
            known = _each(lambda group: self.store.find_group(group.name), groups)
            by_id = {each.group_id: each for each in known if each}
        present = [(group, found) for group, found in zip(groups, known, strict=True) if found]
        wanted = {found.group_id: group for group, found in present}
        ids = sorted({*wanted, *assigned})
        completed = _each(
            lambda group_id: self._read(
                group_id, by_id.get(group_id), wanted.get(group_id), assigned, sets, desired, usernames
            ),
            ids,
        )
        held = {group_id: found for group_id, found in zip(ids, completed, strict=True) if found}
        named = {group.name: held[found.group_id] for group, found in present if found.group_id in held}
        return named, {group_id: found for group_id, found in held.items() if group_id in assigned}

    def _read(
        self,
        group_id: str,
        known: KnownGroup | None,
        wanted: Group | None,
        assigned: Mapping[str, set[Assignment]],
        sets: Mapping[str, KnownPermissionSet],
        desired: DesiredAccess,
        usernames: Mapping[str, KnownPerson],
    ) -> KnownGroup | None:
        if known is None:
            known = self.store.group(group_id)
        else:
            memberships = self.store.memberships(group_id)
            known = replace(known, members=frozenset(memberships), memberships=memberships)
        if known is None:
            return None
        here = frozenset(assigned.get(group_id, ()))
        settled = (
            wanted is not None
            and not wanted.shared
            and _is_settled(wanted, known.members, here, sets, desired, usernames)
        )
        if settled or (wanted is None and not known.description.startswith(MANAGED_GROUP)):
            # Nobody is to join or to leave it, so what it gives elsewhere does not matter.
            return replace(known, assignments=here)
        try:
            return replace(known, assignments=self.assignments.of_group(group_id))
        except IdentityCenterError:
            if wanted is not None and not wanted.shared:
                raise
            return replace(known, assignments=here | {UNKNOWN})

    def _standing(
        self,
        holders: Mapping[str, Mapping[str, frozenset[Principal]]],
        groups: Mapping[str, KnownGroup],
        names: Mapping[str, str],
        sets: Mapping[str, KnownPermissionSet],
        usernames: Mapping[str, KnownPerson],
        desired: DesiredAccess,
    ) -> StandingAccess:
        known = {each.arn: each for each in sets.values()}
        people = {each.user_id: each.username for each in usernames.values()}
        asked = {person for person, _ in {(claim.person, claim.group) for claim in desired.claims}}
        theirs = {usernames[key[0]].user_id for key in asked if key[0] in usernames}
        shared = {folded(name) for name, group in desired.groups.items() if group.shared}
        shared = {each.group_id for each in groups.values() if folded(each.name) in shared}
        more = {
            arn
            for account_sets in holders.values()
            for arn, principals in account_sets.items()
            if arn not in known and _concern(principals, groups, theirs, shared)
        }
        read = _each(self.permission_sets.read, sorted(more))
        known.update({each.arn: each for each in read if each})
        unnamed = sorted(
            {
                user
                for group in groups.values()
                if group.description.startswith(MANAGED_GROUP) or group.group_id in shared
                for user in group.members - people.keys()
            }
        )
        people.update(self.usernames(unnamed))
        return StandingAccess(holders, groups, names, known, people)

    def _further_names(self, named: Mapping[str, KnownGroup], names: Mapping[str, str]) -> dict[str, str]:
        """ARN -> name of what groups that are asked for hold in other accounts."""
        arns = {each.permission_set_arn for group in named.values() for each in group.assignments}
        return self.permission_sets.names(sorted(arns - names.keys() - {""}))

    def _changing(
        self, sets: Mapping[str, KnownPermissionSet], standing: StandingAccess, desired: DesiredAccess
    ) -> StandingAccess:
        """Who holds the sets that are to be changed, where that changes anything. A call an account and set."""
        own = accounts_by_set(desired.groups.values())
        pairs = [
            (account, known.arn)
            for name, known in sorted(sets.items())
            if name in own and name in desired.permission_sets
            for account in sorted(self._accounts_that_change(desired.permission_sets[name], known, own[name]))
        ]
        here = standing.holders
        further = [pair for pair in pairs if pair[0] not in here]
        read = dict(zip(further, _each(lambda pair: self.assignments.holders(*pair), further), strict=True))
        holders: defaultdict[str, dict[str, frozenset[Principal]]] = defaultdict(dict)
        for account, arn in pairs:
            found = here[account].get(arn, frozenset()) if account in here else read[account, arn]
            holders[account][arn] = found
        ids = sorted({group_id for _, _, group_id in _principals(holders)})
        groups = {group_id: standing.groups[group_id] for group_id in ids if group_id in standing.groups}
        unread = [group_id for group_id in ids if group_id not in groups]
        groups.update({each.group_id: each for each in _each(self.store.group, unread) if each})
        users = {user for group in groups.values() for user in group.members}
        users |= {
            user
            for held in holders.values()
            for principals in held.values()
            for kind, user in principals
            if kind == "USER"
        }
        usernames = self.usernames(sorted(users - standing.usernames.keys()))
        return StandingAccess(holders, groups, standing.set_names, usernames=usernames)

    def _accounts_that_change(
        self, wanted: PermissionSet, known: KnownPermissionSet, own: Collection[str]
    ) -> frozenset[str]:
        try:
            check_permission_set(wanted, known)
        except IdentityCenterError:
            return frozenset()  # it is refused
        return accounts_that_change(wanted, known, self.permission_sets.instance, own)

    def _with_leftovers(
        self, standing: StandingAccess, desired: DesiredAccess, accounts: Collection[str]
    ) -> StandingAccess:
        known = {*standing.set_names, *standing.sets}
        sets = {
            each.arn: each
            for each in self.permission_sets.unassigned(known)
            if each.settings.name not in desired.permission_sets
        }
        wanted = {folded(name) for name in desired.groups}
        candidates = [
            group
            for name, group in self.store.all_groups().items()
            if group.group_id not in standing.groups and name not in wanted and _is_of(group, accounts)
        ]
        groups = {each.group_id: each for each in _each(self._leftover, candidates) if each}
        names = {arn: each.settings.name for arn, each in sets.items()}
        return replace(
            standing,
            groups={**standing.groups, **groups},
            set_names={**standing.set_names, **names},
            sets={**standing.sets, **sets},
        )

    def _leftover(self, group: KnownGroup) -> KnownGroup | None:
        """The group, where it has no members and no assignments."""
        try:
            used = self.store.memberships(group.group_id) or self.assignments.of_group(group.group_id)
        except IdentityCenterError:
            return None
        return None if used else group

    def group_names(self, group_ids: list[str]) -> dict[str, str]:
        """Group id -> name of those that are there still."""
        if len(group_ids) > _FEW:
            return {each.group_id: each.name for each in self.store.all_groups().values()}
        names = _each(self.store.name_of_group, group_ids)
        return {group: name for group, name in zip(group_ids, names, strict=True) if name}

    def usernames(self, user_ids: list[str]) -> dict[str, str]:
        """User id -> username of those that are there still."""
        if len(user_ids) > _FEW:
            everybody, _ = self.store.all_people()
            return {each.user_id: each.username for each in everybody.values()}
        described = _each(self.store.user_attributes, user_ids)
        return {
            user: str(found["UserName"]) for user, found in zip(user_ids, described, strict=True) if found
        }

    def _completed(
        self, group: Group, known: KnownGroup, sets: Mapping[str, KnownPermissionSet]
    ) -> KnownGroup:
        memberships = self.store.memberships(known.group_id)
        held = (
            # What else it has does not matter, and a delegated administrator may not ask.
            frozenset(each for each in _own(group, sets) if self.assignments.exists(each, known.group_id))
            if group.shared
            else self.assignments.of_group(known.group_id)
        )
        return replace(known, members=frozenset(memberships), assignments=held, memberships=memberships)


def _shared(named: Mapping[str, KnownGroup], desired: DesiredAccess) -> dict[str, KnownGroup]:
    """The groups, by id, that are asked for and may reach further than that."""
    return {
        each.group_id: each
        for name, each in named.items()
        if name in desired.groups and desired.groups[name].shared
    }


def _is_settled(
    group: Group,
    members: frozenset[str],
    assigned: frozenset[Assignment],
    sets: Mapping[str, KnownPermissionSet],
    desired: DesiredAccess,
    usernames: Mapping[str, KnownPerson],
) -> bool:
    """Whether the group has exactly the people and the assignments that are asked for."""
    own = frozenset(_own(group, sets))
    people = desired.members(group.name)
    expected = {usernames[username].user_id for username, _ in people if username in usernames}
    return (
        (len(own), len(expected)) == (len(group.grants), len(people))
        and assigned == own
        and members == expected
    )


def _is_of(group: KnownGroup, accounts: Collection[str]) -> bool:
    """Whether the group is ours, made for certain people, and not for another account alone."""
    of_one = group.description.removeprefix(f"{MANAGED_GROUP} for account ")
    return group.description.startswith(f"{MANAGED_GROUP} for ") and (
        of_one == group.description or of_one in accounts
    )


def _accounts(desired: DesiredAccess) -> Iterable[str]:
    return {grant.account_id for group in desired.groups.values() for grant in group.grants}


def _arns(holders: Mapping[str, Mapping[str, object]]) -> Iterable[str]:
    return sorted({arn for sets in holders.values() for arn in sets})


def _principals(
    holders: Mapping[str, Mapping[str, frozenset[Principal]]],
) -> Iterator[tuple[str, str, str]]:
    """Account id, ARN and group id of everything that groups hold."""
    for account, sets in holders.items():
        for arn, principals in sets.items():
            for kind, principal in principals:
                if kind == "GROUP":
                    yield account, arn, principal


def _concern(
    principals: Iterable[Principal],
    groups: Mapping[str, KnownGroup],
    people: Collection[str],
    shared: Collection[str],
) -> bool:
    """Whether one of ``people`` is among the holders, or a group of ours or one of ``shared`` (ids) is."""
    for kind, principal in principals:
        if principal in shared:
            return True
        group = groups.get(principal) if kind == "GROUP" else None
        if group and (group.description.startswith(MANAGED_GROUP) or not group.members.isdisjoint(people)):
            return True
        if kind == "USER" and principal in people:
            return True
    return False


def _own(group: Group, sets: Mapping[str, KnownPermissionSet]) -> Iterable[Assignment]:
    for grant in sorted(group.grants):
        if grant.permission_set in sets:
            yield Assignment(grant.account_id, sets[grant.permission_set].arn)


def _each(read: Any, of: list[Any]) -> list[Any]:
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return list(pool.map(read, of))
