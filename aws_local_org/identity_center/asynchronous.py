# SPDX-License-Identifier: Apache-2.0
"""Requests that are IN_PROGRESS for the running settings' assignment_seconds, then SUCCEEDED or FAILED.

Nothing runs in the background: an operation that is due is carried out by the next call to reach Identity Center or IAM
(`settle`). Callers see no difference, and a test that sets the clock sets the order of events too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from moto.moto_api._internal import mock_random

from aws_local_org import settings
from aws_local_org.identity_center import clock, faults, rules, state
from aws_local_org.identity_center.state import Instance, Operation

CREATION, DELETION, PROVISIONING = "creation", "deletion", "provisioning"


class OperationFailed(Exception):
    """The operation fails; the text is the FailureReason."""


def start(instance: Instance, kind: str, subject: dict[str, Any], apply: Callable[[], None]) -> Operation:
    """subject: the members that DescribeAccountAssignment...Status and the like repeat."""
    planned = faults.planned_failure(kind)
    created = clock.now()
    operation = Operation(
        request_id=str(mock_random.uuid4()),
        kind=kind,
        subject=subject,
        created=created,
        due=created + timedelta(seconds=settings.current().assignment_seconds),
        apply=apply if planned is None else lambda: _fail(planned),
    )
    instance.operations[operation.request_id] = operation
    return operation


def in_progress(instance: Instance, kind: str) -> list[Operation]:
    return [
        each for each in instance.operations.values() if each.kind == kind and each.status == "IN_PROGRESS"
    ]


def settle() -> None:
    """Carry out everything that is due, the earliest first."""
    now = clock.now()
    with state.lock:
        for instance in state.instances:
            due = [each for each in instance.operations.values() if _is_due(each, now)]
            for operation in sorted(due, key=lambda each: each.due):
                _carry_out(operation)


def describe(instance: Instance, kind: str, request_id: str) -> dict[str, Any]:
    """The full status. Raises ResourceNotFoundException for a request that is unknown or of another kind."""
    operation = instance.operations.get(request_id)
    if operation is None or operation.kind != kind:
        raise rules.not_found(f"Could not find a {kind} request with id {request_id}")
    return status(operation)


def status(operation: Operation) -> dict[str, Any]:
    return {**_summary(operation), **operation.subject, "FailureReason": operation.failure_reason}


def list_statuses(instance: Instance, kind: str, result: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """result: the name of the list in the response; parameters may hold Filter.Status."""
    wanted = parameters.get("Filter", {}).get("Status")
    found = [each for each in instance.operations.values() if each.kind == kind]
    summaries = [_summary(each) for each in found if wanted in (None, each.status)]
    return rules.page(result, summaries, parameters)


def _is_due(operation: Operation, now: Any) -> bool:
    return operation.status == "IN_PROGRESS" and operation.due <= now


def _carry_out(operation: Operation) -> None:
    try:
        operation.apply()
    except OperationFailed as failure:
        operation.status, operation.failure_reason = "FAILED", str(failure)
    else:
        operation.status = "SUCCEEDED"


def _fail(reason: str) -> None:
    raise OperationFailed(reason)


def _summary(operation: Operation) -> dict[str, Any]:
    return {
        "RequestId": operation.request_id,
        "Status": operation.status,
        "CreatedDate": operation.created,
    }
