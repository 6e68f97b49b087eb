# SPDX-License-Identifier: Apache-2.0
"""Whether the lines of journals about one access key agree with each other. Pure.

The line before the call that parks a key is its record. What gives the key back, or deletes it, rests on that line,
which may be another output's. See ``key_retirement.key_history``, which writes them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import ClassVar

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED, is_key_id
from c7n_iamusers.execution.journal import OUTCOME
from c7n_iamusers.execution.journaled_call import ADOPTED, DONE, GONE
from c7n_iamusers.execution.journaled_call import FAILED as REFUSED
from c7n_iamusers.execution.outcomes import ACTIVATED, DEACTIVATED, FAILED, RETIRED, SKIPPED, UNCHANGED
from c7n_iamusers.iam.attachments import ACCESS_KEY, ACTIVE, INACTIVE
from c7n_iamusers.lockout.journal_lines import GIVING_BACK, LAPSED, PARKING, RETIREMENT
from c7n_iamusers.report.checks import BLOCKING
from c7n_iamusers.report.derived_status import Line, Since
from c7n_iamusers.report.journal_calls import IAM, time_of, who_in
from c7n_iamusers.text.times import moment

assert ACCESS_KEY.status_change
_SWITCH, _REMOVAL = ACCESS_KEY.status_change.operation, ACCESS_KEY.removals[0].operation
#: What a call does -> the status of a key to which that was done, and the notes of its line beside ``for``.
_STATUS = {PARKING: DEACTIVATED, GIVING_BACK: ACTIVATED, RETIREMENT: RETIRED}
_NOTES = {PARKING: ("policy", "reason", "used"), GIVING_BACK: (), RETIREMENT: ("since", "used")}
_PURPOSE = {(_SWITCH, INACTIVE): PARKING, (_SWITCH, ACTIVE): GIVING_BACK, (_REMOVAL, ""): RETIREMENT}
_PHASES = frozenset({BEFORE, TRIED, AFTER, OUTCOME, LAPSED})
_ELSEWHERE = "give all outputs; or it was changed"
_TIME = attrgetter("time")


def purpose_of(line: Line) -> str:
    """What the call of ``line`` does to an access key; empty if no run makes such a call on one."""
    parameters = line.get("parameters") or {}
    return _PURPOSE.get((str(line.get("operation")), str(parameters.get("Status") or "")), "")


@dataclass
class KeySince(Since):
    """What the lines say of an access key since its last outcome. ``doing``: what its last call does to it."""

    doing: str = ""

    statuses: ClassVar[frozenset[str]] = frozenset(_STATUS.values()) | {SKIPPED, FAILED, UNCHANGED}
    resting: ClassVar[frozenset[str]] = frozenset(_STATUS.values())

    @property
    def status(self) -> str:
        """The status in CHANGED that the last call has, or may have where its result is not known; empty for none.

        A key that was gone when it was to be deleted is deleted, and one that was gone when it was switched is not.
        """
        done = self.end != REFUSED and (self.end != GONE or self.doing == RETIREMENT)
        return _STATUS.get(self.doing, "") if done else ""

    def call(self, line: Line) -> None:
        """Take a line before or after a call of IAM."""
        super().call(line)
        self.doing = purpose_of(line)

    def may_leave(self, code: str) -> bool:
        """Whether the key may be left alone, or be as it was, after the calls."""
        return code == reasons.GONE_MEANWHILE.code or not {DONE, ADOPTED} & {each for _, each in self.ended}


def key_fault(line: Line) -> str:
    """Why no run writes such a line about an access key, whatever else the journal has; empty if one may."""
    key_id, phase = str(line["unique_id"]), line["phase"]
    if phase not in _PHASES:
        return "no run writes such a line about an access key"
    if phase == LAPSED:
        seen = {"active": line.get("active")} | ({"gone": line["gone"]} if "gone" in line else {})
        return "" if seen == {"active": [key_id]} else f"it is about the key {key_id}, and says {seen}"
    if phase == OUTCOME or line.get("service") != IAM:
        return ""
    parameters = line.get("parameters") or {}
    if (of := parameters.get("AccessKeyId")) != key_id:
        return f"its call is of the key {of}, and it is about {key_id}"
    if not (what := purpose_of(line)):
        return "no run makes such a call on an access key"
    return _notes_fault(what, line) if phase == BEFORE else ""


def _notes_fault(what: str, line: Line) -> str:
    notes = line.get("notes")
    notes = notes if isinstance(notes, Mapping) else {}
    if notes.get("for") != what:
        return f"its call is for {notes.get('for') or 'nothing'} by its notes, and does the {what}"
    if missing := next((name for name in _NOTES[what] if name not in notes), ""):
        return f"its notes lack {missing}"
    made, since = time_of(line["time"]), moment(notes.get("since"))
    if what == RETIREMENT and (since is None or (made and since > made)):
        return f"its key was parked at {notes.get('since')} by its notes, which is no time before it"
    return ""


@dataclass(frozen=True)
class KeyCall:
    """A call on the key of ``arn``, which AWS did not refuse, or a line that the key was seen active.

    ``place``: of its journal. ``output``: of the output. ``what``: PARKING, GIVING_BACK, RETIREMENT or LAPSED.
    ``certain``: whether AWS answered that it did it. ``since``, ``used``: as its notes have them.
    """

    place: str
    output: str
    arn: str
    key_id: str
    time: datetime
    what: str
    certain: bool = False
    since: datetime | None = None
    used: datetime | None = None

    @property
    def who(self) -> str:
        """The key in its account; see ``who_in``."""
        return who_in(self.arn, self.key_id)

    def __str__(self) -> str:
        return f"the {self.what} of access key {self.key_id} of {self.arn} at {self.time.isoformat()}"


class _Ordered:
    """``calls`` on one key in the order of their time, so that none of them is looked for among all."""

    def __init__(self, calls: Iterable[KeyCall]) -> None:
        self.calls = sorted(calls, key=_TIME)
        self._parkings = [each for each in self.calls if each.what == PARKING]
        self._others = [each for each in self.calls if each.what != RETIREMENT]
        self._switches = [each for each in self.calls if each.certain and each.what in (PARKING, GIVING_BACK)]

    def parked_for(self, deletion: KeyCall) -> KeyCall | None:
        """See ``KeyRecords.parked_for``."""
        if deletion.since is None:
            return None
        latest = min(deletion.since + timedelta(microseconds=999_999), deletion.time)
        at = bisect_right(self._parkings, latest, key=_TIME)
        found = self._parkings[at - 1] if at else None
        return found if found and found.time.replace(microsecond=0) == deletion.since else None

    def switched_before(self, time: datetime) -> datetime | None:
        """When a call of ours last switched the key for certain before ``time``."""
        at = bisect_left(self._switches, time, key=_TIME)
        return self._switches[at - 1].time if at else None

    def between(self, parking: KeyCall, deletion: KeyCall) -> KeyCall | None:
        """What else happened first between the two."""
        at = bisect_right(self._others, parking.time, key=_TIME)
        found = self._others[at] if at < len(self._others) else None
        return found if found and found.time <= deletion.time else None

    def unparked(self) -> Iterator[KeyCall]:
        """Each giving back of a key that was not parked then."""
        parked = False
        for call in self.calls:
            if call.what == GIVING_BACK and not parked:
                yield call
            parked = call.what == PARKING or (parked and not (call.what == GIVING_BACK and call.certain))


class KeyRecords:
    """What the journals of all outputs say of each access key."""

    def __init__(self) -> None:
        #: Key (see ``who_in``) -> what was done to it, in the order of its time once all is read.
        self._calls = defaultdict[str, list[KeyCall]](list)
        self._begun: dict[tuple[str, str, str], int] = {}
        #: Key, what was done, and the time of each line of that.
        self._times: set[tuple[str, str, datetime]] = set()
        self._resting: list[tuple[str, Line]] = []
        self._refused: set[tuple[str, int]] = set()
        self._ordered: dict[str, _Ordered] = {}

    def read(self, place: str, output: str, line: Line) -> None:
        """Take the next line of the journal at ``place``, of the output at ``output``."""
        key_id, time, phase = str(line["unique_id"]), time_of(line["time"]), line["phase"]
        if not is_key_id(key_id) or time is None:
            return
        key = who_in(line["arn"], key_id)
        self._ordered.pop(key, None)
        calls, what = self._calls[key], purpose_of(line)
        if phase == OUTCOME and line.get("calls") == 0 and line.get("status") in _STATUS.values():
            if moment(line.get("rests_on")):  # without one, see ``derived_status.compared``
                names = ("arn", "unique_id", "status", "time", "rests_on")
                self._resting.append((place, {name: line.get(name) for name in names}))
        elif phase == LAPSED:
            calls.append(KeyCall(place, output, line["arn"], key_id, time, LAPSED))
        elif phase == BEFORE and what:
            notes = line.get("notes")
            notes = notes if isinstance(notes, Mapping) else {}
            said = moment(notes.get("since")), moment(notes.get("used"))
            self._begun[place, key, what] = len(calls)
            self._times.add((key, what, time))
            calls.append(KeyCall(place, output, line["arn"], key_id, time, what, False, *said))
        elif phase == AFTER:
            self._answered(place, key, what, time, str(line.get("result") or ""))

    def _answered(self, place: str, key: str, what: str, time: datetime, result: str) -> None:
        at = self._begun.pop((place, key, what), None)
        if at is None:
            return
        call = self._calls[key][at]
        if result == REFUSED or (result == GONE and what != RETIREMENT):
            self._refused.add((key, at))
            self._times.discard((key, what, call.time))
        else:
            self._times.add((key, what, time))
            certain = result in (DONE, ADOPTED)  # a key that is gone may be that of a renamed user
            self._calls[key][at] = replace(call, certain=certain)

    @property
    def made(self) -> Iterator[KeyCall]:
        """The calls that AWS did not refuse, those of each key in the order of their time. Once all is read."""
        for key in [*self._calls]:
            yield from self._of(key).calls

    def _of(self, key: str) -> _Ordered:
        if key not in self._ordered:
            its = enumerate(self._calls.get(key, ()))
            self._ordered[key] = _Ordered(each for at, each in its if (key, at) not in self._refused)
        return self._ordered[key]

    def parked_for(self, deletion: KeyCall) -> KeyCall | None:
        """The parking on which a deletion rests, as its notes say; None if no journal has it."""
        return self._of(deletion.who).parked_for(deletion)

    def changed_before(self, call: KeyCall) -> datetime | None:
        """When a call of ours last switched the key for certain before ``call``; None if none did."""
        return self._of(call.who).switched_before(call.time)

    def faults(self) -> Iterator[tuple[str, str, str]]:
        """Place, level and words of what rests on no such line. Once all journals are read."""
        for key in [*self._calls]:
            its = self._of(key)
            for call in its.calls:
                if call.what == RETIREMENT and (why := _retirement_fault(call, its)):
                    yield call.place, BLOCKING, f"{call} {why}"
            for call in its.unparked():
                yield call.place, BLOCKING, f"{call} rests on no parking that a journal has: {_ELSEWHERE}"
        for place, line in self._resting:
            (what,) = (each for each, status in _STATUS.items() if status == line["status"])
            rests, time = moment(line["rests_on"]), moment(line["time"])
            known = rests and (who_in(line["arn"], line["unique_id"]), what, rests) in self._times
            if not known or (rests and time and rests > time):
                told = (
                    f"{line['status']} of access key {line['unique_id']} of {line['arn']} at {line['time']}"
                )
                why = f"rests on a call at {line['rests_on']} that no journal here has, and which was made before"
                yield place, BLOCKING, f"{told} {why}: {_ELSEWHERE}"


def _retirement_fault(call: KeyCall, its: _Ordered) -> str:
    """What in the journals contradicts the deletion of a key. The rules are those of ``UserKeys.retire``."""
    parking = its.parked_for(call)
    if parking is None:
        return f"rests on a parking at {call.since} that no journal here has: {_ELSEWHERE}"
    if not parking.certain:
        return f"rests on a parking that AWS did not answer, at {parking.time.isoformat()}"
    if parking.used != call.used:
        return (
            f"says that the key was last used at {call.used} when it was parked, and that says {parking.used}"
        )
    if found := its.between(parking, call):
        said = "was seen active" if found.what == LAPSED else f"had another call, for {found.what}"
        return f"rests on a parking after which the key {said}, at {found.time.isoformat()}"
    return ""
