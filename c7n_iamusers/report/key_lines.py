# SPDX-License-Identifier: Apache-2.0
"""Whether the lines of journals about one access key agree with each other. Pure.

The line before the call that parks a key is its record. What gives the key back, or deletes it, rests on that line,
which may be another output's. See ``key_retirement.key_history``, which writes them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import ClassVar

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED, is_key_id
from c7n_iamusers.execution.journal import OUTCOME
from c7n_iamusers.execution.journaled_call import ADOPTED, DONE, GONE
from c7n_iamusers.execution.journaled_call import FAILED as REFUSED
from c7n_iamusers.execution.outcomes import ACTIVATED, DEACTIVATED, FAILED, RETIRED, SKIPPED, UNCHANGED
from c7n_iamusers.iam.attachments import ACCESS_KEY, ACTIVE, INACTIVE
from c7n_iamusers.lockout.journal_lines import LAPSED
from c7n_iamusers.report.checks import BLOCKING
from c7n_iamusers.report.derived_status import Line, Since
from c7n_iamusers.report.journal_calls import IAM, time_of, who_in
from c7n_iamusers.text.times import moment

#: What a call on a key was made for: the note ``for`` of its journal line. ``key_history`` writes them.
PARKING, GIVING_BACK, RETIREMENT = "parking", "giving-back", "retirement"
assert ACCESS_KEY.status_change
_SWITCH, _REMOVAL = ACCESS_KEY.status_change.operation, ACCESS_KEY.removals[0].operation
#: What a call does -> the status of a key to which that was done, and the notes of its line beside ``for``.
_STATUS = {PARKING: DEACTIVATED, GIVING_BACK: ACTIVATED, RETIREMENT: RETIRED}
_NOTES = {PARKING: ("policy", "reason", "used"), GIVING_BACK: (), RETIREMENT: ("since", "used")}
_PURPOSE = {(_SWITCH, INACTIVE): PARKING, (_SWITCH, ACTIVE): GIVING_BACK, (_REMOVAL, ""): RETIREMENT}
_PHASES = frozenset({BEFORE, TRIED, AFTER, OUTCOME, LAPSED})
_ELSEWHERE = "give all outputs; or it was changed"


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

    def read(self, place: str, output: str, line: Line) -> None:
        """Take the next line of the journal at ``place``, of the output at ``output``."""
        key_id, time, phase = str(line["unique_id"]), time_of(line["time"]), line["phase"]
        if not is_key_id(key_id) or time is None:
            return
        key = who_in(line["arn"], key_id)
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
            certain = result in (DONE, ADOPTED, GONE)
            self._calls[key][at] = replace(call, certain=certain)

    @property
    def made(self) -> Iterator[KeyCall]:
        """The calls that AWS did not refuse, those of each key in the order of their time. Once all is read."""
        for key in self._calls:
            yield from self._of(key)

    def _of(self, key: str) -> list[KeyCall]:
        its = self._calls.get(key, ())
        return sorted(
            (each for at, each in enumerate(its) if (key, at) not in self._refused),
            key=attrgetter("time"),
        )

    def parked_for(self, deletion: KeyCall) -> KeyCall | None:
        """The parking on which a deletion rests, as its notes say; None if no journal has it."""
        found = (
            each
            for each in reversed(self._of(deletion.who))
            if each.what == PARKING
            and each.time.replace(microsecond=0) == deletion.since
            and each.time <= deletion.time
        )
        return next(found, None)

    def changed_before(self, call: KeyCall) -> datetime | None:
        """When a call of ours last switched the key for certain before ``call``; None if none did."""
        earlier = (
            each.time
            for each in self._of(call.who)
            if each.time < call.time and each.certain and each.what in (PARKING, GIVING_BACK)
        )
        return max(earlier, default=None)

    def faults(self) -> Iterator[tuple[str, str, str]]:
        """Place, level and words of what rests on no such line. Once all journals are read."""
        for key in [*self._calls]:
            its = self._of(key)
            for at, call in enumerate(its):
                if call.what == RETIREMENT and (why := self._retirement_fault(call)):
                    yield call.place, BLOCKING, f"{call} {why}"
                elif call.what == GIVING_BACK and not _is_parked(its[:at]):
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

    def _retirement_fault(self, call: KeyCall) -> str:
        """What in the journals contradicts the deletion of a key. The rules are those of ``UserKeys.retire``."""
        parking = self.parked_for(call)
        if parking is None:
            return f"rests on a parking at {call.since} that no journal here has: {_ELSEWHERE}"
        if not parking.certain:
            return f"rests on a parking that AWS did not answer, at {parking.time.isoformat()}"
        if parking.used != call.used:
            return f"says that the key was last used at {call.used} when it was parked, and that says {parking.used}"
        its = self._of(call.who)
        times = [each.time for each in its]
        since = its[bisect_right(times, parking.time) : bisect_right(times, call.time)]
        if found := next((each for each in since if each.what != RETIREMENT), None):
            said = "was seen active" if found.what == LAPSED else f"had another call, for {found.what}"
            return f"rests on a parking after which the key {said}, at {found.time.isoformat()}"
        return ""


def _is_parked(before: list[KeyCall]) -> bool:
    """Whether a key with these calls may be parked: no giving back that AWS answered has ended its last parking."""
    ended = (
        each.what == PARKING
        for each in reversed(before)
        if each.what == PARKING or (each.what == GIVING_BACK and each.certain)
    )
    return next(ended, False)
