# SPDX-License-Identifier: Apache-2.0
"""Identity Center's asynchronous requests on a simulated clock: hours of a run take no time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.access_plan import Change
from c7n_iamusers.identity_center.writer.change import RecheckResult, WriterContext
from c7n_iamusers.identity_center.writer.writer import ApplyOptions, ChangeResult, SingleWriter
from tests.access_center import INSTANCE
from tests.fakes import client_error


class Clock:
    """Seconds; they pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class AtOnce(Executor):
    """Makes each call when it is submitted, in the same thread."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """What it gave or raised, as a future."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # whatever it is, the future raises it
            future.set_exception(error)
        return future


class Unwritten:
    """A journal that nobody reads."""

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        pass


class SimulatedCenter:
    """The client ``sso-admin``: an assignment takes ``seconds``; more than ``slots`` at a time are refused.

    ``others``: how many requests of another writer are in progress. ``accepted``: when each of ours was;
    ``peak``: how many were in progress at most; ``errors``: of the next calls, by method.
    """

    def __init__(self, clock: Clock, seconds: float, slots: int = 15, others: int = 0) -> None:
        self._clock, self._slots, self._numbers = clock, slots, itertools.count()
        self.seconds, self.others = seconds, others
        self.accepted: dict[str, float] = {}
        self.peak = 0
        self.errors: dict[str, list[Exception]] = {}

    def create_account_assignment(self, **_: Any) -> dict[str, Any]:
        self._fail("create_account_assignment")
        if len(self._in_progress()) + self.others >= self._slots:
            raise client_error("ValidationException")
        request_id = f"r-{next(self._numbers)}"
        self.accepted[request_id] = self._clock()
        self.peak = max(self.peak, len(self._in_progress()))
        return self._described(request_id)

    def describe_account_assignment_creation_status(self, **given: Any) -> dict[str, Any]:
        self._fail("describe_account_assignment_creation_status")
        return self._described(given["AccountAssignmentCreationRequestId"])

    def list_account_assignment_creation_status(self, **_: Any) -> dict[str, Any]:
        self._fail("list_account_assignment_creation_status")
        found = [*self._in_progress(), *(f"other-{number}" for number in range(self.others))]
        return {"AccountAssignmentsCreationStatus": [{"RequestId": each} for each in found]}

    def _in_progress(self) -> list[str]:
        now = self._clock()
        return [each for each, accepted in self.accepted.items() if now < accepted + self.seconds]

    def _described(self, request_id: str) -> dict[str, Any]:
        status = "IN_PROGRESS" if request_id in self._in_progress() else "SUCCEEDED"
        return {"AccountAssignmentCreationStatus": {"RequestId": request_id, "Status": status}}

    def _fail(self, method: str) -> None:
        if self.errors.get(method):
            raise self.errors[method].pop(0)

    @property
    def occupancy(self) -> float:
        """The share of slots in use from the first request until the last, after which nothing waits."""
        first, last = min(self.accepted.values()), max(self.accepted.values())
        used = sum(min(each + self.seconds, last) - each for each in self.accepted.values())
        return used / (self._slots * (last - first))


def write(
    changes: Sequence[Change],
    client: Any,
    clock: Clock,
    timeout: float = 300.0,
    stopped: Callable[[], bool] = lambda: False,
    journal: JournalWriter | None = None,
) -> dict[str, ChangeResult]:
    """How a writer's changes end, on ``clock``."""
    rate = RateLimit(20.0, clock, clock.sleep)
    backoff = Backoff(sleep=clock.sleep, jitter=lambda: 1.0)
    clients = dict.fromkeys(("sso-admin", "identitystore"), client)
    context = WriterContext(
        clients, INSTANCE, journal or Unwritten(), lambda *_: RecheckResult(), rate, backoff
    )
    options = ApplyOptions(timeout, stopped, clock=clock, sleep=clock.sleep, pool=AtOnce)
    return SingleWriter(context, changes, options).run()


def accounts(count: int) -> Iterator[str]:
    """Account ids."""
    return (f"{100000000000 + number}" for number in range(count))
