# SPDX-License-Identifier: Apache-2.0
"""Makes the calls of a plan in order, each a JournaledCall. After each pause it verifies the user's unique id again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from botocore.config import Config

from c7n_iamusers.exceptions import IamUsersError, JournalRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, MISSING_CODES, ApiCall, Plan, Subject
from c7n_iamusers.execution.interruption import Interrupted
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.journaled_call import (
    AWS_ERRORS,
    FAILED,
    GONE,
    INTERRUPTED,
    NOBODY_SAYS,
    UNKNOWN,
    JournaledCall,
    failure_text,
    method_of,
    saved,
)
from c7n_iamusers.execution.retries import Backoff, answered, error_cause, error_code, message_of
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.wording import visible_log

#: The configuration of every client that changes anything. A retry inside botocore would hide a lost response, and
#: would not verify the subject's identity first.
SINGLE_TRY = Config(retries={"total_max_attempts": 1})
#: How often AWS is read to settle a call with an unknown outcome.
_SETTLING_READS = 4
#: Seconds after which the subject is verified again, if writing the line before a call took so long.
_SLOW = 1.0

LOG = visible_log("custodian.c7n_iamusers")


class CallFailed(Exception):
    """A call of a plan failed and is not retried. The calls before it are done, those after it were not made.

    ``unknown``: no answer says whether it was applied, and AWS does not show it.
    """

    names_user = True

    def __init__(self, call: ApiCall, subject: Subject, error: Exception, unknown: bool = False) -> None:
        what = {"what": NOBODY_SAYS} if unknown else {}
        super().__init__(failure_text(subject, call, error_code(error), message_of(error), **what))
        self.call, self.code, self.unknown = call, error_code(error), unknown


class SubjectGone(Exception):
    """The subject of a plan no longer exists, and this plan did not remove it."""


@dataclass
class Applied:
    """What has been applied to one subject so far, over all of its plans.

    ``values``: Ref name -> value. ``made``: each changing call with its result (DONE and the like), in order. ``ask``:
    called right before each try until a call has been applied, or may have been; what it raises ends the plan.
    ``under_way``: the call that is being tried, once a try of it may have been applied. ``unchecked``: the calls since
    the subject's identity was last verified. ``failure_note``: the state in which a failure now would leave the
    subject, for its outcome. ``rests_on``: see Outcome.
    """

    values: dict[str, Any] = field(default_factory=dict)
    made: list[tuple[ApiCall, str]] = field(default_factory=list)
    ask: Callable[[], None] = lambda: None
    under_way: ApiCall | None = None
    unchecked: list[ApiCall] = field(default_factory=list)
    failure_note: Reason | None = None
    rests_on: str = ""

    @property
    def changed(self) -> bool:
        """Whether a call was applied, or may have been. One that AWS refused changed nothing."""
        return self.changed_since(0)

    def changed_since(self, calls: int) -> bool:
        """Whether one was after the first so many ``calls``."""
        return any(result != FAILED for _, result in self.made[calls:])

    def tried(self, call: ApiCall) -> bool:
        """Whether this very call was made, or a try of it may have been applied."""
        return call is self.under_way or any(call is made for made, _ in self.made)

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
#: A call and its parameters -> whether a read of AWS now shows the effect of the call.
Shows = Callable[[ApiCall, Mapping[str, Any]], bool]


def shows_nothing(_call: ApiCall, _parameters: Mapping[str, Any]) -> bool:
    """For an executor that can't read: what is unknown stays unknown."""
    return False


class Executor:
    """Applies plans through ``clients`` (boto3 service name -> client). Thread-safe.

    The clients must not retry on their own: create them with SINGLE_TRY. ``caller``: the ARN that they act as, for the
    journal. ``shows``: settles calls if no answer says whether they were applied. ``before_each``: called before each
    try of a call; what it raises ends the plan. It raises if the run was interrupted, or its journal removed.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        journal: JournalWriter,
        backoff: Backoff | None = None,
        *,
        before_each: Callable[[], None] = lambda: None,
        caller: str = "",
        shows: Shows = shows_nothing,
    ) -> None:
        self._clients, self._journal, self._backoff = clients, journal, backoff or Backoff()
        self._before_each, self._caller, self._shows = before_each, caller, shows

    def apply(
        self,
        plan: Plan,
        applied: Applied,
        identify: Identify = lambda: True,
        *,
        urgent: bool = False,
        more: bool = False,
    ) -> None:
        """Make the calls of ``plan``, and record each in ``applied``, which is correct after a failure too.

        ``identify`` is called if a call asks for it, before each retry, and if something was gone already: somebody
        else may be changing the subject. ``urgent``: don't call ``before_each``, so an interruption does not stop the
        plan. ``more``: calls of another plan follow, so the last call here is not the subject's last.

        Raises CallFailed at the first call that fails, SubjectGone if ``identify`` returns False, and what ``identify``
        and ``before_each`` raise, such as Interrupted.
        """
        before_try: Callable[[], None] = (lambda: None) if urgent else self._before_each
        for number, call in enumerate(plan.calls, 1):
            before_try()
            journaled = JournaledCall(self._journal, plan.subject, call, self._backoff, caller=self._caller)
            method = method_of(self._clients, call.service, call.operation)
            last = number == len(plan.calls) and not more
            _Attempt(
                journaled, method, self._backoff, applied, identify, self._shows, before_try, last
            ).make()


@dataclass
class _Attempt:
    """One call, tried until it has a result. ``before_retry``: raises if it must not be tried again.

    ``last``: whether it is the last one of its plan.
    """

    journaled: JournaledCall
    method: Callable[..., Any]
    backoff: Backoff
    applied: Applied
    identify: Identify
    shows: Shows
    before_retry: Callable[[], None]
    last: bool

    def make(self) -> None:
        call, applied = self.journaled.call, self.applied
        if BEFORE in call.checked:
            self._check()
        self._ask()
        began = self.backoff.clock()
        parameters = self.journaled.begin(applied.values)
        try:
            self._ask_after_writing(self.backoff.clock() - began)
            result, answer = self._tried(parameters)
        except Exception as error:
            result = self._verdict(error)
            applied.made.append((call, result))
            self._end(result, answer=error)
            if isinstance(error, AWS_ERRORS):
                if error_cause(error) in MISSING_CODES:
                    self._check()  # the whole subject may be gone
                raise CallFailed(call, self.journaled.subject, error, result == UNKNOWN) from error
            raise
        applied.made.append((call, result))
        found = saved(call, answer) if isinstance(answer, Mapping) else {}
        applied.values.update(found)
        self._end(result, found, answer)
        if AFTER in call.checked or (result == GONE and not self.last):
            self._check()

    def _tried(self, parameters: Mapping[str, Any]) -> tuple[str, Any]:
        """The result, and the response or the error that it rests on."""
        while True:
            self.applied.unchecked.append(self.journaled.call)
            try:
                return self.journaled.result_of_answer, answered(self.method, **parameters)
            except AWS_ERRORS as error:
                if result := self._ended_by(error, parameters):
                    return result, error
            if not self._is_there_or_deleted():
                return self.journaled.result_if_done, None
            self.before_retry()
            self._ask()

    def _ask(self) -> None:
        if not self.applied.changed:
            self.applied.ask()

    def _ask_after_writing(self, seconds: float) -> None:
        """Writing the line may take minutes."""
        self._ask()
        if BEFORE in self.journaled.call.checked and seconds > _SLOW:
            self._check()

    def _ended_by(self, error: Exception, parameters: Mapping[str, Any]) -> str:
        """The result if ``error`` or a read shows the change; empty, after a pause, if the call is to be tried again.

        Raises ``error`` otherwise.
        """
        if result := self.journaled.ended_by(error):
            return result
        if self.journaled.lost:
            self.applied.under_way = self.journaled.call
        delay = self.journaled.delay_after(error)
        if delay is not None:
            self.journaled.tried(error)
            self.backoff.sleep(delay)
            return ""
        unsure = self.journaled.lost or self.journaled.call.may_be_there(error_code(error))
        if unsure and self._settled(parameters):
            return self.journaled.result_if_done
        raise error

    def _settled(self, parameters: Mapping[str, Any]) -> bool:
        """Whether AWS shows the change. False proves nothing: the change may become visible later."""
        call = self.journaled.call
        try:
            for delay in islice(self.backoff.delays(), _SETTLING_READS):
                if not self._is_there_or_deleted() or self.shows(call, parameters):
                    return True
                self.backoff.sleep(delay)
        except AWS_ERRORS as error:
            LOG.warning(
                "%s: %s can't be settled by reading: %s", self.journaled.subject, call.permission, error
            )
        return False

    def _verdict(self, error: Exception) -> str:
        if isinstance(error, Interrupted):
            # Raised between two tries. An earlier one may have been applied.
            return INTERRUPTED
        refused = isinstance(error, (*AWS_ERRORS, IamUsersError, SubjectGone))
        return self.journaled.result_if_refused if refused else UNKNOWN

    def _check(self) -> None:
        if not self._is_there():
            raise SubjectGone

    def _is_there_or_deleted(self) -> bool:
        """Whether the user is there; False where DeleteUser is to remove it. Raises SubjectGone for any other call."""
        there = self._is_there()
        if not there and self.journaled.call.operation != "DeleteUser":
            raise SubjectGone
        return there

    def _is_there(self) -> bool:
        found = self.identify()
        if found:
            self.applied.unchecked.clear()
        return found

    def _end(self, result: str, found: Mapping[str, Any] | None = None, answer: Any = None) -> None:
        try:
            self.journaled.end(result, found, answer)
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
