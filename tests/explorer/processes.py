# SPDX-License-Identifier: Apache-2.0
"""A trace in a process of its own, and its result."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import traceback
from pathlib import Path
from typing import Any

from tests.explorer.events import Result, Trace
from tests.explorer.traces import Prepared, Running
from tests.explorer.wire import Call

#: Real seconds after which a trace counts as endless.
LONGEST = 120


def in_own_process(prepared: Prepared, trace: Trace) -> tuple[int, int]:
    """Begin ``trace`` in a copy of this process and of the working directory; its id, and where its result is read."""
    reading, writing = os.pipe()
    gc.disable()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        content = _run_apart(prepared, trace)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(content)
    finally:
        os._exit(0)
    raise AssertionError


def _run_apart(prepared: Prepared, trace: Trace) -> bytes:
    signal.alarm(LONGEST)
    own = Path(f"../trace-{os.getpid()}").resolve()
    shutil.copytree(".", own)
    os.chdir(own)
    os.environ["XDG_CACHE_HOME"] = str(own / "cache")  # where locks of this machine are
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    try:
        result = Running(prepared, trace).run()
        calls = [vars(each) for each in result.calls]
        found: Any = {"broken": result.broken, "missed": result.missed, "calls": calls}
    except BaseException:  # noqa: BLE001  # the explorer's own defects are told as such
        found = {"broken": [f"explorer: {traceback.format_exc()}"], "missed": "", "calls": []}
    os.chdir("..")
    shutil.rmtree(own, ignore_errors=True)
    return json.dumps(found).encode()


def result_of(trace: Trace, content: bytes, status: int) -> Result:
    """The result that the process of ``trace`` left."""
    if os.waitstatus_to_exitcode(status) or not content:
        return Result(trace, (f"ends: it ended by {os.waitstatus_to_exitcode(status)}",))
    found = json.loads(content)
    calls = tuple(Call(**each) for each in found["calls"])
    return Result(trace, tuple(found["broken"]), calls, found["missed"])
