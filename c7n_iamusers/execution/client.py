# SPDX-License-Identifier: Apache-2.0
"""Reading from AWS: when a call is worth another attempt, and every page of a list."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore import xform_name
from botocore.exceptions import (
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
)
from botocore.parsers import ResponseParserError

from c7n_iamusers.execution.calls import Subject

T = TypeVar("T")

#: Common Errors of IAM, SSO Admin and Identity Store (API references): the same call may succeed later.
RETRYABLE_CODES = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "EntityTemporarilyUnmodifiable",
        "InternalFailure",
        "InternalServerException",
        "RequestLimitExceeded",
        "ServiceFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
#: What AWS, or something on the way to it, answered can't be read, or nothing came.
_NO_ANSWER = (HTTPClientError, ConnectionError, ResponseParserError)
#: The request never reached AWS.
_NOT_SENT = (ConnectTimeoutError, EndpointConnectionError)
#: AWS's own failures, which say nothing of whether the request was applied.
_AMBIGUOUS_CODES = frozenset(
    {
        "InternalFailure",
        "InternalServerException",
        "ServiceFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)


def error_code(error: Exception) -> str:
    """The AWS error code, e.g. ``NoSuchEntity``; of an error that is not AWS's the name of its class."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def describe(subject: Subject, error: Exception) -> str:
    """What ``error`` says, with whom it befell in front where it does not say so itself."""
    text = str(error)
    return text if str(subject) in text else f"{subject}: {text}"


def is_missing(error: ClientError) -> bool:
    """True where Identity Center says that what was asked for does not exist.

    A client's own ``exceptions`` are made on first use, by several threads several times: an ``except`` on one of
    them can miss an error of the other.
    """
    return error_code(error) == "ResourceNotFoundException"


def is_retryable(error: Exception) -> bool:
    """True for throttling, temporary conflicts, AWS's own failures, broken connections and answers."""
    if isinstance(error, _NO_ANSWER):
        return True
    if not isinstance(error, ClientError):
        return False
    # identitystore says in Reason whether a conflict is a race or the object being there already.
    return error_code(error) in RETRYABLE_CODES or error.response.get("Reason") == "CONCURRENT_MODIFICATION"


def is_lost(error: Exception) -> bool:
    """True where the request may have been applied although no answer says so."""
    if isinstance(error, ClientError):
        return error_code(error) in _AMBIGUOUS_CODES
    return isinstance(error, _NO_ANSWER) and not isinstance(error, _NOT_SENT)


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter: delays in seconds, until ``budget`` seconds are spent."""

    base: float = 0.5
    cap: float = 20.0
    budget: float = 180.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def delays(self) -> Iterator[float]:
        """Delays before each further try; ends when the budget is spent."""
        spent, ceiling = 0.0, self.base
        while spent < self.budget:
            delay = ceiling * (0.5 + self.jitter() / 2)
            spent += delay
            yield delay
            ceiling = min(self.cap, ceiling * 2)

    def call(self, operation: Callable[..., T], **kw: Any) -> T:
        """``operation(**kw)``, again after each retryable error; the last error where the budget is spent."""
        for delay in self.delays():
            try:
                return operation(**kw)
            except (ClientError, *_NO_ANSWER) as error:
                if not is_retryable(error):
                    raise
                self.sleep(float(error_delay(error) or delay))
        return operation(**kw)


def error_delay(error: Exception) -> float | None:
    """The seconds that AWS itself asks for (``RetryAfterSeconds`` of identitystore's throttling)."""
    # botocore's connection errors have a response too: None.
    response = getattr(error, "response", None) or {}
    seconds = response.get("RetryAfterSeconds")
    return float(seconds) if seconds else None


def pages(client: Any, operation: str, backoff: Backoff, **parameters: Any) -> Iterator[dict[str, Any]]:
    """The responses of ``operation``, a page each, following IAM's Marker or the SSO services' NextToken.

    One loop serves the lists that botocore has a paginator for and those that it has none for
    (ListServiceSpecificCredentials), and lets a page be retried without starting over.
    """
    method = getattr(client, xform_name(operation))
    while True:
        page = backoff.call(method, **parameters)
        yield page
        if page.get("NextToken"):
            parameters["NextToken"] = page["NextToken"]
        elif page.get("IsTruncated"):
            parameters["Marker"] = page["Marker"]
        else:
            return


def items(client: Any, operation: str, result: str, backoff: Backoff, **parameters: Any) -> list[Any]:
    """The members named ``result`` of every page of ``operation``."""
    return [item for page in pages(client, operation, backoff, **parameters) for item in page.get(result, ())]
