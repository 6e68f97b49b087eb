# SPDX-License-Identifier: Apache-2.0
"""Undoing a run: what it removed comes back, and nobody to more than was removed. Pure.

A group or set that is gone is made again from its record. One that is there, made again by an undo that was stopped or
by somebody else, is used only where it is as it was: a person comes back to a group only where the group gives nothing
that it did not give, and an assignment only where nobody has joined the group since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.derivation.permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Ref, Subject
from c7n_iamusers.identity_center import permission_sets
from c7n_iamusers.identity_center.adoption import GROUP_ID, assignment_call, group_call, membership_call
from c7n_iamusers.identity_center.changes import administrative, assignment_key, granted, group_key, set_key
from c7n_iamusers.identity_center.created import Absent, Kept, content_of
from c7n_iamusers.identity_center.intents import permission_set_from
from c7n_iamusers.identity_center.model import (
    ASSIGN,
    ASSIGNMENT,
    CREATE,
    GROUP,
    MANAGED_GROUP,
    MEMBERSHIP,
    PERMISSION_SET,
    Assignment,
    Change,
    Grant,
    Instance,
    KnownGroup,
)
from c7n_iamusers.text.wording import shown

NEW_ROLE = (
    "a new set: its role in each account has a new name (AWSReservedSSO_{}_...), which trust, bucket and key policies "
    "that name the old one must name"
)
NEW_GROUP = "a new group id: applications that were assigned to the old group must be assigned to this one"

NOT_OURS = "it lacks the mark of what is ours, so no run removed it"
NO_GROUP = "its group is gone, or not ours"


@dataclass(frozen=True)
class Returns:
    """``changes`` in an order in which they can be made; ``kept``: what stays away.

    ``permission_sets``: by name, those to be made again, as they were. ``of_people``: user id -> the keys of the
    changes that give the user back what it had. ``there``: what stands in the place of what was removed, made again by
    the same run or since, by ``standing_key``. ``former``: key of an assignment's change -> who was in its group.
    ``strangers``: ids of the people whom ``kept`` names.
    """

    changes: tuple[Change, ...] = ()
    kept: tuple[Kept, ...] = ()
    permission_sets: Mapping[str, PermissionSet] = field(default_factory=dict)
    of_people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    there: frozenset[str] = frozenset()
    former: Mapping[str, frozenset[str]] = field(default_factory=dict)
    strangers: frozenset[str] = frozenset()


def standing_key(kind: str, *ids: str) -> str:
    """The key of the deletion of something that stands."""
    return f"{kind} {'/'.join(ids)}"


def plan_returns(absent: Absent, instance: Instance) -> Returns:
    """What of ``absent.removed`` is to come back. Raises KeyError, TypeError for records that are none."""
    return _Returns(absent, instance).result()


Record = Mapping[str, Any]


class _Returns:
    """Its steps say why something can't come back; empty where it does, or is there."""

    def __init__(self, absent: Absent, instance: Instance) -> None:
        self._absent, self._instance = absent, instance
        self._former: defaultdict[str, set[str]] = defaultdict(set)
        for each in absent.removed:
            if each.kind == MEMBERSHIP:
                self._former[each.record["group-id"]].add(each.record["user-id"])
        self._changes: list[Change] = []
        self._wanted: dict[str, PermissionSet] = {}
        self._of_people: defaultdict[str, list[str]] = defaultdict(list)
        self._there: set[str] = set()
        self._strangers: set[str] = set()
        #: By the ARN that a set had: the one that it has or will have, and its content.
        self._sets: dict[str, tuple[str | Ref, str]] = {}
        #: By the id that a group had: the one that it has or will have.
        self._group_ids: dict[str, str | Ref] = {}
        #: By the id that a group had: what comes back to it, and the content of the set.
        self._grants: defaultdict[str, list[tuple[Grant, str]]] = defaultdict(list)

    def result(self) -> Returns:
        steps: dict[str, Callable[[Record], str]] = {
            PERMISSION_SET: self._permission_set,
            GROUP: self._group,
            ASSIGNMENT: self._assignment,
            MEMBERSHIP: self._membership,
        }
        kept = [
            Kept(f"{each.kind} {_title(each.kind, each.record)}", f"can't come back: {reason}")
            for kind, step in steps.items()
            for each in self._absent.removed
            if each.kind == kind and (reason := step(each.record))
        ]
        of_people = {user: tuple(keys) for user, keys in self._of_people.items()}
        former = {
            assignment_key(
                each.record["group"], Grant(each.record["account"], each.record["permission-set"])
            ): frozenset(self._former[each.record["group-id"]])
            for each in self._absent.removed
            if each.kind == ASSIGNMENT
        }
        return Returns(
            tuple(self._changes),
            tuple(kept),
            self._wanted,
            of_people,
            frozenset(self._there),
            former,
            frozenset(self._strangers),
        )

    def _permission_set(self, record: Record) -> str:
        arn, wanted = record["permission-set-arn"], permission_set_from(record["settings"])
        key, value = MANAGED_TAG
        if wanted.tags.get(key) != value:
            return NOT_OURS
        known = self._absent.permission_sets.get(arn)
        content = content_of(wanted)
        if known:
            try:
                permission_sets.check_permission_set(wanted, known)
            except IdentityCenterError as error:
                return str(error)
            self._sets[arn] = known.arn, content_of(known.settings)
            if content == content_of(known.settings):
                self._there.add(standing_key(PERMISSION_SET, known.arn))
                return ""
            if known.accounts:
                return f"permission set {wanted.name} exists and gives something else"
        # Nobody holds what an undo that was stopped has left half made.
        calls = permission_sets.permission_set_calls(wanted, known, self._instance, ())
        key = set_key(wanted.name)
        self._sets[arn] = known.arn if known else Ref(f"{key}:{permission_sets.PERMISSION_SET_ARN}"), content
        self._wanted[wanted.name] = wanted
        details = (NEW_ROLE.format(wanted.name), *granted(wanted))
        self._add(key, PERMISSION_SET, record, calls, (), details, administrative(wanted, {}))
        return ""

    def _group(self, record: Record) -> str:
        group_id, name = record["group-id"], record["group"]
        known = self._absent.groups.get(group_id)
        if not record["description"].startswith(MANAGED_GROUP):
            return NOT_OURS
        if known and known.description != record["description"]:
            return "another group has its name"
        if known:
            self._group_ids[group_id] = known.group_id
            self._there.add(standing_key(GROUP, known.group_id))
            return ""
        key = group_key(name)
        self._group_ids[group_id] = Ref(f"{key}:{GROUP_ID}")
        call = group_call(name, record["description"], self._instance)
        self._add(key, GROUP, record, (call,), details=(NEW_GROUP,))
        return ""

    def _assignment(self, record: Record) -> str:
        account, group_id = record["account"], self._group_id(record)
        if group_id is None:
            return NO_GROUP
        arn, content = self._set(record["permission-set-arn"])
        if not content or content != record["content"]:
            return "its permission set is gone, or gives something else than it did"
        known = self._absent.groups.get(record["group-id"])
        if known and Assignment(account, str(arn)) in known.assignments:
            self._there.add(standing_key(ASSIGNMENT, account, str(arn), known.group_id))
            return ""
        joined = sorted(known.members - self._former[record["group-id"]]) if known else []
        if joined:
            self._strangers.update(joined)
            return f"people have joined the group since ({shown(joined)})"
        grant = Grant(account, record["permission-set"])
        self._grants[record["group-id"]].append((grant, content))
        call = assignment_call(account, arn, group_id, self._instance)
        needs = (set_key(grant.permission_set), group_key(record["group"]))
        self._add(assignment_key(record["group"], grant), ASSIGNMENT, record, (call,), needs)
        return ""

    def _membership(self, record: Record) -> str:
        user_id, group_id = record["user-id"], self._group_id(record)
        known = self._absent.groups.get(record["group-id"])
        if user_id not in self._absent.people:
            return "its user is gone"
        if group_id is None:
            return NO_GROUP
        if known and user_id in known.members:
            self._there.add(standing_key(MEMBERSHIP, known.group_id, user_id))
            return ""
        returning = self._grants[record["group-id"]]
        given = {(account, content) for account, content in record["gives"] if content}
        found = {*self._given_by(known), *((grant.account_id, content) for grant, content in returning)}
        if further := sorted({account for account, _ in found - given}):
            return f"its group gives something else than it did, in account {shown(further)}"
        key = f"{MEMBERSHIP} {user_id}/{record['group']}"
        self._of_people[user_id].append(key)
        call = membership_call(group_id, user_id, self._instance)
        needs = [assignment_key(record["group"], grant) for grant, _ in returning]
        details = tuple(f"gains {grant}" for grant, _ in returning)
        self._add(key, MEMBERSHIP, record, (call,), (*needs, group_key(record["group"])), details)
        return ""

    def _group_id(self, record: Record) -> str | Ref | None:
        """That of the group, as far as it is ours and the one that it was, or is made again."""
        group_id: str = record["group-id"]
        known = self._absent.groups.get(group_id)
        if known and known.group_id == group_id:
            return group_id if known.description.startswith(MANAGED_GROUP) else None
        return self._group_ids.get(group_id)

    def _set(self, arn: str) -> tuple[str | Ref, str]:
        known = self._absent.permission_sets.get(arn)
        found = (known.arn, content_of(known.settings)) if known else (arn, "")
        return self._sets.get(arn, found)

    def _given_by(self, group: KnownGroup | None) -> Iterator[tuple[str, str]]:
        for each in group.assignments if group else ():
            known = self._absent.held.get(each.permission_set_arn)
            yield each.account_id, content_of(known.settings if known else None)

    def _add(
        self,
        key: str,
        kind: str,
        record: Record,
        calls: tuple[ApiCall, ...],
        needs: tuple[str, ...] = (),
        details: tuple[str, ...] = (),
        administrative: str = "",
    ) -> None:
        title = _title(kind, record)
        partition = self._instance.arn.split(":")[1]
        subject = Subject(title, f"arn:{partition}:iam::{self._instance.owner}:root", kind=kind)
        action = ASSIGN if kind == ASSIGNMENT else CREATE
        self._changes.append(
            Change(
                key,
                kind,
                action,
                title,
                subject,
                calls,
                needs,
                details=details,
                administrative=administrative,
            )
        )


def _title(kind: str, record: Record) -> str:
    if kind == PERMISSION_SET:
        return str(record["settings"]["name"])
    if kind == ASSIGNMENT:
        return f"{record['group']} -> {record['permission-set']} in account {record['account']}"
    return f"{record['username']} in {record['group']}" if kind == MEMBERSHIP else str(record["group"])
