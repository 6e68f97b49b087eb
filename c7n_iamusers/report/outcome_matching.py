# SPDX-License-Identifier: Apache-2.0
"""Matches the rows of ``outcomes.json`` with the lines of the journal beside it, both ways. Pure.

A run that makes a changing call writes a line of the user's outcome, and then a row with the same members and time. A
row may be an earlier outcome of its user, and gives way to a later one that says the same. A run that is killed leaves
lines without rows, which reports derive from the journal.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.execution.calls import AFTER, BEFORE
from c7n_iamusers.execution.journal import OUTCOME
from c7n_iamusers.execution.outcomes import (
    BROWNED_OUT,
    DELETED,
    MEMBERS,
    QUARANTINED,
    RELEASED,
    RESTORED,
)
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import shown

#: Outcomes that are told of changes. A run writes the last three without a call of its own where it, or another
#: command, made the change before: its line is elsewhere.
_WITH_CALLS, _ELSEWHERE = (QUARANTINED, BROWNED_OUT), (DELETED, RELEASED, RESTORED)
#: What a line and its row have in common.
_SAME = frozenset(MEMBERS) - {"history", "seconds"}
#: The operation without which nobody is deleted.
_DELETION = "DeleteUser"
#: What is found, in words.
_MISSING = "no line of its journal has {}: the journal was cut off, or this was changed"
_CHANGED = "its journal has {} in other words: this was changed"
_TWICE = "it has {} twice, and no run writes that: this was changed"
_LOST = "its journal has {}, and this says something else of then: this was changed"
_CUT = "its journal has no outcome after {}, and this has one: the journal was cut off, or this was changed"
_UNWRITTEN = "its journal has {}, and this not what became of it: a run was killed, or this was changed"
_NEVER = datetime.min.replace(tzinfo=timezone.utc)
Line = Mapping[str, Any]
#: ARN and unique id.
_User = tuple[str, str]


class Changes:
    """The unique ids of users that journals have changes of, in whichever output. ``deleted``: those deleted."""

    def __init__(self) -> None:
        self.changed, self.deleted = set[str](), set[str]()

    def read(self, line: Line) -> None:
        """Take the next line of a journal."""
        if line["phase"] == OUTCOME:
            self.changed |= set(map(str, line.get("made") or ()))
        elif line["phase"] in (BEFORE, AFTER):
            self.changed.add(line["unique_id"])
            if line.get("operation") == _DELETION:
                self.deleted.add(line["unique_id"])

    def has(self, status: str, unique_id: str) -> bool:
        """Whether a journal has calls that an outcome without calls can tell of."""
        return unique_id in (self.deleted if status == DELETED else self.changed)


class Ends:
    """What the journal of one output says became of its users. ``users``: those with an outcome."""

    def __init__(self) -> None:
        #: Unique id and time of a line of an outcome -> its digest.
        self._lines: dict[tuple[str, str], bytes] = {}
        #: Status -> the time of the user's last line of it.
        self._last = defaultdict[_User, dict[str, str]](dict)
        #: The time of the last line of a call after which no outcome is.
        self._open: dict[_User, str] = {}

    @property
    def users(self) -> int:
        return len(self._last)

    def read(self, line: Line) -> None:
        """Take the next line of the journal of runs."""
        user = line["arn"], line["unique_id"]
        if line["phase"] == OUTCOME:
            self._lines[line["unique_id"], line["time"]] = _digest(line)
            self._last[user].pop(str(line.get("status")), None)
            self._last[user][str(line.get("status"))] = line["time"]
            self._open.pop(user, None)
        elif line["phase"] in (BEFORE, AFTER):
            self._open[user] = line["time"]

    def faults(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
        """What is wrong with the ``rows``, with its level, in words."""
        found, known = defaultdict[str, list[str]](list), set[_User]()
        for row in rows:
            user = str(row["arn"]), str(row["unique_id"])
            if user in known:
                found[_TWICE].append(row["arn"])
            known.add(user)
            for kind, told in (*self._of_entries(user, row), *self._of_lines(user, row)):
                found[kind].append(told)
        for user in {*self._last, *self._open} - known:
            found[_UNWRITTEN].append(f"lines about {user[0]}")
        for kind, of_kind in found.items():
            yield ATTENTION if kind == _UNWRITTEN else BLOCKING, kind.format(shown(sorted(of_kind)))

    def _of_entries(self, user: _User, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What the row has, and the journal has not."""
        for each in _entries(row):
            line, status = self._lines.get((user[1], str(each.get("time")))), each.get("status")
            if line and line != _digest(each):
                yield _CHANGED, _told(row, each)
            # those of provisioning, which have other statuses, have no line
            elif not line and (status in _WITH_CALLS or (status in _ELSEWHERE and each.get("calls"))):
                yield _MISSING, _told(row, each)

    def _of_lines(self, user: _User, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What the journal has, and the row has not."""
        told, of_row = defaultdict[str, set[str]](set), _time(row.get("time"))
        for each in _entries(row):
            told[str(each.get("status"))].add(str(each.get("time")))
        for status, time in self._last.get(user, {}).items():
            if time not in told[status] and max(map(_time, told[status]), default=_NEVER) < _time(time):
                what = f"{status} of {row['arn']} at {time}"
                yield _LOST if of_row >= _time(time) else _UNWRITTEN, what
        if user in self._open:
            what = f"a call about {row['arn']} at {self._open[user]}"
            yield _CUT if of_row >= _time(self._open[user]) else _UNWRITTEN, what


def told_elsewhere(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Status, unique id and words of each outcome that tells of a change, and says that it made no call."""
    for row in rows:
        for each in _entries(row):
            if each.get("status") in _ELSEWHERE and not each.get("calls"):
                yield str(each["status"]), str(row["unique_id"]), _told(row, each)


def _entries(row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The outcomes in a row: earlier ones, then its own."""
    yield from (each for each in row.get("history", ()) if isinstance(each, Mapping))
    yield row


def _told(row: Mapping[str, Any], each: Mapping[str, Any]) -> str:
    return f"{each.get('status')} of {row['arn']} at {each.get('time')}"


def _time(value: Any) -> datetime:
    return moment(value) or _NEVER


def _digest(each: Mapping[str, Any]) -> bytes:
    same = {name: each[name] for name in sorted(_SAME & each.keys())}
    return hashlib.sha256(json.dumps(same, sort_keys=True, default=str).encode()).digest()
