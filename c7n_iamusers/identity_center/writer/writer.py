# SPDX-License-Identifier: Apache-2.0
"""The single writer of a run: one loop that executes all changes and keeps Identity Center's slots full.

One thread decides and writes the journal; other threads only make calls. While one change pauses, others are sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.identity_center.access_plan import Change
from c7n_iamusers.identity_center.model import ASSIGNMENT, MEMBERSHIP
from c7n_iamusers.identity_center.writer.change import (
    ERRORS,
    ChangeExecution,
    ChangeFailed,
    Follow,
    Pause,
    Send,
    WriterContext,
)
from c7n_iamusers.identity_center.writer.schedule import ReadyQueue, RequestQuota, Schedule, Slots

#: The status of a change: done, failed, left (not begun, or not awaited), or failed and replaced by others, which have
#: their own status.
DONE, FAILED, LEFT, REPLACED = "done", "failed", "left", "replaced"
#: The code of changes that were left because the run was stopped.
STOPPED = "Stopped"
#: Calls in flight at a time: enough for 20 per second that take 0.4 seconds each.
_WORKERS = 8
#: Maximum seconds until the loop checks whether the run is to stop.
_LONGEST_IDLE = 1.0


@dataclass(frozen=True)
class ApplyOptions:
    """How to apply changes.

    ``timeout``: seconds for one asynchronous request. ``stopped``: whether the run is to stop. ``progress``: called
    with the number of ended changes and of all changes. ``adopts``: whether to use objects that others create in the
    meantime.

    ``clock`` and ``sleep``: in seconds. ``pool``: makes the calls. With a pool that makes each call at once and a
    simulated clock, a test runs at full speed.
    """

    timeout: float = defaults.ASSIGNMENT_TIMEOUT
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[int, int], None] = lambda ended, total: None
    adopts: bool = True
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    pool: Callable[[], Executor] = lambda: ThreadPoolExecutor(_WORKERS)


#: One for all results without values: a run may have hundreds of thousands.
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The result of a change. ``status``: DONE, FAILED, LEFT or REPLACED. ``calls``: the number of changing calls.

    ``values``: the ids of a permission set, group or user, and those that another change needs. ``adopted``: others
    created the object. ``about``: whom ``reason`` names; None for nobody.
    """

    status: str
    calls: int = 0
    values: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    code: str = ""
    reason: str = ""
    seconds: float = 0.0
    adopted: bool = False
    about: Subject | None = None


class PublishedValues(Mapping[str, Any]):
    """``<key of a change>:<name of a Ref>`` -> value, of the changes that are done. A view of ``ended``."""

    def __init__(self, ended: Mapping[str, ChangeResult]) -> None:
        self._ended = ended

    def __getitem__(self, name: str) -> Any:
        key, _, value = name.rpartition(":")
        result = self._ended[key]
        if result.status != DONE:
            raise KeyError(name)
        return result.values[value]

    def __iter__(self) -> Iterator[str]:
        done = ((key, each) for key, each in self._ended.items() if each.status == DONE)
        return (f"{key}:{value}" for key, each in done for value in each.values)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class SingleWriter:
    """Executes ``changes``, in the order of a plan. An instance is for one run."""

    def __init__(
        self, context: WriterContext, changes: Sequence[Change], options: ApplyOptions | None = None
    ) -> None:
        self._context, self._options, self._total = context, options or ApplyOptions(), len(changes)
        self._schedule, self._ready = Schedule(changes), ReadyQueue(changes)
        self._in_flight: InFlightCalls
        self._ended: dict[str, ChangeResult] = {}
        self._published = PublishedValues(self._ended)

    def run(self) -> dict[str, ChangeResult]:
        """Key -> result of each change. A failed change stops only the changes that need it."""
        stopped = self._options.stopped
        with InFlightCalls(self._context.rate, self._options) as self._in_flight:
            self._begin(self._schedule.ready())
            while not self._schedule.finished and not (stopped() and self._in_flight.none):
                for execution in self._ready.rested(self._options.clock()):
                    self._advance(execution, partial(next, execution.steps))
                while not stopped() and self._in_flight.may_start and self._send_one():
                    pass
                self._in_flight.collect(self._idle_seconds())
        self._leave_the_rest()
        return self._ended

    def _begin(self, changes: Iterable[Change]) -> None:
        for change in changes:
            execution = ChangeExecution(
                change, self._context, self._published, self._options.clock(), self._options.adopts
            )
            self._advance(execution, partial(next, execution.steps))

    def _advance(self, execution: ChangeExecution, resume: Callable[[], Send | Pause | Follow]) -> None:
        """Continue a change until its next step."""
        try:
            step = resume()
        except StopIteration:
            self._finish(execution)
        except ChangeFailed as failure:
            self._fail(execution, failure)
        else:
            self._ready.add(step, self._options.clock())

    def _send_one(self) -> bool:
        """Send a poll that is due, or else the next step. False if there is nothing to send."""
        if slots := self._ready.poll_due(self._options.clock()):
            slots.polled_since = self._options.clock()
            self._in_flight.start(partial(self._poll, slots.quota), partial(self._polled, slots))
        elif send := self._ready.next():
            self._in_flight.start(send.prepare(), partial(self._answered, send))
        else:
            return False
        return True

    def _answered(self, send: Send, answer: Future[Any]) -> None:
        self._ready.sent(send)
        steps = send.execution.steps
        try:
            resume = partial(steps.send, answer.result())
        except ERRORS as error:
            resume = partial(steps.throw, error)
        self._advance(send.execution, resume)

    def _poll(self, quota: RequestQuota) -> set[str]:
        """The ids of the quota's requests in progress, including those of other writers."""
        wanted = {
            "InstanceArn": self._context.instance.arn,
            "Filter": {"Status": "IN_PROGRESS"},
            "MaxResults": 100,
        }
        client, backoff = self._context.clients["sso-admin"], self._context.backoff
        return {str(item["RequestId"]) for item in items(client, quota.poll, quota.result, backoff, **wanted)}

    def _polled(self, slots: Slots, answer: Future[set[str]]) -> None:
        now = self._options.clock()
        try:
            ended = slots.polled(answer.result(), now)
        except ERRORS:
            slots.poll_over(now)
            ended = []
        for follow in ended:
            self._advance(follow.execution, partial(next, follow.execution.steps))
        for follow in slots.timed_out(now - self._options.timeout):
            failure = follow.execution.timeout_failure(self._options.timeout, follow.operation)
            self._advance(follow.execution, partial(follow.execution.steps.throw, failure))

    def _finish(self, execution: ChangeExecution) -> None:
        self._end(execution, DONE)
        key = execution.change.key
        unnecessary, ready = self._schedule.replacing(key), self._schedule.done(key)
        for each in unnecessary:
            self._note(each, ChangeResult(DONE))
            ready += self._schedule.done(each)
        self._begin(ready)

    def _fail(self, execution: ChangeExecution, failure: ChangeFailed) -> None:
        change, reason = execution.change, str(failure)
        if change.remedy and not (failure.pending or failure.checked):
            reason += f"; {change.remedy}"
        # A request in progress may still make all of it. A change that a check refused may not be made in parts either.
        replaced = not (failure.pending or failure.checked) and bool(self._schedule.replacing(change.key))
        self._end(execution, REPLACED if replaced else FAILED, failure.code, reason)
        left, ready = self._schedule.failed(change.key, replaced)
        for each in left:
            self._note(each.key, ChangeResult(LEFT, code=failure.code, reason=reason, about=change.subject))
        self._begin(ready)

    def _end(self, execution: ChangeExecution, status: str, code: str = "", reason: str = "") -> None:
        seconds = self._options.clock() - execution.began
        # The journal has all ids. Here they are for Refs, and for the checks of groups, sets and users at the end of a
        # run.
        change = execution.change
        refers = change.kind not in (ASSIGNMENT, MEMBERSHIP) or self._schedule.is_needed(change.key)
        values = dict(execution.values) if refers and execution.values else _NOTHING
        about = change.subject if reason else None
        ended = ChangeResult(status, execution.made, values, code, reason, seconds, execution.adopted, about)
        self._note(change.key, ended)

    def _leave_the_rest(self) -> None:
        slots = self._ready.slots.values()
        followed = {each.execution.change.key for one in slots for each in one.outstanding.values()}
        for change in self._schedule.rest():
            state = "was in progress" if change.key in followed else "was not made"
            reason = f"{change.name} {state} when the run was stopped: run again"
            self._note(change.key, ChangeResult(LEFT, code=STOPPED, reason=reason))

    def _note(self, key: str, ended: ChangeResult) -> None:
        self._ended[key] = ended
        self._options.progress(len(self._ended), self._total)

    def _idle_seconds(self) -> float:
        """Seconds until there may be something to send."""
        if turn := self._context.rate.wait():
            return turn
        due = self._ready.next_time
        seconds = _LONGEST_IDLE if due is None else due - self._options.clock()
        return min(max(seconds, 0.001), _LONGEST_IDLE)


class InFlightCalls:
    """The in-flight calls, limited in number and by ``rate``."""

    def __init__(self, rate: RateLimit, options: ApplyOptions) -> None:
        self._rate, self._sleep, self._pool = rate, options.sleep, options.pool()
        self._answered: dict[Future[Any], Callable[[Future[Any]], None]] = {}

    @property
    def none(self) -> bool:
        """Whether nothing is in flight."""
        return not self._answered

    @property
    def may_start(self) -> bool:
        """Whether a call may be sent now."""
        return len(self._answered) < _WORKERS and self._rate.wait() <= 0

    def start(self, call: Callable[[], Any], answered: Callable[[Future[Any]], None]) -> None:
        """Make ``call``. ``answered`` is called with its future, in the thread that calls ``collect``."""
        self._rate.take()
        self._answered[self._pool.submit(self._rate.prepaid, call)] = answered

    def collect(self, seconds: float) -> None:
        """Wait up to ``seconds`` for answers, and hand them over."""
        if self.none:
            self._sleep(seconds)
            return
        ended, _ = wait(self._answered, timeout=seconds, return_when=FIRST_COMPLETED)
        for answer in ended:
            self._answered.pop(answer)(answer)

    def __enter__(self) -> InFlightCalls:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
