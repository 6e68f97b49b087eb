# SPDX-License-Identifier: Apache-2.0
"""Makes the journaled calls of a user's plan in order; after each pause it checks whose the name is now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.exceptions import IamUsersError, JournalRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, ApiCall, Plan, Subject
from c7n_iamusers.execution.client import Backoff, error_code
from c7n_iamusers.execution.interruption import Interrupted
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.journaled_call import (
    AWS_ERRORS,
    DONE,
    GONE,
    INTERRUPTED,
    UNKNOWN,
    JournaledCall,
    failure_text,
    message_of,
    method_of,
    saved,
)

LOG = logging.getLogger("custodian.c7n_iamusers")


class CallFailed(Exception):
    """A call of a plan failed for good; what preceded it is done, what follows was not tried."""

    def __init__(self, call: ApiCall, subject: Subject, code: str, message: str) -> None:
        super().__init__(failure_text(subject, call, code, message))
        self.call, self.code = call, code


class SubjectGone(Exception):
    """The subject of a plan does not exist any more, and it was not this plan that removed it."""


@dataclass
class Applied:
    """What has been done of plans for one subject. ``values``: what Refs stand for.

    ``made``: each changing call with its parameters and how it ended, ``done`` or ``gone`` and so on, the last one
    last. ``unchecked``: those made since the subject was last identified. ``left``: in which state the subject is left
    where the work on it fails, for people.
    """

    values: dict[str, Any] = field(default_factory=dict)
    made: list[tuple[ApiCall, str]] = field(default_factory=list)
    unchecked: list[ApiCall] = field(default_factory=list)
    left: str = ""

    def ended(self, operation: str) -> str:
        """How the last call ended, where it was of ``operation``; else empty."""
        call, result = self.made[-1] if self.made else (None, "")
        return result if call and call.operation == operation else ""

    @property
    def calls(self) -> int:
        """How many changing calls were made, failed ones included."""
        return len(self.made)


#: True where the subject is who it was, False where it is gone; raises where the name is another's by now.
Identify = Callable[[], bool]


class Executor:
    """Applies plans through ``clients`` (boto3 service name -> client). Safe for several threads.

    The clients must not retry by themselves (SINGLE_TRY).
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        journal: JournalWriter,
        backoff: Backoff | None = None,
        *,
        before_each: Callable[[], None] = lambda: None,
    ) -> None:
        self._clients, self._journal, self._backoff = clients, journal, backoff or Backoff()
        self._before_each = before_each

    def apply(
        self, plan: Plan, applied: Applied, identify: Identify = lambda: True, urgent: bool = False
    ) -> None:
        """Make the calls of ``plan``; ``applied`` counts along, so that it tells the truth after a failure too.

        ``identify`` is asked where a call says so, after every pause, and where something was gone already, which
        is a sign that somebody else is at work. ``urgent``: not to be stopped by ``before_each``.

        Raises CallFailed at the first call that fails for good, SubjectGone where ``identify`` says so, and what
        ``identify`` and ``before_each`` (before each call) raise, Interrupted above all.
        """
        for number, call in enumerate(plan.calls, 1):
            if not urgent:
                self._before_each()
            journaled = JournaledCall(self._journal, plan.subject, call, self._backoff)
            method = method_of(self._clients, call.service, call.operation)
            last = number == len(plan.calls)
            _Attempt(journaled, method, self._backoff.sleep, applied, identify, last).make()


@dataclass
class _Attempt:
    """One call, tried until it is decided. ``last``: of its plan."""

    journaled: JournaledCall
    method: Callable[..., Any]
    sleep: Callable[[float], None]
    applied: Applied
    identify: Identify
    last: bool

    def make(self) -> None:
        call, applied = self.journaled.call, self.applied
        if BEFORE in call.checked:
            self._check()
        parameters = self.journaled.begin(applied.values)
        try:
            result, response = self._tried(parameters)
        except Exception as error:
            code, result = error_code(error), self._verdict(error)
            applied.made.append((call, result))
            self._end(result, code=code)
            if isinstance(error, AWS_ERRORS):
                raise CallFailed(call, self.journaled.subject, code, message_of(error)) from error
            raise
        applied.made.append((call, result))
        found = saved(call, response)
        applied.values.update(found)
        self._end(result, found)
        if AFTER in call.checked or (result == GONE and not self.last):
            self._check()

    def _tried(self, parameters: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        while True:
            self.applied.unchecked.append(self.journaled.call)
            try:
                return DONE, self.method(**parameters)
            except AWS_ERRORS as error:
                if result := self.journaled.ended_by(error):
                    return result, {}
                delay = self.journaled.delay_after(error)
                if delay is None:
                    raise
                self.sleep(delay)
            if not self._is_there():
                if self.journaled.call.operation != "DeleteUser":
                    raise SubjectGone
                return self.journaled.nothing_left, {}

    def _verdict(self, error: Exception) -> str:
        if isinstance(error, Interrupted):
            # It came between two tries: whether an earlier one was applied, only AWS can tell.
            return INTERRUPTED
        refused = isinstance(error, (*AWS_ERRORS, IamUsersError, SubjectGone))
        return self.journaled.refused if refused else UNKNOWN

    def _check(self) -> None:
        if not self._is_there():
            raise SubjectGone

    def _is_there(self) -> bool:
        found = self.identify()
        if found:
            self.applied.unchecked.clear()
        return found

    def _end(self, result: str, found: Mapping[str, Any] | None = None, code: str = "") -> None:
        try:
            self.journaled.end(result, found, code)
        except JournalRefused as error:
            if not self.last:
                raise
            # Nothing follows that the missing line could endanger, and the outcome must say what was done.
            LOG.error("%s", error)
