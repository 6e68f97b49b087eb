# SPDX-License-Identifier: Apache-2.0
"""What makes a user the one that was reviewed or recorded: who it is and what it holds. Pure.

Not in it: last-use times, and what our own work left on the user, quarantine above all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from c7n_iamusers.model.attachment_rows import ACTIVE, INACTIVE
from c7n_iamusers.model.attachments import ATTACHMENT_KINDS
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.snapshot import Snapshot

#: Kind -> canonical JSON of each item's state; the same for a user read live and for its snapshot.
State = dict[str, list[str]]


def state_of(attachments: Mapping[str, Iterable[Item]], deactivated: Iterable[str] = ()) -> State:
    """The state of what is attached. ``deactivated``: ids of credentials that a quarantine switched off.

    Raises KeyError where a kind was not read: no state rests on partial knowledge.
    """
    ours = frozenset(deactivated)
    kinds = (kind for kind in ATTACHMENT_KINDS if attachments[kind.name] or not kind.later)
    return {
        kind.name: sorted(
            _canonical(_as_before(item, item.get(kind.identifier) in ours, kind.state))
            for item in attachments[kind.name]
        )
        for kind in kinds
    }


def fingerprint(user: IamUser, deactivated: Iterable[str] = ()) -> str:
    """The SHA-256, in hex, of who ``user`` is and of its state. Raises KeyError where a kind was not read."""
    who = {"UserName": user.name, "UserId": user.unique_id, "Arn": user.arn, "Path": user.path}
    whole = _canonical({"user": who, "state": state_of(user.attachments, deactivated)})
    return hashlib.sha256(whole.encode()).hexdigest()


def tampering(snapshot: Snapshot) -> str | None:
    """Why ``snapshot`` is not what a run wrote, by its own fingerprint; None where nothing speaks against it."""
    subject = snapshot.user.subject
    if fingerprint(snapshot.user, snapshot.deactivated) != snapshot.fingerprint:
        return (
            "its content does not match its fingerprint: it was changed since it was taken, and is not used"
        )
    if subject.arn.rpartition("/")[2] != subject.name or ":user/" not in subject.arn:
        return f"its ARN {subject.arn} is not one of a user {subject.name}: it was changed, and is not used"
    return None


def covers(earlier: State, state: State) -> bool:
    """True where everything in ``state`` stands in ``earlier`` too."""
    return all(set(found) <= set(earlier.get(kind, ())) for kind, found in state.items())


def is_covered(snapshot: Snapshot, earlier: Iterable[Snapshot]) -> bool:
    """True where one of the ``earlier`` snapshots of the same user holds all of ``snapshot``."""
    state = state_of(snapshot.user.attachments, snapshot.deactivated)
    return any(
        each.user.path == snapshot.user.path
        and covers(state_of(each.user.attachments, each.deactivated), state)
        for each in earlier
    )


def _as_before(item: Item, ours: bool, members: Iterable[str]) -> dict[str, Any]:
    state = {member: item[member] for member in members if member in item}
    if ours and state.get("Status") == INACTIVE:
        state["Status"] = ACTIVE
    return state


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_as_text, ensure_ascii=False)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
