# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from c7n_iamusers.aws.retries import Backoff
from c7n_iamusers.aws.work import Failure, Judged, Step, Work
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.access_plan import Change
from c7n_iamusers.model.calls import ApiCall
from tests.fakes import client_error
from tests.identity_center import subject

LOST = ConnectionClosedError(endpoint_url="https://lost.invalid")
CREATE, JOIN = (ApiCall("identitystore", name, {}) for name in ("CreateUser", "CreateGroupMembership"))


def work(budget: float = 10.0) -> Work:
    change = Change("user alice", "user", "create", "alice", subject(), (CREATE, JOIN))
    return Work(change, Backoff(base=1.0, cap=1.0, budget=budget, jitter=lambda: 1.0), 0.0)


@pytest.mark.parametrize(
    ("error", "delay", "step"),
    [
        pytest.param(client_error("ThrottlingException"), 1.0, Step.CALL, id="throttled"),
        pytest.param(
            client_error("ThrottlingException", RetryAfterSeconds=7), 7.0, Step.CALL, id="as-long-as-aws-asks"
        ),
        pytest.param(
            client_error("ConflictException", Reason="CONCURRENT_MODIFICATION"), 1.0, Step.CALL, id="raced"
        ),
        pytest.param(
            client_error("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"),
            0.0,
            Step.JUDGE,
            id="there-already-is-looked-at-at-once",
        ),
        pytest.param(client_error("ConflictException"), 1.0, Step.JUDGE, id="has-not-spread"),
        pytest.param(
            client_error("ResourceNotFoundException"), 1.0, Step.JUDGE, id="what-it-needs-has-not-spread"
        ),
        pytest.param(LOST, 1.0, Step.CALL, id="no-answer"),
    ],
)
def test_what_an_error_means(error: Exception, delay: float, step: Step) -> None:
    given = work()
    assert (given.delay_after(error), given.step) == (delay, step)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        pytest.param(
            client_error("ValidationException"),
            "ValidationException",
            "identitystore:CreateUser failed",
            id="aws",
        ),
        pytest.param(IdentityCenterError("not ours"), "IdentityCenterError", "not ours", id="our-own"),
    ],
)
def test_what_another_try_would_not_mend(error: Exception, code: str, told: str) -> None:
    with pytest.raises(Failure, match=told) as failure:
        work().delay_after(error)
    assert failure.value.code == code


@pytest.mark.parametrize(
    "error", [client_error("ThrottlingException"), client_error("ConflictException"), LOST]
)
def test_patience_ends(error: Exception) -> None:
    given = work(budget=3.0)
    for _ in range(3):
        given.delay_after(error)
        given.step = Step.CALL
    with pytest.raises(Failure):
        given.delay_after(error)


@pytest.mark.parametrize(
    ("errors", "adopted"),
    [
        pytest.param([], True, id="somebody-else-made-it"),
        pytest.param([LOST], False, id="a-lost-call-made-it"),
        pytest.param([client_error("InternalServerException")], False, id="a-failed-call-may-have-made-it"),
        pytest.param([client_error("ThrottlingException")], True, id="a-throttled-call-made-nothing"),
    ],
)
def test_whose_it_is_when_it_is_there_already(errors: list[Exception], adopted: bool) -> None:
    given = work()
    for error in errors:
        given.delay_after(error)
    given.start_over(Judged((), {"user": "id-1"}))
    assert (given.adopted, given.call, given.values) == (adopted, None, {"user": "id-1"})


def test_what_must_be_made_all_the_same_is_not_adopted() -> None:
    given = work()
    given.start_over(Judged((JOIN,)))
    assert (given.adopted, given.call) == (False, JOIN)


def test_calls_follow_each_other_each_with_its_own_patience() -> None:
    given: Any = work(budget=1.0)
    given.delay_after(client_error("ThrottlingException"))
    given.next_call()
    assert given.call is JOIN
    given.delay_after(client_error("ThrottlingException"))
    given.next_call()
    assert given.call is None
