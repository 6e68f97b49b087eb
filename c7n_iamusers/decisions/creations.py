# SPDX-License-Identifier: Apache-2.0
"""From the lines of a journal to what was created and removed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from c7n_iamusers.decisions.removals import RECORD
from c7n_iamusers.model import access_plan as plan
from c7n_iamusers.model.creations import Created, Removed

#: Operation -> what it creates, and under which name its id was saved (empty: it has none).
_CREATING = {
    "CreatePermissionSet": (plan.PERMISSION_SET, "permission-set"),
    "CreateGroup": (plan.GROUP, "group"),
    "CreateAccountAssignment": (plan.ASSIGNMENT, ""),
    "CreateUser": (plan.USER, "user"),
    "CreateGroupMembership": (plan.MEMBERSHIP, "membership"),
}
#: Codes of failures that leave open whether the call was made, in journals that do not call it unknown.
_OPEN = ("Timeout", "Internal", "Service", "HTTPClient", "Connection", "Read", "Endpoint")


def created_by(lines: Iterable[Mapping[str, Any]]) -> list[Created]:
    """What the calls of a journal created, in the order in which they were made, each once.

    A call without an answer, because the process died or the connection broke, may have created something.
    """
    found: dict[bytes, Created] = {}
    for line in lines:
        if line.get("operation") not in _CREATING:
            continue
        kind, saved = _CREATING[line["operation"]]
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
    kind, saved = _CREATING.get(str(line.get("operation")), ("", ""))
    given, identifier = line.get("parameters") or {}, (line.get("saved") or {}).get(saved, "")
    records = {
        plan.MEMBERSHIP: lambda: {"group-id": given["GroupId"], "user-id": given["MemberId"]["UserId"]},
        plan.ASSIGNMENT: lambda: {
            "group-id": given["PrincipalId"],
            "account": given["TargetId"],
            "permission-set-arn": given["PermissionSetArn"],
        },
        plan.GROUP: lambda: {"group-id": identifier},
        plan.PERMISSION_SET: lambda: {"permission-set-arn": identifier},
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
