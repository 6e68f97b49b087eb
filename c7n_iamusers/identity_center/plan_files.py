# SPDX-License-Identifier: Apache-2.0
"""A plan as a file that is reviewed, and the check that what is applied is what was read.

Ids are left out: they are not known of what is yet to be created, and names say the same. So a run that was stopped
is carried on by the plan that it was begun with, of which less is left to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.model import ASSIGN, AWAIT, AccessPlan, Change, Choices, Instance
from c7n_iamusers.text.json_pieces import json_pieces
from c7n_iamusers.text.wording import shown

_SCHEMA = 1


@dataclass(frozen=True)
class Papers:
    """``out``: where to write the plan. ``reviewed``, ``digest``: the plan that alone is to be applied."""

    out: Path | None = None
    reviewed: Path | None = None
    digest: str = ""


_IDS = frozenset({"PermissionSetArn", "PrincipalId", "GroupId", "MemberId", "MembershipId", "ResourceArn"})


def write_plan(path: Path, plan: AccessPlan, instance: Instance, choices: Choices) -> str:
    """Write ``plan`` for a review; the SHA-256 of the file, in hex. Raises OSError."""
    data = {
        "schema": _SCHEMA,
        "instance": instance.arn,
        "choices": asdict(choices),
        "changes": _changes(plan),
        "totals": (asdict(each) for each in plan.totals),
        "strangers": (asdict(each) for each in plan.strangers),
        "refused": ({"user": str(each.subject), "reason": each.reason} for each in plan.refused),
    }
    digest = hashlib.sha256()

    def content() -> Iterator[bytes]:
        for piece in json_pieces(data, sort_keys=True):
            digest.update(piece)
            yield piece

    DirectoryStore(path.parent).stream(path.name, content())
    return digest.hexdigest()


def read_plan(path: Path, digest: str, instance: Instance, choices: Choices) -> list[dict[str, Any]]:
    """The changes of the plan that was reviewed.

    ``digest``: the SHA-256 of what was read, in hex. Raises IdentityCenterError where the file is another one, or is
    of another instance or other options.
    """
    try:
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != digest.lower():
            raise _unusable(
                path, f"its SHA-256 is {found}, not that of --plan-sha256: it was changed since the review"
            )
        data = json.loads(content)
        known, given = (
            (data["schema"], data["instance"], data["choices"]),
            (_SCHEMA, instance.arn, asdict(choices)),
        )
        changes: list[dict[str, Any]] = data["changes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(path, f"it can't be read as a plan: {type(error).__name__}: {error}") from error
    if known != given:
        raise _unusable(path, f"it is of {known}, and this run is of {given}: give the same options and role")
    return changes


def check_reviewed(path: Path, reviewed: list[dict[str, Any]], plan: AccessPlan) -> None:
    """Raises IdentityCenterError, naming what differs, where ``plan`` does anything that was not reviewed."""
    known = {json.dumps(each, sort_keys=True) for each in reviewed}
    new = [each for each in _changes(plan) if json.dumps(each, sort_keys=True) not in known]
    if new:
        keys = {each["key"] for each in reviewed}
        told = [f"{each['key']} ({'otherwise' if each['key'] in keys else 'not in it'})" for each in new]
        raise _unusable(path, f"what is to be done now is other than what was reviewed: {shown(told)}")


def _changes(plan: AccessPlan) -> Iterator[dict[str, Any]]:
    return (_change(each) for each in plan.work)


def _change(change: Change) -> dict[str, Any]:
    return {
        "key": change.key,
        "kind": change.kind,
        # What an earlier run has asked for is the same assignment.
        "action": ASSIGN if change.action == AWAIT else change.action,
        "name": change.name,
        "administrative": change.administrative,
        "details": list(change.details),
        "calls": [_call(each) for each in change.calls],
    }


def _call(call: ApiCall) -> dict[str, Any]:
    given: Mapping[str, Any] = call.parameters
    told = {key: value for key, value in given.items() if key not in _IDS}
    return {"operation": f"{call.service}:{call.operation}", "parameters": told}


def _unusable(path: Path, why: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"the reviewed plan {path} can't be applied: {why}. Nothing was touched: make one by --dry-run --plan-out "
        "FILE, have it reviewed, and give it as --plan FILE --plan-sha256 SHA"
    )
