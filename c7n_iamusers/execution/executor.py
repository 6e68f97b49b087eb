# SPDX-License-Identifier: Apache-2.0
"""Makes changes in AWS: one journaled call, and the calls of a plan in order.

Every change goes through JournaledCall: a journal line before the call, one or more tries, a journal line after it. Its
callers schedule the tries: the executor of IAM users sleeps before a retry, the writer of Identity Center makes other
calls until the retry is due. After each pause the executor verifies the user's unique id again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from c7n_iamusers.exceptions import IamUsersError, JournalRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, ApiCall, Plan, Ref, Subject
from c7n_iamusers.execution.interruption import Interrupted
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.retries import Backoff, error_code, error_delay, is_lost, is_retryable
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.text.wording import visible_log

#: Results of a call in its journal line. We applied it; what it removes was gone; what it creates existed.
DONE, GONE, ADOPTED = "done", "gone", "adopted"
#: AWS refused it; its response was lost, so it may have been applied; the run stopped between two tries, likewise.
FAILED, UNKNOWN, INTERRUPTED = "failed", "unknown", "interrupted"
#: What a try may raise.
AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
#: The configuration of every client that changes anything. A retry inside botocore would hide a lost response, and
#: would not verify the subject's identity first.
SINGLE_TRY = Config(retries={"total_max_attempts": 1})
#: Operations for which a done code means that somebody else did the same before.
_REMOVING = ("Delete", "Detach", "Remove", "Deactivate", "Update", "Untag")


class JournaledCall:
    """``call`` for ``subject``, with retries spaced by ``backoff``. Not thread-safe.

    ``begun``: the line before the call is in the journal. ``parameters``: with Refs resolved, once it is begun.
    ``lost``: the response of a try was lost, so that try may have been applied.
    """

    def __init__(
        self, journal: JournalWriter, subject: Subject, call: ApiCall, backoff: Backoff, lost: bool = False
    ) -> None:
        self._journal, self._delays = journal, backoff.delays()
        self.subject, self.call, self.lost = subject, call, lost
        self.begun, self.parameters = False, dict[str, Any]()

    def begin(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write the line before the call, once for all tries, and return the parameters.

        ``values``: Ref name -> value. Raises JournalRefused if the line can't be made durable: don't make the call.
        """
        if not self.begun:
            self.parameters = resolve(self.call.parameters, values)
            self._write(BEFORE, **({"notes": dict(self.call.notes)} if self.call.notes else {}))
            self.begun = True
        return self.parameters

    def end(self, result: str, saved: Mapping[str, Any] | None = None, code: str = "") -> None:
        """Write the line after the call. ``saved``: Ref name -> value. ``code``: AWS error. Raises JournalRefused."""
        ids = {"saved": dict(saved)} if saved else {}
        self._write(AFTER, result=result, **ids, **({"code": code} if code else {}))

    def ended_by(self, error: Exception) -> str:
        """The result if ``error`` means that the desired state exists, else empty."""
        if error_code(error) in self.call.done_codes:
            return self.result_if_done
        self.lost = self.lost or is_lost(error)
        return ""

    def delay_after(self, error: Exception) -> float | None:
        """Seconds until the retry after ``error``; None if it is not retryable or the backoff's budget is spent."""
        delay = next(self._delays, None) if is_retryable(error) else None
        return None if delay is None else float(error_delay(error) or delay)

    @property
    def result_if_done(self) -> str:
        """The result if the desired state exists. After a lost response, an earlier try is taken to have caused it.

        For DeleteUser it is UNKNOWN then, since a missing user may also have been renamed.
        """
        if self.lost:
            return UNKNOWN if self.call.permission == "iam:DeleteUser" else DONE
        return GONE if self.call.operation.startswith(_REMOVING) else DONE

    @property
    def result_if_refused(self) -> str:
        """The result if AWS refused the last try. After a lost response an earlier try may have been applied."""
        return UNKNOWN if self.lost else FAILED

    def _write(self, phase: str, **more: Any) -> None:
        made = {
            "service": self.call.service,
            "operation": self.call.operation,
            "parameters": self.parameters,
        }
        self._journal.write(self.subject, phase, **made, **more)


def method_of(clients: Mapping[str, Any], service: str, operation: str) -> Callable[..., Any]:
    """The method for ``operation`` of ``clients`` (boto3 service name -> client)."""
    found: Callable[..., Any] = getattr(clients[service], xform_name(operation))
    return found


def resolve(value: Any, values: Mapping[str, Any]) -> Any:
    """``value`` with each Ref in it replaced by its value in ``values``."""
    if isinstance(value, Ref):
        return values[value.name]
    if isinstance(value, Mapping):
        return {key: resolve(part, values) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve(part, values) for part in value]
    return value


def saved(call: ApiCall, response: Mapping[str, Any]) -> dict[str, Any]:
    """Ref name -> value in ``response``, for each Ref that ``call`` saves."""
    return {name: value_at(response, path) for name, path in call.save.items() if response}


def value_at(response: Any, path: tuple[str, ...]) -> Any:
    """The value at a path of keys; None if a key is missing."""
    for key in path:
        response = response.get(key) if response is not None else None
    return response


def message_of(error: Exception) -> str:
    """AWS's message in ``error``, or the text of an error that is not a ClientError."""
    return str(error.response["Error"].get("Message", "")) if isinstance(error, ClientError) else str(error)


def failure_text(subject: Subject, call: ApiCall, code: str, why: str) -> str:
    """``user alice of account 111122223333: iam:DeleteUser failed with AccessDenied: not authorized``."""
    return f"{subject}: {call.service}:{call.operation} failed with {code}: {why}"


LOG = visible_log("custodian.c7n_iamusers")


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

    ``values``: Ref name -> value. ``made``: each changing call with its result (DONE and the like), in
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


@dataclass(frozen=True)
class Run:
    """One action's run over ``count`` users.

    ``client``: an IAM client for reading; changes go through ``executor``. ``callers``: ARNs of the principals behind
    the run; the first one acts in the account.
    """

    client: Any
    executor: Executor
    backoff: Backoff
    store: Store
    callers: tuple[str, ...]
    count: int
    journal: JournalWriter

    @property
    def account_id(self) -> str:
        """The account that the run acts in."""
        return self.callers[0].split(":")[4]
