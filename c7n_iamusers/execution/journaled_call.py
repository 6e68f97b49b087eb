# SPDX-License-Identifier: Apache-2.0
"""One changing call: a journal line before it, as many tries as it takes, a journal line after it.

Everything that changes AWS goes through here. What differs is who schedules the tries: the executor of users sleeps
and tries again, the writer of Identity Center makes other calls until the next try is due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from c7n_iamusers.execution.calls import ApiCall, Ref, Subject
from c7n_iamusers.execution.client import Backoff, error_code, error_delay, is_lost, is_retryable
from c7n_iamusers.execution.journal import AFTER, BEFORE, JournalWriter

#: How a call ended, as its journal line says: applied by us; there was nothing left to remove; somebody else had made
#: what it was to make.
DONE, GONE, ADOPTED = "done", "gone", "adopted"
#: Refused for good; only AWS knows whether it was applied; the run stopped between two tries, so only AWS knows.
FAILED, UNKNOWN, INTERRUPTED = "failed", "unknown", "interrupted"
#: What a try may raise.
AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
#: The configuration of every client that changes anything. A retry inside botocore would hide that an answer was
#: lost, and the subject would not be identified again before it.
SINGLE_TRY = Config(retries={"total_max_attempts": 1})
#: Operations for which a done code means that somebody else was faster.
_REMOVING = ("Delete", "Detach", "Remove", "Deactivate", "Update", "Untag")


class JournaledCall:
    """``call`` of ``subject``, spaced by ``backoff``. Not for several threads at once.

    ``begun``: its first line is in the journal. ``parameters``: without Refs once it is begun. ``lost``: a try may have
    been applied although no answer says so.
    """

    def __init__(
        self, journal: JournalWriter, subject: Subject, call: ApiCall, backoff: Backoff, lost: bool = False
    ) -> None:
        self._journal, self._delays = journal, backoff.delays()
        self.subject, self.call, self.lost = subject, call, lost
        self.begun, self.parameters = False, dict[str, Any]()

    def begin(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters, with ``values`` (Ref name -> value) in them. The line before the call is durable then.

        One line however many tries follow. Raises JournalRefused: the call must not be made.
        """
        if not self.begun:
            self.parameters = resolve(self.call.parameters, values)
            self._write(BEFORE, **({"notes": dict(self.call.notes)} if self.call.notes else {}))
            self.begun = True
        return self.parameters

    def end(self, result: str, saved: Mapping[str, Any] | None = None, code: str = "") -> None:
        """Write the line after the call. ``code``: of the error. Raises JournalRefused."""
        ids = {"saved": dict(saved)} if saved else {}
        self._write(AFTER, result=result, **ids, **({"code": code} if code else {}))

    def ended_by(self, error: Exception) -> str:
        """How ``error`` of a try ended the call: its result if nothing is left to do, else empty."""
        if error_code(error) in self.call.done_codes:
            return self.nothing_left
        self.lost = self.lost or is_lost(error)
        return ""

    def delay_after(self, error: Exception) -> float | None:
        """Seconds until the next try, as long as AWS asks for; None if no try helps or the time for tries is spent."""
        delay = next(self._delays, None) if is_retryable(error) else None
        return None if delay is None else float(error_delay(error) or delay)

    @property
    def nothing_left(self) -> str:
        """The result if nothing is left to do: after a lost answer, that is what an earlier try did.

        A missing IAM user proves nothing: it may have been renamed.
        """
        if self.lost:
            return UNKNOWN if self.call.permission == "iam:DeleteUser" else DONE
        return GONE if self.call.operation.startswith(_REMOVING) else DONE

    @property
    def refused(self) -> str:
        """The result if the last try was refused: only AWS knows what became of a lost one."""
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
    return {name: value_at(response, path) for name, path in call.save.items() if response}


def value_at(response: Any, path: tuple[str, ...]) -> Any:
    """What is at a path of keys; None where it ends early."""
    for key in path:
        response = response.get(key) if response is not None else None
    return response


def message_of(error: Exception) -> str:
    """What AWS said, or the error did."""
    return str(error.response["Error"].get("Message", "")) if isinstance(error, ClientError) else str(error)


def failure_text(subject: Subject, call: ApiCall, code: str, why: str) -> str:
    """``user alice of account 111122223333: iam:DeleteUser failed with AccessDenied: not authorized``."""
    return f"{subject}: {call.service}:{call.operation} failed with {code}: {why}"
