# SPDX-License-Identifier: Apache-2.0
"""Executes a state machine in moto's interpreter of the States Language; tasks of ECS are processes on this machine.

The interpreter counts no tolerated failures: of a distributed map any number of items may fail, of an inline one none.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk,
    state_task_service_ecs,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from tests.deploy.template import MANAGEMENT

_TASK_FAILED = StatesErrorNameType.StatesTaskFailed


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
    """``start``: starts a task. ``others``: executions that run besides. ``waits``: seconds before each retry."""

    definition: Mapping[str, Any]
    start: Callable[[str, Mapping[str, str]], Callable[[], int]]
    others: int = 0
    tasks: list[Task] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, name: str, **given: Any) -> tuple[str, str]:
        """The status of an execution, and the name of its error."""
        with pytest.MonkeyPatch.context() as patch:
            self._stand_in(patch)
            backend = StepFunctionsParserBackend("us-east-1", MANAGEMENT)
            made = backend.create_state_machine(
                "iam-users", json.dumps(self.definition), f"arn:aws:iam::{MANAGEMENT}:role/R"
            )
            ended = threading.Event()
            execution = backend.start_execution(made.arn, name, json.dumps(given))
            while not ended.wait(0.02):
                if execution.status != "RUNNING":
                    ended.set()
            return execution.status, execution.error or ""

    def _stand_in(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(retrier_decl.time, "sleep", self.waits.append)
        for module in (state_task_service_aws_sdk, state_task_service_ecs):
            patch.setattr(module, "boto_client_for", lambda **_: self)
        ecs = state_task_service_ecs.StateTaskServiceEcs
        patch.setattr(ecs, "_build_sync_resolver", _resolver(self))
        # the interpreter's own wait takes a second try for one that was interrupted
        patch.setattr(ecs, "_eval_sync", lambda *_, sync_resolver, **__: sync_resolver())

    # what the interpreter calls of boto3's clients; as in Step Functions, names begin with a capital

    def list_executions(self, **asked: Any) -> dict[str, Any]:
        _check("stepfunctions", "ListExecutions", asked)
        return {"Executions": [{"ExecutionArn": f"arn:{number}"} for number in range(1 + self.others)]}

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


def _resolver(machine: Machine) -> Any:
    """Step Functions fails a task whose container ends with another code than 0, which the interpreter does not."""

    def build(service: Any, env: Any, **_: Any) -> Any:
        task = machine.tasks[int(env.stack.pop()["Tasks"][0]["TaskArn"])]

        def resolve() -> dict[str, Any]:
            code = task.code = task.end()
            if code == 0:
                return {"LastStatus": "STOPPED"}
            failed = TaskFailedEventDetails(
                resource="runTask.sync",
                resourceType="ecs",
                error=_TASK_FAILED.to_name(),
                cause=f"exit code {code}",
            )
            details = EventDetails(taskFailedEventDetails=failed)
            error = StatesErrorName(typ=_TASK_FAILED)
            raise FailureEventException(FailureEvent(env, error, HistoryEventType.TaskFailed, details))

        return resolve

    return build


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
        os.killpg(self._running[shard].pid, signal.SIGKILL)
