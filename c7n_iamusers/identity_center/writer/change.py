# SPDX-License-Identifier: Apache-2.0
"""One change from its first call to its last, as a generator of what it needs next.

It reads as if it were alone: it makes a call, waits, tries again. The loop in ``writer`` runs many of them at once.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.execution.client import Backoff, error_code, is_retryable
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.journaled_call import (
    ADOPTED,
    AWS_ERRORS,
    DONE,
    JournaledCall,
    failure_text,
    message_of,
    method_of,
    resolve,
    saved,
    value_at,
)
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.identity_center.model import CREATE, GROUP, PERMISSION_SET, USER, Change, Instance

#: An earlier write has not propagated, another writer was faster, or a call whose answer was lost had been made:
#: the change is rechecked, so that nothing is adopted unseen.
RACE_CODES = frozenset({"ConflictException", "ResourceNotFoundException"})
#: Kinds of objects of which one that somebody else makes is another one.
_ADOPTABLE = frozenset({PERMISSION_SET, GROUP, USER})
#: Seconds for the races of one change to settle.
RACE_BUDGET = 60.0
#: What a call, a status or a recheck may raise.
ERRORS = (*AWS_ERRORS, IdentityCenterError)


@dataclass(frozen=True)
class Rechecked:
    """What a change comes to by what there is now: its ``calls``, or none and the ``values`` that they would save.

    ``awaits``: the id of a request in progress that makes the change.
    """

    calls: tuple[ApiCall, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    awaits: str = ""


@dataclass(frozen=True)
class WriterContext:
    """What changes are made with. ``clients``: held to ``rate``, and without retries (SINGLE_TRY).

    ``recheck``: what a change comes to after a race, given the parameters of the call that met it; raises ERRORS.
    ``check_before``: what is to be read right before each try of a call, and raises ERRORS where it may not be made any
    more; None where nothing is.
    """

    clients: Mapping[str, Any]
    instance: Instance
    journal: JournalWriter
    recheck: Callable[[Change, Mapping[str, Any]], Rechecked]
    rate: RateLimit
    backoff: Backoff
    check_before: Callable[[Change, Mapping[str, Any]], Callable[[], None] | None] = lambda *_: None


class ChangeFailed(Exception):
    """The change can't be made; ``code`` is AWS's, or says what kind of failure it is."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, eq=False)
class Send:
    """Needed next: the answer to a call. ``prepare`` gives the call once it may be sent.

    ``operation``: the changing one, which may need a slot of a quota, or that a check is made for; empty for any other
    read. ``checked``: the check was made, so the call goes before all that wait for a slot.
    """

    execution: ChangeExecution
    prepare: Callable[[], Callable[[], Any]]
    operation: str = ""
    checked: bool = False


@dataclass(frozen=True)
class Pause:
    """Needed next: that so many seconds pass."""

    execution: ChangeExecution
    seconds: float


@dataclass(eq=False)
class Follow:
    """Needed next: the end of the asynchronous request that ``operation`` made.

    ``since``: when the wait began; ``accepted``: when AWS last said that the request is in progress.
    """

    execution: ChangeExecution
    operation: str
    request_id: str
    since: float | None = None
    accepted: float = 0.0


T = TypeVar("T")
Steps = Generator[Send | Pause | Follow, Any, T]


class ChangeExecution:
    """``change`` on its way, since ``began``. ``published``: values of other changes that Refs stand for.

    ``steps`` yields what is needed next, and is sent the answer or thrown the error. It raises ChangeFailed.
    ``values``: what its calls saved; ``made``: how many it began; ``adopted``: somebody else had created it,
    which fails the change unless it ``adopts``.
    """

    def __init__(
        self,
        change: Change,
        context: WriterContext,
        published: dict[str, Any],
        began: float,
        adopts: bool = True,
    ) -> None:
        self.change, self.began, self._adopts = change, began, adopts
        self._context, self._published = context, published
        backoff = context.backoff
        self._race_delays = replace(backoff, budget=min(backoff.budget, RACE_BUDGET)).delays()
        self._call: JournaledCall
        self.values: dict[str, Any] = {}
        self.made, self.adopted = 0, False
        self.steps = self._steps()

    def _steps(self) -> Steps[None]:
        calls, awaits, lost = self.change.calls, self.change.awaits, False
        while calls:
            context = self._context
            self._call = JournaledCall(context.journal, self.change.subject, calls[0], context.backoff, lost)
            try:
                end = yield from self._call_made(awaits)
            except ChangeFailed as failure:
                self._end(self._call.result_if_refused, failure.code)
                raise
            if isinstance(end, Rechecked):
                calls, awaits, lost = end.calls, end.awaits, self._call.lost
            else:
                self._end(end)
                calls, awaits, lost = calls[1:], "", False

    def _call_made(self, awaits: str) -> Steps[str | Rechecked]:
        """How the call has come to its wanted end, or what a recheck found after a race."""
        if awaits and (yield from self._followed(awaits)):
            return DONE
        while True:
            checked = yield from self._checked()
            try:
                response = yield Send(self, self._begin, self._call.call.operation, checked)
                break
            except ERRORS as error:
                if result := self._call.ended_by(error):
                    return result
                raced = _is_race(error)
                pause = self._pause_after(error, raced)
            yield pause
            if raced:
                return (yield from self._rechecked())
        self.values.update(saved(self._call.call, response))
        if self._call.call.wait:
            yield from self._followed(self.values[next(iter(self._call.call.save))], response)
        return DONE

    def _checked(self) -> Steps[bool]:
        """Whether a check was made. It waits for a slot as its call does, so that it is not old when that is sent."""
        call = self._call.call
        parameters = resolve(call.parameters, ChainMap(self.values, self._published))
        check = self._context.check_before(self.change, parameters)
        if check:
            yield from self._read(check, may_race=True, operation=call.operation)
        return check is not None

    def _begin(self) -> Callable[[], Any]:
        """The call, whose first line is in the journal."""
        self.made += not self._call.begun
        parameters = self._call.begin(ChainMap(self.values, self._published))
        call = self._call.call
        return partial(method_of(self._context.clients, call.service, call.operation), **parameters)

    def _end(self, result: str, code: str = "") -> None:
        """Write the call's last line, if there is a first one: a request of an earlier run has none."""
        if self._call.begun:
            saves = self._call.call.save
            ids = {name: self.values[name] for name in saves if name in self.values}
            self._call.end(result, ids, code)

    def _followed(self, request_id: str, response: Mapping[str, Any] | None = None) -> Steps[bool]:
        """Wait for the end of a request, ``response`` being the latest answer about it.

        False if it failed and was an earlier run's: then one of our own is made. Raises ChangeFailed otherwise.
        """
        call = self._call.call
        wait, follow = call.wait, Follow(self, call.operation, request_id)
        assert wait is not None, f"{call.operation} is not asynchronous"
        ids = dict.fromkeys(call.save, request_id)
        parameters = resolve(wait.parameters, {**self.values, **ids})
        method = method_of(self._context.clients, call.service, wait.operation)
        while response is None or value_at(response, wait.status) in wait.pending:
            yield follow
            response = yield from self._read(partial(method, **parameters))
        status, reason = value_at(response, wait.status), value_at(response, wait.reason)
        if status not in wait.succeeded and request_id != self.change.awaits:
            raise self._failure(str(status), str(reason or "AWS gave no reason"))
        return status in wait.succeeded

    def _rechecked(self) -> Steps[Rechecked]:
        """What there is now. Where nothing is left to do, a lost call did it, or somebody else."""
        recheck = partial(self._context.recheck, self.change, self._call.parameters)
        found: Rechecked = yield from self._read(recheck, may_race=True)
        change, ours = self.change, self._call.lost or self.change.kind not in _ADOPTABLE
        if found.values and change.action == CREATE and not (ours or self._adopts):
            raise self._failure(
                "Reviewed", "somebody else has made it since the plan was reviewed: review it again"
            )
        self.values.update(found.values)
        if not (found.calls or found.awaits):
            self.adopted = not self._call.lost
            self._end(ADOPTED if self.adopted else DONE)
        return found

    def _read(self, call: Callable[[], Any], may_race: bool = False, operation: str = "") -> Steps[Any]:
        while True:
            try:
                return (yield Send(self, lambda: call, operation))
            except ERRORS as error:
                pause = self._pause_after(error, may_race and _is_race(error))
            yield pause

    def _pause_after(self, error: Exception, raced: bool) -> Pause:
        """The pause before the next try. Raises ChangeFailed if no further try helps."""
        delay = next(self._race_delays, None) if raced else self._call.delay_after(error)
        if delay is None:
            if isinstance(error, IdentityCenterError):
                raise ChangeFailed(error_code(error), str(error)) from error
            raise self._failure(error_code(error), message_of(error)) from error
        return Pause(self, 0.0 if raced and _is_there(error) else delay)

    def _failure(self, code: str, why: str) -> ChangeFailed:
        return ChangeFailed(code, failure_text(self.change.subject, self._call.call, code, why))

    def timeout_failure(self, timeout: float) -> ChangeFailed:
        """To be thrown where a request is in progress for more than ``timeout`` seconds."""
        pending = f"still pending after {timeout:.0f} s"
        if self._call.begun:
            return self._failure("Timeout", f"{pending}; run again to see it through")
        return ChangeFailed(
            "Timeout",
            f"an earlier request to assign {self.change.name} is {pending}: run again to see it through, or raise "
            "timeout:",
        )


def _is_race(error: Exception) -> bool:
    return isinstance(error, ClientError) and not is_retryable(error) and error_code(error) in RACE_CODES


def _is_there(error: Exception) -> bool:
    """Whether what was to be created exists: waiting won't change that."""
    return (
        isinstance(error, ClientError) and error.response.get("Reason") == "UNIQUENESS_CONSTRAINT_VIOLATION"
    )
