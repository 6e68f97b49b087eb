# SPDX-License-Identifier: Apache-2.0
"""Calls to AWS: which errors to retry, backoff, every page of a list, and a rate limit that clients share."""

from __future__ import annotations

import random
import threading
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

#: "Common Errors" in the API references of IAM, SSO Admin and Identity Store: the same call may succeed later.
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
        "TooManyRequestsError",
        "TooManyRequestsException",
    }
)
#: No response came, or it can't be parsed.
_NO_ANSWER = (HTTPClientError, ConnectionError, ResponseParserError)
#: The request never reached AWS.
_NOT_SENT = (ConnectTimeoutError, EndpointConnectionError)
#: Server errors. They don't say whether the request was applied.
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
    """The AWS error code, such as ``NoSuchEntity``; the class name of an error that is not a ClientError."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def describe(subject: Subject, error: Exception) -> str:
    """The text of ``error``, with ``subject`` in front unless the text already names it."""
    text = str(error)
    return text if str(subject) in text else f"{subject}: {text}"


def is_missing(error: ClientError) -> bool:
    """True if Identity Center reports ResourceNotFoundException.

    ``except client.exceptions.ResourceNotFoundException`` is not safe in threads: botocore creates these classes on
    first use, and several threads may create several of them.
    """
    return error_code(error) == "ResourceNotFoundException"


def is_retryable(error: Exception) -> bool:
    """True for throttling, temporary conflicts, server errors, broken connections and unreadable responses."""
    if isinstance(error, _NO_ANSWER):
        return True
    if not isinstance(error, ClientError):
        return False
    # In identitystore's ConflictException, Reason tells a race from an object that exists already.
    return error_code(error) in RETRYABLE_CODES or error.response.get("Reason") == "CONCURRENT_MODIFICATION"


def is_lost(error: Exception) -> bool:
    """True if the request may have been applied although no response confirms it."""
    if isinstance(error, ClientError):
        return error_code(error) in _AMBIGUOUS_CODES
    return isinstance(error, _NO_ANSWER) and not isinstance(error, _NOT_SENT)


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with jitter. ``base``, ``cap`` and ``budget`` (of all delays together) are in seconds."""

    base: float = 0.5
    cap: float = 20.0
    budget: float = 180.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def delays(self) -> Iterator[float]:
        """The delay in seconds before each retry; ends when the budget is spent."""
        spent, ceiling = 0.0, self.base
        while spent < self.budget:
            delay = ceiling * (0.5 + self.jitter() / 2)
            spent += delay
            yield delay
            ceiling = min(self.cap, ceiling * 2)

    def call(self, operation: Callable[..., T], **kw: Any) -> T:
        """``operation(**kw)``, retried after each retryable error. Raises the last error once the budget is spent."""
        for delay in self.delays():
            try:
                return operation(**kw)
            except (ClientError, *_NO_ANSWER) as error:
                if not is_retryable(error):
                    raise
                self.sleep(float(error_delay(error) or delay))
        return operation(**kw)


def error_delay(error: Exception) -> float | None:
    """The delay in seconds that AWS asks for: ``RetryAfterSeconds`` of identitystore's ThrottlingException."""
    # botocore's connection errors have a response attribute too, which is None.
    response = getattr(error, "response", None) or {}
    seconds = response.get("RetryAfterSeconds")
    return float(seconds) if seconds else None


def pages(client: Any, operation: str, backoff: Backoff, **parameters: Any) -> Iterator[dict[str, Any]]:
    """The responses of ``operation``, one a page, by IAM's Marker or the SSO services' NextToken.

    Unlike a botocore paginator, it also serves ListServiceSpecificCredentials, and retries a page without starting
    over.
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
    """The elements of the list ``result`` in every page of ``operation``."""
    return [item for page in pages(client, operation, backoff, **parameters) for item in page.get(result, ())]


#: "IAM Identity Center APIs have a collective throttle maximum of 20 transactions per second" (its quotas page).
IDENTITY_CENTER_RATE = 20.0


class RateLimit:
    """Spaces requests evenly, ``per_second`` of them.

    It delays each request of the clients that it is attached to, botocore's own retries included. ``prepaid`` makes a
    call whose slot was taken by ``take`` before.
    """

    def __init__(
        self,
        per_second: float = IDENTITY_CENTER_RATE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._spacing, self._clock, self._sleep = 1 / per_second, clock, sleep
        self._lock, self._local = threading.Lock(), threading.local()
        self._next = 0.0

    def attach(self, client: Any) -> None:
        """Delay every request of ``client`` from now on until its slot."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"request-created.{service}", self._before_request)

    def wait(self) -> float:
        """Seconds until the next free slot; 0 if there is one now."""
        with self._lock:
            return max(0.0, self._next - self._clock())

    def take(self) -> None:
        """Take the next slot, and sleep until it begins."""
        with self._lock:
            now = self._clock()
            slot = max(now, self._next)
            self._next = slot + self._spacing
        if slot > now:
            self._sleep(slot - now)

    def prepaid(self, call: Callable[..., Any], **parameters: Any) -> Any:
        """``call(**parameters)``. The slot of its first request was taken before."""
        self._local.paid = True
        try:
            return call(**parameters)
        finally:
            self._local.paid = False

    def _before_request(self, **_: Any) -> None:
        if getattr(self._local, "paid", False):
            self._local.paid = False
        else:
            self.take()
