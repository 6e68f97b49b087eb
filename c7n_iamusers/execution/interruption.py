# SPDX-License-Identifier: Apache-2.0
"""Stopping in good order: the call in hand is finished and journaled, none is begun after it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GLANCE_SECONDS = 0.2


class Interrupted(Exception):
    """The run was told to stop; what was done is journaled, and another run carries on."""


class Interruption:
    """While in its ``with`` block, SIGINT and SIGTERM ask the run to stop instead of breaking off a call.

    A second signal acts as it would have without us. Python handles signals in its main thread only, so in
    another thread this changes nothing. Safe for several threads.
    """

    def __init__(self) -> None:
        # A plain attribute: a lock (threading.Event has one) might be held by the code that a signal breaks into.
        self._signal: int | None = None
        self._before: Mapping[int, Any] = {}

    def check(self) -> None:
        """Raises Interrupted where the run was told to stop. Called before each call."""
        if self._signal:
            raise Interrupted(self.reason)

    def sleep(self, seconds: float) -> None:
        """Sleeps, but raises Interrupted as soon as the run is told to stop: a retry is a call not yet begun."""
        until = time.monotonic() + seconds
        while (remaining := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(remaining, _GLANCE_SECONDS))
        self.check()

    @property
    def reason(self) -> str:
        """Which signal came, e.g. ``stopped by SIGTERM``."""
        return f"stopped by {signal.Signals(self._signal).name}" if self._signal else "not stopped"

    def follow(self) -> None:
        """Once all is written, end the process as the signal would have.

        Raises KeyboardInterrupt after SIGINT and SystemExit (143) after SIGTERM: neither is an Exception, so
        c7n does not go on with the next policy, and its own clean-up still runs.
        """
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self._signal:
            raise SystemExit(128 + self._signal)

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        self._restore()

    def _restore(self) -> None:
        before, self._before = self._before, {}
        for number, handler in before.items():
            # None: it was not set from Python, and can't be from here
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
