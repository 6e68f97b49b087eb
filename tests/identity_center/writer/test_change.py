# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ConnectTimeoutError
from botocore.parsers import ResponseParserError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.calls import ApiCall, Ref, Subject
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import AnswerUnreadable, Backoff
from c7n_iamusers.identity_center.access_plan import Change
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.writer.change import (
    ChangeExecution,
    ChangeFailed,
    Follow,
    Pause,
    RecheckResult,
    Send,
    WriterContext,
)
from tests.access_center import ACCOUNT, INSTANCE, SET_ARN, subject
from tests.fakes import ScriptedClient, client_error

LOST = ConnectionClosedError(endpoint_url="https://lost.invalid")
NOT_SENT = ConnectTimeoutError(endpoint_url="https://lost.invalid")
THROTTLED, CONFLICT = client_error("ThrottlingException"), client_error("ConflictException")
CREATE = ApiCall("identitystore", "CreateUser", {}, save={"user": ("UserId",)})
JOIN = ApiCall("identitystore", "CreateGroupMembership", {"UserId": Ref("user")})
DELETE = ApiCall("identitystore", "DeleteGroup", {}, done_codes=frozenset({"ResourceNotFoundException"}))
ASSIGN = operations.assignment_creation(ACCOUNT, SET_ARN, "group-1", INSTANCE)


class Lines(list[tuple[str, str, str]]):
    """A journal: phase, operation, and result with the code if there is one. ``tried``: tries that are repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = list[dict[str, Any]]()

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        if phase == "tried":
            self.tried.append(entry)
            return
        result = " ".join(str(entry[key]) for key in ("result", "code") if key in entry)
        self.append((phase, entry["operation"], result))


class Drive:
    """Drives one change by hand, as the loop does. ``last``: what it needs now; None once it is done."""

    def __init__(
        self,
        *calls: ApiCall,
        budget: float = 10.0,
        awaits: str = "",
        after: str = "",
        check: Callable[[], None] | None = None,
    ) -> None:
        change = Change("user alice", "user", "create", "alice", subject(), calls or (CREATE, JOIN))
        change = replace(change, awaits=awaits, after=after)
        self.journal, self.found = Lines(), RecheckResult()
        backoff = Backoff(base=1.0, cap=1.0, budget=budget, jitter=lambda: 1.0)
        clients = dict.fromkeys(("identitystore", "sso-admin"), ScriptedClient())
        context = WriterContext(
            clients, INSTANCE, self.journal, self.recheck, RateLimit(), backoff, lambda *_: check
        )
        self.execution = ChangeExecution(change, context, {}, 0.0)
        self.rechecks: list[Mapping[str, Any]] = []
        self.last: Send | Pause | Follow | None = None
        self.take(None)

    def recheck(self, _: Change, parameters: Mapping[str, Any]) -> RecheckResult:
        self.rechecks.append(parameters)
        return self.found

    def take(self, answer: Any) -> None:
        """The loop gives an answer, or throws an error."""
        steps = self.execution.steps
        try:
            self.last = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
        except StopIteration:
            self.last = None

    def answer(self, answer: Any) -> None:
        """A call is made, and answered."""
        assert isinstance(self.last, Send)
        self.last.prepare()
        self.take(answer)

    def retry(self, error: Exception) -> float:
        """A call is made, and raises; the seconds that it pauses then."""
        self.answer(error)
        assert isinstance(self.last, Pause)
        seconds = self.last.seconds
        self.take(None)
        return seconds

    def run_recheck(self) -> None:
        assert isinstance(self.last, Send)
        self.take(self.last.prepare()())

    @property
    def next(self) -> str:
        """The changing operation that is next, ``recheck``, ``follow``, or ``done``."""
        if self.last is None:
            return "done"
        if isinstance(self.last, Send):
            return self.last.operation or "read"
        return type(self.last).__name__.lower()


@pytest.mark.parametrize(
    ("error", "delay", "then"),
    [
        pytest.param(THROTTLED, 1.0, "CreateUser", id="throttled"),
        pytest.param(
            client_error("ThrottlingException", RetryAfterSeconds=7),
            7.0,
            "CreateUser",
            id="as-long-as-aws-asks",
        ),
        pytest.param(
            client_error("ConflictException", Reason="CONCURRENT_MODIFICATION"), 1.0, "CreateUser", id="raced"
        ),
        pytest.param(
            client_error("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"),
            0.0,
            "read",
            id="there-already-is-looked-at-at-once",
        ),
        pytest.param(CONFLICT, 1.0, "read", id="has-not-spread"),
        pytest.param(
            client_error("ResourceNotFoundException"), 1.0, "read", id="what-it-needs-has-not-spread"
        ),
        pytest.param(LOST, 1.0, "CreateUser", id="no-answer"),
        pytest.param(ResponseParserError("x"), 1.0, "CreateUser", id="answer-not-read"),
    ],
)
def test_what_an_error_means(error: Exception, delay: float, then: str) -> None:
    drive = Drive()
    assert (drive.retry(error), drive.next) == (delay, then)
    assert drive.journal == [("before", "CreateUser", "")]


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
def test_what_another_try_would_not_help(error: Exception, code: str, told: str) -> None:
    drive = Drive()
    with pytest.raises(ChangeFailed, match=told) as failure:
        drive.answer(error)
    assert failure.value.code == code
    assert drive.journal[-1] == ("after", "CreateUser", f"failed {code}")


@pytest.mark.parametrize("error", [THROTTLED, LOST])
def test_tries_end(error: Exception) -> None:
    drive = Drive(budget=3.0)
    for _ in range(3):
        drive.retry(error)
    answers = [error, *([RecheckResult((CREATE,))] if error is LOST else [])]  # a read, where nobody knows
    *first, last = answers
    for answer in first:
        drive.answer(answer)
    with pytest.raises(ChangeFailed):
        drive.answer(last)
    assert drive.journal[0] == ("before", "CreateUser", "")
    assert len(drive.journal) == 2
    assert len(drive.journal.tried) == 3


def test_races_end() -> None:
    drive = Drive(budget=3.0)
    for _ in range(3):
        drive.found = RecheckResult((CREATE, JOIN))
        drive.retry(CONFLICT)
        drive.run_recheck()
    with pytest.raises(ChangeFailed):
        drive.answer(CONFLICT)


def test_a_recheck_that_races_is_made_again() -> None:
    drive = Drive()
    drive.retry(CONFLICT)
    drive.take(CONFLICT)
    assert drive.next == "pause"
    drive.take(None)
    assert drive.next == "read"
    drive.run_recheck()
    assert drive.next == "done"


def test_a_recheck_that_may_not_be_is_the_changes_failure() -> None:
    drive = Drive()
    drive.retry(CONFLICT)
    with pytest.raises(ChangeFailed, match="not ours"):
        drive.take(IdentityCenterError("not ours"))
    assert drive.journal[-1] == ("after", "CreateUser", "failed IdentityCenterError")


@pytest.mark.parametrize(
    ("errors", "read", "adopted"),
    [
        pytest.param([], [], True, id="somebody-else-made-it"),
        pytest.param([LOST], [], False, id="a-lost-call-made-it"),
        pytest.param([ResponseParserError("x")], [], False, id="a-call-whose-answer-was-not-read-made-it"),
        pytest.param(
            [client_error("InternalServerException")], [], False, id="a-failed-call-may-have-made-it"
        ),
        pytest.param([LOST, THROTTLED], [], False, id="lost-is-not-forgotten"),
        pytest.param([THROTTLED], [], True, id="a-throttled-call-made-nothing"),
        pytest.param([NOT_SENT], [], True, id="a-call-that-was-not-sent-made-nothing"),
        pytest.param([], [LOST], True, id="a-lost-recheck-made-nothing"),
    ],
)
def test_whose_it_is_when_it_is_there_already(
    errors: list[Exception], read: list[Exception], adopted: bool
) -> None:
    drive = Drive(CREATE)
    for error in [*errors, CONFLICT]:
        drive.retry(error)
    for error in read:
        drive.take(error)
        drive.take(None)
    drive.found = RecheckResult((), {"user": "id-1"})
    drive.run_recheck()
    assert (drive.next, drive.execution.adopted, drive.execution.values) == (
        "done",
        adopted,
        {"user": "id-1"},
    )
    assert drive.journal[-1] == ("after", "CreateUser", "adopted" if adopted else "done")


def test_what_must_be_made_all_the_same_is_not_adopted() -> None:
    drive = Drive()
    drive.retry(CONFLICT)
    drive.found = RecheckResult((DELETE,))
    drive.run_recheck()
    assert (drive.next, drive.execution.adopted) == ("DeleteGroup", False)


def test_a_call_that_is_made_again_after_a_recheck_stays_lost() -> None:
    drive = Drive(CREATE)
    for found in (RecheckResult((CREATE,)), RecheckResult()):
        for error in (LOST, CONFLICT) if not drive.rechecks else (CONFLICT,):
            drive.retry(error)
        drive.found = found
        drive.run_recheck()
    assert (drive.next, drive.execution.adopted) == ("done", False)


def test_calls_follow_each_other_each_with_its_own_tries() -> None:
    drive = Drive(budget=1.0)
    drive.retry(THROTTLED)
    drive.answer({"UserId": "id-1"})
    assert drive.next == "CreateGroupMembership"
    drive.retry(THROTTLED)
    drive.answer({})
    assert (drive.next, drive.execution.made) == ("done", 2)
    assert drive.journal == [
        ("before", "CreateUser", ""),
        ("after", "CreateUser", "done"),
        ("before", "CreateGroupMembership", ""),
        ("after", "CreateGroupMembership", "done"),
    ]


@pytest.mark.parametrize(
    ("errors", "result"),
    [
        pytest.param([], "gone", id="somebody-else-was-faster"),
        pytest.param([LOST], "done", id="a-lost-call-removed-it"),
    ],
)
def test_what_is_gone_needs_no_removal(errors: list[Exception], result: str) -> None:
    drive = Drive(DELETE)
    for error in errors:
        drive.retry(error)
    drive.answer(client_error("ResourceNotFoundException"))
    ended = ("after", "DeleteGroup", f"{result} ResourceNotFoundException")
    assert (drive.next, drive.journal[-1]) == ("done", ended)


def test_a_refusal_after_a_lost_answer_is_unknown_where_aws_does_not_show_the_change() -> None:
    drive = Drive(CREATE)
    drive.retry(LOST)
    drive.answer(client_error("AccessDeniedException"))
    with pytest.raises(ChangeFailed, match="no answer of AWS says whether it was applied"):
        drive.answer(RecheckResult((CREATE,)))
    assert drive.journal[-1] == ("after", "CreateUser", "unknown AccessDeniedException")
    (tried,) = drive.journal.tried
    assert (tried["code"], "request_id" in tried) == ("ConnectionClosedError", False)


def test_a_refusal_after_a_lost_answer_is_settled_by_reading() -> None:
    drive = Drive(CREATE)
    drive.retry(LOST)
    drive.answer(client_error("AccessDeniedException"))
    drive.answer(RecheckResult((), {"user": "u-1"}))
    assert drive.last is None
    assert drive.journal[-1] == ("after", "CreateUser", "done")
    assert drive.execution.values == {"user": "u-1"}


@pytest.mark.parametrize(
    "lost", [pytest.param([], id="the-first-call-is-answered"), pytest.param([LOST], id="its-answer-is-lost")]
)
def test_what_is_known_of_the_first_call_says_nothing_of_the_second(lost: list[Exception]) -> None:
    drive = Drive(CREATE, DELETE)
    for error in lost:
        drive.retry(error)
    drive.answer({"UserId": "id-1"})
    with pytest.raises(ChangeFailed, match="failed with AccessDeniedException"):
        drive.answer(client_error("AccessDeniedException"))
    assert drive.journal[-1] == ("after", "DeleteGroup", "failed AccessDeniedException")


def test_a_refusal_is_not_looked_at_again() -> None:
    drive = Drive(CREATE)
    with pytest.raises(ChangeFailed, match="failed with AccessDeniedException"):
        drive.answer(client_error("AccessDeniedException"))
    assert drive.journal[-1] == ("after", "CreateUser", "failed AccessDeniedException")


GATEWAY = client_error("502", ResponseMetadata={"HTTPStatusCode": 502})
NO_ERROR: Any = {"ResponseMetadata": {"HTTPStatusCode": 403}}


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(GATEWAY, id="gateway"),
        pytest.param(ClientError(NO_ERROR, "CreateUser"), id="no-error"),
        pytest.param(AnswerUnreadable(operation="create_user", why="it has no request id"), id="not-of-aws"),
    ],
)
def test_what_aws_does_not_say_is_unknown(error: Exception) -> None:
    drive = Drive(CREATE, budget=2.0)
    drive.retry(error)
    drive.retry(error)
    drive.answer(error)
    with pytest.raises(ChangeFailed):
        drive.answer(RecheckResult((CREATE,)))
    assert drive.journal[-1][2].startswith("unknown")


def status(value: str, reason: str = "") -> dict[str, Any]:
    """What CreateAccountAssignment answers, and the operation that tells its status."""
    return {"AccountAssignmentCreationStatus": {"RequestId": "r-1", "Status": value, "FailureReason": reason}}


@pytest.mark.parametrize(
    ("answers", "journal"),
    [
        pytest.param([status("SUCCEEDED")], "done", id="at-once"),
        pytest.param([status("IN_PROGRESS"), status("SUCCEEDED")], "done", id="later"),
        pytest.param([status("IN_PROGRESS")] * 3 + [status("SUCCEEDED")], "done", id="polls-lag-behind"),
        pytest.param([status("FAILED", "role quota")], "failed FAILED", id="failed"),
        pytest.param(
            [status("IN_PROGRESS"), status("FAILED", "role quota")], "failed FAILED", id="failed-later"
        ),
        pytest.param([status("PARTLY")], "unknown PARTLY", id="a-status-that-is-new-to-us"),
    ],
)
def test_a_request_is_followed_to_its_end(answers: list[Any], journal: str) -> None:
    drive, failure = Drive(ASSIGN), ""
    try:
        for answer in answers:
            if drive.next == "follow":
                drive.take(None)
            drive.answer(answer)
    except ChangeFailed as error:
        failure = str(error)
    assert drive.journal == [
        ("before", "CreateAccountAssignment", ""),
        ("after", "CreateAccountAssignment", journal),
    ]
    assert (failure != "") is (journal != "done")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(client_error("AccessDeniedException"), id="denied"),
        pytest.param(client_error("ValidationException"), id="refused"),
        pytest.param(GATEWAY, id="gateway"),
        pytest.param(LOST, id="lost"),
        pytest.param(THROTTLED, id="throttled"),
    ],
)
def test_a_request_whose_status_cannot_be_read_has_not_failed(error: Exception) -> None:
    drive = Drive(ASSIGN, budget=2.0)
    drive.answer(status("IN_PROGRESS"))
    drive.take(None)

    def ask() -> None:
        while True:
            drive.take(error)
            if isinstance(drive.last, Pause):
                drive.take(None)

    with pytest.raises(ChangeFailed, match="has not ended"):
        ask()
    assert drive.journal[-1][2].startswith("unknown")


def test_a_status_that_has_not_spread_is_read_again() -> None:
    drive = Drive(ASSIGN)
    drive.answer(status("IN_PROGRESS"))
    drive.take(None)
    drive.take(client_error("ResourceNotFoundException"))
    assert isinstance(drive.last, Pause)
    drive.take(None)
    drive.answer(status("SUCCEEDED"))
    assert drive.journal[-1] == ("after", "CreateAccountAssignment", "done")


def test_an_earlier_runs_request_has_no_line_and_another_is_made_if_it_failed() -> None:
    drive = Drive(ASSIGN, awaits="r-1")
    assert (drive.next, drive.journal) == ("follow", [])
    drive.take(None)
    drive.answer(status("FAILED", "role quota"))
    assert drive.next == "CreateAccountAssignment"
    assert isinstance(drive.last, Send)
    drive.answer({"AccountAssignmentCreationStatus": {"RequestId": "r-2", "Status": "IN_PROGRESS"}})
    assert isinstance(drive.last, Follow)
    assert drive.last.request_id == "r-2"


@pytest.mark.parametrize(
    ("awaits", "after", "told", "lines"),
    [
        pytest.param("", "", "still pending after 30 s; run again", ["before", "after"], id="our-own"),
        pytest.param(
            "r-1", "", "an earlier request to assign alice is still pending after 30 s", [], id="earlier"
        ),
        pytest.param(
            "", "r-1", "an earlier request to end alice is still pending after 30 s", [], id="the-opposite"
        ),
    ],
)
def test_a_request_that_takes_too_long(awaits: str, after: str, told: str, lines: list[str]) -> None:
    drive = Drive(ASSIGN, awaits=awaits, after=after)
    if not (awaits or after):
        drive.answer(status("IN_PROGRESS"))
    assert drive.next == "follow"
    assert isinstance(drive.last, Follow)
    with pytest.raises(ChangeFailed, match=told) as failure:
        drive.take(drive.execution.timeout_failure(30.0, drive.last.operation))
    assert failure.value.code == "Timeout"
    assert [phase for phase, _, _ in drive.journal] == lines
