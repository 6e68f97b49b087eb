# SPDX-License-Identifier: Apache-2.0
"""The changing calls of a journal, each with its answer, as far as one is on record. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED
from c7n_iamusers.execution.journal import TRYING
from c7n_iamusers.execution.journaled_call import ADOPTED, DONE, FAILED
from c7n_iamusers.iam.sign_in_sessions import OPERATIONS, SERVICE
from c7n_iamusers.text.times import moment

#: The service of a user's changes. Its sign-in sessions are ended by another one.
IAM = "iam"
#: How far the clock of a machine may be from AWS's, which refuses a request that is further.
SKEW = timedelta(minutes=5)
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
    """The calls of one journal. ``of_users``: it is of no run of provisioning. ``keeps``: all are wanted.

    ``open``: those that have no line after them.
    """

    place: str
    of_users: bool
    keeps: bool
    done: list[Call] = field(default_factory=list)
    begun: dict[tuple[str, ...], Call] = field(default_factory=dict)

    @property
    def open(self) -> int:
        return len(self.begun)

    def read(self, line: Line) -> str:
        """Take the next line of the journal, which is about a call. Returns why no run writes it; empty if one may."""
        parameters = json.dumps(line.get("parameters") or {}, sort_keys=True)
        what = {name: str(line.get(name) or "") for name in ("service", "operation", "time")}
        call = Call(self.place, line["user"], line["arn"], **what, parameters=parameters)
        key = line["arn"], line["unique_id"], call.service, call.operation, parameters
        if line["phase"] == BEFORE:
            self._keep(self.begun.get(key))
            self.begun[key] = call
            return self._fault(line, call)
        answer = {name: str(line.get(name) or "") for name in ("code", "request_id", "caller")}
        result = TRIED if line["phase"] == TRIED else str(line.get("result") or "")
        answered = replace(self.begun.get(key, call), answered=line["time"], result=result, **answer)
        self._keep(answered)
        fault = "no line before it says that the call is made" if key not in self.begun else ""
        if line["phase"] == AFTER:
            self.begun.pop(key, None)
        return fault or self._fault(line, answered) or _answer_fault(answered)

    def _fault(self, line: Line, call: Call) -> str:
        if not self.of_users:
            return f"runs of provisioning call no {IAM}" if call.service == IAM else ""
        if call.service != IAM and (call.service, call.operation) != (SERVICE, OPERATIONS[1]):
            return f"no run changes a user by {call.service}:{call.operation}"
        named = (line.get("parameters") or {}).get("UserName")
        if isinstance(named, str) and named.casefold() != call.user.casefold():
            return f"its call is of the user {named}"
        return ""

    def ended(self) -> Iterator[Call]:
        """All calls, those without an answer at the end."""
        for call in self.begun.values():
            self._keep(call)
        yield from self.done

    def _keep(self, call: Call | None) -> None:
        if call and self.keeps:
            self.done.append(call)


def _answer_fault(call: Call) -> str:
    """Why no run writes such an answer."""
    begun, ended = time_of(call.time), time_of(call.answered)
    if call.service == IAM and begun and ended and ended - begun > TRYING + SKEW:
        return "its call began more than an hour before, and no run tries for so long"
    if not call.code and (call.result in (FAILED, TRIED) or (call.request_id and not is_done(call))):
        return f"its result is {call.result or 'not there'}, and no code says why"
    acting, account = call.caller.split(":")[4:5], call.arn.split(":")[4:5]
    return (
        "its caller is of another account"
        if call.service == IAM and call.caller and acting != account
        else ""
    )


def time_of(text: str) -> datetime | None:
    """``moment`` of a line's time: a run writes it in one form, and a journal may have millions."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return moment(text)
    return found if found.utcoffset() == timedelta(0) else moment(text)


def is_done(call: Call) -> bool:
    """Whether, by the journal, AWS did it."""
    return call.result in (DONE, ADOPTED)
