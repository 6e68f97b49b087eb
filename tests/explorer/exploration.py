# SPDX-License-Identifier: Apache-2.0
"""Runs many traces, in processes beside one another."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.explorer.traces import Prepared, Result, Trace, in_own_process, result_of


def explored(
    prepared: Prepared, traces: Iterable[Trace], cores: int, until: Callable[[], bool] = lambda: False
) -> Iterator[Result]:
    """The results of ``traces`` of one flow, ``cores`` at a time, in order; those not begun ``until`` are left out."""
    waiting: deque[tuple[Trace, int, int]] = deque()
    begun = 0
    for trace in traces:
        if until():
            break
        waiting.append((trace, *in_own_process(prepared, trace, begun)))
        begun += 1
        if len(waiting) >= cores:
            yield _ended(waiting)
    while waiting:
        yield _ended(waiting)


def _ended(waiting: deque[tuple[Trace, int, int]]) -> Result:
    trace, child, reading = waiting.popleft()
    # the pipe is read to its end first, as a long result does not fit into it
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    return result_of(trace, content, status)


def workplace(base: Path, flow: str) -> Path:
    """An empty directory for the world of ``flow``."""
    place = base / flow / "world"
    place.mkdir(parents=True)
    return place
