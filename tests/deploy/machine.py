# SPDX-License-Identifier: Apache-2.0
"""A state machine whose tasks of ECS are processes on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.session import get_session
from botocore.validate import ParamValidator

from tests.deploy.template import MANAGEMENT


@dataclass
class Task:
    """One task: what it was asked, and how to end it. ``end``: waits for it and gives its exit code, ``code``."""

    command: str
    environment: Mapping[str, str]
    parameters: Mapping[str, Any]
    end: Callable[[], int]
    code: int = -1


@dataclass
class Machine:
    """``start``: starts a task. ``waits``: seconds before each retry.

    ``running``: the names of the executions that run, the newest first as Step Functions lists them; None for this one.
    """

    definition: Mapping[str, Any]
    start: Callable[[str, Mapping[str, str]], Callable[[], int]]
    running: Sequence[str] | None = None
    tasks: list[Task] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, name: str, **given: Any) -> tuple[str, str]:
        """The status of an execution, and the name of its error."""
        from tests.deploy.interpreter import execute

        if self.running is None:
            self.running = [name]
        return execute(self, name, given)

    # what the interpreter calls of boto3's clients; as in Step Functions, names begin with a capital

    def list_executions(self, **asked: Any) -> dict[str, Any]:
        _check("stepfunctions", "ListExecutions", asked)
        arn = f"arn:aws:states:us-east-1:{MANAGEMENT}:execution:iam-users"
        return {"Executions": [{"ExecutionArn": f"{arn}:{name}"} for name in self.running or ()]}

    def list_map_runs(self, **asked: Any) -> dict[str, Any]:
        _check("stepfunctions", "ListMapRuns", asked)
        return {"MapRuns": [{"MapRunArn": "arn:map-run"}]}

    def describe_map_run(self, **asked: Any) -> dict[str, Any]:
        _check("stepfunctions", "DescribeMapRun", asked)
        last = {each.environment["SHARD"]: each.code for each in self.tasks if each.command == "shard"}
        return {"ItemCounts": {"Succeeded": list(last.values()).count(0), "Total": len(last)}}

    def run_task(self, **asked: Any) -> dict[str, Any]:
        with self._lock:
            _check("ecs", "RunTask", asked)
        (container,) = asked["Overrides"]["ContainerOverrides"]
        (command,) = container["Command"]
        environment = {each["Name"]: each["Value"] for each in container["Environment"]}
        with self._lock:
            self.tasks.append(Task(command, environment, asked, self.start(command, environment)))
            return self.describe_tasks(tasks=[str(len(self.tasks) - 1)])

    def describe_tasks(self, tasks: list[str], cluster: str = "c") -> dict[str, Any]:
        return {"Tasks": [{"TaskArn": each, "ClusterArn": cluster} for each in tasks]}


def _check(service: str, operation: str, asked: Mapping[str, Any]) -> None:
    """That AWS knows each parameter."""
    model = get_session().get_service_model(service).operation_model(operation)
    assert model.input_shape is not None
    errors = ParamValidator().validate(_uncapitalized(asked), model.input_shape)
    assert not errors.has_errors(), errors.generate_report()


def _uncapitalized(data: Any) -> Any:
    if isinstance(data, list):
        return [_uncapitalized(each) for each in data]
    if isinstance(data, Mapping):
        return {key[0].lower() + key[1:]: _uncapitalized(each) for key, each in data.items()}
    return data


class Processes:
    """Runs tasks as processes. ``base``: their environment."""

    def __init__(self, program: str, directory: str, base: Mapping[str, str]) -> None:
        self._program, self._directory, self._base = program, directory, base
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, command: str, environment: Mapping[str, str]) -> Callable[[], int]:
        process = subprocess.Popen(
            [self._program, command],
            cwd=self._directory,
            env={**self._base, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._running[environment.get("SHARD", command)] = process

        def end() -> int:
            print(process.communicate()[0].decode())
            return process.returncode

        return end

    def kill(self, shard: str) -> None:
        """End the task of a shard, as a machine that fails does."""
        session = self._running[shard].pid
        for pid in (int(each) for each in os.listdir("/proc") if each.isdigit()):
            with suppress(ProcessLookupError):
                if os.getsid(pid) == session:
                    os.kill(pid, signal.SIGKILL)

    def stop(self, name: str) -> None:
        """Ask the task of a shard, or ``finish``, to stop: as StopTask does, which signals its first process alone."""
        self._running[name].terminate()
