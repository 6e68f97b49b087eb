# SPDX-License-Identifier: Apache-2.0
"""Executes a state machine in moto's interpreter of the States Language, which takes most of a second to import.

The interpreter counts no tolerated failures: of a distributed map any number of items may fail, of an inline one none.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
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
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.backend import execution_worker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from tests.deploy.machine import Machine
from tests.deploy.template import MANAGEMENT

_TASK_FAILED = StatesErrorNameType.StatesTaskFailed


def execute(machine: Machine, name: str, given: Mapping[str, Any]) -> tuple[str, str]:
    """The status of an execution, and the name of its error."""
    with pytest.MonkeyPatch.context() as patch:
        _stand_in(machine, patch)
        backend = StepFunctionsParserBackend("us-east-1", MANAGEMENT)
        role = f"arn:aws:iam::{MANAGEMENT}:role/R"
        made = backend.create_state_machine("iam-users", json.dumps(machine.definition), role)
        execution = backend.start_execution(made.arn, name, json.dumps(given))
        never = threading.Event()
        while execution.status == "RUNNING":
            never.wait(0.02)
        return execution.status, execution.error or ""


def _stand_in(machine: Machine, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=machine.waits.append))
    patch.setattr(execution_worker, "ExecutionData", _execution_data)
    patch.setattr(WaitFunction, "_wait_interval", lambda *_, **__: None)
    for module in (state_task_service_aws_sdk, state_task_service_ecs):
        patch.setattr(module, "boto_client_for", lambda **_: machine)
    ecs = state_task_service_ecs.StateTaskServiceEcs
    patch.setattr(ecs, "_build_sync_resolver", _resolver(machine))
    # the interpreter's own wait takes a second try for one that was interrupted
    patch.setattr(ecs, "_eval_sync", lambda *_, sync_resolver, **__: sync_resolver())


def _execution_data(StartTime: datetime, **others: Any) -> dict[str, Any]:
    """Step Functions gives the time as text."""
    return {"StartTime": StartTime.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **others}


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
