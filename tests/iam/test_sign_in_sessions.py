# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.execution.executor import Executor
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.sign_in_sessions import SignInSessions, offers_sessions
from tests.fakes import client_error
from tests.records import text_of, user

ACCOUNT = "111122223333"
ALICE = user(login_profile=({"UserName": "alice"},))
BATCHES = {"principalArn", "sessionArns"}


def denied(operation: str) -> ClientError:
    return client_error("AccessDeniedException")


class Lines:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def write(self, subject: Any, phase: str, **entry: Any) -> None:
        self.lines.append((phase, entry["operation"]))


class SignIn:
    """AWS's sign-in service as botocore 1.44 calls it, with two sessions a page."""

    def __init__(
        self, sessions: dict[str, int], refuses: str = "", lost: int = 0, partition: str = "aws"
    ) -> None:
        self.meta = SimpleNamespace(partition=partition)
        self.items = [
            {"principalArn": f"arn:{partition}:iam::{ACCOUNT}:{owner}", "sessionArn": f"{owner}-{number}"}
            for owner, count in sessions.items()
            for number in range(count)
        ]
        self.refuses, self.lost, self.listed, self.revoked = refuses, lost, 0, list[list[str]]()

    def list_sessions(self, **given: Any) -> dict[str, Any]:
        assert given["principalArn"] == f"arn:{self.meta.partition}:iam::{ACCOUNT}:*"
        assert given["status"] == "ACTIVE"
        if self.refuses == "ListSessions":
            raise denied("ListSessions")
        self.listed += 1
        start = int(given.get("nextToken", 0))
        more = {"nextToken": str(start + 2)} if start + 2 < len(self.items) else {}
        return {"items": self.items[start : start + 2], **more}

    def batch_revoke_sessions(self, **given: Any) -> dict[str, Any]:
        assert set(given) == BATCHES
        assert 1 <= len(given["sessionArns"]) <= 5
        if self.refuses == "BatchRevokeSessions":
            raise denied("BatchRevokeSessions")
        self.revoked.append(given["sessionArns"])
        kept = given["sessionArns"][: self.lost]
        return {
            "revokedSessions": [],
            "errors": [{"sessionArn": each, "code": "NOT_FOUND", "message": "gone"} for each in kept],
        }


def end(service: SignIn, sessions: SignInSessions | None = None) -> tuple[str, Lines]:
    journal = Lines()
    sessions = sessions or SignInSessions(service, ACCOUNT, Backoff())
    return text_of(sessions.end(ALICE, Executor({"signin": service}, journal))), journal


@pytest.mark.parametrize("partition", ["aws-us-gov", "aws-cn"])
def test_the_sessions_of_another_partition(partition: str) -> None:
    said, _ = end(SignIn({"user/a/alice": 1}, partition=partition))
    assert said == f"1 {DONE}"


DONE = (
    "of its sign-in sessions can't be refreshed; credentials that they issued stay valid, under the Deny-all"
)


@pytest.mark.parametrize(
    ("service", "batches", "said"),
    [
        pytest.param(SignIn({}), [], "", id="none"),
        pytest.param(SignIn({"user/bob": 3, "role/alice": 1, "root": 1}), [], "", id="of-others"),
        pytest.param(
            SignIn({"user/alice": 7, "user/bob": 1}),
            [5, 2],
            f"7 {DONE}",
            id="5-a-call",
        ),
        pytest.param(
            SignIn({"user/team/alice": 1, "user/alice": 1}),
            [1, 1],
            f"2 {DONE}",
            id="path",
        ),
        pytest.param(
            SignIn({"user/alice": 3}, lost=1),
            [3],
            f"2 {DONE}; 1 of its sign-in sessions were not ended: NOT_FOUND: gone",
            id="some-stay",
        ),
    ],
)
def test_the_sessions_of_the_user_are_revoked(service: SignIn, batches: list[int], said: str) -> None:
    found, journal = end(service)
    assert ([len(each) for each in service.revoked], found) == (batches, said)
    assert journal.lines == [(phase, "BatchRevokeSessions") for _ in batches for phase in ("before", "after")]


@pytest.mark.parametrize("operation", ["ListSessions", "BatchRevokeSessions"])
def test_what_is_refused_is_said_and_fails_nothing(operation: str) -> None:
    found, _ = end(SignIn({"user/alice": 1}, refuses=operation))
    assert "its sign-in sessions were not ended" in found
    assert "AccessDenied" in found


def test_an_account_is_listed_once() -> None:
    service = SignIn({"user/alice": 1, "user/bob": 2})
    sessions = SignInSessions(service, ACCOUNT, Backoff())
    for _ in range(2):
        end(service, sessions)
    assert service.listed == 2  # pages


@pytest.mark.parametrize(
    ("of", "said"),
    [
        pytest.param(
            ALICE, "its sign-in sessions were not ended: the installed botocore has no", id="person"
        ),
        pytest.param(user(), "", id="without-a-password"),
    ],
)
def test_where_botocore_does_not_offer_it_that_is_said(of: Any, said: str) -> None:
    found = text_of(SignInSessions(None, ACCOUNT, Backoff()).end(of, Executor({}, Lines())))
    assert found.startswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("operations", "offered"),
    [
        (["ListSessions", "BatchRevokeSessions", "GetSession"], True),
        (["ListSessions"], False),
        (["CreateOAuth2Token"], False),
    ],
)
def test_the_service_model_tells_whether_it_is_offered(operations: list[str], offered: bool) -> None:
    assert offers_sessions(operations) is offered
