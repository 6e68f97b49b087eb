# SPDX-License-Identifier: Apache-2.0
"""Readers of IAM Identity Center."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_WORKERS = 8
#: Reads that wait for a worker, so that no worker is idle during a slow read.
_AHEAD = 8 * _WORKERS


def in_parallel(read: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``read`` of each item, in their order, a few at a time. boto3's clients are thread-safe."""
    found: list[R] = []
    # A future takes more than a kilobyte, and there may be tens of thousands of groups.
    begun: deque[Future[R]] = deque()
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        try:
            for item in items:
                begun.append(pool.submit(read, item))
                if len(begun) > _AHEAD:
                    found.append(begun.popleft().result())
            found += [each.result() for each in begun]
        finally:
            for each in begun:
                each.cancel()
    return found
