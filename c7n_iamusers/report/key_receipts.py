# SPDX-License-Identifier: Apache-2.0
"""The receipt of one deleted access key: what outputs, journals and notices have on record of it. Pure.

It goes by the journals: what only an outcome says is shown as that. What is not on record is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from c7n_iamusers.execution.calls import AFTER, BEFORE
from c7n_iamusers.execution.journal import OUTCOME
from c7n_iamusers.execution.journaled_call import FAILED as REFUSED
from c7n_iamusers.execution.journaled_call import GONE
from c7n_iamusers.execution.outcomes import RETIRED
from c7n_iamusers.lockout.journal_lines import GIVING_BACK, LAPSED, PARKING, RETIREMENT
from c7n_iamusers.report import controls
from c7n_iamusers.report.comparisons import ALONE_IN_WORDS
from c7n_iamusers.report.key_lines import (
    KeyCall,
    KeyRecords,
    key_fault,
    purpose_of,
)
from c7n_iamusers.report.key_notices import announcement_of
from c7n_iamusers.report.receipts import SCHEMA_VERSION, Data, Material, calls_of, notices_of
from c7n_iamusers.report.selected_keys import NEVER
from c7n_iamusers.report.user_history import Event, Line
from c7n_iamusers.text.times import as_text, moment

_DAY = 86_400.0
_CANNOT_COME_BACK = (
    "A deleted access key can't come back: AWS shows a secret key once, when it is created, and a new key has another "
    "id and another secret."
)
_ALONE = "an outcome says that it was deleted, and no journal that was read has a call that may have done it"
#: What ended that a key was inactive, in words.
_SEEN, _GIVEN_BACK = "a run saw it active", "it was given back"
_BY_USER = "a quarantine or release of its user changed it"
_TIME = itemgetter("time")


def key_receipt_of(
    material: Material, files: Sequence[Data], others: Sequence[str], now: datetime
) -> Data | None:
    """The receipt of a key, as JSON types; None if no deletion of it by a policy on keys is on record.

    ``material``: the subject of its history is the key. Its lines are those about the key, and of its user's those that
    switch or delete the key. ``files``: those that tell of the key, and their digests. ``others``: the ids of other
    accounts that tell of a key with this id.
    """
    history, records, against = material.history, KeyRecords(), list[str]()
    for place, lines in material.lines.items():
        for line in lines:
            if line["unique_id"] == history.subject.unique_id and (fault := key_fault(line)):
                against.append(f"a line at {line['time']} in {place} does not count: {fault}")
            else:
                records.read(place, place, line)
    made = [*records.made]
    told = [each for each in history.events if each.what == RETIRED]
    deletion = _deletion_in(made, known=bool(told))
    if deletion is None and not told:
        return None
    calls, notices = calls_of(material), notices_of(material, now)
    parkings = [each for each in made if each.what == PARKING]
    parking = records.parked_for(deletion) if deletion else next(reversed(parkings), None)
    end = deletion.time if deletion else None
    at = parking.time if parking else end or told[-1].time
    rests = (
        announcement_of(material.notices, history.subject.unique_id, at) if material.notices and at else None
    )
    against += [words for _, _, words in records.faults()]
    against += [] if deletion else [_ALONE]
    against += [f"{each} is later than its deletion" for each in made if _is_after(each, deletion)]
    against += [f"account {each} tells of a key with this id, too: AWS gives no id twice" for each in others]
    return {
        "schema_version": SCHEMA_VERSION,
        "generated": as_text(now),
        "key": history.subject.unique_id,
        "user": _user(material, deletion),
        "deletion": _deletion(material, deletion, told, calls),
        "contradictions": against,
        "announced": next((each for each in notices or () if rests and each["file"] == rests.name), None),
        "notices": notices,
        "parking": _parking(material, parking, end, calls) if parking else None,
        "active_since": sorted(_active(material, parking, end, made), key=_TIME) if parking else None,
        "calls": calls,
        "outcomes": [_outcome(material, each) for each in history.events],
        "files": [*files],
        "cannot_come_back": _CANNOT_COME_BACK,
        "outputs": list(history.outputs),
        "not_compared": ALONE_IN_WORDS,
        "controls": _controls(deletion, calls),
    }


def _deletion_in(made: Sequence[KeyCall], *, known: bool) -> KeyCall | None:
    """The call that deleted it: no later one can. One without an answer counts if it is ``known`` from an outcome."""
    found = [each for each in made if each.what == RETIREMENT and (each.certain or known)]
    return min(found, key=lambda each: (not each.certain, each.time), default=None)


def _is_after(call: KeyCall, deletion: KeyCall | None) -> bool:
    """Whether something was done to the key, or it was seen active, after it was deleted."""
    done = deletion if deletion and deletion.certain else None
    return bool(done and call.time > done.time and call.what != RETIREMENT)


def _user(material: Material, deletion: KeyCall | None) -> Data:
    """By the journal, if it has the deletion: a name may change."""
    arn = deletion.arn if deletion else material.history.subject.arn
    notes = (_notes(line) for lines in material.lines.values() for line in lines)
    return {
        "name": arn.rpartition("/")[2],
        "unique_id": next((str(each["user_id"]) for each in notes if each.get("user_id")), None),
        "arn": arn,
        "account": material.history.account,
        "account_name": material.history.account_name,
    }


def _deletion(
    material: Material, deletion: KeyCall | None, told: Sequence[Event], calls: Sequence[Data]
) -> Data:
    place = deletion.place if deletion else told[-1].place
    found = _answer(deletion, calls)
    events = [each for each in told if each.place == place]
    return {
        **found,
        "time": found["time"] or (as_text(told[-1].time) if told else None),
        "why": events[-1].why if events else None,
        "policy": _policy_of(material, place),
        "place": place,
    }


def _parking(material: Material, parking: KeyCall, end: datetime | None, calls: Sequence[Data]) -> Data:
    begun = (
        _notes(line)
        for line in material.lines[parking.place]
        if (line["phase"], moment(line["time"])) == (BEFORE, parking.time)
    )
    notes = next(begun, {})
    return {
        **_answer(parking, calls),
        "policy": str(notes.get("policy") or "") or None,
        "reason": str(notes.get("reason") or "") or None,
        "last_used": as_text(parking.used) or (NEVER if notes.get("used", "") is None else None),
        "days_until_deletion": round((end - parking.time).total_seconds() / _DAY, 1) if end else None,
        "place": parking.place,
    }


def _answer(call: KeyCall | None, calls: Sequence[Data]) -> Data:
    """When a call was answered, or else made; by whom; its result and request id."""
    its = (
        each for each in calls if call and (each["place"], moment(each["time"])) == (call.place, call.time)
    )
    found = next(its, {})
    return {
        "time": found.get("answered") or found.get("time"),
        "by": found.get("caller") or None,
        "result": found.get("result") or None,
        "request_id": found.get("request_id") or None,
    }


def _active(
    material: Material, parking: KeyCall, end: datetime | None, made: Sequence[KeyCall]
) -> Iterator[Data]:
    """What says that the key was active between its parking and its deletion."""
    words = {LAPSED: _SEEN, GIVING_BACK: _GIVEN_BACK}
    found = [(each.time, words[each.what]) for each in made if each.what in words]
    found += [
        (time, _BY_USER)
        for lines in material.lines.values()
        for line in lines
        if line["unique_id"] != parking.key_id
        and line["phase"] == AFTER
        and line.get("result") not in (REFUSED, GONE)
        and purpose_of(line) in (PARKING, GIVING_BACK)
        and (time := moment(line["time"]))
    ]
    for time, what in found:
        if parking.time < time and (end is None or time <= end):
            yield {"time": as_text(time), "what": what}


def _outcome(material: Material, event: Event) -> Data:
    """``in_journal``: whether a line of the journal beside it says the same."""
    lines = material.lines.get(event.place, ())
    said = ((each.get("status"), moment(each.get("time"))) for each in lines if each["phase"] == OUTCOME)
    data = event.as_data()
    shown = {name: data[name] or None for name in ("time", "what", "why", "policy", "place")}
    by = event.by if event.by not in ("", "?") else None
    in_journal = (event.what, event.time) in {*said}
    return {**shown, "by": by if in_journal else None, "in_journal": in_journal}


def _policy_of(material: Material, place: str) -> str | None:
    """The policy whose output is at ``place``."""
    return next((each.policy or None for each in material.history.events if each.place == place), None)


def _notes(line: Line) -> Mapping[str, Any]:
    notes = line.get("notes")
    return notes if isinstance(notes, Mapping) else {}


def _controls(deletion: KeyCall | None, calls: Sequence[Data]) -> Data:
    """As of a user; but its account stays, so it is no evidence for disabling accounts."""
    done = bool(deletion and deletion.certain)
    facts = dict.fromkeys((controls.DELETION, controls.ACCESS_KEYS, controls.CREDENTIALS), done)
    facts[controls.CALLS] = any(each["result"] for each in calls)
    found = {fact: controls.as_data(fact) if on_record else [] for fact, on_record in facts.items()}
    unused = [each for each in found[controls.DELETION] if each["catalog"] == controls.CIS]
    return {**found, controls.DELETION: unused}
