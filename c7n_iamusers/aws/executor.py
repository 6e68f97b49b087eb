# SPDX-License-Identifier: Apache-2.0
"""The only part that changes anything in AWS: it makes the calls of a plan, in order, journaled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.aws.interruption import Interrupted
from c7n_iamusers.aws.journal import JournalWriter
from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.model.calls import ApiCall, Plan, Ref, Subject


class CallFailed(Exception):
    """A call of a plan failed for good; what preceded it is done, what follows was not tried."""

    def __init__(self, call: ApiCall, subject: Subject, code: str, message: str) -> None:
        super().__init__(f"{subject}: {call.service}:{call.operation} failed with {code}: {message}")
        self.call, self.code = call, code


@dataclass
class Applied:
    """What has been done of a plan: ``calls`` counts the mutating ones; ``values`` holds what Refs stand for."""

    calls: int = 0
    values: dict[str, Any] = field(default_factory=dict)


class Executor:
    """Applies plans through ``clients`` (boto3 service name -> client). Safe for several threads."""

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

    def apply(self, plan: Plan, applied: Applied) -> None:
        """Make the calls of ``plan``; ``applied`` counts along, so that it tells the truth after a failure too.

        Raises CallFailed at the first call that fails for good, and what ``before_each`` (before each call)
        raises, Interrupted above all.
        """
        for call in plan.calls:
            self._before_each()
            self._make(plan.subject, call, applied)

    def _make(self, subject: Subject, call: ApiCall, applied: Applied) -> None:
        parameters = resolve(call.parameters, applied.values)
        entry = {"service": call.service, "operation": call.operation, "parameters": parameters}
        self._journal.write(subject, "before", **entry)
        applied.calls += 1
        try:
            result, response = self._invoke(call, parameters)
            applied.values.update(saved(call, response))
        except Interrupted:
            # It came between two tries: whether the last one was applied, only AWS can tell.
            self._journal.write(subject, "after", **entry, result="interrupted")
            raise
        except (ClientError, BotoCoreError) as error:
            code, message = _describe(error)
            self._journal.write(subject, "after", **entry, result="failed", code=code)
            raise CallFailed(call, subject, code, message) from error
        self._journal.write(subject, "after", **entry, result=result)

    def _invoke(self, call: ApiCall, parameters: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        try:
            return "done", self._backoff.call(self._method(call.service, call.operation), **parameters)
        except ClientError as error:
            if error_code(error) not in call.done_codes:
                raise
            return "gone" if call.operation.startswith(_REMOVING) else "done", {}

    def _method(self, service: str, operation: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._clients[service], xform_name(operation))
        return method


_REMOVING = ("Delete", "Detach", "Remove", "Deactivate")


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


def _describe(error: Exception) -> tuple[str, str]:
    if isinstance(error, ClientError):
        return error_code(error), str(error.response["Error"].get("Message", ""))
    return type(error).__name__, str(error)
