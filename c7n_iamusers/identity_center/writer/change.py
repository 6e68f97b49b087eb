# SPDX-License-Identifier: Apache-2.0
"""The execution of one change, as a generator that yields what it needs next: a call, a pause, the end of a request.

The loop in ``writer`` runs many of them at once.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution import journaled_call
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import (
    Backoff,
    Verdict,
    answered,
    error_cause,
    error_code,
    message_of,
    verdict_on,
)
from c7n_iamusers.identity_center import access_plan, model

#: An earlier write has not propagated, another writer was faster, or a call took effect although its answer was lost.
#: The change is rechecked before its next try.
RACE_CODES = frozenset({"ConflictException", "ResourceNotFoundException"})
#: Kinds of objects that count as adopted if others have created them.
_ADOPTABLE = frozenset({model.PERMISSION_SET, model.GROUP, model.USER})
#: Operation -> its opposite, which is refused while a request of the first is in progress.
_OPPOSITE = {
    "CreateAccountAssignment": "DeleteAccountAssignment",
    "DeleteAccountAssignment": "CreateAccountAssignment",
}
#: Seconds to retry a change after conflicts.
RACE_BUDGET = 60.0
#: What a call, a status or a recheck may raise.
ERRORS = (*journaled_call.AWS_ERRORS, IdentityCenterError)


@dataclass(frozen=True)
class RecheckResult:
    """What is left of a change: its ``calls``, or none and the ``values`` that they would have saved.

    ``awaits``: the id of a request in progress that makes the change. ``after``: the id of a request that makes the
    opposite and must end first.
    """

    calls: tuple[ApiCall, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    awaits: str = ""
    after: str = ""


@dataclass(frozen=True)
class WriterContext:
    """What changes need. ``clients``: with ``rate`` as rate limit, and without retries (SINGLE_TRY).

    ``caller``: the ARN that they act as, for the journal. ``recheck``: what is left of a change after a conflict, given
    the parameters of the call; raises ERRORS. ``check_before``: the check to make right before each try of a call, if
    any; it raises ERRORS if the call may no longer be made.
    """

    clients: Mapping[str, Any]
    instance: model.Instance
    journal: JournalWriter
    recheck: Callable[[access_plan.Change, Mapping[str, Any]], RecheckResult]
    rate: RateLimit
    backoff: Backoff
    check_before: Callable[[access_plan.Change, Mapping[str, Any]], Callable[[], None] | None] = lambda *_: (
        None
    )
    caller: str = ""


class OnlyInParts(IdentityCenterError):
    """A check found that the change may not be made now. Changes that replace it may be."""


class NothingLeft(IdentityCenterError):
    """A check found that the call has nothing left to change."""


class ChangeFailed(Exception):
    """The change failed. ``code``: an AWS error code, or the kind of failure.

    ``answer``: AWS's error, if there is one. ``pending``: AWS accepted the request, and does not say that it failed.
    ``checked``: a check found that neither the call nor its replacement may still be made.
    """

    def __init__(
        self,
        code: str,
        text: str,
        answer: Exception | None = None,
        pending: bool = False,
        checked: bool = False,
    ) -> None:
        super().__init__(text)
        self.code, self.answer, self.pending, self.checked = code, answer, pending, checked


@dataclass(frozen=True, eq=False, slots=True)
class Send:
    """Needs a call. ``prepare`` returns it when it may be sent.

    ``operation``: of the changing call, or of the call that a check precedes, which may need a slot; empty for other
    reads. ``checked``: the check was made, so the call precedes all others that wait for a slot.
    """

    execution: ChangeExecution
    prepare: Callable[[], Callable[[], Any]]
    operation: str = ""
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Needs a pause."""

    execution: ChangeExecution
    seconds: float


@dataclass(eq=False, slots=True)
class Follow:
    """Needs the end of the asynchronous request that ``operation`` made.

    ``since``: when the wait began. ``accepted``: when AWS last returned that the request is in progress.
    """

    execution: ChangeExecution
    operation: str
    request_id: str
    since: float | None = None
    accepted: float = 0.0


T = TypeVar("T")
Steps = Generator[Send | Pause | Follow, Any, T]


class ChangeExecution:
    """The execution of ``change``, which began at ``began``. ``published``: values of other changes, for Refs.

    ``steps`` yields what it needs next, and gets the answer sent or the error thrown. It raises ChangeFailed.
    ``values``: saved by its calls. ``made``: how many calls it began. ``adopted``: others created the object, which
    fails the change unless it ``adopts``.
    """

    # All permission sets and groups begin at once: tens of thousands.
    __slots__ = (
        "_adopts",
        "_answer",
        "_call",
        "_context",
        "_published",
        "_races",
        "adopted",
        "began",
        "change",
        "made",
        "steps",
        "values",
    )

    def __init__(
        self,
        change: access_plan.Change,
        context: WriterContext,
        published: Mapping[str, Any],
        began: float,
        adopts: bool = True,
    ) -> None:
        self.change, self.began, self._adopts = change, began, adopts
        self._context, self._published = context, published
        self._races: Iterator[float] | None = None
        self._call: journaled_call.JournaledCall
        #: The answer on which the result of the call rests.
        self._answer: Any = None
        self.values: dict[str, Any] = {}
        self.made, self.adopted = 0, False
        self.steps = self._steps()

    def _steps(self) -> Steps[None]:
        calls, awaits, after, lost = self.change.calls, self.change.awaits, self.change.after, False
        while calls:
            context = self._context
            self._call = journaled_call.JournaledCall(
                context.journal, self.change.subject, calls[0], context.backoff, lost, context.caller
            )
            self._answer = None
            try:
                if after:
                    # Its outcome does not matter: the call makes whatever is left.
                    yield Follow(self, _OPPOSITE[calls[0].operation], after)
                result = yield from self._call_made(awaits)
            except ChangeFailed as failure:
                if not isinstance(failure.__cause__, NothingLeft):
                    result = journaled_call.UNKNOWN if failure.pending else self._call.result_if_refused
                    self._end(result, failure.answer, failure.code)
                    raise
                result = journaled_call.DONE
            if isinstance(result, RecheckResult):
                calls, awaits, after, lost = result.calls, result.awaits, result.after, self._call.lost
            else:
                self._end(result, self._answer)
                calls, awaits, after, lost = calls[1:], "", "", False

    def _call_made(self, awaits: str) -> Steps[str | RecheckResult]:
        """The result of the call, or of the recheck after a conflict."""
        if awaits and (yield from self._followed(awaits)):
            return journaled_call.DONE
        while True:
            checked = yield from self._checked()
            try:
                response = yield Send(self, self._begin, self._call.call.operation, checked)
                break
            except ERRORS as error:
                if result := self._call.ended_by(error):
                    self._answer = error
                    return result
                raced = self._is_race(error)
                pause = self._pause_before_retry(error, raced)
            if isinstance(pause, ChangeFailed):
                return (yield from self._settled(pause))
            yield pause
            if raced:
                return (yield from self._rechecked())
        self._answer = response
        self.values.update(journaled_call.saved(self._call.call, response))
        if self._call.call.wait:
            yield from self._followed(self.values[next(iter(self._call.call.save))], response)
        return journaled_call.DONE

    def _pause_before_retry(self, error: Exception, raced: bool) -> Pause | ChangeFailed:
        """The pause, after the failed try's line; the failure if a retry can't help."""
        try:
            pause = self._pause_after(error, raced)
        except ChangeFailed as failure:
            return failure
        self._call.tried(error)
        return pause

    def _checked(self) -> Steps[bool]:
        """Whether a check was made. Like its call, it waits for a slot, so that it is recent when the call is sent."""
        call = self._call.call
        parameters = journaled_call.resolve(call.parameters, self._known)
        check = self._context.check_before(self.change, parameters)
        if check:
            yield from self._read(check, may_race=True, operation=call.operation)
        return check is not None

    def _begin(self) -> Callable[[], Any]:
        """The call. Its first line is in the journal."""
        self.made += not self._call.begun
        parameters = self._call.begin(self._known)
        call = self._call.call
        method = journaled_call.method_of(self._context.clients, call.service, call.operation)
        return partial(answered, method, **parameters)

    def _end(self, result: str, answer: Any = None, code: str = "") -> None:
        """Write the call's last line, if it has a first one. A request of an earlier run has none."""
        if self._call.begun:
            saves = self._call.call.save
            ids = {name: self.values[name] for name in saves if name in self.values}
            self._call.end(result, ids, answer, code)

    def _followed(self, request_id: str, response: Mapping[str, Any] | None = None) -> Steps[bool]:
        """Wait for the end of a request. ``response``: the latest answer about it.

        False if a request of an earlier run failed: then the call is made. Raises ChangeFailed if this run's request
        failed.
        """
        call = self._call.call
        wait, follow = call.wait, Follow(self, call.operation, request_id)
        assert wait is not None, f"{call.operation} is not asynchronous"
        ids = dict.fromkeys(call.save, request_id)
        parameters = journaled_call.resolve(wait.parameters, {**self.values, **ids})
        method = journaled_call.method_of(self._context.clients, call.service, wait.operation)
        while response is None or journaled_call.value_at(response, wait.status) in wait.pending:
            yield follow
            response = yield from self._status_read(partial(answered, method, **parameters))
        status, reason = (
            journaled_call.value_at(response, wait.status),
            journaled_call.value_at(response, wait.reason),
        )
        if status not in wait.succeeded and request_id != self.change.awaits:
            pending = status not in wait.failed
            raise self._failure(str(status), str(reason or "AWS gave no reason"), pending=pending)
        return status in wait.succeeded

    def _status_read(self, read: Callable[[], Any]) -> Steps[Any]:
        """The status of an accepted request. If it can't be read, the request does not count as failed."""
        try:
            return (yield from self._read(read, may_race=True))
        except ChangeFailed as failure:
            why = f"its status can't be read ({failure.code}); run again to wait for its end"
            raise self._failure(failure.code, why, failure.answer, pending=True) from failure

    def _rechecked(self) -> Steps[RecheckResult]:
        """What is left of the change. If nothing is, a call without answer made it, or others did."""
        recheck = partial(self._context.recheck, self.change, self._call.parameters)
        found: RecheckResult = yield from self._read(recheck, may_race=True)
        change, is_own = self.change, self._call.lost or self.change.kind not in _ADOPTABLE
        if found.values and change.action == access_plan.CREATE and not (is_own or self._adopts):
            raise self._failure(
                "Reviewed", "others have created it since the plan was reviewed: review a new plan"
            )
        self.values.update(found.values)
        if not (found.calls or found.awaits):
            self.adopted = not self._call.lost
            self._end(journaled_call.ADOPTED if self.adopted else journaled_call.DONE)
        return found

    def _settled(self, failure: ChangeFailed) -> Steps[str]:
        """DONE if AWS shows what a call without an answer creates.

        Raises ``failure`` otherwise, because its absence proves nothing. A removal is left to the next run, which reads
        the state.
        """
        if self._call.lost and self.change.action == access_plan.CREATE:
            recheck = partial(self._context.recheck, self.change, self._call.parameters)
            try:
                found: RecheckResult = yield from self._read(recheck)
            except ChangeFailed:
                raise failure from None
            if not (found.calls or found.awaits):
                self.values.update(found.values)
                return journaled_call.DONE
        raise failure

    def _is_race(self, error: Exception) -> bool:
        refused = verdict_on(error, self._call.refusals) is Verdict.REFUSED
        return isinstance(error, ClientError) and refused and error_cause(error) in RACE_CODES

    def _read(self, call: Callable[[], Any], may_race: bool = False, operation: str = "") -> Steps[Any]:
        while True:
            try:
                return (yield Send(self, lambda: call, operation))
            except ERRORS as error:
                pause = self._pause_after(error, may_race and self._is_race(error), is_read=True)
            yield pause

    def _pause_after(self, error: Exception, raced: bool, is_read: bool = False) -> Pause:
        """The pause before the next try. Raises ChangeFailed if a retry can't help.

        ``is_read``: a read failed, so that the call is not made.
        """
        delay = next(self._race_delays(), None) if raced else self._call.delay_after(error)
        if delay is None:
            if isinstance(error, IdentityCenterError):
                checked = not isinstance(error, OnlyInParts)
                raise ChangeFailed(error_code(error), str(error), checked=checked) from error
            code, why = error_code(error), message_of(error)
            if is_read:
                operation = getattr(error, "operation_name", "")
                why = f"{operation or 'a read before it'} failed with {code}: {why}"
            raise self._failure(code, why, error, is_made=not is_read) from error
        return Pause(self, 0.0 if raced and _already_exists(error) else delay)

    @property
    def _known(self) -> Mapping[str, Any]:
        """The values of its own calls, and of other changes."""
        return ChainMap(self.values, self._published)  # type: ignore[arg-type]  # it is only read

    def _race_delays(self) -> Iterator[float]:
        """The delays after conflicts. Most changes have none."""
        if self._races is None:
            backoff = self._context.backoff
            self._races = replace(backoff, budget=min(backoff.budget, RACE_BUDGET)).delays()
        return self._races

    def _failure(
        self,
        code: str,
        why: str,
        answer: Exception | None = None,
        pending: bool = False,
        is_made: bool = True,
    ) -> ChangeFailed:
        what = {} if is_made else {"what": "was not made"}
        if pending:
            what = {"what": "has not ended ({code})"}
        if self._call.lost and not pending:
            what = {"what": journaled_call.NOBODY_SAYS}
        text = journaled_call.failure_text(self.change.subject, self._call.call, code, why, **what)
        return ChangeFailed(code, text, answer, pending)

    def timeout_failure(self, timeout: float, operation: str) -> ChangeFailed:
        """The failure of a request of ``operation`` that is in progress for more than ``timeout`` seconds."""
        pending = f"still pending after {timeout:.0f} s"
        if self._call.begun:
            return self._failure("Timeout", f"{pending}; run again to wait for its end", pending=True)
        return ChangeFailed(
            "Timeout",
            f"an earlier request to {'end' if operation.startswith('Delete') else 'assign'} {self.change.name} is "
            f"{pending}: run again to wait for its end, or with a longer timeout",
        )


def _already_exists(error: Exception) -> bool:
    """Whether the object to create already exists, so that a pause can't help."""
    return (
        isinstance(error, ClientError) and error.response.get("Reason") == "UNIQUENESS_CONSTRAINT_VIOLATION"
    )
