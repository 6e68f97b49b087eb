# SPDX-License-Identifier: Apache-2.0
"""Whether the snapshots of one output are those that its journals name. Pure."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any

from c7n_iamusers.exceptions import SnapshotInvalid
from c7n_iamusers.execution.calls import BEFORE
from c7n_iamusers.execution.journal import DECISION, GIVEN_UP, SNAPSHOT, TRYING
from c7n_iamusers.lockout.journal_lines import QUARANTINE
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.journal_calls import time_of
from c7n_iamusers.snapshots.archive import unique_id_in
from c7n_iamusers.snapshots.snapshot import Snapshot, tampering
from c7n_iamusers.text.times import CLOCK_SKEW, moment

Line = Mapping[str, Any]
#: A run takes a snapshot before these: phases, and the operation that begins each removal.
_STEPS, _DENIES = (SNAPSHOT, DECISION, QUARANTINE), "PutUserPolicy"


class SnapshotLines:
    """The lines about snapshots in the journals of one output.

    ``pins``: the name of each -> its SHA-256 -> the lines that say so. ``given_up``: the name of each that is gone for
    good -> who says so, and when.
    """

    def __init__(self) -> None:
        self.pins = defaultdict[str, dict[str, list[Line]]](dict)
        self.given_up: dict[str, str] = {}
        #: Unique id -> the time and phase of each line of a snapshot, and of each line that a run writes after one.
        self._steps = defaultdict[str, list[tuple[datetime, str]]](list)

    def read(self, line: Line) -> None:
        """Take the next line."""
        phase, time = line["phase"], time_of(line["time"])
        if time and (phase in _STEPS or (phase == BEFORE and line.get("operation") == _DENIES)):
            self._steps[line["unique_id"]].append((time, phase))
        if phase == SNAPSHOT:
            pins = self.pins[str(line.get("snapshot"))]
            pins.setdefault(str(line.get("sha256")), []).append(line)
        elif phase == GIVEN_UP:
            self.given_up[str(line.get("snapshot"))] = f"{str(line.get('by'))[:80]} on {line['time'][:16]}"

    def end(self) -> None:
        """All lines are read. The journals of a bucket are read by users and runs."""
        for steps in self._steps.values():
            steps.sort(key=itemgetter(0))

    def fault(self, name: str, content: bytes) -> tuple[str, str] | None:
        """The level of what is wrong with a snapshot, in words; None if nothing is. Once all lines are read."""
        try:
            snapshot = Snapshot.from_json(content)
            fault = tampering(snapshot)
        except SnapshotInvalid as error:
            snapshot, fault = None, str(error)
        digest = hashlib.sha256(content).hexdigest()
        if pins := self.pins.get(name):
            if digest in pins:
                fault = fault or (_other_line(snapshot, name, pins[digest]) if snapshot else "")
                return (BLOCKING, fault) if fault else None
            return BLOCKING, f"has the SHA-256 {digest}, and its journal says {', '.join(sorted(pins))}"
        why = f"no line of a journal here has its SHA-256{f'; {fault}' if fault else ''}"
        if self._rests_on_none(unique_id_in(name), moment(snapshot.taken) if snapshot else None):
            return BLOCKING, f"{why}, and its user was changed"
        return ATTENTION, f"{why}: a run was killed right after it was written, or the journal was cut off"

    def _rests_on_none(self, unique_id: str, taken: datetime | None) -> bool:
        """Whether the user was changed after a snapshot without a line was ``taken``, and before any later one was.

        A run that was killed before it wrote that line changed nothing, and the next one takes a snapshot of its own.
        """
        steps = self._steps.get(unique_id, [])
        at = bisect_left(steps, taken, key=itemgetter(0)) if taken else 0
        return at < len(steps) and steps[at][1] != SNAPSHOT


def _other_line(snapshot: Snapshot, name: str, lines: Iterable[Line]) -> str:
    """Why a line with its SHA-256 is not of this snapshot; empty if each is."""
    user, taken = snapshot.user.subject, moment(snapshot.taken)
    for line in lines:
        time = time_of(line["time"])
        if (line["user"], line["arn"], line["unique_id"]) != (user.name, user.arn, unique_id_in(name)):
            return f"is of {user.arn} ({user.unique_id}), and its journal has it of {line['arn']} ({line['unique_id']})"
        if not (taken and time and taken - CLOCK_SKEW <= time <= taken + TRYING + CLOCK_SKEW):
            return f"was taken at {taken}, and its journal has it at {line['time']}"
    return ""
