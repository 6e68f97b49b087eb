# SPDX-License-Identifier: Apache-2.0
"""Which traces there are, and running many of them in processes beside one another."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.explorer import actors, runner
from tests.explorer.events import Event, Result, Trace
from tests.explorer.faults import faults_at
from tests.explorer.flows import FLOWS
from tests.explorer.processes import in_own_process, result_of
from tests.explorer.traces import Prepared
from tests.explorer.wire import Call

KILLS = ("killed", "killed-after")


def happenings(flow: str, call: Call) -> Iterator[str]:
    """The names of all that can happen at ``call`` of ``flow``."""
    yield from KILLS
    yield from runner.FAULTS
    yield from actors.CENTER_ACTORS if FLOWS[flow].center else actors.ACTORS
    yield from actors.KEY_ACTORS if FLOWS[flow].key else ()
    yield from faults_at(call)


def singles(flow: str, calls: Iterable[Call]) -> list[Trace]:
    """A trace for everything that can happen at each of the undisturbed flow's ``calls``."""
    return [Trace(flow, (Event(what, call.at),)) for call in calls for what in happenings(flow, call)]


def pairs(flow: str, calls: tuple[Call, ...], chance: random.Random) -> Iterator[Trace]:
    """Two things that happen at two calls, without an end."""
    while True:
        first, second = sorted(chance.sample(calls, 2), key=lambda call: call.number)
        events = (Event(chance.choice([*happenings(flow, call)]), call.at) for call in (first, second))
        yield Trace(flow, tuple(events))


def sampled(flow: str, calls: tuple[Call, ...], seed: int) -> Iterator[Trace]:
    """All single happenings in a random order, a pair after every fourth, and then pairs without an end."""
    chance = random.Random(f"{flow} {seed}")
    ones, twos = singles(flow, calls), pairs(flow, calls, chance)
    chance.shuffle(ones)
    for number, each in enumerate(ones):
        yield each
        if number % 4 == 3:
            yield next(twos)
    yield from twos


def explored(
    prepared: Prepared, traces: Iterable[Trace], cores: int, until: Callable[[], bool] = lambda: False
) -> Iterator[Result]:
    """The results of ``traces`` of one flow, ``cores`` at a time, in order; those not begun ``until`` are left out."""
    waiting: deque[tuple[Trace, int, int]] = deque()
    for begun in itertools.takewhile(lambda _: not until(), traces):
        waiting.append((begun, *in_own_process(prepared, begun)))
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
    """An empty directory for the world of ``flow``, which becomes the working directory."""
    place = Path(tempfile.mkdtemp(prefix=f"{flow}-", dir=base)) / "world"
    place.mkdir()
    os.chdir(place)
    os.environ["XDG_CACHE_HOME"] = str(place / "cache")
    return place


def shrunk(prepared: Prepared, found: Result) -> Result:
    """``found`` with as few events as still break the same invariant."""
    wanted = _kinds(found)
    for left_out in found.trace.events if len(found.trace.events) > 1 else ():
        events = tuple(each for each in found.trace.events if each != left_out)
        (less,) = explored(prepared, [Trace(found.trace.flow, events)], 1)
        if wanted & _kinds(less):
            return shrunk(prepared, less)
    return found


def _kinds(result: Result) -> set[str]:
    return {each.partition(":")[0] for each in result.broken}


def as_test(result: Result) -> str:
    """A test of that trace."""
    name = "_".join(filter(None, "".join(c if c.isalnum() else " " for c in str(result.trace)).split()))
    said = "".join(f"    # {each[:200]}\n" for each in result.broken[:3])
    return (
        f"def test_{name.lower()}(explore: Explore) -> None:\n{said}"
        f'    assert explore("{result.trace}") == ()\n'
    )
