# SPDX-License-Identifier: Apache-2.0
"""The only part that changes anything in AWS: it makes the calls of a plan, in order, journaled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from c7n_iamusers.aws.interruption import Interrupted
from c7n_iamusers.aws.journal import JournalWriter
from c7n_iamusers.aws.retries import Backoff, error_code, error_delay, is_lost, is_retryable
from c7n_iamusers.exceptions import IamUsersError, JournalRefused
from c7n_iamusers.model.calls import AFTER, BEFORE, ApiCall, Plan, Ref, Subject

LOG = logging.getLogger("custodian.c7n_iamusers")
#: How a call ended, as the journal says it: applied by us; there was nothing left to do; refused for good; only AWS
#: can tell; told to stop between two tries.
DONE, GONE, FAILED, UNKNOWN, INTERRUPTED = "done", "gone", "failed", "unknown", "interrupted"
#: Operations for which NoSuchEntity means that somebody else was faster.
_REMOVING = ("Delete", "Detach", "Remove", "Deactivate", "Update", "Untag")
_AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)


class CallFailed(Exception):
    """A call of a plan failed for good; what preceded it is done, what follows was not tried."""

    def __init__(self, call: ApiCall, subject: Subject, code: str, message: str) -> None:
        super().__init__(f"{subject}: {call.service}:{call.operation} failed with {code}: {message}")
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

    The clients must not retry by themselves: a retry that nobody sees hides whether a lost answer was a success.
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
            attempt = _Attempt(self, plan.subject, call, applied, identify, last=number == len(plan.calls))
            attempt.make()

    def method(self, call: ApiCall) -> Callable[..., Any]:
        """The client's method for ``call``."""
        found: Callable[..., Any] = getattr(self._clients[call.service], xform_name(call.operation))
        return found

    @property
    def journal(self) -> JournalWriter:
        """Where each call is noted."""
        return self._journal

    @property
    def backoff(self) -> Backoff:
        """How retries are spaced."""
        return self._backoff


@dataclass
class _Attempt:
    """One call, tried until it is decided. ``last``: of its plan."""

    executor: Executor
    subject: Subject
    call: ApiCall
    applied: Applied
    identify: Identify
    last: bool
    lost: bool = False

    def make(self) -> None:
        call, applied = self.call, self.applied
        parameters = resolve(call.parameters, applied.values)
        if BEFORE in call.checked:
            self._check()
        entry = {"service": call.service, "operation": call.operation, "parameters": parameters}
        notes = {"notes": dict(call.notes)} if call.notes else {}
        self.executor.journal.write(self.subject, "before", **entry, **notes)
        try:
            result, response = self._tried(parameters)
        except Exception as error:
            code, result = error_code(error), self._verdict(error)
            applied.made.append((call, result))
            self._note(entry, result=result, code=code)
            if isinstance(error, _AWS_ERRORS):
                raise CallFailed(call, self.subject, code, _message(error)) from error
            raise
        applied.made.append((call, result))
        found = saved(call, response)
        applied.values.update(found)
        self._note(entry, result=result, **({"saved": found} if found else {}))
        if AFTER in call.checked or (result == GONE and not self.last):
            self._check()

    def _tried(self, parameters: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        method = self.executor.method(self.call)
        for delay in _with_end(self.executor.backoff.delays()):
            self.applied.unchecked.append(self.call)
            try:
                return DONE, method(**parameters)
            except _AWS_ERRORS as error:
                if error_code(error) in self.call.done_codes:
                    return self._nothing_left(), {}
                self.lost = self.lost or is_lost(error)
                if delay is None or not is_retryable(error):
                    raise
                self.executor.backoff.sleep(float(error_delay(error) or delay))
            if not self._is_there():
                if self.call.operation != "DeleteUser":
                    raise SubjectGone
                return self._nothing_left(), {}
        raise AssertionError("the last try returns or raises")

    def _nothing_left(self) -> str:
        """A call whose answer was lost has done what a later try finds done. A user may be missing otherwise too."""
        if self.lost:
            return UNKNOWN if self.call.operation == "DeleteUser" else DONE
        return GONE if self.call.operation.startswith(_REMOVING) else DONE

    def _verdict(self, error: Exception) -> str:
        if isinstance(error, Interrupted):
            # It came between two tries: whether an earlier one was applied, only AWS can tell.
            return INTERRUPTED
        refused = isinstance(error, (*_AWS_ERRORS, IamUsersError, SubjectGone))
        return FAILED if refused and not self.lost else UNKNOWN

    def _check(self) -> None:
        if not self._is_there():
            raise SubjectGone

    def _is_there(self) -> bool:
        found = self.identify()
        if found:
            self.applied.unchecked.clear()
        return found

    def _note(self, entry: Mapping[str, Any], **result: Any) -> None:
        try:
            self.executor.journal.write(self.subject, "after", **entry, **result)
        except JournalRefused as error:
            if not self.last:
                raise
            # Nothing follows that the missing line could endanger; what was done must be told as it is.
            LOG.error("%s", error)


def _with_end(delays: Iterator[float]) -> Iterator[float | None]:
    yield from delays
    yield None


def resolve(value: Any, values: Mapping[str, Any]) -> Any:
    """``value`` with each Ref in it replaced by what it stands for."""
    if isinstance(value, Ref):
        return values[value.name]
    if isinstance(value, Mapping):
        return {key: resolve(part, values) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve(part, values) for part in value]
    return value


def saved(call: ApiCall, response: Mapping[str, Any]) -> dict[str, Any]:
    """Ref name -> value, for what the call was to save."""
    return {name: _at(response, path) for name, path in call.save.items() if response}


def _at(response: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        response = response.get(key) if response is not None else None
    return response


def _message(error: Exception) -> str:
    return str(error.response["Error"].get("Message", "")) if isinstance(error, ClientError) else str(error)
