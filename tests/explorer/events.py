# SPDX-License-Identifier: Apache-2.0
"""A flow with what happens in it, as text, and what came of it.

A trace's text is ``flow: what@call, what@call``, with calls such as ``DeleteUser`` or, for its third, ``GetUser#3``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.explorer.flows import FLOWS
from tests.explorer.wire import Call


@dataclass(frozen=True)
class Event:
    """``what`` happens at a call (see wire.Call)."""

    what: str
    at: str

    def __str__(self) -> str:
        return f"{self.what}@{self.at}"


@dataclass(frozen=True)
class Trace:
    """A flow by name, and what happens in its first run."""

    flow: str
    events: tuple[Event, ...] = ()

    def __str__(self) -> str:
        return f"{self.flow}: {', '.join(map(str, self.events))}"

    @classmethod
    def parse(cls, text: str) -> Trace:
        """The reverse of str. Raises ValueError."""
        flow, _, rest = text.partition(": ")
        if flow not in FLOWS:
            raise ValueError(f"no flow {flow!r}: there are {', '.join(FLOWS)}")
        events = [re.fullmatch(r"(\S+)@(\S+)", each) for each in rest.split(", ") if each]
        if not all(events):
            raise ValueError(f"{rest!r} is not what@call, what@call")
        return cls(flow, tuple(Event(each[1], each[2]) for each in events if each))


@dataclass(frozen=True)
class Result:
    """``broken``: the invariants that do not hold, in words. ``calls``: those of the first run.

    ``missed``: where nothing could happen, as the run did not come there; in words.
    """

    trace: Trace
    broken: tuple[str, ...]
    calls: tuple[Call, ...] = ()
    missed: str = ""
