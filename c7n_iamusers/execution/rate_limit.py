# SPDX-License-Identifier: Apache-2.0
"""A rate of requests to AWS that clients share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

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
