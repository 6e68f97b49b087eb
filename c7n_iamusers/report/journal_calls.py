# SPDX-License-Identifier: Apache-2.0
"""The changing calls of a journal, each with its answer, as far as one is on record. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """An answer of AWS to a changing call, as its journal has it, or that there is none.

    ``time``: right before the call, as text; ``answered``: when the answer was written, empty if none was. ``result``:
    of the line after the call; TRIED for a try that was repeated; empty without a line.
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
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Calls:
    """The calls of one journal. ``open``: those that have no line after them."""

    place: str
    keeps: bool
    done: list[Call] = field(default_factory=list)
    begun: dict[tuple[str, str, str], Line] = field(default_factory=dict)

    @property
    def open(self) -> int:
        return len(self.begun)

    def read(self, line: Line) -> None:
        """Take the next line of the journal."""
        if line["phase"] not in (BEFORE, TRIED, AFTER):
            return
        parameters = line.get("parameters") or {}
        key = (line["unique_id"], str(line.get("operation")), str(sorted(parameters.items(), key=str)))
        if line["phase"] == BEFORE:
            if key in self.begun:
                self._keep(self.begun[key])
            self.begun[key] = line
            return
        begun = self.begun.get(key, line)
        answer = {name: str(line.get(name) or "") for name in ("code", "request_id", "caller")}
        result = TRIED if line["phase"] == TRIED else str(line.get("result") or "")
        self._keep(begun, answered=line["time"], result=result, **answer)
        if line["phase"] == AFTER:
            self.begun.pop(key, None)

    def ended(self) -> Iterator[Call]:
        """All calls, those without an answer at the end."""
        for line in self.begun.values():
            self._keep(line)
        yield from self.done

    def _keep(self, line: Line, **answer: str) -> None:
        if not self.keeps:
            return
        what = {name: str(line.get(name) or "") for name in ("service", "operation", "time")}
        parameters = line.get("parameters") or {}
        self.done.append(Call(self.place, line["user"], line["arn"], **what, **answer, parameters=parameters))
