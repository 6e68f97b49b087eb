# SPDX-License-Identifier: Apache-2.0
"""From the lines of a journal to what was created. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from c7n_iamusers.model import access_plan as plan
from c7n_iamusers.model.creations import Created

#: Operation -> what it creates, and under which name its id was saved (empty: it has none).
_CREATING = {
    "CreatePermissionSet": (plan.PERMISSION_SET, "permission-set"),
    "CreateGroup": (plan.GROUP, "group"),
    "CreateAccountAssignment": (plan.ASSIGNMENT, ""),
    "CreateUser": (plan.USER, "user"),
    "CreateGroupMembership": (plan.MEMBERSHIP, "membership"),
}
#: Failures that leave open whether the call was made.
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


_NONE = Created("", "", {})


def _is_open(line: Mapping[str, Any]) -> bool:
    return line.get("result") == "failed" and str(line.get("code", "")).startswith(_OPEN)
