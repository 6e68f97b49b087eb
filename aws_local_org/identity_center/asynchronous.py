# SPDX-License-Identifier: Apache-2.0
"""Requests that are IN_PROGRESS for the running settings' assignment_seconds, then SUCCEEDED or FAILED.

Nothing runs in the background: the next call that reaches Identity Center or IAM carries out what is due (`settle`).
Callers see no difference, and a test that sets the clock also sets the order of events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from moto.moto_api._internal import mock_random

from aws_local_org import settings
from aws_local_org.identity_center import injected_faults, rules, state
from aws_local_org.identity_center.state import Instance, Operation


class OperationFailed(Exception):
    """The operation fails; the text is the FailureReason."""


@dataclass(frozen=True)
class RequestKind:
    """A kind of asynchronous request, and the operations that describe and list it.

    status, statuses: the members of responses that hold one status or a page of them. request_id: the parameter that
    names a request.
    """

    word: str
    status: str
    statuses: str
    request_id: str

    def start(self, instance: Instance, subject: dict[str, Any], apply: Callable[[], None]) -> dict[str, Any]:
        """Accept a request. subject: the members that its status repeats."""
        planned = injected_faults.planned_failure(self.word)
        created = state.now()
        operation = Operation(
            request_id=str(mock_random.uuid4()),
            kind=self.word,
            subject=subject,
            created=created,
            due=created + timedelta(seconds=settings.current().assignment_seconds),
            apply=apply if planned is None else lambda: _fail(planned),
        )
        instance.operations[operation.request_id] = operation
        return {self.status: _status(operation)}

    def in_progress(self, instance: Instance) -> list[Operation]:
        return [each for each in self._of(instance) if each.status == "IN_PROGRESS"]

    def describe(self, instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
        """Raises ResourceNotFoundException for a request that is unknown or of another kind."""
        wanted = parameters[self.request_id]
        found = instance.operations.get(wanted)
        if found is None or found.kind != self.word:
            raise rules.not_found(f"Could not find a {self.word} request with id {wanted}")
        return {self.status: _status(found)}

    def list_all(self, instance: Instance, parameters: dict[str, Any]) -> dict[str, Any]:
        wanted = parameters.get("Filter", {}).get("Status")
        summaries = [_summary(each) for each in self._of(instance) if wanted in (None, each.status)]
        return rules.page(self.statuses, summaries, parameters)

    def _of(self, instance: Instance) -> list[Operation]:
        return [operation for operation in instance.operations.values() if operation.kind == self.word]


CREATION = RequestKind(
    "creation",
    "AccountAssignmentCreationStatus",
    "AccountAssignmentsCreationStatus",
    "AccountAssignmentCreationRequestId",
)
DELETION = RequestKind(
    "deletion",
    "AccountAssignmentDeletionStatus",
    "AccountAssignmentsDeletionStatus",
    "AccountAssignmentDeletionRequestId",
)
PROVISIONING = RequestKind(
    "provisioning",
    "PermissionSetProvisioningStatus",
    "PermissionSetsProvisioningStatus",
    "ProvisionPermissionSetRequestId",
)


def settle() -> None:
    """Carry out everything that is due, the earliest first."""
    now = state.now()
    with state.lock:
        for instance in state.instances:
            due = [each for each in instance.operations.values() if _is_due(each, now)]
            for operation in sorted(due, key=lambda each: each.due):
                _carry_out(operation)


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


def _status(operation: Operation) -> dict[str, Any]:
    return {**_summary(operation), **operation.subject, "FailureReason": operation.failure_reason}


def _summary(operation: Operation) -> dict[str, Any]:
    return {
        "RequestId": operation.request_id,
        "Status": operation.status,
        "CreatedDate": operation.created,
    }
