# SPDX-License-Identifier: Apache-2.0
"""Injected failures for tests: an asynchronous request that ends FAILED, or a call that raises an error."""

from __future__ import annotations

from collections import defaultdict, deque

from aws_local_org.identity_center import state
from aws_local_org.identity_center.rules import ApiError

INTERNAL = "An unexpected internal service exception was encountered"

_failures: defaultdict[str, deque[str]] = defaultdict(deque)
_refusals: defaultdict[str, deque[ApiError]] = defaultdict(deque)


def fail_next_assignment(reason: str = INTERNAL) -> None:
    """The next CreateAccountAssignment is accepted and ends FAILED with this FailureReason."""
    _plan_failure("creation", reason)


def fail_next_deletion(reason: str = INTERNAL) -> None:
    """The next DeleteAccountAssignment is accepted and ends FAILED with this FailureReason."""
    _plan_failure("deletion", reason)


def fail_next_provisioning(reason: str = INTERNAL) -> None:
    """The next ProvisionPermissionSet is accepted and ends FAILED with this FailureReason."""
    _plan_failure("provisioning", reason)


def refuse_next(operation: str, code: str, message: str = "", times: int = 1, **members: object) -> None:
    """The next `times` calls of an sso-admin or identitystore operation (`CreateUser`) raise error `code`.

    code: a client error that the operation declares; it is answered with HTTP 400. members: further members of the
    error's shape, such as Reason or RetryAfterSeconds. boto3 retries ThrottlingException by itself, so it takes as many
    refusals as it makes attempts for a caller to see one.
    """
    text = message or f"{operation} failed by an injected fault"
    with state.lock:
        _refusals[operation].extend(ApiError(code, text, **members) for _ in range(times))


def clear() -> None:
    with state.lock:
        _failures.clear()
        _refusals.clear()


def planned_failure(kind: str) -> str | None:
    with state.lock:
        return _failures[kind].popleft() if _failures[kind] else None


def raise_planned(operation: str) -> None:
    """Raises the ApiError that is injected for this operation, if any."""
    with state.lock:
        if _refusals[operation]:
            raise _refusals[operation].popleft()


def _plan_failure(kind: str, reason: str) -> None:
    with state.lock:
        _failures[kind].append(reason)
