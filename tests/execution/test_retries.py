# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import islice

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from c7n_iamusers.execution.retries import Backoff, error_cause, is_retryable
from tests.fakes import ScriptedClient, Sleeps, client_error


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        pytest.param(client_error("Throttling"), True, id="throttling"),
        pytest.param(client_error("EntityTemporarilyUnmodifiable"), True, id="unmodifiable"),
        pytest.param(client_error("ConcurrentModification"), True, id="concurrent"),
        pytest.param(
            client_error("ConflictException", Reason="CONCURRENT_MODIFICATION"), True, id="identitystore-race"
        ),
        pytest.param(
            client_error("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"),
            False,
            id="identitystore-taken",
        ),
        pytest.param(client_error("ConflictException"), False, id="conflict-without-reason"),
        pytest.param(client_error("AccessDenied"), False, id="denied"),
        pytest.param(client_error("NoSuchEntity"), False, id="gone"),
        pytest.param(client_error("DeleteConflict"), False, id="delete-conflict-is-re-read-instead"),
        pytest.param(ReadTimeoutError(endpoint_url="x"), True, id="read-timeout"),
        pytest.param(EndpointConnectionError(endpoint_url="x"), True, id="connection"),
        pytest.param(ConnectTimeoutError(endpoint_url="x"), True, id="connect-timeout"),
        pytest.param(ResponseParserError("x"), True, id="answer-not-read"),
        pytest.param(NoCredentialsError(), False, id="no-credentials"),
        pytest.param(ValueError(), False, id="not-of-aws"),
    ],
)
def test_retryable_errors(error: Exception, retried: bool) -> None:
    assert is_retryable(error) is retried


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        pytest.param(
            client_error("AccessDenied", Reason="KMS_KEY_NOT_FOUND"), "AccessDenied", id="another-code"
        ),
        pytest.param(client_error("ResourceNotFoundException"), "ResourceNotFoundException", id="the-object"),
        pytest.param(
            client_error("ResourceNotFoundException", Reason="KMS_KEY_NOT_FOUND"),
            "KMS_KEY_NOT_FOUND",
            id="the-key",
        ),
        pytest.param(
            client_error("ResourceNotFoundException", ResourceType="IDENTITY_STORE"),
            "IDENTITY_STORE",
            id="the-store",
        ),
        pytest.param(
            client_error("ResourceNotFoundException", ResourceType="USER"),
            "ResourceNotFoundException",
            id="a-user",
        ),
        pytest.param(ValueError(), "ValueError", id="not-of-aws"),
    ],
)
def test_what_is_missing_is_the_cause(error: Exception, cause: str) -> None:
    assert error_cause(error) == cause


def test_delays_double_up_to_the_cap_and_end_with_the_budget() -> None:
    delays = list(Backoff(base=1, cap=4, budget=14, jitter=lambda: 1.0).delays())
    assert delays == [1, 2, 4, 4, 4]


def test_delays_are_jittered_within_half_and_the_whole() -> None:
    first = [next(Backoff(base=1).delays()) for _ in range(50)]
    assert all(0.5 <= delay <= 1 for delay in first)
    assert len(set(first)) > 1


def test_a_call_is_retried_until_it_succeeds() -> None:
    sleeps = Sleeps()
    client = ScriptedClient(delete_user=[client_error("Throttling"), client_error("Throttling"), {"ok": 1}])
    assert sleeps.backoff().call(client.delete_user, UserName="a") == {"ok": 1}
    assert sleeps == [1, 2]


def test_a_broken_connection_is_retried() -> None:
    sleeps = Sleeps()
    client = ScriptedClient(delete_user=[ReadTimeoutError(endpoint_url="x"), {"ok": 1}])
    assert sleeps.backoff().call(client.delete_user, UserName="a") == {"ok": 1}
    assert sleeps == [1]


def test_aws_may_give_the_delay() -> None:
    sleeps = Sleeps()
    client = ScriptedClient(create_user=[client_error("ThrottlingException", RetryAfterSeconds=7), {}])
    sleeps.backoff().call(client.create_user)
    assert sleeps == [7]


def test_the_last_error_is_raised_when_the_budget_is_spent() -> None:
    sleeps = Sleeps()
    client = ScriptedClient(delete_user=[client_error("Throttling") for _ in range(9)])
    with pytest.raises(ClientError, match="Throttling"):
        sleeps.backoff(budget=10).call(client.delete_user)
    assert sum(sleeps) == 15 == sum(islice([1, 2, 4, 8], 4))


def test_what_is_not_retryable_is_raised_at_once() -> None:
    sleeps = Sleeps()
    client = ScriptedClient(delete_user=[client_error("AccessDenied")])
    with pytest.raises(ClientError, match="AccessDenied"):
        sleeps.backoff().call(client.delete_user)
    assert sleeps == []
