# SPDX-License-Identifier: Apache-2.0
"""Runs that are killed part-way: ``python -m tests.crashes`` forks one for each line that it reads.

A line is JSON: ``{"calls": n, "output": directory, "data": policy}``, without a policy for a ``composite-delete``. The
run is killed (SIGKILL) right after its n-th changing call was answered, with 0 right before the first is sent. Answered
is the exit status of the run, negative for a signal. All is imported once, and the process has no threads that a fork
would leave behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.client import BaseClient

from tests import quick_botocore
from tests.plugins.deletions import acting
from tests.policies import policy

CHANGING = ("Put", "Delete", "Deactivate", "Detach", "Remove", "Attach", "Update", "Tag", "Untag")


class Crashes:
    """Another process, in which runs are killed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashes"],
            cwd=Path(__file__).parents[1],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, calls: int, output: Path, data: Mapping[str, Any] | None = None) -> int:
        """Run a policy, or ``composite-delete``, killed after ``calls`` changing calls; its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"calls": calls, "output": str(output), "data": data}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _die_after(calls: int) -> None:
    original, made = BaseClient._make_api_call, [0]  # type: ignore[attr-defined]

    def make_api_call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        changing = operation.startswith(CHANGING)
        if changing and not calls:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = original(self, operation, parameters)
        made[0] += changing
        if changing and made[0] == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    BaseClient._make_api_call = make_api_call  # type: ignore[attr-defined]


def _crash(calls: int, output: Path, data: dict[str, Any] | None) -> int:
    child = os.fork()
    if not child:
        _die_after(calls)
        found = policy(data, output) if data else acting("composite-delete", output)
        found.run()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Serve until the input ends, with the models of AWS's services loaded for all runs."""
    quick_botocore.install()
    for service in ("iam", "sts"):
        boto3.client(service)
    for line in sys.stdin:
        order = json.loads(line)
        print(_crash(order["calls"], Path(order["output"]), order["data"]), flush=True)


if __name__ == "__main__":
    main()
