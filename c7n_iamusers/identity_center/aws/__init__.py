# SPDX-License-Identifier: Apache-2.0
"""Readers of IAM Identity Center."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import ParamSpec, TypeVar

from botocore.exceptions import ClientError

from c7n_iamusers.execution.retries import error_code

T = TypeVar("T")
R = TypeVar("R")
N = TypeVar("N")
P = ParamSpec("P")
_WORKERS = 8
#: Reads that wait for a worker, so that none is idle while a slow one is awaited.
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


def gone_is(nothing: N) -> Callable[[Callable[P, R]], Callable[P, R | N]]:
    """Decorates a read of one object: it returns ``nothing`` if that does not exist.

    Others delete objects at any time, also between a list and the read of what it names, and an assignment outlives
    its group and its user. So each read of one object says what it is when that is gone. An identity store that does
    not exist is an error.
    """

    def decorated(read: Callable[P, R]) -> Callable[P, R | N]:
        @wraps(read)
        def found(*args: P.args, **kwargs: P.kwargs) -> R | N:
            try:
                return read(*args, **kwargs)
            except ClientError as error:
                # Not ``client.exceptions``: botocore creates these classes on first use, also twice in threads.
                gone = error_code(error) == "ResourceNotFoundException"
                if not gone or error.response.get("ResourceType") == "IDENTITY_STORE":
                    raise
                return nothing

        return found

    return decorated
