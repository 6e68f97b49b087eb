# SPDX-License-Identifier: Apache-2.0
"""Matches the rows of ``outcomes.json`` with the lines of the journal beside it, both ways. Pure.

A run writes a line of the user's outcome where it made a changing call, and where it says that the user was changed;
then a row with the same members. A row may be an earlier outcome of its user, and gives way to a later one that says
the same. A run that is killed leaves lines without rows, which reports derive from the journal.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.execution.calls import AFTER, BEFORE, is_key_id
from c7n_iamusers.execution.journal import OUTCOME
from c7n_iamusers.execution.journaled_call import DONE, GONE
from c7n_iamusers.execution.journaled_call import FAILED as REFUSED
from c7n_iamusers.execution.outcomes import (
    CHANGED,
    DELETED,
    MEMBERS,
    MOST_FORMER,
    RELEASED,
    RESTORED,
    STATUSES,
)
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.comparisons import ROW, lacking
from c7n_iamusers.report.journal_calls import DELETION, who_in
from c7n_iamusers.report.line_checks import Line, User
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import shown

#: What a line and its row have in common.
_SAME = frozenset(MEMBERS) - {"history"}
#: What is found, in words.
_MISSING = "no line of its journal has {}: the journal was cut off, or this was changed"
_CHANGED = "its journal has {} in other words: this was changed"
_TWICE = "it has {} twice, and no run writes that: this was changed"
_OTHERS = "it has {} in the row of another user, or under another name: this was changed"
_LOST = "its journal has {}, and this says something else of then: this was changed"
_CUT = "its journal has no outcome after {}, and this has one: the journal was cut off, or this was changed"
_UNLIKE = "it has {}, and no run writes that: this was changed"
_UNWRITTEN = "its journal has {}, and this not what became of it: a run was killed, or this was changed"
#: What is kept of an outcome that rests on another line.
_RESTING = ("arn", "unique_id", "status", "time", "rests_on")
_NEVER, _LAST = (each.replace(tzinfo=timezone.utc) for each in (datetime.min, datetime.max))


@dataclass
class Changes:
    """What outcomes without a call can rest on, by the journals of all outputs; and these outcomes.

    ``resting``: the place of the journal, and the line of each such outcome.
    """

    resting: list[tuple[str, Line]] = field(default_factory=list)
    #: ARN, unique id and time of each DeleteUser that may have been done, and of each restoration of the user.
    _deletions: set[tuple[str, str, datetime]] = field(default_factory=set)
    _given_back: list[tuple[str, str, frozenset[str], datetime]] = field(default_factory=list)
    #: User -> the time of a DeleteUser without an answer yet. Who (see ``who_in``) -> that of one that was done.
    _begun: dict[User, datetime] = field(default_factory=dict)
    _done: dict[str, datetime] = field(default_factory=dict)
    _restorations: set[tuple[str, str, datetime]] = field(default_factory=set)

    def read(self, place: str, line: Line) -> None:
        """Take the next line of the journal at ``place``."""
        time, arn, phase = moment(line["time"]), line["arn"], line["phase"]
        if time is None or is_key_id(line["unique_id"]):  # of keys, see KeyRecords
            return
        if phase == OUTCOME and line.get("status") in CHANGED and line.get("calls") == 0:
            self.resting.append((place, {name: line.get(name) for name in _RESTING}))
        elif phase == OUTCOME and line.get("status") == RESTORED and "calls" not in line:
            made = frozenset(map(str, line.get("made") or ()))
            self._restorations |= {(arn, each, time) for each in made}
            self._given_back.append((place, arn, made, time))
        elif line.get("operation") == DELETION and phase in (BEFORE, AFTER):
            self._deletion(line, time)

    def _deletion(self, line: Line, time: datetime) -> None:
        user = line["arn"], line["unique_id"]
        if line["phase"] == BEFORE:
            self._begun[user] = time
        begun = self._begun.get(user, time)
        if line.get("result") in (REFUSED, GONE):
            self._deletions.discard((*user, begun))
            return
        self._deletions |= {(*user, begun), (*user, time)}
        if line.get("result") == DONE:
            self._done[who_in(*user)] = time

    def faults(self) -> Iterator[tuple[str, str, str]]:
        """Place, level and words of each outcome that does not rest on such a line. Once all journals are read."""
        for place, line in self.resting:
            status, told = line["status"], _told(line, line)
            key = line["arn"], line["unique_id"], _time(line["rests_on"])
            lines = {DELETED: self._deletions, RESTORED: self._restorations}.get(status, set())
            if status == RELEASED:
                why = "rests on what the run saw alone: somebody else ended the quarantine, or this was added"
                yield place, ATTENTION, f"{told} {why}"
            elif key not in lines or key[2] > _time(line["time"]):
                why = "no journal here has, and which was made before: give all outputs; or it was changed"
                yield place, BLOCKING, f"{told} rests on a change at {line['rests_on']} that {why}"
            elif status == RESTORED and key[2] <= self._done.get(who_in(*key[:2]), _NEVER) <= _time(
                line["time"]
            ):
                yield place, BLOCKING, f"{told} rests on a restoration after which the user was deleted"
        for place, arn, made, time in self._given_back:
            if all(self._done.get(who_in(arn, each), _LAST) < time for each in made):
                told = f"{arn} at {time.isoformat()}"
                yield (
                    place,
                    BLOCKING,
                    f"says that it restored {told}, and all that it made were deleted before",
                )


class Ends:
    """What the journal of one output says became of its users. ``users``: those with an outcome."""

    def __init__(self) -> None:
        #: User and time of a line of an outcome -> its digest.
        self._lines: dict[tuple[User, str], bytes] = {}
        #: Status -> the time of the user's last line of it, and what that says.
        self._last = defaultdict[User, dict[str, tuple[str, bytes]]](dict)
        #: The time of the last line of a call after which no outcome is.
        self._open: dict[User, str] = {}

    @property
    def users(self) -> int:
        return len(self._last)

    def read(self, line: Line) -> None:
        """Take the next line of the journal of runs."""
        user = line["arn"], line["unique_id"]
        if line["phase"] == OUTCOME:
            self._lines[user, line["time"]] = _digest(line)
            self._last[user].pop(str(line.get("status")), None)
            self._last[user][str(line.get("status"))] = line["time"], _said(line)
            self._open.pop(user, None)
        elif line["phase"] in (BEFORE, AFTER):
            self._open[user] = line["time"]

    def faults(
        self, rows: Iterable[Mapping[str, Any]], provisions: bool = False
    ) -> Iterator[tuple[str, str]]:
        """What is wrong with the ``rows``, with its level, in words. ``provisions``: also provisioning writes such."""
        found, known = defaultdict[str, list[str]](list), set[User]()
        for row in rows:
            user = str(row["arn"]), str(row["unique_id"])
            if user in known:
                found[_TWICE].append(row["arn"])
            known.add(user)
            for kind, told in (*self._of_entries(user, row, provisions), *self._of_lines(user, row)):
                found[kind].append(told)
        for user in {*self._last, *self._open} - known:
            found[_UNWRITTEN].append(f"lines about {user[0]}")
        for kind, of_kind in found.items():
            yield ATTENTION if kind == _UNWRITTEN else BLOCKING, kind.format(shown(sorted(of_kind)))

    def _of_entries(self, user: User, row: Mapping[str, Any], provisions: bool) -> Iterator[tuple[str, str]]:
        """What the row has, and the journal has not. The outcomes of provisioning have no lines."""
        for each in _entries(row):
            if each.get("status") not in STATUSES or (missing := lacking(ROW, each)):
                what = f"lacks {missing}" if each.get("status") in STATUSES else "has such a status"
                yield _UNLIKE, f"{_told(row, each)}, which {what}"
            line, status = self._lines.get((user, str(each.get("time")))), each.get("status")
            if (each.get("arn"), each.get("unique_id")) != user or each.get("user") != _name(user[0]):
                yield _OTHERS, _told(row, each)
            elif line and line != _digest(each):
                yield _CHANGED, _told(row, each)
            elif not line and (status in CHANGED or (each.get("calls") and (self._lines or not provisions))):
                yield _MISSING, _told(row, each)

    def _of_lines(self, user: User, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What the journal has, and the row has not."""
        told, of_row = defaultdict[str, set[str]](set), _time(row.get("time"))
        # of a row that is full, the last one of each status is kept
        full, said = len(row.get("history", ())) >= MOST_FORMER, defaultdict[bytes, datetime](lambda: _NEVER)
        for each in _entries(row):
            status, time = str(each.get("status")), _time(each.get("time"))
            told[status].add(str(each.get("time")))
            for same in (_said(each), *([status.encode()] if full else [])):
                said[same] = max(said[same], time)
        for status, (at, same) in self._last.get(user, {}).items():
            # what made no call has no line, and takes the place of an outcome that said the same
            later = status not in CHANGED and max(said[same], said[status.encode()]) > _time(at)
            if at not in told[status] and not later:
                lost = f"{status} of {row['arn']} at {at}"
                yield _LOST if of_row >= _time(at) else _UNWRITTEN, lost
        if user in self._open:
            what = f"a call about {row['arn']} at {self._open[user]}"
            yield _CUT if of_row >= _time(self._open[user]) else _UNWRITTEN, what


def _entries(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The outcomes in a row: earlier ones, then its own."""
    yield from (each for each in row.get("history", ()) if isinstance(each, Mapping))
    yield row


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _told(row: Mapping[str, Any], each: Mapping[str, Any]) -> str:
    return f"{each.get('status')} of {row['arn']} at {each.get('time')}"


def _time(value: Any) -> datetime:
    return moment(value) or _NEVER


def _said(each: Mapping[str, Any]) -> bytes:
    """What an outcome says, as a digest: one that says the same takes its place."""
    same = [str(each.get(name)) for name in ("status", "code", "reason")]
    return hashlib.sha256(json.dumps(same).encode()).digest()


def _digest(each: Mapping[str, Any]) -> bytes:
    same = {name: each[name] for name in sorted(_SAME & each.keys())}
    return hashlib.sha256(json.dumps(same, sort_keys=True, default=str).encode()).digest()
