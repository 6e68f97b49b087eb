# SPDX-License-Identifier: Apache-2.0
"""Readers of IAM Identity Center."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_WORKERS = 8


def in_parallel(read: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``read`` of each item, in their order, a few at a time. boto3's clients are thread-safe."""
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return list(pool.map(read, items))
