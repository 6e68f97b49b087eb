# SPDX-License-Identifier: Apache-2.0
"""The changing calls of a journal, each with its answer, as far as one is on record. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """An answer of AWS to a changing call, as its journal has it, or that there is none.

    ``time``: right before the call, as text; ``answered``: when the answer was written, empty if none was. ``result``:
    of the line after the call; TRIED for a try that was repeated; empty without a line. ``parameters``: as JSON, since
    a journal may have a million calls.
    """

    place: str
    user: str
    arn: str
    service: str
    operation: str
    time: str
    answered: str = ""
    result: str = ""
    code: str = ""
    request_id: str = ""
    caller: str = ""
    parameters: str = "{}"


@dataclass
class Calls:
    """The calls of one journal. ``open``: those that have no line after them."""

    place: str
    keeps: bool
    done: list[Call] = field(default_factory=list)
    begun: dict[tuple[str, str, str], Call] = field(default_factory=dict)

    @property
    def open(self) -> int:
        return len(self.begun)

    def read(self, line: Line) -> None:
        """Take the next line of the journal."""
        if line["phase"] not in (BEFORE, TRIED, AFTER):
            return
        parameters = json.dumps(line.get("parameters") or {}, sort_keys=True)
        what = {name: str(line.get(name) or "") for name in ("service", "operation", "time")}
        call = Call(self.place, line["user"], line["arn"], **what, parameters=parameters)
        key = line["unique_id"], call.operation, parameters
        if line["phase"] == BEFORE:
            self._keep(self.begun.get(key))
            self.begun[key] = call
            return
        answer = {name: str(line.get(name) or "") for name in ("code", "request_id", "caller")}
        result = TRIED if line["phase"] == TRIED else str(line.get("result") or "")
        self._keep(replace(self.begun.get(key, call), answered=line["time"], result=result, **answer))
        if line["phase"] == AFTER:
            self.begun.pop(key, None)

    def ended(self) -> Iterator[Call]:
        """All calls, those without an answer at the end."""
        for call in self.begun.values():
            self._keep(call)
        yield from self.done

    def _keep(self, call: Call | None) -> None:
        if call and self.keeps:
            self.done.append(call)
