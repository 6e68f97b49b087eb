# SPDX-License-Identifier: Apache-2.0
"""The result of a call, its code, its request id and the tries before it: those that a run writes agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.report.journal_calls import Call, Calls
from c7n_iamusers.report.trail_matching import BY_SESSION, CONTRADICTED, NO_ID, TrailEvent, match

pytestmark = [pytest.mark.pure, pytest.mark.whole]
WHO = {"user": "alice", "arn": "arn:aws:iam::111122223333:user/alice", "unique_id": "AIDA1"}
CALLER = "arn:aws:sts::111122223333:assumed-role/Remover/run"
TIME = "2026-11-24T10:00:00.000000+00:00"
Line = dict[str, Any]
ID, REFUSED = {"request_id": "r"}, {"code": "AccessDenied", "status": 403, "request_id": "r"}
GONE = {"code": "NoSuchEntity", "status": 404, "request_id": "r"}
LOST, THROTTLED = {"code": "ReadTimeoutError"}, {"code": "Throttling", "status": 400, "request_id": "r"}
SERVER = {"code": "ServiceFailure", "status": 500, "request_id": "r"}
EXISTS = {"code": "EntityAlreadyExists", "status": 409, "request_id": "r"}


def lines(operation: str, result: str, answer: Line, *tries: Line) -> list[Line]:
    made = {"service": "iam", "operation": operation, "parameters": {"UserName": "alice"}}
    call = {"time": TIME, **WHO, **made}
    tried = [{**call, "phase": "tried", "caller": CALLER, **each} for each in tries]
    after = {**call, "phase": "after", "caller": CALLER, "result": result, **answer}
    return [{**call, "phase": "before"}, *tried, after]


@pytest.mark.parametrize(
    ("operation", "result", "answer", "tries", "is_written"),
    [
        pytest.param("DeleteUser", "done", ID, (), True, id="done"),
        pytest.param("DeleteUser", "done", {}, (), False, id="done-without-an-id"),
        pytest.param("DeleteUser", "done", REFUSED, (), False, id="done-and-refused"),
        pytest.param("DeleteUser", "done", GONE, (LOST,), False, id="a-deletion-after-a-lost-try"),
        pytest.param("DetachUserPolicy", "done", GONE, (LOST,), True, id="gone-after-a-lost-try"),
        pytest.param("DetachUserPolicy", "done", GONE, (), False, id="done-and-gone"),
        pytest.param("DetachUserPolicy", "done", LOST, (), True, id="settled-by-reading"),
        pytest.param("CreateUser", "done", EXISTS, (), True, id="it-is-there"),
        pytest.param("TagUser", "done", GONE, (), False, id="not-there"),
        pytest.param("DeleteUser", "failed", REFUSED, (), True, id="refused"),
        pytest.param("DeleteUser", "failed", GONE, (), False, id="failed-and-gone"),
        pytest.param("TagUser", "failed", GONE, (), True, id="failed-for-nobody"),
        pytest.param("DeleteUser", "failed", THROTTLED, (THROTTLED,), True, id="throttled"),
        pytest.param("DeleteUser", "failed", {"code": "ReadingOutdated"}, (), True, id="not-made"),
        pytest.param("DeleteUser", "failed", LOST, (), False, id="failed-without-an-answer"),
        pytest.param("DeleteUser", "failed", REFUSED, (LOST,), False, id="failed-after-a-lost-try"),
        pytest.param("DeleteUser", "failed", ID, (), False, id="failed-without-a-code"),
        pytest.param("DeleteUser", "unknown", LOST, (), True, id="lost"),
        pytest.param("DeleteUser", "unknown", SERVER, (), True, id="an-error-of-the-server"),
        pytest.param("DeleteUser", "unknown", REFUSED, (LOST,), True, id="refused-after-a-lost-try"),
        pytest.param("DeleteUser", "unknown", {}, (LOST,), True, id="not-there-after-a-lost-try"),
        pytest.param("DeleteUser", "unknown", {}, (), False, id="unknown-without-a-word"),
        pytest.param("DeleteUser", "unknown", REFUSED, (), False, id="unknown-and-refused"),
        pytest.param("DeleteUser", "gone", GONE, (), True, id="gone"),
        pytest.param("DeleteUser", "gone", {}, (THROTTLED,), True, id="gone-between-two-tries"),
        pytest.param("DeleteUser", "gone", REFUSED, (), False, id="gone-and-refused"),
        pytest.param("TagUser", "gone", GONE, (), False, id="gone-where-nothing-is-removed"),
        pytest.param("DeleteUser", "interrupted", {"code": "Interrupted"}, (LOST,), True, id="interrupted"),
        pytest.param("DeleteUser", "interrupted", ID, (), False, id="interrupted-with-an-answer"),
        pytest.param("DeleteUser", "", ID, (), False, id="no-result"),
        pytest.param("DeleteUser", "fine", ID, (), False, id="no-such-result"),
        pytest.param("DeleteUser", "done", ID, (REFUSED,), False, id="tried-again-after-a-refusal"),
    ],
)
def test_a_result_is_one_that_a_run_writes(
    operation: str, result: str, answer: Line, tries: tuple[Line, ...], is_written: bool
) -> None:
    calls = Calls("output/journal.jsonl", of_users=True, keeps=True)
    faults = [fault for each in lines(operation, result, answer, *tries) if (fault := calls.read(each))]
    assert (not faults) is is_written, faults


def test_a_restoration_fails_where_what_it_made_is_not_there() -> None:
    found = []
    for restores in (True, False):
        calls = Calls("output/journal.jsonl", of_users=True, keeps=True, restores=restores)
        found.append([bool(calls.read(each)) for each in lines("DeleteUser", "failed", GONE)])
    assert found == [[False, False], [False, True]]


def test_a_parameter_has_one_spelling() -> None:
    calls = Calls("output/journal.jsonl", of_users=True, keeps=True)
    (begun, _) = lines("DetachUserPolicy", "done", ID)
    twice = {
        "UserName": "alice",
        "PolicyArn": "arn:aws:iam::aws:policy/A",
        "policyArn": "arn:aws:iam::aws:policy/B",
    }
    assert calls.read({**begun, "parameters": twice}) == "a parameter is there twice, in two spellings"


@pytest.mark.parametrize(
    ("operation", "result", "answer", "status", "error", "why"),
    [
        pytest.param("DeleteUser", "unknown", LOST, "deleted", "", "", id="deleted"),
        pytest.param(
            "DeleteUser",
            "unknown",
            LOST,
            "deleted",
            "AccessDenied",
            CONTRADICTED.format("it was refused"),
            id="refused",
        ),
        pytest.param(
            "DeleteUser", "unknown", LOST, "failed", "", CONTRADICTED.format("it was done"), id="hidden"
        ),
        pytest.param("DeleteUser", "unknown", LOST, "failed", "AccessDenied", "", id="failed"),
        pytest.param(
            "PutUserPolicy",
            "unknown",
            LOST,
            "quarantined",
            "AccessDenied",
            CONTRADICTED.format("it was refused"),
            id="free",
        ),
        pytest.param("PutUserPolicy", "unknown", LOST, "failed", "", "", id="a-failure-after-it"),
        pytest.param(
            "PutUserPolicy",
            "failed",
            {**REFUSED, "request_id": ""},
            "failed",
            "AccessDenied",
            NO_ID,
            id="no-id",
        ),
    ],
)
def test_awss_event_says_what_became_of_a_call_without_an_answer(
    operation: str, result: str, answer: Line, status: str, error: str, why: str
) -> None:
    calls = Calls("output/journal.jsonl", of_users=True, keeps=True)
    for each in lines(operation, result, answer):
        calls.read(each)
    calls.end({"time": TIME, **WHO, "phase": "outcome", "status": status})
    time = datetime(2026, 11, 24, 10, tzinfo=timezone.utc)
    made = {"user": "alice", "error": error, "read_only": False, "parameters": {"userName": "alice"}}
    event = TrailEvent("e", "other", operation, time, CALLER, CALLER, **made)  # type: ignore[arg-type]
    found = match([*calls.ended()], [event], time.replace(day=25))
    assert [told for _, told in found.unproven] == [why] * bool(why)
    assert found.matched[BY_SESSION] == (not why)


@pytest.mark.parametrize("count", [10, 1_000])
def test_an_outcome_settles_the_calls_since_the_one_before_alone(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    replaced = []

    def counted(call: Call, **more: Any) -> Call:
        replaced.append(more.get("told"))
        return replace(call, **more)

    monkeypatch.setattr("c7n_iamusers.report.journal_calls.replace", counted)
    calls = Calls("output/journal.jsonl", of_users=True, keeps=True)
    for status in [*["failed"] * count, "deleted"]:
        for each in lines("DeleteUser", "unknown", LOST):
            calls.read(each)
        calls.end({"time": TIME, **WHO, "phase": "outcome", "status": status})
    assert {each.told for each in calls.ended()} == {True}
    assert (replaced.count(False), replaced.count(True)) == (count, count + 1)
