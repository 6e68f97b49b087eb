# SPDX-License-Identifier: Apache-2.0
"""Makes this process one in which a trace depends on nothing but itself: no threads, and a clock that only sleeps move.

Import it before the package and boto3, which keep ``time.sleep`` and ``ThreadPoolExecutor`` as they find them.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.thread
import datetime as real_datetime
import importlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

#: The clocks as Python has them.
REAL_TIME, REAL_MONOTONIC, REAL_SLEEP = time.time, time.monotonic, time.sleep
#: What a call to AWS takes, in seconds.
CALL_SECONDS = 0.02


class Clock:
    """``elapsed``: seconds since ``restart``, by sleeps and calls. ``jumped``: what the wall clock is wrong by."""

    def __init__(self) -> None:
        self._began = REAL_TIME()
        self.elapsed, self.jumped = 0.0, 0.0

    def restart(self) -> None:
        """Begin a trace: the wall clock is right, and stands still."""
        self._began, self.elapsed, self.jumped = REAL_TIME(), 0.0, 0.0

    def sleep(self, seconds: float) -> None:
        """In place of time.sleep."""
        self.elapsed += max(0.0, seconds)

    def monotonic(self, _which: int = 0) -> float:
        """In place of time.monotonic and time.clock_gettime."""
        return 1_000_000.0 + self.elapsed

    def wall(self) -> float:
        """In place of time.time."""
        return self._began + self.elapsed + self.jumped

    def true_time(self) -> real_datetime.datetime:
        """The time at AWS."""
        return real_datetime.datetime.fromtimestamp(self._began + self.elapsed, real_datetime.timezone.utc)


CLOCK = Clock()


class _Kind(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, real_datetime.datetime)


class VirtualDatetime(real_datetime.datetime, metaclass=_Kind):
    """``datetime`` whose now is the clock's."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        """The time by the runner's clock."""
        return real_datetime.datetime.fromtimestamp(CLOCK.wall(), tz)


class Inline(concurrent.futures.Executor):
    """In place of a ThreadPoolExecutor: each call is made when it is submitted."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take what a ThreadPoolExecutor takes."""

    def submit(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        """See Executor. What is no Exception, such as a kill, is not kept for later."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(function(*given, **named))
        except Exception as error:  # noqa: BLE001  # whatever the call raises, its caller asks for later
            future.set_exception(error)
        return future

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        """See Executor."""
        futures = [self.submit(fn, *each) for each in zip(*iterables, strict=False)]
        return iter([each.result() for each in futures])


def install() -> None:
    """Change this process, for good. Raises RuntimeError where the package is loaded already."""
    if {"c7n_iamusers.execution", "boto3"} & sys.modules.keys():  # its start-up hook is always loaded
        raise RuntimeError("the package was loaded before tests.explorer.alone")
    replaced: dict[str, Any] = {
        "sleep": CLOCK.sleep,
        "monotonic": CLOCK.monotonic,
        "time": CLOCK.wall,
        "clock_gettime": CLOCK.monotonic,
    }
    for name, function in replaced.items():
        setattr(time, name, function)
    for module in (concurrent.futures, concurrent.futures.thread):
        module.ThreadPoolExecutor = Inline  # type: ignore[attr-defined]
    logging.raiseExceptions = False  # the disk of the logs is full as well
    os.fsync = lambda fd: None
    # the clock is replaced, so that what this loads finds it
    importlib.import_module("tests.quick_botocore").install()


def install_dates() -> None:
    """Let the package read dates from the clock too, once it is loaded."""
    for name, module in list(sys.modules.items()):
        ours = name.partition(".")[0] in ("c7n_iamusers", "c7n_iamusers_cli")
        if ours and getattr(module, "datetime", None) is real_datetime.datetime:
            setattr(module, "datetime", VirtualDatetime)  # noqa: B010  # a module of no certain name
