# SPDX-License-Identifier: Apache-2.0
"""The objects that runs created and removed: their records in journals and results. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet, duration_seconds
from c7n_iamusers.execution.calls import TRIED
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.requests.intents import permission_set_data
from c7n_iamusers.text.wording import shown


@dataclass(frozen=True, slots=True)
class Created:
    """An object that a run created. ``kind``: one of ``model.KINDS``. ``identifier``: empty if not known.

    ``parameters``: of the call that created it. ``certain``: False if the call had no answer, so it may not exist.
    """

    kind: str
    identifier: str
    parameters: Mapping[str, Any]
    certain: bool = True

    def as_data(self) -> dict[str, Any]:
        """A row of a run's result."""
        data = {"kind": self.kind, "id": self.identifier, "certain": self.certain}
        return {**data, "parameters": dict(self.parameters)}

    @property
    def membership(self) -> MembershipKey:
        """For a membership: the ids of group and user."""
        return self.parameters["GroupId"], self.parameters["MemberId"]["UserId"]

    @property
    def assignment(self) -> tuple[str, model.Assignment]:
        """For an assignment: the id of the group, and what it is assigned."""
        given = self.parameters
        return given["PrincipalId"], model.Assignment(given["TargetId"], given["PermissionSetArn"])

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Created:
        """From a row of a run's result. Raises KeyError."""
        return cls(data["kind"], data["id"], data["parameters"], data["certain"])


@dataclass(frozen=True)
class Removed:
    """An object that a run removed, or may have removed. ``kind``: one of ``model.KINDS``, or ``SETTINGS``.

    ``record``: all that a restoration needs: see ``membership_record`` and the following.
    """

    kind: str
    record: Mapping[str, Any]

    def as_data(self) -> dict[str, Any]:
        """A row of a run's result."""
        return {"kind": self.kind, **self.record}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Removed:
        """From a row of a run's result. Raises KeyError if a key of its kind is missing."""
        kind = data["kind"]
        optional = (key for key in _RECORDED_PERHAPS.get(kind, ()) if key in data)
        return cls(kind, {key: data[key] for key in (*_RECORDED[kind], *optional)})


#: The kind of the record of an existing permission set's former settings, which a run replaced.
SETTINGS = "settings of permission set"
_NAMED = ("group", "group-id")
_RECORDED = {
    model.MEMBERSHIP: (*_NAMED, "id", "user-id", "username", "gives"),
    model.ASSIGNMENT: (*_NAMED, "account", "permission-set", "permission-set-arn", "content"),
    model.GROUP: (*_NAMED, "description"),
    model.PERMISSION_SET: ("permission-set-arn", "settings"),
    SETTINGS: ("permission-set-arn", "settings", "stale", "holders", "members"),
}
#: The user ids of the members of a group that stays without the assignment.
_RECORDED_PERHAPS = {model.ASSIGNMENT: ("members",)}


def membership_of(row: Mapping[str, Any]) -> MembershipKey:
    """The ids of group and user in a row of a result's ``memberships``."""
    return row["group-id"], row["user-id"]


#: Group id and user id.
MembershipKey = tuple[str, str]
#: Group id and what it is assigned.
AssignmentKey = tuple[str, model.Assignment]


@dataclass(frozen=True)
class CreatedUser:
    """A user that a run created. ``attributes``: of DescribeUser. ``groups``: the ids of all its groups.

    ``assignments``: direct ones.
    """

    user_id: str
    attributes: Mapping[str, Any]
    groups: frozenset[str] = frozenset()
    assignments: frozenset[model.Assignment] = frozenset()


@dataclass(frozen=True)
class CreatedSet:
    """A permission set that a run created. ``holders``: (account id, principal id) of all its assignments."""

    known: model.KnownPermissionSet
    holders: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class CreatedState:
    """The current state of ``created`` objects. Groups, users and permission sets have their index in it as key.

    ``memberships``: (group id, user id) -> membership id. ``assignments``: id of each of their groups -> all its
    assignments, with ``model.UNKNOWN_ASSIGNMENT`` if the caller may not list them.
    ``members``: id of each assigned group -> user ids. ``membership_ids``: theirs. ``unmanaged``: ids of groups and
    ARNs of permission sets that are not managed. Assignments that are being created or deleted are among them all;
    ``in_progress`` says which.
    """

    created: tuple[Created, ...]
    groups: Mapping[int, model.KnownGroup] = field(default_factory=dict)
    users: Mapping[int, CreatedUser] = field(default_factory=dict)
    permission_sets: Mapping[int, CreatedSet] = field(default_factory=dict)
    memberships: Mapping[MembershipKey, str] = field(default_factory=dict)
    assignments: Mapping[str, frozenset[model.Assignment]] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unmanaged: frozenset[str] = frozenset()
    in_progress: model.InProgress = field(default_factory=model.InProgress)
    membership_ids: Mapping[MembershipKey, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RemovedState:
    """The current state of objects that a run ``removed``.

    ``groups``: former id -> the group with that id, or else with that name, with members and assignments.
    ``permission_sets``: former ARN -> likewise. ``held``: by ARN, all permission sets of ``groups``. ``people``: ids of
    users that still exist. ``holders``: ARN of a set whose settings were replaced -> account, principal and user ids.
    ``membership_ids``: of these users, in their groups.
    """

    removed: tuple[Removed, ...]
    groups: Mapping[str, model.KnownGroup] = field(default_factory=dict)
    permission_sets: Mapping[str, model.KnownPermissionSet] = field(default_factory=dict)
    held: Mapping[str, model.KnownPermissionSet] = field(default_factory=dict)
    people: frozenset[str] = frozenset()
    in_progress: model.InProgress = field(default_factory=model.InProgress)
    holders: Mapping[str, frozenset[tuple[str, str, str]]] = field(default_factory=dict)
    membership_ids: Mapping[MembershipKey, str] = field(default_factory=dict)


#: The key of the record in the ``notes`` of a call.
RECORD = "removed"


def content_of(settings: PermissionSet | None) -> str:
    """A digest of the permission set's name and all that it grants; empty for None."""
    if settings is None:
        return ""
    seconds = duration_seconds(settings.session_duration)
    given = {**permission_set_data(settings), "session_duration": seconds}
    for words in ("description", "relay_state", "tags"):
        del given[words]
    return sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def grants_of(settings: PermissionSet | None) -> str:
    """``content_of`` without the name: equal for sets that grant the same."""
    return content_of(replace(settings, name="")) if settings else ""


def membership_record(
    group: model.KnownGroup, user_id: str, username: str, gives: list[list[str]]
) -> Removed:
    """``gives``: [account id, ``content_of`` the permission set] of all the group's assignments.

    Its ``id`` distinguishes this membership from others of the same person in the same group.
    """
    named = {"group": group.name, "group-id": group.group_id, "user-id": user_id, "username": username}
    return Removed(model.MEMBERSHIP, {**named, "id": group.memberships[user_id], "gives": gives})


def assignment_record(
    group: model.KnownGroup, each: model.Assignment, set_name: str, content: str, stays: bool = False
) -> Removed:
    """``content``: see ``content_of``. ``stays``: the group stays, with its members, who are recorded, too."""
    named = {"group": group.name, "group-id": group.group_id, "account": each.account_id}
    return Removed(
        model.ASSIGNMENT,
        {
            **named,
            **({"members": sorted(group.members)} if stays else {}),
            "permission-set": set_name,
            "permission-set-arn": each.permission_set_arn,
            "content": content,
        },
    )


def group_record(group: model.KnownGroup) -> Removed:
    """Memberships and assignments are removed before the group, each with its own record."""
    named = {"group": group.name, "group-id": group.group_id, "description": group.description}
    return Removed(model.GROUP, named)


def permission_set_record(known: model.KnownPermissionSet) -> Removed:
    """All settings of the permission set."""
    settings = permission_set_data(known.settings)
    return Removed(model.PERMISSION_SET, {"permission-set-arn": known.arn, "settings": settings})


def settings_record(known: model.KnownPermissionSet, changing: model.CurrentAccess) -> Removed:
    """All settings of a permission set that a run replaces, and whose access that changes.

    ``changing``: see ``model.CenterState``. ``stale``: accounts that had an earlier form. ``holders``: account ids and
    ids of the principals there. ``members``: group id -> user ids.
    """
    held = sorted(
        [account, principal]
        for account, sets in changing.holders.items()
        for _, principal in sets.get(known.arn, ())
    )
    groups = {principal for _, principal in held} & changing.groups.keys()
    members = {group_id: sorted(changing.groups[group_id].members) for group_id in sorted(groups)}
    more = {"stale": sorted(known.stale), "holders": held, "members": members}
    return Removed(SETTINGS, {**permission_set_record(known).record, **more})


def holders_in(record: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Account id and user id of each holder in a ``settings_record``."""
    return frozenset(
        (account, user)
        for account, principal in record["holders"]
        for user in record["members"].get(principal, [principal])
    )


#: Operation -> the kind of object that it creates, and the name under which its id is saved (empty: none).
CREATING = {
    "CreatePermissionSet": (model.PERMISSION_SET, "permission-set"),
    "CreateGroup": (model.GROUP, "group"),
    "CreateAccountAssignment": (model.ASSIGNMENT, ""),
    "CreateUser": (model.USER, "user"),
    "CreateGroupMembership": (model.MEMBERSHIP, "membership"),
}


class CreatedObjects:
    """The objects that the calls of a journal created, in their order.

    A call without an answer, because the process or the connection ended, may have created its object. Objects are kept
    as text: a large run creates some hundred thousand.
    """

    def __init__(self) -> None:
        #: Kind and parameters as JSON -> the id; None while it is uncertain that the object exists.
        self._found: dict[str, str | None] = {}

    def add(self, line: Mapping[str, Any]) -> None:
        """The next line of the journal."""
        if line.get("operation") not in CREATING or line["phase"] == TRIED:
            return
        kind, saved = CREATING[line["operation"]]
        key = json.dumps([kind, line["parameters"]], sort_keys=True)
        if line["phase"] == "before":
            self._found.setdefault(key, None)
        elif line.get("result") == "done":
            self._found[key] = str((line.get("saved") or {}).get(saved, ""))
        elif self._found.get(key, "") is None and line.get("result") not in ("unknown", "interrupted"):
            del self._found[key]

    def __iter__(self) -> Iterator[Created]:
        for key, identifier in self._found.items():
            kind, parameters = json.loads(key)
            yield Created(kind, identifier or "", parameters, identifier is not None)


def created_by(lines: Iterable[Mapping[str, Any]]) -> list[Created]:
    """``CreatedObjects`` of a journal's lines."""
    found = CreatedObjects()
    for line in lines:
        found.add(line)
    return list(found)


class RemovedObjects:
    """The objects that the calls of a journal removed, or may have removed, in their order.

    Objects that the same journal created before are left out.
    """

    def __init__(self) -> None:
        #: Digests: a large run creates some hundred thousand objects.
        self._own: set[bytes] = set()
        self._found: dict[str, Removed] = {}
        self._under_way: dict[str, str] = {}
        #: Identities of SETTINGS: the number of calls in progress, and those that a call has, or may have, changed.
        self._calls: Counter[str] = Counter()
        self._changed: set[str] = set()

    def add(self, line: Mapping[str, Any]) -> None:
        """The next line of the journal."""
        record, result = (line.get("notes") or {}).get(RECORD), str(line.get("result") or "")
        if record or self._under_way:
            key = json.dumps([line.get("operation"), line.get("parameters")], sort_keys=True)
            if record:
                self._begin(key, Removed.from_data(record))
                return
            if self._end(key, result):
                return
        if created := _created_identity(line):
            (self._own.discard if result == "failed" else self._own.add)(_digest(created))

    def _begin(self, key: str, removed: Removed) -> None:
        """The call of ``key`` removes it."""
        identity = _identity(removed)
        if identity.startswith(_CHANGING):
            self._calls[identity] += key not in self._under_way
            self._under_way[key] = identity
        elif identity not in self._found:
            self._under_way[key] = identity
        if _digest(_identity(removed, of_set=True)) not in self._own:
            self._found.setdefault(identity, removed)

    def _end(self, key: str, result: str) -> bool:
        """Whether ``result`` is that of a failed removing call.

        SETTINGS count as changed unless all calls that change them failed.
        """
        identity, failed = self._under_way.get(key, ""), result == "failed"
        takes_back = failed
        if identity.startswith(_CHANGING) and result:
            del self._under_way[key]
            self._calls[identity] -= 1
            self._changed |= set() if failed else {identity}
            takes_back = failed and not (self._calls[identity] or identity in self._changed)
        if takes_back:
            self._found.pop(identity, None)
        return failed and bool(identity)

    def __iter__(self) -> Iterator[Removed]:
        return iter(self._found.values())


def removed_by(lines: Iterable[Mapping[str, Any]]) -> list[Removed]:
    """``RemovedObjects`` of a journal's lines."""
    found = RemovedObjects()
    for line in lines:
        found.add(line)
    return list(found)


def _digest(identity: str) -> bytes:
    return sha256(identity.encode()).digest()[:16]


def _identity(removed: Removed, of_set: bool = False) -> str:
    """``of_set``: for SETTINGS, that of their permission set."""
    ids = ("group-id", "user-id", "account", "permission-set-arn")
    kind = model.PERMISSION_SET if of_set and removed.kind == SETTINGS else removed.kind
    return json.dumps([kind, *(removed.record.get(name, "") for name in ids)])


#: The beginning of the ``_identity`` of SETTINGS. A change takes several calls, and a later failure undoes none.
_CHANGING = json.dumps([SETTINGS])[:-1]


def _created_identity(line: Mapping[str, Any]) -> str:
    """The ``_identity`` of the object that the line's call creates; empty if none, or if its id is still unknown."""
    kind, saved = CREATING.get(str(line.get("operation")), ("", ""))
    given, identifier = line.get("parameters") or {}, (line.get("saved") or {}).get(saved, "")
    records = {
        model.MEMBERSHIP: lambda: {"group-id": given["GroupId"], "user-id": given["MemberId"]["UserId"]},
        model.ASSIGNMENT: lambda: {
            "group-id": given["PrincipalId"],
            "account": given["TargetId"],
            "permission-set-arn": given["PermissionSetArn"],
        },
        model.GROUP: lambda: {"group-id": identifier},
        model.PERMISSION_SET: lambda: {"permission-set-arn": identifier},
    }
    if kind not in records or line.get("result") == "adopted":
        return ""
    record = records[kind]()
    return _identity(Removed(kind, record)) if all(record.values()) else ""


def check_instance(created: Iterable[Created], instance: model.Instance) -> None:
    """Raises ValueError if an object was created in another instance or identity store."""
    own = {"InstanceArn": instance.arn, "IdentityStoreId": instance.identity_store_id}
    others = {
        str(each.parameters[name])
        for each in created
        for name, identifier in own.items()
        if each.parameters.get(name, identifier) != identifier
    }
    if others:
        raise ValueError(f"it belongs to {shown(sorted(others))}, not to {' and '.join(own.values())}")
