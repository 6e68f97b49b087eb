# SPDX-License-Identifier: Apache-2.0
"""Calls that are under way in other threads, which do nothing but wait for AWS's answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

from c7n_iamusers.aws.rate_limit import RateLimit

#: Enough for 20 calls a second where each takes 0.4 seconds.
_WORKERS = 8

Landed = Callable[[Future[Any]], None]


class Flights:
    """At most a few calls at a time, each at its turn of ``rate``."""

    def __init__(self, rate: RateLimit) -> None:
        self._rate = rate
        self._pool = ThreadPoolExecutor(max_workers=_WORKERS)
        self._landings: dict[Future[Any], Landed] = {}

    @property
    def none(self) -> bool:
        """Whether nothing is under way."""
        return not self._landings

    @property
    def may_start(self) -> bool:
        """Whether a call may be sent at this moment."""
        return len(self._landings) < _WORKERS and self._rate.wait() <= 0

    def start(self, call: Callable[[], Any], landed: Landed) -> None:
        """Make ``call``; ``landed`` gets its future, in the thread that collects."""
        self._rate.take()
        self._landings[self._pool.submit(self._rate.prepaid, call)] = landed

    def collect(self, seconds: float) -> None:
        """Land what has come to an end within ``seconds``."""
        if self.none:
            time.sleep(seconds)
            return
        ended, _ = wait(self._landings, timeout=seconds, return_when=FIRST_COMPLETED)
        for flight in ended:
            self._landings.pop(flight)(flight)

    def __enter__(self) -> Flights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
