# SPDX-License-Identifier: Apache-2.0
"""One changing call: a journal line before it, one or more tries, a journal line after it.

Every change in AWS goes through JournaledCall. Its callers schedule the tries: the executor of IAM users sleeps before
a retry, the writer of Identity Center makes other calls until the retry is due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from c7n_iamusers.execution.calls import ApiCall, Ref, Subject
from c7n_iamusers.execution.journal import AFTER, BEFORE, JournalWriter
from c7n_iamusers.execution.retries import Backoff, error_code, error_delay, is_lost, is_retryable

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
