# SPDX-License-Identifier: Apache-2.0
"""A reading that several threads share as long as it is fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """What ``load`` gives, read again once it is older than ``max_age`` seconds.

    Age counts from the start of a reading. One that takes longer than that is stale when it ends: it is given
    up for good, so that a run over a large account does not spend its time reading what it can't use.
    """

    def __init__(
        self, load: Callable[[], T], max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load, self._max_age, self._clock = load, max_age, clock
        self._lock = threading.Lock()
        self._value: tuple[T] | None = None
        self._until = 0.0
        self._too_slow = False

    def get(self) -> T | None:
        """The reading, None once given up; other threads wait while one reads. Raises what ``load`` raises."""
        with self._lock:
            if not self._too_slow and (self._value is None or self._clock() > self._until):
                began = self._clock()
                self._value = (self._load(),)
                self._until = began + self._max_age
                self._too_slow = self._clock() > self._until
            return None if self._too_slow or self._value is None else self._value[0]
