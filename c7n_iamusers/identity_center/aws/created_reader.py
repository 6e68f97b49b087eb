# SPDX-License-Identifier: Apache-2.0
"""Reads the current state of the objects that a run created or removed, for an undo."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from c7n_iamusers.identity_center import model, object_records
from c7n_iamusers.identity_center.aws import in_parallel
from c7n_iamusers.identity_center.aws.reader import CenterReader

T = TypeVar("T")


@dataclass(frozen=True)
class CreatedReader:
    """Reads with the readers of ``reader``."""

    reader: CenterReader

    def read(self, created: Iterable[object_records.Created]) -> object_records.CreatedState:
        """The state of created objects. Raises IdentityCenterError and ClientError."""
        listed, in_progress = tuple(created), self.reader.assignments.in_progress()
        own = defaultdict[str, set[model.Assignment]](set)
        for group_id, assignment in (each.assignment for each in listed if each.kind == model.ASSIGNMENT):
            own[group_id].add(assignment)
        groups = self._by_number(listed, model.GROUP, lambda each: self._group(each, own, in_progress))
        pairs = [each.membership for each in listed if each.kind == model.MEMBERSHIP]
        store = self.reader.store
        memberships = dict(
            zip(pairs, in_parallel(lambda pair: store.membership_id(*pair), pairs), strict=True)
        )
        assigned = set(own)
        known = {each.group_id: each for each in groups.values()}
        held = {group_id: each.assignments for group_id, each in known.items()}
        known |= self._groups_of(sorted((assigned | {group for group, _ in pairs}) - known.keys()))
        unmanaged = {each.group_id for each in known.values() if not each.is_managed}
        ids = sorted((assigned | known.keys()) - held.keys())
        read = in_parallel(lambda each: self.reader.used(each, in_progress, own.get(each, ())), ids)
        held |= dict(zip(ids, read, strict=True))
        return object_records.CreatedState(
            listed,
            groups,
            self._by_number(listed, model.USER, lambda each: self._user(each, in_progress)),
            self._by_number(
                listed, model.PERMISSION_SET, lambda each: self._permission_set(each, in_progress)
            ),
            {pair: found for pair, found in memberships.items() if found},
            held,
            {group: each.members for group, each in known.items() if group in assigned},
            frozenset(unmanaged | self._unmanaged_sets(held)),
            in_progress,
            {
                (group_id, user_id): identifier
                for group_id in assigned & known.keys()
                for user_id, identifier in known[group_id].memberships.items()
            },
        )

    def _groups_of(self, ids: list[str]) -> dict[str, model.KnownGroup]:
        found = zip(ids, in_parallel(self.reader.store.group, ids), strict=True)
        return {group_id: each for group_id, each in found if each}

    def _unmanaged_sets(self, held: Mapping[str, frozenset[model.Assignment]]) -> set[str]:
        arns = sorted({each.permission_set_arn for found in held.values() for each in found} - {""})
        managed = in_parallel(self.reader.permission_sets.is_managed, arns)
        return {arn for arn, is_managed in zip(arns, managed, strict=True) if not is_managed}

    def read_removed(self, removed: Iterable[object_records.Removed]) -> object_records.RemovedState:
        """The state of removed objects. Raises as ``read`` does."""
        listed, in_progress = tuple(removed), self.reader.assignments.in_progress()
        records = [each.record for each in listed]
        names = {record["group-id"]: record["group"] for record in records if "group-id" in record}
        groups = dict(
            zip(
                names,
                in_parallel(lambda pair: self._group_now(*pair, in_progress), list(names.items())),
                strict=True,
            )
        )
        users = sorted({record["user-id"] for record in records if "user-id" in record})
        people = zip(users, in_parallel(self.reader.store.user_attributes, users), strict=True)
        present = {group_id: each for group_id, each in groups.items() if each}
        arns = sorted(
            {held.permission_set_arn for each in present.values() for held in each.assignments} - {""}
        )
        held = zip(arns, in_parallel(self.reader.permission_sets.read, arns), strict=True)
        sets = self._sets_now({arn: name for each in listed for arn, name in _named_sets(each)})
        replaced = [
            (sets[record["permission-set-arn"]], object_records.holders_in(record))
            for each in listed
            if each.kind == object_records.SETTINGS and (record := each.record)["permission-set-arn"] in sets
        ]
        living = set[str]()
        holders = {
            known.arn: holders_of(self.reader, known, in_progress, before, living)
            for known, before in replaced
        }
        held_by = sorted({group for found in holders.values() for _, group, user in found if group != user})
        memberships = zip(held_by, in_parallel(self.reader.store.memberships, held_by), strict=True)
        return object_records.RemovedState(
            listed,
            present,
            sets,
            {arn: each for arn, each in held if each},
            frozenset(user for user, found in people if found),
            in_progress,
            holders,
            {
                (group, user): identifier
                for group, found in memberships
                for user, identifier in (found or {}).items()
            },
        )

    def _group_now(self, group_id: str, name: str, in_progress: model.InProgress) -> model.KnownGroup | None:
        """The group with that id, or else with that name."""
        store = self.reader.store
        known = store.group(group_id)
        if known is None and (named := store.find_group(name)):
            known = store.group(named.group_id)
        if known is None:
            return None
        return replace(known, assignments=self.reader.used(known.group_id, in_progress))

    def _sets_now(self, names: Mapping[str, str]) -> dict[str, model.KnownPermissionSet]:
        """The permission set with each ARN, or else with its name. ``names``: ARN -> name."""
        sets = self.reader.permission_sets
        found = dict(zip(names, in_parallel(sets.read, list(names)), strict=True))
        gone = {name for arn, name in names.items() if found[arn] is None}
        by_name = sets.find(gone, ()) if gone else {}
        now = {arn: found[arn] or by_name.get(name) for arn, name in names.items()}
        return {arn: each for arn, each in now.items() if each}

    def _by_number(
        self,
        created: tuple[object_records.Created, ...],
        kind: str,
        read: Callable[[object_records.Created], T | None],
    ) -> dict[int, T]:
        numbers = [number for number, each in enumerate(created) if each.kind == kind]
        found = in_parallel(lambda number: read(created[number]), numbers)
        return {number: each for number, each in zip(numbers, found, strict=True) if each}

    def _group(
        self,
        created: object_records.Created,
        own: Mapping[str, Collection[model.Assignment]],
        in_progress: model.InProgress,
    ) -> model.KnownGroup | None:
        store, given = self.reader.store, created.parameters
        if created.identifier:
            known = store.group(created.identifier)
        else:
            # The call had no answer: the group counts only if it has the call's parameters.
            named = store.find_group(given["DisplayName"])
            known = (
                store.group(named.group_id) if named and named.description == given["Description"] else None
            )
        if known is None:
            return None
        held = self.reader.used(known.group_id, in_progress, own.get(known.group_id, ()))
        return replace(known, assignments=held)

    def _user(
        self, created: object_records.Created, in_progress: model.InProgress
    ) -> object_records.CreatedUser | None:
        store = self.reader.store
        user_id = created.identifier or store.username_id(created.parameters["UserName"])
        attributes = store.user_attributes(user_id) if user_id else None
        if user_id is None or attributes is None:
            return None
        direct = self.reader.assignments.directly_of_if_listed(user_id) | in_progress.created_for(user_id)
        return object_records.CreatedUser(user_id, attributes, store.groups_of(user_id), direct)

    def _permission_set(
        self, created: object_records.Created, in_progress: model.InProgress
    ) -> object_records.CreatedSet | None:
        sets = self.reader.permission_sets
        if created.identifier:
            known = sets.read(created.identifier)
        else:
            name = created.parameters["Name"]
            known = sets.find([name], ()).get(name)
        if known is None or not known.settings.is_managed:
            return None
        found = {
            (account, principal)
            for account in known.accounts
            for _, principal in self.reader.holders_as_far_as_known(account, known.arn)
        }
        found |= {(account, principal) for account, (_, principal) in in_progress.created_of(known.arn)}
        return object_records.CreatedSet(known, frozenset(found))


def holders_of(
    reader: CenterReader,
    known: model.KnownPermissionSet,
    in_progress: model.InProgress,
    before: Collection[tuple[str, str]],
    living: set[str],
    only: Collection[str] | None = None,
) -> frozenset[tuple[str, str, str]]:
    """Account id, principal id and user id of all present and pending holders of the permission set.

    Deleted users hold nothing. It looks up each direct holder but those of ``before`` (account id and user id) once,
    and adds existing ones to ``living``. Takes a call for each of its accounts, one for each hundred members of each
    group, and those of ``usernames``. ``in_progress``: read before. ``only``: the accounts that matter; by default all.
    Raises ClientError.
    """
    created = in_progress.created_of(known.arn)
    asked = known.accounts | {account for account, _ in created}
    asked = asked if only is None else asked.intersection(only)
    accounts = sorted(known.accounts & asked)
    listed = in_parallel(lambda account: reader.holders_as_far_as_known(account, known.arn), accounts)
    found = {
        (account, principal)
        for account, principals in zip(accounts, listed, strict=True)
        for principal in principals
    } | {each for each in created if each[0] in asked}
    # A shared group has all its accounts.
    groups = sorted({principal for _, (kind, principal) in found if kind != "USER"})
    members = dict(zip(groups, in_parallel(reader.store.members, groups), strict=True))
    held = {
        (account, principal, user)
        for account, (kind, principal) in found
        for user in ([principal] if kind == "USER" else members[principal])
    }
    asked_of = {
        user for account, principal, user in held if principal == user or (account, user) not in before
    }.difference({model.UNREADABLE}, living)
    gone = asked_of - reader.usernames(sorted(asked_of)).keys()
    living.update(asked_of - gone)
    return frozenset(each for each in held if each[2] not in gone)


def _named_sets(removed: object_records.Removed) -> Iterator[tuple[str, str]]:
    """ARN and name of the permission set of the record."""
    record = removed.record
    if removed.kind in (model.PERMISSION_SET, object_records.SETTINGS):
        yield record["permission-set-arn"], record["settings"]["name"]
    elif removed.kind == model.ASSIGNMENT:
        yield record["permission-set-arn"], record["permission-set"]
