# SPDX-License-Identifier: Apache-2.0
"""Reads the state of Identity Center that a desired access concerns, once and with few calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.aws import in_parallel, read_scope
from c7n_iamusers.identity_center.aws.identity_store import IdentityStore
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.permission_sets import AccountUnreadable, Assignments, PermissionSets
from c7n_iamusers.identity_center.planning.permission_sets import accounts_that_change, check_permission_set
from c7n_iamusers.identity_center.planning.shared_groups import gained_by_joining
from c7n_iamusers.identity_center.planning.unrequested_access import accounts_by_set
from c7n_iamusers.text.wording import folded

#: Up to this number, users and groups are looked up one by one; above it, all are listed.
_FEW = 50
R = TypeVar("R", bound="CenterReader")


@dataclass(frozen=True)
class CenterReader:
    """The readers of an instance. Thread-safe."""

    permission_sets: PermissionSets
    store: IdentityStore
    assignments: Assignments

    @classmethod
    def of(cls: type[R], center: Center) -> R:
        """The reader of ``center``."""
        sso, instance, backoff = center.clients["sso-admin"], center.instance, center.backoff
        return cls(
            PermissionSets(sso, instance, backoff),
            IdentityStore(center.clients["identitystore"], instance, backoff),
            Assignments(sso, instance, backoff),
        )

    def read(
        self,
        desired: model.DesiredAccess,
        more_accounts: Iterable[str] = (),
        everybody: bool = False,
        unused: bool = False,
    ) -> model.CenterState:
        """The state of the accounts with intents, and of ``more_accounts``.

        ``everybody``: read all users. ``unused``: also read managed groups and permission sets without assignments, as
        an interrupted removal leaves them. Groups have UNKNOWN_ASSIGNMENT if the caller may not list their assignments.
        Raises ClientError.
        """
        in_progress = self.assignments.in_progress()
        usernames, emails = self._people(list(desired.people.values()), everybody)
        accounts = sorted({*desired.accounts, *more_accounts})
        holders = self._holders(accounts, in_progress)
        names = self.permission_sets.names(read_scope.arns(holders))
        requested = frozenset(desired.permission_sets)
        sets = self.permission_sets.named(requested, names)
        groups = list(desired.groups.values())
        named, held = self._groups(groups, sets, holders, desired, usernames, in_progress)
        names |= self._further_names([*held.values(), *named.values()], names)
        assigned = {each for sets in holders.values() for found in sets.values() for each in found}
        gone = self._gone(assigned, held, usernames if everybody or unused else None)
        current = model.CurrentAccess(
            holders, {**held, **read_scope.shared_groups(named, desired)}, names, gone=gone
        )
        current = replace(self._current(current, sets, usernames, desired, everybody or unused), groups=held)
        gained = sorted(gained_by_joining(named, desired, usernames) - current.sets.keys())
        return model.CenterState(
            usernames,
            emails,
            named,
            sets,
            in_progress,
            current=self._with_unused(current, desired, accounts, in_progress) if unused else current,
            changing=self._changing(sets, current, desired),
            gained={known.arn: known for known in in_parallel(self.permission_sets.read, gained) if known},
        )

    def group(
        self, group: model.Group, sets: Mapping[str, model.KnownPermissionSet]
    ) -> model.KnownGroup | None:
        """The group with its members and assignments."""
        in_progress = self.assignments.in_progress()
        found = self.store.find_group(group.name)
        known = self.store.with_members(found) if found else None
        return replace(known, assignments=self._held(group, known, sets, in_progress)) if known else None

    def used(
        self, group_id: str, in_progress: model.InProgress, own: Iterable[model.Assignment] = ()
    ) -> frozenset[model.Assignment]:
        """The group's assignments, including those being created. ``own``: see ``of_group_if_listed``.

        ``in_progress``: read before.
        """
        return self.assignments.of_group_if_listed(group_id, own) | in_progress.created_for(group_id)

    def managed(self) -> list[str]:
        """The managed groups, or, if there are none, the managed permission sets, in words."""
        groups = sorted(group.name for group in self.store.all_groups().values() if group.is_managed)
        sets = [] if groups else self.permission_sets.managed_names()
        return [f"group {name}" for name in groups] + [f"permission set {name}" for name in sets]

    def _people(
        self, people: list[model.Person], everybody: bool
    ) -> tuple[dict[str, model.KnownPerson], dict[str, model.KnownPerson]]:
        if everybody or len(people) > _FEW:
            return self.store.all_people()
        usernames: dict[str, model.KnownPerson] = {}
        emails: dict[str, model.KnownPerson] = {}
        for person, (by_username, by_email) in zip(
            people, in_parallel(self.store.find_person, people), strict=True
        ):
            username, email = person.key
            usernames.update({username: by_username} if by_username else {})
            emails.update({email: by_email} if by_email else {})
        return usernames, emails

    def _holders(
        self, accounts: list[str], in_progress: model.InProgress
    ) -> dict[str, dict[str, frozenset[model.Principal]]]:
        """Account id -> ARN -> assigned principals. Takes a call per account, and one per permission set in it."""
        provisioned = in_parallel(self.permission_sets.provisioned_to, accounts)
        pairs = [(account, arn) for account, arns in zip(accounts, provisioned, strict=True) for arn in arns]
        found: dict[str, dict[str, frozenset[model.Principal]]] = {account: {} for account in accounts}
        for (account, arn), held in zip(
            pairs, in_parallel(lambda pair: self.assignments.holders(*pair), pairs), strict=True
        ):
            found[account][arn] = held
        for creation in in_progress.creations.values():
            if creation.account_id in found:
                here, arn = found[creation.account_id], creation.permission_set_arn
                here[arn] = here.get(arn, frozenset()) | {creation.principal}
        return found

    def _groups(
        self,
        groups: list[model.Group],
        sets: Mapping[str, model.KnownPermissionSet],
        holders: Mapping[str, Mapping[str, frozenset[model.Principal]]],
        desired: model.DesiredAccess,
        usernames: Mapping[str, model.KnownPerson],
        in_progress: model.InProgress,
    ) -> tuple[dict[str, model.KnownGroup], dict[str, model.KnownGroup]]:
        """The requested groups by name, and all assigned groups by id, with members and assignments."""
        assigned: defaultdict[str, set[model.Assignment]] = defaultdict(set)
        for account, arn, principal in read_scope.principals(holders):
            assigned[principal].add(model.Assignment(account, arn))
        if len(groups) + len(assigned) > _FEW:
            everyone = self.store.all_groups()
            known = [everyone.get(folded(group.name)) for group in groups]
            by_id = {each.group_id: each for each in everyone.values()}
        else:
            known = in_parallel(lambda group: self.store.find_group(group.name), groups)
            by_id = {each.group_id: each for each in known if each}
        present = [(group, found) for group, found in zip(groups, known, strict=True) if found]
        requested = {found.group_id: group for group, found in present}
        ids = sorted({*requested, *assigned})
        completed = in_parallel(
            lambda group_id: self._read(
                group_id,
                by_id.get(group_id),
                requested.get(group_id),
                assigned,
                sets,
                desired,
                usernames,
                in_progress,
            ),
            ids,
        )
        held = {group_id: found for group_id, found in zip(ids, completed, strict=True) if found}
        named = {group.name: held[found.group_id] for group, found in present if found.group_id in held}
        return named, {group_id: found for group_id, found in held.items() if group_id in assigned}

    def _read(
        self,
        group_id: str,
        known: model.KnownGroup | None,
        requested: model.Group | None,
        assigned: Mapping[str, set[model.Assignment]],
        sets: Mapping[str, model.KnownPermissionSet],
        desired: model.DesiredAccess,
        usernames: Mapping[str, model.KnownPerson],
        in_progress: model.InProgress,
    ) -> model.KnownGroup | None:
        known = self.store.with_members(known) if known else self.store.group(group_id)
        if known is None:
            return None
        here = frozenset(assigned.get(group_id, ()))
        settled = (
            requested is not None
            and not requested.shared
            and read_scope.is_settled(requested, known.members, here, sets, desired, usernames)
        )
        if settled or (requested is None and not known.is_managed):
            # Its members don't change, so its assignments in other accounts don't matter.
            return replace(known, assignments=here)
        return replace(known, assignments=here | self.used(group_id, in_progress))

    def _gone(
        self,
        assigned: Collection[model.Principal],
        groups: Collection[str],
        usernames: Mapping[str, model.KnownPerson] | None,
    ) -> frozenset[model.Principal]:
        """The ``assigned`` that don't exist. ``groups``: existing ones. ``usernames``: None leaves out users."""
        gone = {("GROUP", each) for kind, each in assigned if kind == "GROUP" and each not in groups}
        if usernames is not None:
            known = {each.user_id for each in usernames.values()}
            users = {each for kind, each in assigned if kind == "USER"} - known - {model.UNREADABLE}
            gone |= {("USER", each) for each in users - self.usernames(sorted(users)).keys()}
        return frozenset(gone)

    def _current(
        self,
        current: model.CurrentAccess,
        sets: Mapping[str, model.KnownPermissionSet],
        usernames: Mapping[str, model.KnownPerson],
        desired: model.DesiredAccess,
        leftovers: bool,
    ) -> model.CurrentAccess:
        """``current`` with its permission sets and usernames. ``leftovers``: also managed ones of the deleted."""
        holders, groups = current.holders, current.groups
        known = {each.arn: each for each in sets.values()}
        people = {username.user_id: username.username for username in usernames.values()}
        asked = {person for person, _ in {(claim.person, claim.group) for claim in desired.claims}}
        user_ids = {usernames[key[0]].user_id for key in asked if key[0] in usernames}
        shared = {folded(name) for name, group in desired.groups.items() if group.shared}
        shared = {each.group_id for each in groups.values() if folded(each.name) in shared}
        unread = [item for each in holders.values() for item in each.items() if item[0] not in known]
        more = {
            arn for arn, principals in unread if read_scope.concerns(principals, groups, user_ids, shared)
        }
        if leftovers:
            left = {arn for arn, principals in unread if principals & current.gone} - more
            more.update(self.permission_sets.managed(sorted(left)))
        read = in_parallel(self.permission_sets.read, sorted(more))
        known.update({each.arn: each for each in read if each})
        unnamed = sorted(
            {
                user
                for group in groups.values()
                if group.is_managed or group.group_id in shared
                for user in group.members - people.keys()
            }
        )
        people.update(self.usernames(unnamed))
        return replace(current, sets=known, usernames=people)

    def _further_names(self, groups: Iterable[model.KnownGroup], names: Mapping[str, str]) -> dict[str, str]:
        """ARN -> name of the permission sets that ``groups`` have in other accounts."""
        arns = {assignment.permission_set_arn for group in groups for assignment in group.assignments}
        return self.permission_sets.names(sorted(arns - names.keys() - {""}))

    def _changing(
        self,
        sets: Mapping[str, model.KnownPermissionSet],
        current: model.CurrentAccess,
        desired: model.DesiredAccess,
    ) -> model.CurrentAccess:
        """The holders of permission sets that change. Takes a call per account and permission set.

        Deleted users hold nothing.
        """
        own = accounts_by_set(desired.groups.values())
        pairs = [
            (account, known.arn)
            for name, known in sorted(sets.items())
            if name in own and name in desired.permission_sets
            for account in sorted(self._accounts_that_change(desired.permission_sets[name], known, own[name]))
        ]
        here = current.holders
        further = [pair for pair in pairs if pair[0] not in here]
        read = dict(
            zip(further, in_parallel(lambda pair: self.assignments.holders(*pair), further), strict=True)
        )
        holders: defaultdict[str, dict[str, frozenset[model.Principal]]] = defaultdict(dict)
        for account, arn in pairs:
            found = here[account].get(arn, frozenset()) if account in here else read[account, arn]
            holders[account][arn] = found
        ids = sorted({group_id for _, _, group_id in read_scope.principals(holders)})
        groups = {group_id: current.groups[group_id] for group_id in ids if group_id in current.groups}
        unread = [group_id for group_id in ids if group_id not in groups]
        groups.update({each.group_id: each for each in in_parallel(self.store.group, unread) if each})
        users = {user for group in groups.values() for user in group.members}
        direct = {each for held in holders.values() for found in held.values() for each in found}
        users |= {user for kind, user in direct if kind == "USER"}
        usernames = self.usernames(sorted(users - current.usernames.keys()))
        gone = users - usernames.keys() - current.usernames.keys()
        groups = {each.group_id: replace(each, members=each.members - gone) for each in groups.values()}
        left = frozenset(("USER", each) for each in gone)
        return model.CurrentAccess(holders, groups, current.set_names, usernames=usernames, gone=left)

    def _accounts_that_change(
        self, requested: PermissionSet, known: model.KnownPermissionSet, own: Collection[str]
    ) -> frozenset[str]:
        try:
            check_permission_set(requested, known)
        except IdentityCenterError:
            return frozenset()  # the change is refused
        return accounts_that_change(requested, known, self.permission_sets.instance, own)

    def _with_unused(
        self,
        current: model.CurrentAccess,
        desired: model.DesiredAccess,
        accounts: Collection[str],
        in_progress: model.InProgress,
    ) -> model.CurrentAccess:
        known = {*current.set_names, *current.sets}
        sets = {
            each.arn: each
            for each in self.permission_sets.managed_besides(known)
            if each.settings.name not in desired.permission_sets
        }
        requested = {folded(name) for name in desired.groups}
        candidates = [
            group
            for name, group in self.store.all_groups().items()
            if group.group_id not in current.groups
            and name not in requested
            and read_scope.is_for(group, accounts)
        ]
        found = in_parallel(lambda group: self._if_unused(group, in_progress), candidates)
        groups = {each.group_id: each for each in found if each}
        names = {arn: each.settings.name for arn, each in sets.items()}
        sets = {**current.sets, **sets}
        outside = self._outside(
            (each for each in sets.values() if each.settings.name not in desired.permission_sets),
            current.holders,
            in_progress,
        )
        assigned = {each for found in outside.values() for each in found} - current.gone
        unnamed = {each for kind, each in assigned if kind == "GROUP"} - current.groups.keys()
        present = current.groups.keys() | self.group_names(sorted(unnamed)).keys()
        return replace(
            current,
            groups={**current.groups, **groups},
            set_names={**current.set_names, **names},
            sets=sets,
            outside=outside,
            gone=current.gone | self._gone(assigned, present, {}),
        )

    def _outside(
        self,
        sets: Iterable[model.KnownPermissionSet],
        accounts: Collection[str],
        in_progress: model.InProgress,
    ) -> dict[tuple[str, str], frozenset[model.Principal]]:
        """See ``CurrentAccess``. Takes a call for each of the managed ``sets`` and account not among ``accounts``."""
        managed = [each for each in sets if each.settings.is_managed]
        pairs = sorted(
            (account, each.arn) for each in managed for account in each.accounts.difference(accounts)
        )
        held = in_parallel(lambda pair: self.holders_as_far_as_known(*pair), pairs)
        found = dict(zip(pairs, held, strict=True))
        for each in managed:
            for account, principal in in_progress.created_of(each.arn):
                if account not in accounts:
                    key = account, each.arn
                    found[key] = found.get(key, frozenset()) | {principal}
        return found

    def holders_as_far_as_known(self, account: str, arn: str) -> frozenset[model.Principal]:
        """The holders of the permission set in the account; an unknown one if that can't be read."""
        try:
            return self.assignments.holders(account, arn)
        except AccountUnreadable:
            return frozenset({("USER", model.UNREADABLE)})

    def _if_unused(self, group: model.KnownGroup, in_progress: model.InProgress) -> model.KnownGroup | None:
        """The group if it has no members and no assignments, else None."""
        known = self.store.with_members(group)
        used = known is None or known.members or self.used(group.group_id, in_progress)
        return None if used else group

    def group_names(self, group_ids: list[str]) -> dict[str, str]:
        """Group id -> name of those that still exist."""
        if len(group_ids) > _FEW:
            return {each.group_id: each.name for each in self.store.all_groups().values()}
        names = in_parallel(self.store.name_of_group, group_ids)
        return {group: name for group, name in zip(group_ids, names, strict=True) if name}

    def usernames(self, user_ids: list[str]) -> dict[str, str]:
        """User id -> username of existing users, and maybe of others.

        Takes a call for each. For more than a few, it lists all users if that takes a quarter of the calls at most.
        """
        listed = self.store.usernames_within(len(user_ids) // 4) if len(user_ids) > _FEW else None
        if listed is not None:
            return listed
        described = in_parallel(self.store.user_attributes, user_ids)
        return {
            user: str(found["UserName"]) for user, found in zip(user_ids, described, strict=True) if found
        }

    def _held(
        self,
        group: model.Group,
        known: model.KnownGroup,
        sets: Mapping[str, model.KnownPermissionSet],
        in_progress: model.InProgress,
    ) -> frozenset[model.Assignment]:
        if group.shared:
            # Other assignments don't matter, and a delegated administrator may not list them.
            return frozenset(
                each
                for each in read_scope.own_assignments(group, sets)
                if self.assignments.exists(each, known.group_id)
            )
        return self.used(known.group_id, in_progress)
