# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from c7n_iamusers.exceptions import GateClosed, JournalRefused, RunLockLost, UserReplaced
from c7n_iamusers.execution.calls import AFTER, BEFORE, ApiCall, Plan, Ref, Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, Executor, Identify, SubjectGone
from c7n_iamusers.execution.interruption import Interrupted
from c7n_iamusers.execution.journal import Journal, JournalWriter
from c7n_iamusers.execution.retries import Backoff
from tests.fakes import ScriptedClient, Sleeps, client_error
from tests.records import said

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
DELETE = ApiCall("iam", "DeleteUser", {"UserName": "alice"}, done_codes=frozenset({"NoSuchEntity"}))
DETACH = ApiCall(
    "iam",
    "DetachUserPolicy",
    {"UserName": "alice", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
    done_codes=frozenset({"NoSuchEntity"}),
)
PUT = ApiCall("iam", "PutUserPolicy", {"UserName": "alice"}, done_codes=frozenset({"EntityAlreadyExists"}))
LOST = ReadTimeoutError(endpoint_url="x")
GONE = client_error("NoSuchEntity")
THROTTLED = client_error("Throttling")
CREATE = ApiCall(
    "identitystore",
    "CreateUser",
    {"UserName": "alice"},
    save={"person": ("UserId",)},
)
ASSIGN = ApiCall(
    "sso-admin",
    "CreateAccountAssignment",
    {"PrincipalId": Ref("person"), "Nested": [{"id": Ref("person")}]},
    save={"request": ("Status", "RequestId")},
)


class Bench:
    """An executor over scripted clients, its journal and its sleeps."""

    def __init__(self, path: Path, **scripts: list[Any]) -> None:
        self.path, self.sleeps, self.applied = path / "journal.jsonl", Sleeps(), Applied()
        self.client = ScriptedClient(**scripts)

    def apply(self, *calls: ApiCall, identify: Identify = lambda: True) -> Applied:
        with Journal(self.path) as journal:
            self.executor(journal).apply(Plan(ALICE, calls), self.applied, identify)
        return self.applied

    def executor(self, journal: JournalWriter, backoff: Backoff | None = None) -> Executor:
        clients = dict.fromkeys(("iam", "identitystore", "sso-admin"), self.client)
        return Executor(clients, journal, backoff or self.sleeps.backoff())

    def journal(self) -> list[tuple[str, str, str | None]]:
        lines = [line for line in self.lines() if line["phase"] != "tried"]
        return [(line["phase"], line["operation"], line.get("result")) for line in lines]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def test_calls_are_made_in_order_and_journaled_before_and_after(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[{}], delete_group=[{}])
    bench.apply(ApiCall("iam", "DeleteGroup", {"GroupName": "g"}), DELETE)
    assert bench.client.calls == [
        ("delete_group", {"GroupName": "g"}),
        ("delete_user", {"UserName": "alice"}),
    ]
    assert bench.journal() == [
        ("before", "DeleteGroup", None),
        ("after", "DeleteGroup", "done"),
        ("before", "DeleteUser", None),
        ("after", "DeleteUser", "done"),
    ]
    assert bench.applied.calls == 2


def test_already_gone_is_success(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[client_error("NoSuchEntity")])
    bench.apply(DELETE)
    assert bench.journal()[-1] == ("after", "DeleteUser", "gone")


@pytest.mark.parametrize(
    ("error", "code"),
    [(client_error("AccessDenied"), "AccessDenied"), (NoCredentialsError(), "NoCredentialsError")],
    ids=["of-the-api", "of-botocore"],
)
def test_a_failure_stops_the_plan_and_is_journaled(tmp_path: Path, error: Exception, code: str) -> None:
    bench = Bench(tmp_path, delete_user=[error])
    with pytest.raises(
        CallFailed, match=f"user alice of account 111122223333: iam:DeleteUser failed with {code}"
    ):
        bench.apply(DELETE, DELETE)
    assert bench.journal() == [("before", "DeleteUser", None), ("after", "DeleteUser", "failed")]
    assert json.loads(bench.path.read_text().splitlines()[-1])["code"] == code
    assert bench.applied.calls == 1


def test_temporary_conflicts_are_retried(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[client_error("EntityTemporarilyUnmodifiable"), {}])
    bench.apply(DELETE)
    assert bench.sleeps == [1]
    assert bench.applied.calls == 1


def test_values_of_earlier_calls_fill_later_ones(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        create_user=[{"UserId": "u-1"}],
        create_account_assignment=[{"Status": {"RequestId": "r-1"}}],
    )
    bench.apply(CREATE, ASSIGN)
    assert bench.client.calls[1] == (
        "create_account_assignment",
        {"PrincipalId": "u-1", "Nested": [{"id": "u-1"}]},
    )
    assert bench.applied.values == {"person": "u-1", "request": "r-1"}


class Identity:
    """Answers who the subject is from a script, and notes how many calls of the client came before each question."""

    def __init__(self, bench: Bench, *answers: bool | Exception) -> None:
        self.bench, self.answers, self.asked = bench, list(answers), list[int]()

    def __call__(self) -> bool:
        self.asked.append(len(self.bench.client.calls))
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("call", "answers", "result"),
    [
        pytest.param(DETACH, [{}], "done", id="answered"),
        pytest.param(DETACH, [GONE], "gone", id="gone-at-first"),
        pytest.param(DETACH, [LOST, GONE], "done", id="answer-lost"),
        pytest.param(DETACH, [client_error("ServiceFailure"), GONE], "done", id="service-failure"),
        pytest.param(DETACH, [ResponseParserError("x"), GONE], "done", id="answer-not-read"),
        pytest.param(DETACH, [ResponseParserError("x"), {}], "done", id="answer-not-read-then-done"),
        pytest.param(DETACH, [LOST, THROTTLED, GONE], "done", id="lost-is-not-forgotten"),
        pytest.param(DETACH, [THROTTLED, GONE], "gone", id="throttled"),
        pytest.param(DETACH, [client_error("ConcurrentModification"), GONE], "gone", id="conflict"),
        pytest.param(DETACH, [ConnectTimeoutError(endpoint_url="x"), GONE], "gone", id="never-sent"),
        # a user that is not found may have been renamed, or GetUser be stale: only the list of users tells
        pytest.param(DELETE, [LOST, GONE], "unknown", id="user-answer-lost"),
        pytest.param(PUT, [client_error("EntityAlreadyExists")], "done", id="there-already-is-not-gone"),
    ],
)
def test_the_result_distinguishes_our_removal_from_others(
    tmp_path: Path, call: ApiCall, answers: list[Any], result: str
) -> None:
    method = {"DetachUserPolicy": "detach_user_policy", "DeleteUser": "delete_user"}.get(call.operation)
    bench = Bench(tmp_path, **{method or "put_user_policy": list(answers)})
    bench.apply(call)
    assert bench.journal() == [("before", call.operation, None), ("after", call.operation, result)]
    assert bench.applied.made == [(call, result)]
    assert bench.applied.ended(call.operation) == result
    assert bench.applied.ended("DeleteGroup") == ""


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        pytest.param([LOST] * 20, "unknown", id="lost"),
        pytest.param([LOST, client_error("AccessDenied")], "unknown", id="lost-then-refused"),
        pytest.param([ResponseParserError("x")] * 20, "unknown", id="not-read"),
        pytest.param([THROTTLED] * 20, "failed", id="throttled"),
        pytest.param([client_error("DeleteConflict")], "failed", id="refused"),
    ],
)
def test_a_failure_after_a_lost_answer_is_unknown(tmp_path: Path, answers: list[Any], result: str) -> None:
    bench = Bench(tmp_path, delete_user=list(answers))
    with pytest.raises(CallFailed):
        bench.apply(DELETE)
    assert bench.journal() == [("before", "DeleteUser", None), ("after", "DeleteUser", result)]
    assert bench.applied.made == [(DELETE, result)]


@pytest.mark.parametrize(
    ("operation", "code", "shown", "result"),
    [
        pytest.param("UploadSigningCertificate", "DuplicateCertificate", True, "done", id="its-own"),
        pytest.param("UploadSigningCertificate", "DuplicateCertificate", False, "failed", id="another-users"),
        pytest.param("UploadSigningCertificate", "InvalidCertificate", True, "failed", id="another-code"),
        pytest.param("CreateGroup", "EntityAlreadyExists", True, "failed", id="another-call"),
    ],
)
def test_what_is_uploaded_already_is_success_only_where_a_read_shows_it(
    tmp_path: Path, operation: str, code: str, shown: bool, result: str
) -> None:
    bench, call = (
        Bench(tmp_path, **{xform_name(operation): [client_error(code)]}),
        ApiCall("iam", operation, {}),
    )
    with Journal(bench.path) as journal, contextlib.suppress(CallFailed):
        executor = Executor({"iam": bench.client}, journal, bench.sleeps.backoff(), shows=lambda *_: shown)
        executor.apply(Plan(ALICE, (call,)), bench.applied)
    assert bench.journal()[1:] == [("after", operation, result)]


@pytest.mark.parametrize(
    ("call", "first", "identified", "result"),
    [
        pytest.param(DETACH, THROTTLED, UserReplaced(said("another alice"), "AIDA2"), "failed", id="another"),
        pytest.param(
            DELETE, THROTTLED, UserReplaced(said("another alice"), "AIDA2"), "failed", id="another-user"
        ),
        pytest.param(
            DELETE, LOST, UserReplaced(said("another alice"), "AIDA2"), "unknown", id="another-answer-lost"
        ),
        pytest.param(DETACH, THROTTLED, False, "failed", id="gone"),
        pytest.param(DETACH, LOST, False, "unknown", id="gone-answer-lost"),
    ],
)
def test_after_a_pause_a_user_that_took_the_name_is_not_changed(
    tmp_path: Path, call: ApiCall, first: Exception, identified: bool | Exception, result: str
) -> None:
    bench = Bench(tmp_path, detach_user_policy=[first], delete_user=[first])
    with pytest.raises(UserReplaced if isinstance(identified, UserReplaced) else SubjectGone):
        bench.apply(call, identify=Identity(bench, identified))
    assert len(bench.client.calls) == 1
    assert bench.journal() == [("before", call.operation, None), ("after", call.operation, result)]
    assert bench.applied.made == [(call, result)]
    assert bench.applied.unchecked == [call]


@pytest.mark.parametrize(
    ("first", "result"),
    [pytest.param(THROTTLED, "gone", id="not-by-us"), pytest.param(LOST, "unknown", id="perhaps-by-us")],
)
def test_a_user_that_is_gone_after_a_pause_needs_no_deletion(
    tmp_path: Path, first: Exception, result: str
) -> None:
    bench = Bench(tmp_path, delete_user=[first])
    bench.apply(DELETE, identify=Identity(bench, False))
    assert bench.applied.made == [(DELETE, result)]
    assert bench.journal()[-1] == ("after", "DeleteUser", result)


@pytest.mark.parametrize(
    ("checked", "answers", "asked"),
    [
        pytest.param((), [{}], [], id="never"),
        pytest.param((BEFORE,), [{}], [0], id="before"),
        pytest.param((AFTER,), [{}], [1], id="after"),
        pytest.param((BEFORE, AFTER), [{}], [0, 1], id="both"),
        pytest.param((), [GONE], [1], id="gone-and-more-to-do"),
        pytest.param((AFTER,), [GONE], [1], id="gone-after"),
        pytest.param((), [THROTTLED, {}], [1], id="pause"),
        pytest.param((), [LOST, GONE], [1], id="lost"),
        pytest.param((BEFORE,), [THROTTLED, GONE], [0, 1, 2], id="every-reason"),
    ],
)
def test_when_the_subject_is_identified(
    tmp_path: Path, checked: tuple[str, ...], answers: list[Any], asked: list[int]
) -> None:
    bench = Bench(tmp_path, detach_user_policy=list(answers), delete_user=[{}])
    identity = Identity(bench)
    bench.apply(replace(DETACH, checked=frozenset(checked)), DELETE, identify=identity)
    assert identity.asked == asked
    assert bench.applied.unchecked[-1] == DELETE
    still = not asked or asked[-1] < len(answers)
    assert len(bench.applied.unchecked) == 1 + still


def test_what_was_gone_at_the_last_call_asks_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[GONE])
    identity = Identity(bench)
    bench.apply(DELETE, identify=identity)
    assert identity.asked == []
    assert bench.applied.unchecked == [DELETE]


def test_a_subject_that_is_gone_before_a_call_is_left_without_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, detach_user_policy=[{}], delete_user=[{}])
    checked = replace(DELETE, checked=frozenset({BEFORE}))
    with pytest.raises(SubjectGone):
        bench.apply(DETACH, checked, identify=Identity(bench, False))
    assert [name for name, _ in bench.client.calls] == ["detach_user_policy"]
    assert bench.journal() == [("before", "DetachUserPolicy", None), ("after", "DetachUserPolicy", "done")]
    assert bench.applied.made == [(DETACH, "done")]
    assert bench.applied.unchecked == [DETACH]


@pytest.mark.parametrize(
    ("answers", "checked"),
    [pytest.param([{}], (AFTER,), id="checked"), pytest.param([GONE], (), id="gone-already")],
)
def test_a_subject_that_is_gone_after_a_call_has_that_noted(
    tmp_path: Path, answers: list[Any], checked: tuple[str, ...]
) -> None:
    bench = Bench(tmp_path, detach_user_policy=list(answers))
    call = replace(DETACH, checked=frozenset(checked))
    with pytest.raises(SubjectGone):
        bench.apply(call, DELETE, identify=Identity(bench, False))
    assert len(bench.client.calls) == 1
    assert bench.journal()[-1][0] == "after"
    assert bench.applied.calls == 1


class Failing:
    """A journal that can't be written from its line ``number`` on, or that one only."""

    def __init__(self, number: int, once: bool = False) -> None:
        self.left, self.once, self.phases = number, once, list[str]()

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        self.left -= 1
        if self.left == -1 or (self.left < 0 and not self.once):
            raise JournalRefused("no room")
        self.phases.append(phase)


@pytest.mark.parametrize(
    ("lines", "made", "raises"),
    [
        pytest.param(0, 0, True, id="before-the-first"),
        pytest.param(1, 1, True, id="after-the-first"),
        pytest.param(2, 1, True, id="before-the-last"),
        pytest.param(3, 2, False, id="after-the-last"),
        pytest.param(4, 2, False, id="never"),
    ],
)
def test_without_a_journal_no_further_call_is_made(
    tmp_path: Path, lines: int, made: int, raises: bool
) -> None:
    bench = Bench(tmp_path, detach_user_policy=[{}], delete_user=[{}])
    with pytest.raises(JournalRefused) if raises else nullcontext():
        bench.executor(Failing(lines)).apply(Plan(ALICE, (DETACH, DELETE)), bench.applied)
    assert len(bench.client.calls) == made
    assert bench.applied.made == [(DETACH, "done"), (DELETE, "done")][:made]


@pytest.mark.parametrize(
    ("line", "made"),
    [
        pytest.param(0, 0, id="before-the-first"),
        pytest.param(1, 1, id="between-two-tries"),
        pytest.param(2, 2, id="after-the-first"),
        pytest.param(3, 2, id="before-the-last"),
    ],
)
def test_a_line_that_is_refused_once_stops_all_further_calls(tmp_path: Path, line: int, made: int) -> None:
    bench = Bench(tmp_path, detach_user_policy=[THROTTLED, {}], delete_user=[{}])
    with pytest.raises(JournalRefused):
        bench.executor(Failing(line, once=True)).apply(Plan(ALICE, (DETACH, DELETE)), bench.applied)
    assert len(bench.client.calls) == made


def test_a_refused_last_call_is_raised_although_its_line_is_missing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[client_error("DeleteConflict")])
    with pytest.raises(CallFailed, match="DeleteConflict"):
        bench.executor(Failing(1)).apply(Plan(ALICE, (DELETE,)), bench.applied)
    assert bench.applied.made == [(DELETE, "failed")]


def test_an_interruption_between_two_tries_is_noted(tmp_path: Path) -> None:
    def interrupted(_: float) -> None:
        raise Interrupted("SIGTERM")

    bench = Bench(tmp_path, delete_user=[THROTTLED])
    with Journal(bench.path) as journal, pytest.raises(Interrupted):
        bench.executor(journal, Backoff(sleep=interrupted)).apply(Plan(ALICE, (DELETE,)), bench.applied)
    assert bench.journal() == [("before", "DeleteUser", None), ("after", "DeleteUser", "interrupted")]
    assert bench.applied.made == [(DELETE, "interrupted")]


def test_the_line_before_a_call_has_its_notes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delete_user=[{}])
    bench.apply(replace(DELETE, notes={"former-boundary": "arn"}))
    before, after = (json.loads(line) for line in bench.path.read_text().splitlines())
    assert before["notes"] == {"former-boundary": "arn"}
    assert "notes" not in after


@pytest.mark.parametrize(
    ("answers", "asked", "result"),
    [
        pytest.param([{}], 1, "done", id="at-once"),
        pytest.param([THROTTLED, THROTTLED, {}], 3, "done", id="before-each-try"),
        pytest.param([LOST, {}], 2, "done", id="after-a-lost-answer"),
    ],
)
def test_it_is_asked_before_each_try_until_something_is_changed(
    tmp_path: Path, answers: list[Any], asked: int, result: str
) -> None:
    bench, questions = (
        Bench(tmp_path, detach_user_policy=list(answers), delete_user=[THROTTLED, {}]),
        list[int](),
    )
    bench.applied.ask = lambda: questions.append(len(bench.client.calls))
    bench.apply(DETACH, DELETE)
    # of the first try twice: before its line is in the journal, which may take minutes, and after
    assert questions == [0, *range(asked)]
    assert bench.applied.made[0] == (DETACH, result)


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        pytest.param([], None, id="before-the-first-try"),
        pytest.param([THROTTLED], "failed", id="after-a-refusal"),
        pytest.param([LOST], "unknown", id="after-a-lost-answer"),
    ],
)
def test_what_a_question_raises_ends_the_plan(tmp_path: Path, answers: list[Any], result: str | None) -> None:
    twice = 1 if answers else 0
    bench, left = Bench(tmp_path, detach_user_policy=list(answers)), [None] * (len(answers) + twice)

    def ask() -> None:
        if not left:
            raise GateClosed("exempt")
        left.pop()

    bench.applied.ask = ask
    with pytest.raises(GateClosed):
        bench.apply(DETACH, DELETE)
    assert [made for _, made in bench.applied.made] == ([result] if result else [])
    assert bench.applied.changed is (result == "unknown")


@pytest.mark.parametrize(
    ("answers", "result"), [([THROTTLED, {}], "failed"), ([LOST, {}], "unknown")], ids=["refused", "lost"]
)
def test_a_call_is_not_tried_again_once_the_journal_is_gone(
    tmp_path: Path, answers: list[Any], result: str
) -> None:
    bench = Bench(tmp_path, detach_user_policy=answers)

    def identify() -> bool:  # between two tries
        bench.path.unlink()
        return True

    with Journal(bench.path) as journal:
        check = journal.require_in_place
        executor = Executor({"iam": bench.client}, journal, bench.sleeps.backoff(), before_each=check)
        with pytest.raises(RunLockLost):
            executor.apply(Plan(ALICE, (DETACH,)), bench.applied, identify)
    assert (len(bench.client.calls), bench.applied.made) == (1, [(DETACH, result)])
