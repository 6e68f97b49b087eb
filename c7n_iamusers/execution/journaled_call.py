# SPDX-License-Identifier: Apache-2.0
"""One change in AWS: a journal line before the call, one or more tries, a journal line after it.

Its callers schedule the tries: the executor of IAM users sleeps before a retry, the writer of Identity Center makes
other calls until the retry is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from c7n_iamusers.exceptions import AnswerLost
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED, ApiCall, Ref, Subject
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.retries import (
    Backoff,
    Verdict,
    error_cause,
    error_code,
    error_delay,
    http_status,
    refusals_of,
    request_id,
    verdict_on,
)

#: Results of a call in its journal line: applied; its object was gone already; its object existed already.
DONE, GONE, ADOPTED = "done", "gone", "adopted"
#: AWS refused it; it is unknown whether it was applied; the same, as the run stopped between two tries.
FAILED, UNKNOWN, INTERRUPTED = "failed", "unknown", "interrupted"
#: What a try may raise.
AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
_NOTHING: Mapping[str, Any] = {}


class JournaledCall:
    """``call`` for ``subject`` by ``caller`` (an ARN), with retries spaced by ``backoff``. Not thread-safe.

    ``begun``: the line before the call is in the journal. ``parameters``: with Refs resolved, once it is begun.
    ``lost``: no answer says whether one of its tries was applied.
    """

    # Tens of thousands wait for their turn in Identity Center.
    __slots__ = (
        "_backoff",
        "_caller",
        "_delays",
        "_journal",
        "_lost_code",
        "begun",
        "call",
        "lost",
        "parameters",
        "subject",
    )

    def __init__(
        self,
        journal: JournalWriter,
        subject: Subject,
        call: ApiCall,
        backoff: Backoff,
        lost: bool = False,
        caller: str = "",
    ) -> None:
        self._journal, self._backoff, self._caller = journal, backoff, caller
        self._delays: Iterator[float] | None = None
        self._lost_code = ""
        self.subject, self.call, self.lost = subject, call, lost
        self.begun = False
        self.parameters: Mapping[str, Any] = _NOTHING

    def begin(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write the line before the call, once for all tries, and return the parameters.

        ``values``: Ref name -> value. Raises JournalRefused if the line can't be made durable: don't make the call.
        """
        if not self.begun:
            self.parameters = resolve(self.call.parameters, values)
            self._write(BEFORE, **({"notes": dict(self.call.notes)} if self.call.notes else {}))
            self.begun = True
        return self.parameters

    def end(
        self, result: str, saved: Mapping[str, Any] | None = None, answer: Any = None, code: str = ""
    ) -> None:
        """Write the line after the call. ``saved``: Ref name -> value. ``answer``: the last response, or error.

        ``code``: of a failure that is no error of AWS. Raises JournalRefused.
        """
        ids = {"saved": dict(saved)} if saved else {}
        code = code or (self._lost_code if result == UNKNOWN else "")
        self._write(AFTER, result=result, **ids, **self._answer(answer, code))

    def ended_by(self, error: Exception) -> str:
        """The result if ``error`` means that the desired state exists, else empty."""
        verdict = verdict_on(error, self.refusals)
        if verdict is Verdict.REFUSED and error_cause(error) in self.call.done_codes:
            return self.result_if_done
        if verdict is Verdict.UNKNOWN:
            self.lost, self._lost_code = True, error_code(error)
        return ""

    def delay_after(self, error: Exception) -> float | None:
        """Seconds until the retry after ``error``; None if a retry can't help, or the backoff's budget is spent."""
        refused = verdict_on(error, self.refusals) is Verdict.REFUSED
        if self._delays is None:
            self._delays = self._backoff.delays()
        delay = None if refused else next(self._delays, None)
        return None if delay is None else float(error_delay(error) or delay)

    def tried(self, error: Exception) -> None:
        """Write a line of a try that failed, before it is repeated. Raises JournalRefused."""
        self._write(TRIED, **self._answer(error))

    @property
    def result_if_done(self) -> str:
        """The result if the desired state exists. After a lost response, an earlier try counts as its cause.

        Then it is UNKNOWN for DeleteUser and for an access key, since a missing user may also have been renamed.
        """
        if self.lost:
            gone = self.call.permission == "iam:DeleteUser" or self.subject.is_key
            return UNKNOWN if gone else DONE
        return GONE if self.call.removes else DONE

    @property
    def result_of_answer(self) -> str:
        """The result if AWS answers a try. After a lost answer, whoever set the status of an access key is not known.

        That may have been somebody else, and the answer to a further try does not tell.
        """
        switches = self.subject.is_key and "Status" in self.call.parameters
        return UNKNOWN if self.lost and switches else DONE

    @property
    def result_if_refused(self) -> str:
        """The result if AWS refused the last try. After a lost response an earlier try may have been applied."""
        return UNKNOWN if self.lost else FAILED

    @property
    def refusals(self) -> frozenset[str]:
        """The codes with which AWS refuses the call."""
        return refusals_of(self.call.service)

    def _answer(self, answer: Any, code: str = "") -> dict[str, Any]:
        """What the journal keeps of an answer, or of the lack of one. ``code``: of a failure without an error."""
        failed = isinstance(answer, Exception)
        found = {
            "code": error_code(answer) if failed else code,
            "status": http_status(answer) if failed else 0,
            "request_id": request_id(answer),
            "caller": self._caller,
        }
        return {name: value for name, value in found.items() if value}

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
    """``value`` with each Ref in it replaced by its value in ``values``. Raises AnswerLost if one has none."""
    if isinstance(value, Ref):
        if value.name not in values:
            raise AnswerLost(f"{value.name} is unknown, because the answer with it was lost: run again")
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


def failure_text(
    subject: Subject, call: ApiCall, code: str, why: str, what: str = "failed with {code}"
) -> str:
    """``user alice of account 111122223333: iam:DeleteUser failed with AccessDenied: not authorized``.

    ``what``: what became of the call, such as NOBODY_SAYS.
    """
    return f"{subject}: {call.service}:{call.operation} {what.format(code=code)}: {why}"


#: What became of a call with an unknown outcome.
NOBODY_SAYS = "was made, and no answer of AWS says whether it was applied ({code})"
