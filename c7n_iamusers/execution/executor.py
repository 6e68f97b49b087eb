# SPDX-License-Identifier: Apache-2.0
"""Makes the calls of a user's plan in order, journaled. After each pause it verifies the user's unique id again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.exceptions import IamUsersError, JournalRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, ApiCall, Plan, Subject
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
from c7n_iamusers.execution.retries import Backoff, error_code

LOG = logging.getLogger("custodian.c7n_iamusers")


class CallFailed(Exception):
    """A call of a plan failed and is not retried. The calls before it are done, those after it were not made."""

    def __init__(self, call: ApiCall, subject: Subject, code: str, message: str) -> None:
        super().__init__(failure_text(subject, call, code, message))
        self.call, self.code = call, code


class SubjectGone(Exception):
    """The subject of a plan no longer exists, and not this plan removed it."""


@dataclass
class Applied:
    """What has been applied to one subject so far, over all of its plans.

    ``values``: Ref name -> value. ``made``: each changing call with its result (a constant of journaled_call), in
    order. ``unchecked``: the calls since the subject's identity was last verified. ``failure_note``: the state that a
    failure now would leave the subject in, for the reason of its outcome.
    """

    values: dict[str, Any] = field(default_factory=dict)
    made: list[tuple[ApiCall, str]] = field(default_factory=list)
    unchecked: list[ApiCall] = field(default_factory=list)
    failure_note: str = ""

    def ended(self, operation: str) -> str:
        """The result of the last call if that was ``operation``, else empty."""
        call, result = self.made[-1] if self.made else (None, "")
        return result if call and call.operation == operation else ""

    @property
    def calls(self) -> int:
        """The number of changing calls made, failed ones included."""
        return len(self.made)


#: True if the name still belongs to the same subject, False if nobody has it. Raises if it belongs to another one.
Identify = Callable[[], bool]


class Executor:
    """Applies plans through ``clients`` (boto3 service name -> client). Thread-safe.

    The clients must not retry on their own: create them with SINGLE_TRY.
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
        """Make the calls of ``plan``, and record each in ``applied``, which is correct after a failure too.

        ``identify`` is called where a call asks for it, before each retry, and where something was gone already, since
        then somebody else may be changing the subject. ``urgent``: don't call ``before_each``, so an interruption does
        not stop the plan.

        Raises CallFailed at the first call that fails, SubjectGone if ``identify`` returns False, and what ``identify``
        and ``before_each`` raise, such as Interrupted.
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
    """One call, tried until it has a result. ``last``: whether it is the last one of its plan."""

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
                return self.journaled.result_if_done, {}

    def _verdict(self, error: Exception) -> str:
        if isinstance(error, Interrupted):
            # Raised between two tries. An earlier one may have been applied.
            return INTERRUPTED
        refused = isinstance(error, (*AWS_ERRORS, IamUsersError, SubjectGone))
        return self.journaled.result_if_refused if refused else UNKNOWN

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
            # No call follows, and the outcome must still report what was done.
            LOG.error("%s", error)
