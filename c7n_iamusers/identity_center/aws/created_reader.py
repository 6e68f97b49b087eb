# SPDX-License-Identifier: Apache-2.0
"""Reading what of a run's creations stands, with all that somebody may have added since, and what it removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from c7n_iamusers.derivation.permission_set import MANAGED_TAG
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.created import (
    Absent,
    Created,
    MembershipKey,
    Removed,
    Standing,
    StandingSet,
    StandingUser,
)
from c7n_iamusers.identity_center.model import (
    ASSIGNMENT,
    GROUP,
    MANAGED_GROUP,
    MEMBERSHIP,
    PERMISSION_SET,
    USER,
    Assignment,
    KnownGroup,
    KnownPermissionSet,
)

T = TypeVar("T")
_WORKERS = 8


@dataclass(frozen=True)
class CreatedReader:
    """Reads through ``reader``."""

    reader: CenterReader

    def read(self, created: Iterable[Created]) -> Standing:
        """What stands. Raises IdentityCenterError from an account that may not ask for assignments, ClientError."""
        listed = tuple(created)
        groups = self._standing(listed, GROUP, self._group)
        pairs = [_member(each) for each in listed if each.kind == MEMBERSHIP]
        store, assignments = self.reader.store, self.reader.assignments
        memberships = dict(
            zip(pairs, _each_created(lambda pair: store.membership_id(*pair), pairs), strict=True)
        )
        assigned = {each.parameters["PrincipalId"] for each in listed if each.kind == ASSIGNMENT}
        known = {each.group_id: each for each in groups.values()}
        known |= self._groups_of(sorted((assigned | {group for group, _ in pairs}) - known.keys()))
        foreign = {each.group_id for each in known.values() if not each.description.startswith(MANAGED_GROUP)}
        ids = sorted(assigned | foreign)
        held = dict(zip(ids, _each_created(assignments.of_group, ids), strict=True))
        return Standing(
            listed,
            groups,
            self._standing(listed, USER, self._user),
            self._standing(listed, PERMISSION_SET, self._permission_set),
            {pair: found for pair, found in memberships.items() if found},
            held,
            {group: each.members for group, each in known.items() if group in assigned - foreign},
            frozenset(foreign | self._foreign_sets(held)),
        )

    def _groups_of(self, ids: list[str]) -> dict[str, KnownGroup]:
        found = zip(ids, _each_created(self.reader.store.group, ids), strict=True)
        return {group_id: each for group_id, each in found if each}

    def _foreign_sets(self, held: Mapping[str, frozenset[Assignment]]) -> set[str]:
        arns = sorted({each.permission_set_arn for found in held.values() for each in found})
        ours = _each_created(self.reader.permission_sets.is_ours, arns)
        return {arn for arn, is_ours in zip(arns, ours, strict=True) if not is_ours}

    def read_removed(self, removed: Iterable[Removed]) -> Absent:
        """What stands in the place of what a run removed. Raises as ``read`` does."""
        listed = tuple(removed)
        records = [each.record for each in listed]
        names = {record["group-id"]: record["group"] for record in records if "group-id" in record}
        groups = dict(
            zip(names, _each_created(lambda pair: self._group_now(*pair), list(names.items())), strict=True)
        )
        users = sorted({record["user-id"] for record in records if "user-id" in record})
        people = zip(users, _each_created(self.reader.store.user_attributes, users), strict=True)
        standing = {group_id: each for group_id, each in groups.items() if each}
        arns = sorted({held.permission_set_arn for each in standing.values() for held in each.assignments})
        held = zip(arns, _each_created(self.reader.permission_sets.read, arns), strict=True)
        return Absent(
            listed,
            standing,
            self._sets_now({arn: name for each in listed for arn, name in _named_sets(each)}),
            {arn: each for arn, each in held if each},
            frozenset(user for user, found in people if found),
        )

    def _group_now(self, group_id: str, name: str) -> KnownGroup | None:
        """The group of that id; where it is gone, that of the name."""
        store = self.reader.store
        known = store.group(group_id)
        if known is None and (named := store.find_group(name)):
            known = store.group(named.group_id)
        return replace(known, assignments=self.reader.assignments.of_group(known.group_id)) if known else None

    def _sets_now(self, names: Mapping[str, str]) -> dict[str, KnownPermissionSet]:
        """``names``: ARN -> name. The sets of the ARNs; where one is gone, that of the name."""
        sets = self.reader.permission_sets
        found = dict(zip(names, _each_created(sets.read, list(names)), strict=True))
        gone = {name for arn, name in names.items() if found[arn] is None}
        by_name = sets.find(gone, ()) if gone else {}
        now = {arn: found[arn] or by_name.get(name) for arn, name in names.items()}
        return {arn: each for arn, each in now.items() if each}

    def _standing(
        self, created: tuple[Created, ...], kind: str, read: Callable[[Created], T | None]
    ) -> dict[int, T]:
        numbers = [number for number, each in enumerate(created) if each.kind == kind]
        found = _each_created(lambda number: read(created[number]), numbers)
        return {number: each for number, each in zip(numbers, found, strict=True) if each}

    def _group(self, created: Created) -> KnownGroup | None:
        store, given = self.reader.store, created.parameters
        if created.identifier:
            known = store.group(created.identifier)
        else:
            # No answer came: it is ours only if it is as we would have made it.
            named = store.find_group(given["DisplayName"])
            known = (
                store.group(named.group_id) if named and named.description == given["Description"] else None
            )
        return replace(known, assignments=self.reader.assignments.of_group(known.group_id)) if known else None

    def _user(self, created: Created) -> StandingUser | None:
        store = self.reader.store
        user_id = created.identifier or store.username_id(created.parameters["UserName"])
        attributes = store.user_attributes(user_id) if user_id else None
        if user_id is None or attributes is None:
            return None
        direct = self.reader.assignments.directly_of(user_id)
        return StandingUser(user_id, attributes, store.groups_of(user_id), direct)

    def _permission_set(self, created: Created) -> StandingSet | None:
        sets = self.reader.permission_sets
        if created.identifier:
            known = sets.read(created.identifier)
        else:
            name = created.parameters["Name"]
            known = sets.find([name], ()).get(name)
        if known is None or known.settings.tags.get(MANAGED_TAG[0]) != MANAGED_TAG[1]:
            return None
        holders = self.reader.assignments.holders
        found = {
            (account, principal) for account in known.accounts for _, principal in holders(account, known.arn)
        }
        return StandingSet(known, frozenset(found))


def _named_sets(removed: Removed) -> Iterator[tuple[str, str]]:
    """ARN and name of the set that the record is of, or needs."""
    record = removed.record
    if removed.kind == PERMISSION_SET:
        yield record["permission-set-arn"], record["settings"]["name"]
    elif removed.kind == ASSIGNMENT:
        yield record["permission-set-arn"], record["permission-set"]


def _member(created: Created) -> MembershipKey:
    return created.parameters["GroupId"], created.parameters["MemberId"]["UserId"]


def _each_created(read: Callable[[T], object], of: list[T]) -> list:  # type: ignore[type-arg]
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return list(pool.map(read, of))
