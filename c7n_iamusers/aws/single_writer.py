# SPDX-License-Identifier: Apache-2.0
"""The one writer of a run: every change by its calls, journaled, with Identity Center's slots kept full.

One thread decides and writes the journal. A retry is no sleep but a later turn, so one change's trouble holds up
no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.aws.executor import saved
from c7n_iamusers.aws.flights import Flights
from c7n_iamusers.aws.lanes import LANES, Lane, LaneKind, Request
from c7n_iamusers.aws.ledger import Ledger
from c7n_iamusers.aws.means import Means
from c7n_iamusers.aws.retries import error_code
from c7n_iamusers.aws.schedule import Schedule
from c7n_iamusers.aws.turns import Turns
from c7n_iamusers.aws.work import Ended, Failure, Step, Work
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.access_plan import Change
from c7n_iamusers.model.calls import Wait

_ERRORS = (ClientError, BotoCoreError, IdentityCenterError)
_LONGEST_NAP = 1.0


class SingleWriter:
    """Makes ``changes``, which are in the order of a plan. An instance is for one run."""

    def __init__(self, means: Means, changes: Sequence[Change]) -> None:
        self._means, self._schedule = means, Schedule(changes)
        self._turns = Turns({change.key: number for number, change in enumerate(changes)})
        self._lanes: dict[LaneKind, Lane[Work]] = {kind: Lane(kind) for kind in LANES.values()}
        self._ledger = Ledger(means.journal, len(changes), means.progress, means.clock)
        self._flights: Flights

    def run(self) -> dict[str, Ended]:
        """Key -> how each change ended. One's failure touches only those that need it."""
        self._begin(self._schedule.ready())
        with Flights(self._means.rate) as self._flights:
            while not self._schedule.finished and not (self._means.stopped() and self._flights.none):
                self._turns.wake(self._means.clock())
                while not self._means.stopped() and self._flights.may_start and self._start_one():
                    pass
                self._flights.collect(self._nap())
        under_way = {
            each.work.change.key for lane in self._lanes.values() for each in lane.outstanding.values()
        }
        for change in self._schedule.rest():
            told = "was under way" if change.key in under_way else "was not made"
            self._ledger.left(change, "Stopped", f"{change.name} {told} when the run was stopped: run again")
        return self._ledger.ended

    def _begin(self, changes: Iterable[Change]) -> None:
        for change in changes:
            work = Work(change, self._means.backoff, self._means.clock())
            if change.awaits:
                self._await(work, change.awaits)
            else:
                self._turns.add(work)

    def _start_one(self) -> bool:
        if self._start_poll():
            return True
        work = self._turns.next(self._lanes)
        if work is None:
            return False
        if work.step is Step.JUDGE:
            parameters = self._ledger.parameters(work)
            self._flights.start(
                lambda: self._means.again(work.change, parameters), lambda flight: self._judged(work, flight)
            )
        elif work.step is Step.ASK:
            self._flights.start(self._means.question(work), lambda flight: self._answered(work, flight))
        elif work.call is None:
            self._finish(work)
        else:
            self._start_call(work)
        return True

    def _start_call(self, work: Work) -> None:
        call, lane = work.in_hand, self._lanes[work.lane] if work.lane else None
        parameters = self._ledger.begin_call(work)
        method = self._means.method(call.service, call.operation)
        if lane:
            lane.starting.append(work.change.accounts)
        self._flights.start(lambda: method(**parameters), lambda flight: self._made(work, lane, flight))

    def _made(self, work: Work, lane: Lane[Work] | None, flight: Future[Any]) -> None:
        call = work.in_hand
        if lane:
            lane.starting.remove(work.change.accounts)
        try:
            response = flight.result()
        except _ERRORS as error:
            if isinstance(error, ClientError) and error_code(error) in call.done_codes:
                self._settled(work, "gone" if call.operation.startswith("Delete") else "done")
            else:
                self._retry(work, error)
            return
        work.values.update(saved(call, response))
        if call.wait:
            self._see(work, call.wait, response, work.values[next(iter(call.save))])
        else:
            self._settled(work, "done")

    def _see(self, work: Work, how: Wait, response: Mapping[str, Any], request_id: str) -> None:
        """What the answer tells of a request."""
        status = _at(response, how.status)
        if status in how.pending:
            self._await(work, request_id)
        elif status in how.succeeded:
            self._settled(work, "done")
        elif request_id == work.change.awaits:
            work.ask_anew()
            self._turns.add(work)
        else:
            self._fail(
                work, work.failed_with(str(status), str(_at(response, how.reason) or "AWS gave no reason"))
            )

    def _await(self, work: Work, request_id: str) -> None:
        assert work.lane is not None
        now = self._means.clock()
        work.request_id, work.waiting_since = request_id, work.waiting_since or now
        self._lanes[work.lane].accept(request_id, Request(work, now, work.change.accounts))

    def _start_poll(self) -> bool:
        now = self._means.clock()
        for kind, lane in self._lanes.items():
            due = lane.poll_at()
            if due is not None and due <= now:
                lane.polled_since = now
                self._flights.start(
                    lambda at=kind: self._means.poll(at),  # type: ignore[misc]
                    lambda flight, at=lane: self._polled(at, flight),  # type: ignore[misc]
                )
                return True
        return False

    def _polled(self, lane: Lane[Work], flight: Future[Any]) -> None:
        try:
            in_progress = flight.result()
        except _ERRORS:
            # Nobody knows: what is outstanding stays so until the next poll, or until patience ends.
            in_progress = set(lane.outstanding)
        now = self._means.clock()
        for request in lane.polled(in_progress, now).values():
            request.work.step = Step.ASK
            self._turns.add(request.work)
        for request_id, request in list(lane.outstanding.items()):
            if now - (request.work.waiting_since or now) > self._means.timeout:
                del lane.outstanding[request_id]
                self._fail(request.work, self._impatience(request.work))

    def _answered(self, work: Work, flight: Future[Any]) -> None:
        wait = work.wait
        try:
            response = flight.result()
        except _ERRORS as error:
            self._retry(work, error)
        else:
            self._see(work, wait, response, work.request_id)

    def _judged(self, work: Work, flight: Future[Any]) -> None:
        try:
            judged = flight.result()
        except _ERRORS as error:
            self._retry(work, error)
            return
        self._ledger.judged(work, judged)
        work.start_over(judged)
        if judged.awaits:
            self._await(work, judged.awaits)
        else:
            self._turns.add(work)

    def _retry(self, work: Work, error: Exception) -> None:
        try:
            self._turns.add_later(work, self._means.clock() + work.delay_after(error))
        except Failure as failure:
            self._fail(work, failure)

    def _impatience(self, work: Work) -> Failure:
        seconds = f"still pending after {self._means.timeout:.0f} s"
        if work.announced:
            return work.failed_with("Timeout", f"{seconds}; run again to see it through")
        told = f"an earlier request to assign {work.change.name} is {seconds}: run again to see it through, or raise "
        return Failure("Timeout", f"{told}timeout:")

    def _settled(self, work: Work, result: str) -> None:
        self._ledger.end_call(work, result)
        work.next_call()
        if work.call:
            self._turns.add(work)
        else:
            self._finish(work)

    def _finish(self, work: Work) -> None:
        self._ledger.done(work)
        self._begin(self._schedule.done(work.change.key))

    def _fail(self, work: Work, failure: Failure) -> None:
        self._ledger.failed(work, failure)
        for change in self._schedule.failed(work.change.key):
            self._ledger.left(change, failure.code, str(failure))

    def _nap(self) -> float:
        """Seconds until there may be something to send; an answer that comes sooner ends it."""
        if turn := self._means.rate.wait():
            return turn
        now = self._means.clock()
        times = [*(lane.poll_at() for lane in self._lanes.values()), self._turns.next_wake]
        due = min((each - now for each in times if each is not None), default=_LONGEST_NAP)
        return min(max(due, 0.001), _LONGEST_NAP)


def _at(response: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        response = response.get(key) if response is not None else None
    return response
