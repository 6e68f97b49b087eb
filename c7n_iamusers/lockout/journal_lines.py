# SPDX-License-Identifier: Apache-2.0
"""What the lines of journals say of one user: its history, its last deletion. Pure.

A run writes a journal line right before each call, and a second line after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journaled_call import FAILED, GONE
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, INACTIVE, SWITCHABLE_KINDS
from c7n_iamusers.lockout.applied_calls import BEGINNING, UNANSWERED, AppliedCall, CallHistory, is_restoration
from c7n_iamusers.lockout.deny_all import PUT_BACK
from c7n_iamusers.lockout.quarantine_record import QUARANTINE_TAG, QuarantineRecord
from c7n_iamusers.text.times import moment

_GIVING = frozenset(kind.restoration.operation for kind in ATTACHMENT_KINDS if kind.restoration)
#: The phase of a line that holds a quarantine's record.
QUARANTINE = "quarantine"
#: The phase of a line that says what a run saw of a user that contradicts its record. Its members: ``gone``, forms of
#: our Deny-all that are not on it any more; ``active``, ids of credentials that we had deactivated.
LAPSED = "lapsed"
#: What a call on an access key is made for: the note ``for`` of its journal line.
PARKING, GIVING_BACK, RETIREMENT = "parking", "giving-back", "retirement"


def history_of(subject: Subject, lines: Iterable[Mapping[str, Any]]) -> CallHistory:
    """The history of ``subject`` by the ``lines`` of journals.

    A call without a line after it may have been applied, so it counts.
    """
    mine = [line for line in lines if line.get("unique_id") == subject.unique_id]
    calls = tuple(sorted(_applied_calls(mine), key=lambda call: call.time))
    # A run that finds, right before its first call, that another one was faster, has written a record all the same.
    recorded = [line for line in mine if line.get("phase") == QUARANTINE and _is_begun(line, calls)]
    latest = max(recorded, key=lambda line: moment(line.get("time")) or BEGINNING, default=None)
    record = latest.get("record") if latest else None
    quarantine = QuarantineRecord.from_data(record) if isinstance(record, Mapping) else None
    gone, active = (_last_seen(mine, member) for member in ("gone", "active"))
    return CallHistory(
        calls, quarantine, restored_at(subject.unique_id, mine, calls), gone, active, _uploaded(mine)
    )


def _uploaded(lines: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    """The ids of the credentials that restorations gave -> when."""
    uploads = {kind.restoration.operation for kind in SWITCHABLE_KINDS if kind.restoration}
    return {
        str(identity): moment(line.get("time")) or BEGINNING
        for line in lines
        if line.get("phase") == "after" and line.get("operation") in uploads
        for identity in (line.get("saved") or {}).values()
    }


def _last_seen(lines: Iterable[Mapping[str, Any]], member: str) -> dict[str, datetime]:
    """Each item in the ``member`` of lines of phase LAPSED -> when it was named last."""
    seen: dict[str, datetime] = {}
    for line in (line for line in lines if line.get("phase") == LAPSED):
        time = moment(line.get("time")) or BEGINNING
        seen |= {name: max(time, seen.get(name, time)) for name in map(str, line.get(member) or ())}
    return seen


def last_deletion(lines: Iterable[Mapping[str, Any]]) -> datetime | None:
    """When a user was deleted for the last time according to ``lines``; None if none was."""
    times = [moment(line.get("time")) for line in lines if _tells_deletion(line)]
    return max((time for time in times if time), default=None)


def _is_begun(record: Mapping[str, Any], calls: Iterable[AppliedCall]) -> bool:
    """Whether a call of the quarantine that the line ``record`` announces was made, or may have been."""
    since = moment(record.get("time")) or BEGINNING
    return any(call.time >= since and _quarantines(call) for call in calls)


def _quarantines(call: AppliedCall) -> bool:
    tagged = any(tag.get("Key") == QUARANTINE_TAG for tag in call.parameters.get("Tags") or ())
    put = call.notes.get("for") == QUARANTINE and not call.notes.get(PUT_BACK)
    return put or call.parameters.get("Status") == INACTIVE or tagged


def _tells_deletion(line: Mapping[str, Any]) -> bool:
    if line.get("phase") == "outcome":
        return line.get("status") == "deleted"
    return (line.get("phase"), line.get("operation"), line.get("result")) == ("after", "DeleteUser", "done")


def restored_at(
    unique_id: str, lines: Iterable[Mapping[str, Any]], calls: Iterable[AppliedCall]
) -> datetime | None:
    """When a restoration of the existing user ended, by ``lines``; None if none did.

    It counts only if one of its ``calls`` follows the last removal: a line alone gives nothing back, and would hide
    what the user lacks.
    """
    calls, outcomes = [*calls], (line for line in lines if line.get("phase") == "outcome")
    ended = (line for line in outcomes if line.get("status") == "restored")
    times = [moment(line.get("time")) for line in ended if unique_id in (line.get("made") or ())]
    return max((time for time in times if time and _gave_back(calls, time)), default=None)


def _gave_back(calls: Sequence[AppliedCall], until: datetime) -> bool:
    """Whether nothing was removed ``until`` then, or a restoration made a call after that."""
    before = [call for call in calls if call.time <= until]
    removed = max((call.time for call in before if call.removed and "for" not in call.notes), default=None)
    return removed is None or any(_gives(call) and call.time >= removed for call in before)


def _gives(call: AppliedCall) -> bool:
    """Whether a restoration made the call: nothing else puts anything on a user without a note ``for``."""
    return is_restoration(call) or (call.operation in _GIVING and "for" not in call.notes)


def _applied_calls(lines: Iterable[Mapping[str, Any]]) -> Iterator[AppliedCall]:
    begun: dict[str, AppliedCall] = {}
    for line in lines:
        parameters = line.get("parameters")
        if line.get("phase") not in ("before", "after") or not isinstance(parameters, Mapping):
            continue
        key = f"{line.get('operation')} {sorted(parameters.items())}"
        if line["phase"] == "before":
            if key in begun:
                yield begun[key]
            notes = line.get("notes")
            time = moment(line.get("time")) or BEGINNING
            given = notes if isinstance(notes, Mapping) else {}
            begun[key] = AppliedCall(time, str(line.get("operation")), parameters, given, answered=False)
        elif (call := begun.pop(key, None)) and line.get("result") != FAILED:
            result = line.get("result")
            yield replace(call, effective=result != GONE, answered=result not in UNANSWERED)
    yield from begun.values()
