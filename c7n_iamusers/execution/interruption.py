# SPDX-License-Identifier: Apache-2.0
"""Stopping on a signal: the current call is finished and journaled, and no further call is made."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL_SECONDS = 0.2


class Interrupted(Exception):
    """A signal asked the run to stop. What was done is journaled, and the next run goes on from there."""


class Interruption:
    """In its ``with`` block, SIGINT and SIGTERM ask the run to stop instead of aborting a call. Thread-safe.

    A second signal has its usual effect. Python handles signals in the main thread only, so in another thread the block
    has no effect.
    """

    def __init__(self) -> None:
        # A plain attribute, not a threading.Event: the code that a signal interrupts might hold the event's lock.
        self._signal: int | None = None
        self._before: Mapping[int, Any] = {}

    def check(self) -> None:
        """Raises Interrupted if a signal came. Called before each AWS call."""
        if self.stopped():
            raise Interrupted(self.reason)

    def stopped(self) -> bool:
        """Whether a signal came."""
        return self._signal is not None

    def sleep(self, seconds: float) -> None:
        """Sleep before a retry. Raises Interrupted as soon as a signal comes."""
        until = time.monotonic() + seconds
        while (remaining := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(remaining, _POLL_SECONDS))
        self.check()

    @property
    def reason(self) -> str:
        """Which signal came, such as ``stopped by SIGTERM``."""
        return f"stopped by {signal.Signals(self._signal).name}" if self._signal else "not stopped"

    def exit_if_stopped(self) -> None:
        """End the process as the signal would have. Call it after everything is written.

        Raises KeyboardInterrupt after SIGINT, SystemExit (143) after SIGTERM. Neither is an Exception, so c7n does not
        run the next policy, and its own cleanup still runs.
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
            # None: the handler was not installed from Python, so Python can't restore it
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
