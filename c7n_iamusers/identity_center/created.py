# SPDX-License-Identifier: Apache-2.0
"""What runs created and removed, by their journals, and the calls that remove. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from c7n_iamusers.derivation.permission_set import PermissionSet, duration_seconds
from c7n_iamusers.execution.calls import ApiCall, Ref, Wait
from c7n_iamusers.identity_center.intents import permission_set_data
from c7n_iamusers.identity_center.model import (
    ASSIGNMENT,
    GROUP,
    MEMBERSHIP,
    PERMISSION_SET,
    USER,
    Assignment,
    Change,
    Instance,
    KnownGroup,
    KnownPermissionSet,
)


@dataclass(frozen=True, slots=True)
class Created:
    """One object. ``kind``: as in ``model.access_plan``. ``identifier``: its id, empty where it is not known.

    ``parameters``: those of the call that made it. ``certain``: False where no answer to the call came, so that it
    may not exist.
    """

    kind: str
    identifier: str
    parameters: Mapping[str, Any]
    certain: bool = True

    def as_data(self) -> dict[str, Any]:
        """For the result of a run."""
        told = {"kind": self.kind, "id": self.identifier, "certain": self.certain}
        return {**told, "parameters": dict(self.parameters)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Created:
        """The same from there. Raises KeyError."""
        return cls(data["kind"], data["id"], data["parameters"], data["certain"])


@dataclass(frozen=True)
class Removed:
    """One object that a run removed, or may have. ``kind``: as in ``model.access_plan``.

    ``record``: what it was, with all that it takes to bring it back: see ``decisions.removals``.
    """

    kind: str
    record: Mapping[str, Any]

    def as_data(self) -> dict[str, Any]:
        """For the result of a run."""
        return {"kind": self.kind, **self.record}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Removed:
        """The same from there. Raises KeyError where it lacks what its kind must have."""
        return cls(data["kind"], {key: data[key] for key in _RECORDED[data["kind"]]})


_NAMED = ("group", "group-id")
_RECORDED = {
    MEMBERSHIP: (*_NAMED, "user-id", "username", "gives"),
    ASSIGNMENT: (*_NAMED, "account", "permission-set", "permission-set-arn", "content"),
    GROUP: (*_NAMED, "description"),
    PERMISSION_SET: ("permission-set-arn", "settings"),
}


DELETE = "delete"
#: Group id and user id.
MembershipKey = tuple[str, str]


@dataclass(frozen=True)
class StandingUser:
    """A user that a run created. ``attributes``: as DescribeUser gives them. ``groups``: ids of all its groups.

    ``assignments``: those that it has directly.
    """

    user_id: str
    attributes: Mapping[str, Any]
    groups: frozenset[str] = frozenset()
    assignments: frozenset[Assignment] = frozenset()


@dataclass(frozen=True)
class StandingSet:
    """A permission set that a run created. ``holders``: (account id, principal id) of all its assignments."""

    known: KnownPermissionSet
    holders: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Standing:
    """What of ``created`` exists: by its place in that list, save for memberships and assignments.

    ``memberships``: (group id, user id) -> membership id. ``assignments``: group id -> what the group has; ``members``:
    of the groups of ours among them, user ids. ``foreign``: ids of groups and ARNs of sets that lack the mark of ours.
    """

    created: tuple[Created, ...]
    groups: Mapping[int, KnownGroup] = field(default_factory=dict)
    users: Mapping[int, StandingUser] = field(default_factory=dict)
    permission_sets: Mapping[int, StandingSet] = field(default_factory=dict)
    memberships: Mapping[MembershipKey, str] = field(default_factory=dict)
    assignments: Mapping[str, frozenset[Assignment]] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Absent:
    """What stands now in the place of what a run ``removed``.

    ``groups``: by the id that the group had: that group, or the one that has its name now, with its members and
    assignments. ``permission_sets``: by the ARN that the set had, likewise. ``held``: by ARN, all that ``groups``
    hold. ``people``: ids of the users that are there still.
    """

    removed: tuple[Removed, ...]
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    permission_sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    held: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    people: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Kept:
    """Something that a run created and that stays, or that it removed and that stays away, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class UndoPlan:
    """``changes`` in an order in which they can be made."""

    changes: tuple[Change, ...]
    kept: tuple[Kept, ...]


#: Under which key of a call's ``notes`` the record stands.
RECORD = "removed"
_GONE = frozenset({"ResourceNotFoundException"})
_STATUS = "AccountAssignmentDeletionStatus"


def content_of(settings: PermissionSet | None) -> str:
    """A digest of the set's name and of all that it gives; empty for a set that is not known."""
    if settings is None:
        return ""
    seconds = duration_seconds(settings.session_duration)
    given = {**permission_set_data(settings), "session_duration": seconds}
    for words in ("description", "relay_state", "tags"):
        del given[words]
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def membership_record(group: KnownGroup, user_id: str, username: str, gives: list[list[str]]) -> Removed:
    """``gives``: [account id, ``content_of`` a set] of everything that the group gives."""
    named = {"group": group.name, "group-id": group.group_id, "user-id": user_id, "username": username}
    return Removed(MEMBERSHIP, {**named, "gives": gives})


def assignment_record(group: KnownGroup, each: Assignment, set_name: str, content: str) -> Removed:
    """``content``: see ``content_of``."""
    named = {"group": group.name, "group-id": group.group_id, "account": each.account_id}
    return Removed(
        ASSIGNMENT,
        {
            **named,
            "permission-set": set_name,
            "permission-set-arn": each.permission_set_arn,
            "content": content,
        },
    )


def group_record(group: KnownGroup) -> Removed:
    """Its name and description; members and assignments are removed before it, each with a record."""
    named = {"group": group.name, "group-id": group.group_id, "description": group.description}
    return Removed(GROUP, named)


def permission_set_record(known: KnownPermissionSet) -> Removed:
    """All that the set is."""
    settings = permission_set_data(known.settings)
    return Removed(PERMISSION_SET, {"permission-set-arn": known.arn, "settings": settings})


def membership_removal(membership_id: str, instance: Instance, record: Removed | None = None) -> ApiCall:
    """The end of a membership: the person's access through the group ends at once."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "MembershipId": membership_id}
    return ApiCall("identitystore", "DeleteGroupMembership", parameters, _GONE, notes=_notes(record))


def assignment_removal(
    group_id: str, assignment: Assignment, instance: Instance, record: Removed | None = None
) -> ApiCall:
    """The end of a group's assignment, to be seen through to SUCCEEDED."""
    parameters = {
        "InstanceArn": instance.arn,
        "TargetId": assignment.account_id,
        "TargetType": "AWS_ACCOUNT",
        "PermissionSetArn": assignment.permission_set_arn,
        "PrincipalType": "GROUP",
        "PrincipalId": group_id,
    }
    wait = Wait(
        "DescribeAccountAssignmentDeletionStatus",
        {"InstanceArn": instance.arn, "AccountAssignmentDeletionRequestId": Ref("request")},
        (_STATUS, "Status"),
        (_STATUS, "FailureReason"),
    )
    save = {"request": (_STATUS, "RequestId")}
    operation = "DeleteAccountAssignment"
    return ApiCall("sso-admin", operation, parameters, _GONE, save, wait, notes=_notes(record))


def group_removal(group_id: str, instance: Instance, record: Removed | None = None) -> ApiCall:
    """The end of a group."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "GroupId": group_id}
    return ApiCall("identitystore", "DeleteGroup", parameters, _GONE, notes=_notes(record))


def permission_set_removal(arn: str, instance: Instance, record: Removed | None = None) -> ApiCall:
    """The end of a permission set that nobody holds."""
    parameters = {"InstanceArn": instance.arn, "PermissionSetArn": arn}
    return ApiCall("sso-admin", "DeletePermissionSet", parameters, _GONE, notes=_notes(record))


def user_removal(user_id: str, instance: Instance) -> ApiCall:
    """The end of an Identity Center user."""
    parameters = {"IdentityStoreId": instance.identity_store_id, "UserId": user_id}
    return ApiCall("identitystore", "DeleteUser", parameters, _GONE)


def _notes(record: Removed | None) -> Mapping[str, Any]:
    return {RECORD: record.as_data()} if record else {}


#: Operation -> what it creates, and under which name its id was saved (empty: it has none).
CREATING = {
    "CreatePermissionSet": (PERMISSION_SET, "permission-set"),
    "CreateGroup": (GROUP, "group"),
    "CreateAccountAssignment": (ASSIGNMENT, ""),
    "CreateUser": (USER, "user"),
    "CreateGroupMembership": (MEMBERSHIP, "membership"),
}
#: Codes of failures that leave open whether the call was made, in journals that do not call it unknown.
_OPEN = ("Timeout", "Internal", "Service", "HTTPClient", "Connection", "Read", "Endpoint")


def created_by(lines: Iterable[Mapping[str, Any]]) -> list[Created]:
    """What the calls of a journal created, in the order in which they were made, each once.

    A call without an answer, because the process died or the connection broke, may have created something.
    """
    found: dict[bytes, Created] = {}
    for line in lines:
        if line.get("operation") not in CREATING:
            continue
        kind, saved = CREATING[line["operation"]]
        call = f"{kind} {json.dumps(line['parameters'], sort_keys=True)}"
        key = sha256(call.encode()).digest()
        if line["phase"] == "before":
            found.setdefault(key, Created(kind, "", line["parameters"], certain=False))
        elif line.get("result") == "done":
            identifier = str((line.get("saved") or {}).get(saved, ""))
            found[key] = Created(kind, identifier, line["parameters"])
        elif not found.get(key, _NONE).certain and not _is_open(line):
            found.pop(key, None)
    return list(found.values())


def removed_by(lines: Iterable[Mapping[str, Any]]) -> list[Removed]:
    """What the calls of a journal removed, or may have, in the order in which they were made, each once.

    Left out is what the same journal had created before: before it, nobody had it.
    """
    own: set[str] = set()
    found: dict[str, Removed] = {}
    under_way: dict[str, str] = {}
    for line in lines:
        key = json.dumps([line.get("operation"), line.get("parameters")], sort_keys=True)
        record, failed = (line.get("notes") or {}).get(RECORD), _has_failed(line)
        if record:
            removed = Removed.from_data(record)
            under_way[key] = identity = _identity(removed)
            if identity not in own:
                found.setdefault(identity, removed)
        elif key in under_way and failed:
            found.pop(under_way[key], None)
        elif created := _created_identity(line):
            (own.discard if failed else own.add)(created)
    return list(found.values())


def _identity(removed: Removed) -> str:
    ids = ("group-id", "user-id", "account", "permission-set-arn")
    return json.dumps([removed.kind, *(removed.record.get(name, "") for name in ids)])


def _created_identity(line: Mapping[str, Any]) -> str:
    """The ``_identity`` of what the line's call creates; empty where it creates nothing, or no id is known yet."""
    kind, saved = CREATING.get(str(line.get("operation")), ("", ""))
    given, identifier = line.get("parameters") or {}, (line.get("saved") or {}).get(saved, "")
    records = {
        MEMBERSHIP: lambda: {"group-id": given["GroupId"], "user-id": given["MemberId"]["UserId"]},
        ASSIGNMENT: lambda: {
            "group-id": given["PrincipalId"],
            "account": given["TargetId"],
            "permission-set-arn": given["PermissionSetArn"],
        },
        GROUP: lambda: {"group-id": identifier},
        PERMISSION_SET: lambda: {"permission-set-arn": identifier},
    }
    if kind not in records or line.get("result") == "adopted":
        return ""
    record = records[kind]()
    return _identity(Removed(kind, record)) if all(record.values()) else ""


def _has_failed(line: Mapping[str, Any]) -> bool:
    return line.get("result") == "failed" and not _is_open(line)


_NONE = Created("", "", {})


def _is_open(line: Mapping[str, Any]) -> bool:
    failed = line.get("result") == "failed"
    return line.get("result") in ("unknown", "interrupted") or (
        failed and str(line.get("code", "")).startswith(_OPEN)
    )
