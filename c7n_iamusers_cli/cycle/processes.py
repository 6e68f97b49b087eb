# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of a cycle as processes, each in a group of its own, to which a signal is passed on.

As ``deploy/run`` does: each process finishes the user that it began, and releases its locks. Workers of c7n-org may
then wait for ever, so they are ended some time later.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from c7n_iamusers.cycle.command_lines import Line
from c7n_iamusers.exceptions import InvalidPolicyData

#: Seconds that processes have to end after a signal, as long as the execution role of a task gives them.
GRACE, _LAST = 60.0, 5.0
_POLL = 0.1
#: What is written names every user: it is for this user only.
_UMASK = 0o077


@dataclass(frozen=True)
class Processes:
    """Runs command lines in ``directory``. ``environment``: added to this process's.

    ``stopped``: whether they are to end. ``quiet``: whether standard output is somebody else's.
    """

    directory: Path
    environment: Mapping[str, str]
    stopped: Callable[[], bool]
    quiet: bool = False
    grace: float = GRACE
    sleep: Callable[[float], None] = field(default=time.sleep)
    clock: Callable[[], float] = field(default=time.monotonic)

    def __call__(self, line: Line) -> int:
        """Run ``line`` to its end, whatever signal comes; its exit code, of a signal as a shell has it.

        Raises InvalidPolicyData if there is no such program.
        """
        sys.stdout.flush()
        process = subprocess.Popen(
            [program(line[0]), *line[1:]],
            cwd=self.directory,
            env=without_working_directory({**os.environ, **self.environment}),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr if self.quiet else None,
            start_new_session=True,
            umask=_UMASK,
        )
        try:
            while process.poll() is None:
                if self.stopped():
                    self._end(process)
                self.sleep(_POLL)
        except BaseException:
            # a second signal: nothing may go on without this process
            _signal(process, signal.SIGKILL)
            process.wait()
            raise
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        for number, seconds in (
            (signal.SIGTERM, self.grace),
            (signal.SIGTERM, _LAST),
            (signal.SIGKILL, _LAST),
        ):
            _signal(process, number)
            until = self.clock() + seconds
            while process.poll() is None and self.clock() < until:
                self.sleep(_POLL)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass  # it has ended


def without_working_directory(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with a PYTHONPATH of whole paths alone: an empty entry would import from the workspace."""
    entries = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(each)]
    others = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    return {**others, "PYTHONPATH": os.pathsep.join(entries)} if entries else others


def program(name: str) -> str:
    """The path of a program: beside this interpreter, as in a virtual environment, or where the shell finds it."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise InvalidPolicyData(
            f"{name} is not installed beside {sys.executable}: in the checkout, pip install '.[cli,org]'"
        )
    return found
