# SPDX-License-Identifier: Apache-2.0
"""The changing calls of a journal, each with its answer, as far as one is on record. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.execution.calls import AFTER, BEFORE, HELD_CODES, MISSING_CODES, TRIED, is_removal
from c7n_iamusers.execution.journal import TRYING
from c7n_iamusers.execution.journaled_call import ADOPTED, DONE, FAILED, GONE, INTERRUPTED, UNKNOWN
from c7n_iamusers.execution.outcomes import CHANGED, DELETED
from c7n_iamusers.execution.retries import Verdict, refusals_of, verdict_of
from c7n_iamusers.iam.sign_in_sessions import OPERATIONS, SERVICE
from c7n_iamusers.text.times import CLOCK_SKEW, FIRST_YEAR, LAST_YEAR, moment

#: The service of a user's changes. Its sign-in sessions are ended by another one.
IAM = "iam"
#: The operation without which nobody is deleted.
DELETION = "DeleteUser"
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """An answer of AWS to a changing call, as its journal has it, or that there is none.

    ``time``: right before the call, as text; ``answered``: when the answer was written, empty if none was. ``result``:
    of the line after the call; TRIED for a try that was repeated; empty without a line. ``parameters``: as JSON, since
    a journal may have a million calls. ``lost``: no answer of AWS is on record, or another try's may have been lost.
    ``told``: whether it was applied, by the outcome, where the answer does not say it.
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
    lost: bool = True
    told: bool | None = None


@dataclass
class Calls:
    """The calls of one journal. ``of_users``: it is of no run of provisioning. ``keeps``: all are wanted.
    ``restores``: it is of restorations.

    ``open``: those that have no line after them. ``lost``: those with a try without an answer. ``unsettled``: user ->
    where in ``done`` its calls are that have no answer, and that no outcome settles. ``deletions``: likewise those of
    DeleteUser that failed by their outcome, since a later run may see that one was done.
    """

    place: str
    of_users: bool
    keeps: bool
    restores: bool = False
    done: list[Call] = field(default_factory=list)
    begun: dict[tuple[str, ...], Call] = field(default_factory=dict)
    lost: set[tuple[str, ...]] = field(default_factory=set)
    unsettled: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    deletions: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    @property
    def open(self) -> int:
        return len(self.begun)

    def read(self, line: Line) -> str:
        """Take the next line of the journal, which is about a call. Returns why no run writes it; empty if one may."""
        parameters = json.dumps(line.get("parameters") or {}, sort_keys=True)
        what: dict[str, Any] = {name: str(line.get(name) or "") for name in ("service", "operation", "time")}
        call = Call(self.place, line["user"], line["arn"], **what, parameters=parameters)
        key = line["arn"], line["unique_id"], call.service, call.operation, parameters
        if line["phase"] == BEFORE:
            self._keep(self.begun.get(key))
            self.begun[key] = call
            self.lost.discard(key)
            return self._fault(line, call)
        return self._answered(line, call, key)

    def _answered(self, line: Line, call: Call, key: tuple[str, ...]) -> str:
        """Take the answer to a call, or to a try of it, as ``read`` does."""
        answer: dict[str, Any] = {
            name: str(line.get(name) or "") for name in ("code", "request_id", "caller")
        }
        result = TRIED if line["phase"] == TRIED else str(line.get("result") or "")
        http = line["status"] if isinstance(line.get("status"), int) else 0
        said = verdict_of(answer["code"], http, refusals_of(IAM)) if answer["code"] else None
        lost_before = key in self.lost
        lost = lost_before or said is Verdict.UNKNOWN
        answered = replace(self.begun.get(key, call), answered=line["time"], result=result, **answer)
        answered = replace(answered, lost=lost or result in (TRIED, UNKNOWN, INTERRUPTED))
        self._keep(answered)
        self.lost |= {key} if lost else set()
        fault = "no line before it says that the call is made" if key not in self.begun else ""
        if line["phase"] == AFTER:
            self.begun.pop(key, None)
            if self.keeps and not (is_done(answered) or result in (FAILED, GONE)):
                self.unsettled.setdefault((line["arn"], line["unique_id"]), []).append(len(self.done) - 1)
        fault = fault or self._fault(line, answered) or _answer_fault(answered)
        if fault or not self.of_users or answered.service != IAM:
            return fault
        parameters = line.get("parameters") or {}
        removes = is_removal(answered.operation, parameters)
        if removes and not self.restores and result == FAILED and answered.code in MISSING_CODES:
            return f"its result is {FAILED}, and what it was to remove was gone: runs write {GONE}"
        return _result_fault(answered, removes, said, lost_before)

    def end(self, line: Line) -> None:
        """Take an outcome, which says what became of calls without an answer."""
        user, status = (line["arn"], line["unique_id"]), line.get("status")
        for at in self.unsettled.pop(user, ()):
            deletion = self.done[at].operation == DELETION
            if deletion or status in CHANGED:
                self.done[at] = replace(self.done[at], told=not deletion or status == DELETED)
            if deletion and status != DELETED:
                self.deletions.setdefault(user, []).append(at)
        for at in self.deletions.pop(user, ()) if status == DELETED else ():
            self.done[at] = replace(self.done[at], told=True)

    def _fault(self, line: Line, call: Call) -> str:
        if not self.of_users:
            return f"runs of provisioning call no {IAM}" if call.service == IAM else ""
        if call.service != IAM and (call.service, call.operation) != (SERVICE, OPERATIONS[1]):
            return f"no run changes a user by {call.service}:{call.operation}"
        named = (line.get("parameters") or {}).get("UserName")
        if isinstance(named, str) and named.casefold() != call.user.casefold():
            return f"its call is of the user {named}"
        return "a parameter is there twice, in two spellings" if _is_twice(line.get("parameters")) else ""

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
    if call.service == IAM and begun and ended and ended - begun > TRYING + CLOCK_SKEW:
        return "its call began more than an hour before, and no run tries for so long"
    if not call.code and (call.result in (FAILED, TRIED) or (call.request_id and not is_done(call))):
        return f"its result is {call.result or 'not there'}, and no code says why"
    acting, account = call.caller.split(":")[4:5], call.arn.split(":")[4:5]
    return (
        "its caller is of another account"
        if call.service == IAM and call.caller and acting != account
        else ""
    )


def _result_fault(call: Call, removes: bool, said: Verdict | None, lost_before: bool) -> str:
    """Why no run writes such a result with such an answer. The rules are those of ``JournaledCall``.

    ``removes``: whether it is to remove something. ``said``: what the answer proves. ``lost_before``: whether an
    earlier try has no answer.
    """
    code, lost = call.code, lost_before or said is Verdict.UNKNOWN
    unsure = lost_before or (bool(code) and said in (Verdict.UNKNOWN, None))
    deletion = call.operation == DELETION
    there = code in (MISSING_CODES if removes else HELD_CODES)
    may_be: dict[str, bool] = {
        TRIED: bool(code) and said is not Verdict.REFUSED,
        DONE: bool(call.request_id) if not code else not deletion and (unsure or (there and not removes)),
        GONE: removes and not lost and (there if code else not call.request_id),
        FAILED: bool(code) and not lost,
        UNKNOWN: unsure if code else deletion and lost_before,
        INTERRUPTED: bool(code) and not call.request_id,
    }
    if may_be.get(call.result):
        return ""
    what = f"the code {code}" if code else "no code"
    return f"its result is {call.result or 'not there'}, with {what}, and no run writes that"


def _is_twice(value: Any) -> bool:
    """Whether a name is there in two spellings: AWS's event has one of them, and readers another."""
    if isinstance(value, Mapping):
        twice = len({str(name).casefold() for name in value}) < len(value)
        return twice or any(map(_is_twice, value.values()))
    return isinstance(value, list | tuple) and any(map(_is_twice, value))


def who_in(arn: str, unique_id: object) -> str:
    """The user or key of ``unique_id``, whatever its name, in the account of ``arn``: who writes for one account may
    write any id.
    """
    return f"{arn.split(':', 5)[4]}/{unique_id}"


def time_of(text: str) -> datetime | None:
    """``moment`` of a line's time: a run writes it in one form, and a journal may have millions."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return moment(text)
    return (
        found if found.utcoffset() == timedelta(0) and FIRST_YEAR <= found.year <= LAST_YEAR else moment(text)
    )


def is_done(call: Call) -> bool:
    """Whether, by the journal, AWS did it."""
    return call.result in (DONE, ADOPTED)
