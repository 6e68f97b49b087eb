# SPDX-License-Identifier: Apache-2.0
"""What the journals show that this package did to one access key. Pure.

The journal line before the call that parks a key is the key's record: it is durable before the call is made, and says
when, by which policy and why, and when the key was last used then. Keys have no tags, and a tag on the user could be
written by anybody with iam:TagUser. Lines about a key have the key's id as their unique id, so they are no part of the
user's history: a quarantine takes a parked key for one that was inactive before, and its release leaves it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import zip_longest
from typing import Any

from c7n_iamusers.execution.calls import BEFORE, ApiCall, Plan, Subject
from c7n_iamusers.execution.journal import OUTCOME
from c7n_iamusers.execution.outcomes import ACTIVATED, DEACTIVATED, RETIRED
from c7n_iamusers.iam.attachments import ACCESS_KEY, ACTIVE, INACTIVE
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.lockout.applied_calls import AppliedCall
from c7n_iamusers.lockout.deny_all import identified_call
from c7n_iamusers.lockout.journal_lines import GIVING_BACK, PARKING, RETIREMENT, history_of
from c7n_iamusers.lockout.lockout_state import SETTLED
from c7n_iamusers.text.times import as_text, moment

#: The note with the unique id of the key's user, which may be renamed.
_OF_USER = "user_id"
_NEVER_ENDING = datetime.max.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Parking:
    """``since``: when the key was set to Inactive (UTC). ``used``: when it was last used by then; None for never.

    ``certain``: whether AWS answered the call. If not, somebody else may have deactivated the key.
    ``seen_active``: when a run saw the key active after that. If it is inactive now, somebody else made it so.
    """

    since: datetime
    policy: str
    reason: str
    used: datetime | None
    certain: bool
    seen_active: datetime | None = None


@dataclass(frozen=True)
class KeyHistory:
    """``parking``: the last one, unless a call of ours ended it. ``changed``: when we last changed the key's
    status, but for a parking without an answer that no outcome tells.

    ``parked``: whether that last change was a parking. If not, and there is a parking, giving it back had no answer.
    ``deleted``: when we deleted the key, by AWS's answer or an outcome.
    """

    parking: Parking | None = None
    changed: datetime | None = None
    parked: bool = False
    deleted: datetime | None = None


def key_history(
    key: Subject,
    lines: Iterable[Mapping[str, Any]],
    made: Iterable[tuple[ApiCall, str]] = (),
    now: datetime | None = None,
) -> KeyHistory:
    """The history of ``key`` by the ``lines`` of journals and the calls ``made`` in this run until ``now``."""
    lines = [*lines]
    before = history_of(key, lines)
    told = [(moment(each.get("time")), each.get("status")) for each in lines if _is_outcome(each, key)]
    calls = (before.with_calls(made, now) if now else before).calls
    switches = [call for call in calls if call.operation == _SWITCH and call.effective]
    found = KeyHistory()
    for call, following in zip_longest(switches, switches[1:]):
        until = following.time if following else _NEVER_ENDING
        status = DEACTIVATED if _parks(call) else ACTIVATED
        found = _after(found, call, any(at and call.time <= at < until and of == status for at, of in told))
    ends = [call.time for call in calls if call.operation == _REMOVAL and call.answered and call.effective]
    ends += [at for at, status in told if at and status == RETIRED]
    found = replace(found, deleted=max(ends, default=None))
    seen, parking = before.active.get(key.unique_id), found.parking
    if seen and parking and seen > parking.since:
        return replace(found, parking=replace(parking, seen_active=seen))
    return found


def with_user(known: KeyHistory, key: Subject, lines: Iterable[Mapping[str, Any]]) -> KeyHistory:
    """``known``, with what ``lines`` about the key's user say: its quarantine was to make an active key inactive, or
    its release to give that back. Each ends the parking of before.
    """
    parking = known.parking
    if parking is None:
        return known
    begun = (line for line in lines if line.get("phase") == BEFORE and line.get("operation") == _SWITCH)
    its = (line for line in begun if (line.get("parameters") or {}).get("AccessKeyId") == key.unique_id)
    switched = (moment(line.get("time")) for line in its if line.get("unique_id") != key.unique_id)
    latest = max((at for at in switched if at and at > parking.since), default=None)
    if latest is None or (parking.seen_active and parking.seen_active >= latest):
        return known
    return replace(known, parking=replace(parking, seen_active=latest))


def contradiction(known: KeyHistory, key_id: str, active: bool, now: datetime) -> dict[str, list[str]]:
    """What a key, read as ``active`` or not, contradicts of what is ``known``: the members of a line of phase LAPSED.

    Empty if it contradicts nothing, or nothing that is not on record. Reads of IAM may be some minutes old.
    """
    parking = known.parking
    if not active or parking is None or parking.seen_active or parking.since > now - SETTLED:
        return {}
    return {"active": [key_id]}


def _is_outcome(line: Mapping[str, Any], key: Subject) -> bool:
    return line.get("phase") == OUTCOME and line.get("unique_id") == key.unique_id


def _parks(call: AppliedCall) -> bool:
    return call.parameters.get("Status") == INACTIVE


def _after(known: KeyHistory, call: AppliedCall, told: bool) -> KeyHistory:
    """``told``: whether an outcome says that ``call`` was applied, as a later run does by the key's state."""
    if _parks(call):
        notes = call.notes
        texts = (str(notes.get("policy", "")), str(notes.get("reason", "")))
        parking = Parking(call.time, *texts, moment(notes.get("used")), call.answered)
        if not (call.answered or told):  # the run was stopped, perhaps before the call: the next one makes it
            return KeyHistory(parking, known.changed, known.parked)
        return KeyHistory(parking, call.time, True)
    # without an answer it may still be parked
    return KeyHistory(None if call.answered or told else known.parking, call.time, False)


def park(user: Subject, use: KeyUse, policy: str, reason: str) -> Plan:
    """The call that parks the key of ``use``. Its journal line is the record."""
    notes = {"for": PARKING, "policy": policy, "reason": reason, "used": as_text(use.at)}
    return _plan(user, use.key_id, _SWITCH, notes, Status=INACTIVE)


def give_back(user: Subject, key_id: str) -> Plan:
    """The call that activates a parked key."""
    return _plan(user, key_id, _SWITCH, {"for": GIVING_BACK}, Status=ACTIVE)


def retire(user: Subject, key_id: str, parking: Parking) -> Plan:
    """The call that deletes a parked key."""
    notes = {"for": RETIREMENT, "since": as_text(parking.since), "used": as_text(parking.used)}
    return _plan(user, key_id, _REMOVAL, notes)


assert ACCESS_KEY.status_change
_SWITCH, _REMOVAL = ACCESS_KEY.status_change.operation, ACCESS_KEY.removals[0].operation


def user_of(line: Mapping[str, Any]) -> str:
    """The unique id of the user on whose key the call of the ``line`` before it is made."""
    notes = line.get("notes")
    return str(notes.get(_OF_USER)) if isinstance(notes, Mapping) else ""


def _plan(user: Subject, key_id: str, operation: str, notes: Mapping[str, Any], **more: Any) -> Plan:
    call = identified_call(operation, {"UserName": user.name, "AccessKeyId": key_id, **more})
    return Plan(user.key(key_id), (replace(call, notes={**notes, _OF_USER: user.unique_id}),))
