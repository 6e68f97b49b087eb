# SPDX-License-Identifier: Apache-2.0
"""Clients that answer from a script, for tests of retries and of the executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.execution.retries import Backoff

#: Codes with which AWS answers that it failed itself.
_SERVER_ERRORS = ("Internal", "ServiceFailure", "ServiceUnavailable")


def client_error(code: str, **response: Any) -> ClientError:
    """A ClientError as botocore raises it, of an answer by AWS."""
    status = 500 if code.startswith(_SERVER_ERRORS) else 400
    metadata = {"HTTPStatusCode": status, "RequestId": f"request-of-{code}"}
    error = {"Code": code, "Message": f"{code} happened"}
    answer: Any = {"Error": error, "ResponseMetadata": metadata, **response}
    return ClientError(answer, "Operation")


class ScriptedClient:
    """Answers each method from its script, in order, and fails the test when a script runs out.

    A function in a script is called with the parameters.
    """

    def __init__(self, **scripts: list[Any]) -> None:
        self.scripts = scripts
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(**parameters: Any) -> Any:
            self.calls.append((name, parameters))
            assert self.scripts.get(name), f"no further {name} is expected"
            answer = self.scripts[name].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer(**parameters) if callable(answer) else answer

        return method


class Sleeps(list[float]):
    """Collects what was slept instead of sleeping."""

    def backoff(self, budget: float = 60.0) -> Backoff:
        """A Backoff without jitter that sleeps here."""
        return Backoff(base=1.0, cap=8.0, budget=budget, sleep=self.append, jitter=lambda: 1.0)
