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

    Age counts from the start of a reading. One that takes long is used as long as it took, so that a run over a
    large account does not spend its time reading.
    """

    def __init__(
        self, load: Callable[[], T], max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load, self._max_age, self._clock = load, max_age, clock
        self._lock = threading.Lock()
        self._value: tuple[T] | None = None
        self._until = 0.0

    def get(self) -> T:
        """The reading; other threads wait while one reads. Raises what ``load`` raises."""
        with self._lock:
            if self._value is None or self._clock() > self._until:
                began = self._clock()
                self._value = (self._load(),)
                ended = self._clock()
                self._until = max(began + self._max_age, ended + (ended - began))
            return self._value[0]
