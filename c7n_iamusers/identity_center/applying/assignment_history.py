# SPDX-License-Identifier: Apache-2.0
"""Which assignments are now a run's, from what runs and undos made and ended in turn. Pure.

An assignment has no id, so one that others make again looks the same. It counts as ours until a run or an undo ends it,
and then again only if a run makes or requests it, or an undo brings it back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from c7n_iamusers.identity_center.object_records import AssignmentKey


@dataclass(frozen=True)
class UndoStep:
    """What an undo did to an assignment at the time ``moment`` (see ``moment_of``).

    ``restores``: the time of the run whose removal it took back; empty if it ended what the run had made.
    """

    moment: str
    assigned: AssignmentKey
    restores: str = ""


def moment_of(time: str) -> str:
    """The digits of a UTC time, to microseconds, of a run or a journal's line."""
    return re.sub(r"\D", "", time)[:20]


class AssignmentHistory:
    """``known``: what runs made or requested. ``made``: what they made. ``gone``: what ended after the run of
    ``since``, so that an existing one is not that run's -> whether an undo, not a run, ended it.

    Runs and steps are added in the order of time.
    """

    def __init__(self, since: str = "") -> None:
        self.known, self.made = set[AssignmentKey](), set[AssignmentKey]()
        self.gone: dict[AssignmentKey, bool] = {}
        self._since = since
        #: Time of a run -> what it removed -> its former value in ``gone``; None if it had none.
        self._before: defaultdict[str, dict[AssignmentKey, bool | None]] = defaultdict(dict)

    def add_run(
        self,
        time: str,
        created: Collection[AssignmentKey],
        removed: Collection[AssignmentKey] = (),
        requested: Collection[AssignmentKey] = (),
    ) -> None:
        """The run that began at ``time``. What it requested existed at its end."""
        self.known |= {*created}
        self.made |= {*created}
        self.known -= {*removed}
        self.made -= {*removed}
        self.known |= {*requested}
        if time > self._since:
            self._before[time] |= {ended: self.gone.get(ended) for ended in removed}
            self.gone |= {ended: self.gone.get(ended, False) for ended in removed}

    def add_step(self, step: UndoStep) -> None:
        """A step of an undo."""
        if not step.restores:
            self.known.discard(step.assigned)
            self.made.discard(step.assigned)
            if step.moment > moment_of(self._since):
                self.gone.setdefault(step.assigned, True)
            return
        self.known.add(step.assigned)
        self.made.add(step.assigned)
        before = self._before.get(step.restores, {})
        if step.assigned in before:
            gone = before[step.assigned]
            self.gone.pop(step.assigned, None)
            self.gone |= {} if gone is None else {step.assigned: gone}
