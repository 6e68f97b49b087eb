# SPDX-License-Identifier: Apache-2.0
"""At most so many requests a second, over all clients and threads of a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

#: "IAM Identity Center APIs have a collective throttle maximum of 20 transactions per second" (its quotas page).
IDENTITY_CENTER_RATE = 20.0


class RateLimit:
    """Requests evenly spaced, ``per_second`` of them: bursts would count against the same bucket of AWS's.

    It holds each request of the clients it is attached to, botocore's own retries among them. A caller that
    has waited for its turn already says so by ``prepaid``.
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
        """Hold every request of ``client`` from now on until its turn."""
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"request-created.{service}", self._before_request)

    def wait(self) -> float:
        """Seconds until a request may be sent; 0 where one may be now."""
        with self._lock:
            return max(0.0, self._next - self._clock())

    def take(self) -> None:
        """Take the next turn, and sleep until it has come."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._spacing
        if turn > now:
            self._sleep(turn - now)

    def prepaid(self, call: Callable[..., Any], **parameters: Any) -> Any:
        """``call(**parameters)``, for whose first request a turn was taken."""
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
