# SPDX-License-Identifier: Apache-2.0
"""Calls in journals against CloudTrail's events, both ways; and the questions that are asked of CloudTrail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.report.journal_calls import Call
from c7n_iamusers.report.trail_matching import (
    BY_REQUEST_ID,
    BY_SESSION,
    KILLED,
    NO_NAME,
    NOT_COMPARED,
    NOT_READ,
    REFUSED,
    TOO_MANY,
    TOO_OLD,
    UNANSWERED,
    TrailEvent,
    event_of,
    match,
)
from c7n_iamusers.report.trail_reader import read_trail

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
ROLE = "arn:aws:sts::111122223333:assumed-role/IamUsersRemover/CloudCustodian@run-7"
HAND = "arn:aws:sts::111122223333:assumed-role/IamUsersRemover/somebody"
OTHER = "arn:aws:sts::111122223333:assumed-role/Admin/somebody"


def call(operation: str = "DeleteUser", age: timedelta = DAY, **more: Any) -> Call:
    time = NOW - age
    given: dict[str, Any] = {
        "place": "output/journal.jsonl",
        "user": "alice",
        "arn": "arn:aws:iam::111122223333:user/alice",
        "service": "iam",
        "time": time.isoformat(),
        "answered": (time + timedelta(seconds=1)).isoformat(),
        "result": "done",
        "request_id": "r-1",
        "caller": ROLE,
        "parameters": {"UserName": "alice"},
    }
    given |= more
    return Call(operation=operation, **{**given, "parameters": json.dumps(given["parameters"])})


def event(operation: str = "DeleteUser", age: timedelta = DAY, **more: Any) -> TrailEvent:
    given = {
        "id": f"{operation}-{age}-{more.get('request_id', 'r-1')}",
        "request_id": "r-1",
        "arn": ROLE,
        "role": "arn:aws:iam::111122223333:role/IamUsersRemover",
        "user": "alice",
        "error": "",
        "read_only": False,
        "parameters": {"userName": more.get("user") or "alice"},
    }
    return TrailEvent(operation=operation, time=NOW - age, **{**given, **more})


def told(calls: Sequence[Call], events: Sequence[TrailEvent], **more: Any) -> dict[str, Any]:
    found = match(calls, events, NOW, **more)
    shown = {
        BY_REQUEST_ID: found.matched[BY_REQUEST_ID],
        BY_SESSION: found.matched[BY_SESSION],
        "unproven": [why for _, why in found.unproven],
        "late": len(found.late),
        "missing": len(found.missing),
        "unjournaled": len(found.unjournaled),
        "strangers": len(found.strangers),
    }
    return {name: value for name, value in shown.items() if value}


def detach(policy: str, **more: Any) -> Call:
    given = {"UserName": "alice", "PolicyArn": f"arn:aws:iam::aws:policy/{policy}"}
    return call("DetachUserPolicy", parameters=given, **more)


def detached(policy: str, **more: Any) -> TrailEvent:
    given = {"userName": "alice", "policyArn": f"arn:aws:iam::aws:policy/{policy}"}
    return event("DetachUserPolicy", parameters=given, **more)


def put(document: Any) -> Call:
    given = {"UserName": "alice", "PolicyDocument": json.dumps(document)}
    return call("PutUserPolicy", parameters=given)


def put_event(document: str) -> TrailEvent:
    return event("PutUserPolicy", parameters={"userName": "alice", "policyDocument": document})


OLD, NEW = timedelta(days=91), timedelta(minutes=5)


@pytest.mark.parametrize(
    ("calls", "events", "expected"),
    [
        pytest.param([call()], [event()], {BY_REQUEST_ID: 1}, id="request-id"),
        pytest.param([call()], [event(request_id="r-9")], {BY_SESSION: 1}, id="ids-that-differ"),
        pytest.param(
            [call()],
            [event(user="bob")],
            {"missing": 1, "strangers": 1},
            id="the-id-of-a-call-on-another-user",
        ),
        pytest.param([call()], [event(error="AccessDenied")], {"missing": 1}, id="the-id-of-a-refused-call"),
        pytest.param([call(request_id="")], [event(request_id="")], {BY_SESSION: 1}, id="no-ids"),
        pytest.param(
            [call(request_id="")],
            [event(request_id="", age=DAY + timedelta(minutes=4))],
            {BY_SESSION: 1},
            id="clocks-differ",
        ),
        pytest.param(
            [call(request_id="")],
            [event(request_id="", age=DAY + timedelta(minutes=6))],
            {"missing": 1, "unjournaled": 1},
            id="another-time",
        ),
        pytest.param(
            [call("DeleteVirtualMFADevice", request_id="")],
            [event("DeleteVirtualMFADevice", request_id="", user="")],
            {BY_SESSION: 1},
            id="names-no-user",
        ),
        pytest.param(
            [call(request_id="")],
            [event(request_id="", user="bob")],
            {"missing": 1, "strangers": 1},
            id="another-user-of-no-journal",
        ),
        pytest.param(
            [call(request_id="")],
            [event(request_id="", arn=HAND)],
            {"missing": 1, "unjournaled": 1},
            id="another-session",
        ),
        pytest.param(
            [call(), call(request_id="r-2", age=DAY - timedelta(seconds=2))],
            [event(request_id="r-9")],
            {BY_SESSION: 1, "missing": 1},
            id="an-event-serves-one-call",
        ),
        pytest.param([call()], [], {"missing": 1}, id="no-event"),
        pytest.param([call(age=OLD)], [], {"unproven": [TOO_OLD]}, id="too-old"),
        pytest.param([call(age=NEW)], [], {"late": 1}, id="late"),
        pytest.param([call(request_id="", caller="")], [], {"unproven": [NO_NAME]}, id="neither"),
        pytest.param([call(result="failed", code="AccessDenied")], [], {"unproven": [REFUSED]}, id="refused"),
        pytest.param(
            [call(result="failed", code="AccessDenied", request_id="")],
            [event(request_id="", error="AccessDenied")],
            {BY_SESSION: 1},
            id="refused-with-its-event",
        ),
        pytest.param(
            [call(result="unknown", request_id="")], [], {"unproven": [UNANSWERED]}, id="unanswered"
        ),
        pytest.param(
            [call(result="", answered="", request_id="", caller="")],
            [event()],
            {"unproven": [NO_NAME]},
            id="a-killed-run-and-nobody-known",
        ),
        pytest.param(
            [call()],
            [event(), event("AttachUserPolicy", request_id="r-2")],
            {BY_REQUEST_ID: 1, "unjournaled": 1},
            id="a-change-without-a-line",
        ),
        pytest.param(
            [call()],
            [event(), event("AttachUserPolicy", request_id="r-2", arn=HAND)],
            {BY_REQUEST_ID: 1, "unjournaled": 1},
            id="a-change-in-another-session-of-our-role",
        ),
        pytest.param(
            [call()],
            [event(), event("AttachUserPolicy", request_id="r-2", arn=OTHER)],
            {BY_REQUEST_ID: 1},
            id="a-change-by-others",
        ),
        pytest.param(
            [call()],
            [event(), event("AttachUserPolicy", request_id="r-2", user="carol")],
            {BY_REQUEST_ID: 1, "strangers": 1},
            id="a-change-of-a-user-in-no-journal",
        ),
        pytest.param(
            [call()],
            [event(), event("AttachUserPolicy", request_id="r-2", user="carol", arn=OTHER)],
            {BY_REQUEST_ID: 1},
            id="a-change-of-such-a-user-by-others",
        ),
        pytest.param(
            [call()],
            [event(), event("CreateRole", request_id="r-2", user="")],
            {BY_REQUEST_ID: 1},
            id="a-change-of-no-user",
        ),
        pytest.param(
            [call()],
            [event(), event("GetUser", request_id="r-2", read_only=True)],
            {BY_REQUEST_ID: 1},
            id="a-read",
        ),
        pytest.param(
            [call()],
            [event(), event("TagUser", request_id="r-2", error="AccessDenied")],
            {BY_REQUEST_ID: 1},
            id="a-change-that-was-refused",
        ),
        pytest.param(
            [call()],
            [event(), event("TagUser", request_id="r-2", user="ALICE")],
            {BY_REQUEST_ID: 1, "unjournaled": 1},
            id="names-in-any-case",
        ),
        # what somebody writes anew, with the request ids as they were
        pytest.param(
            [call(age=3 * DAY)], [event()], {"missing": 1, "unjournaled": 1}, id="the-id-and-another-time"
        ),
        pytest.param(
            [call(caller=HAND)], [event()], {"missing": 1, "unjournaled": 1}, id="the-id-and-another-session"
        ),
        pytest.param(
            [detach("AdministratorAccess")],
            [detached("ReadOnlyAccess")],
            {"missing": 1, "unjournaled": 1},
            id="the-id-and-another-policy",
        ),
        pytest.param(
            [detach("AdministratorAccess", request_id="")],
            [detached("ReadOnlyAccess", request_id="")],
            {"missing": 1, "unjournaled": 1},
            id="no-id-and-another-policy",
        ),
        pytest.param(
            [detach("AdministratorAccess")],
            [detached("AdministratorAccess")],
            {BY_REQUEST_ID: 1},
            id="the-id-and-the-policy",
        ),
        pytest.param([call(caller="")], [event()], {"unproven": [NOT_COMPARED]}, id="the-id-and-nobody"),
        pytest.param(
            [call(parameters={})], [event()], {"unproven": [NOT_COMPARED]}, id="the-id-and-no-parameters"
        ),
        pytest.param(
            [call()], [event(parameters={})], {"unproven": [NOT_COMPARED]}, id="aws-shows-no-parameters"
        ),
        pytest.param(
            [put({"b": 1, "a": [2]})], [put_event('{"a": [2],"b":1}')], {BY_REQUEST_ID: 1}, id="one-document"
        ),
        pytest.param(
            [put({"a": 2})], [put_event('{"a": 1}')], {"missing": 1, "unjournaled": 1}, id="another-document"
        ),
        pytest.param(
            [put({"a": 2})],
            [put_event("HIDDEN_DUE_TO_SECURITY_REASONS")],
            {"unproven": [NOT_COMPARED]},
            id="a-hidden-document",
        ),
        pytest.param(
            [
                call(
                    "TagUser",
                    parameters={"UserName": "Alice", "Tags": [{"Key": "k", "Value": "v"}], "N": True},
                )
            ],
            [
                event(
                    "TagUser",
                    parameters={"userName": "alice", "tags": [{"key": "k", "value": "v"}], "n": "true"},
                )
            ],
            {BY_REQUEST_ID: 1},
            id="as-cloudtrail-spells-it",
        ),
        pytest.param(
            [call("TagUser", parameters={"UserName": "alice", "Tags": [{"Key": "k", "Value": "v"}]})],
            [event("TagUser", parameters={"userName": "alice", "tags": [{"key": "k", "value": "w"}]})],
            {"missing": 1, "unjournaled": 1},
            id="another-tag",
        ),
        # a user that was taken out of all journals
        pytest.param(
            [call()],
            [event(), event(request_id="r-2", user="carol", arn=HAND)],
            {BY_REQUEST_ID: 1, "strangers": 1},
            id="a-change-of-such-a-user-by-another-session-of-our-role",
        ),
        pytest.param(
            [call(caller="")],
            [event(), event(request_id="r-2", user="carol", arn=HAND)],
            {"unproven": [NOT_COMPARED], "strangers": 1},
            id="our-role-is-known-by-aws-alone",
        ),
    ],
)
def test_what_is_matched(calls: list[Call], events: list[TrailEvent], expected: dict[str, Any]) -> None:
    assert told(calls, events) == expected


def test_what_was_not_read_to_the_end_proves_nothing() -> None:
    assert told([call()], [], complete=False) == {"unproven": [NOT_READ]}


RECORD = {
    "eventSource": "iam.amazonaws.com",
    "eventTime": "2026-11-29T12:00:00Z",
    "eventName": "DeleteUser",
    "eventID": "e-1",
    "requestID": "r-1",
    "readOnly": False,
    "requestParameters": {"userName": "alice"},
    "userIdentity": {
        "arn": ROLE,
        "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::111122223333:role/IamUsersRemover"}},
    },
}


def test_a_record_becomes_an_event() -> None:
    assert event_of(RECORD) == event(id="e-1")


@pytest.mark.parametrize(
    "changed",
    [
        {"eventSource": "sts.amazonaws.com"},
        {"eventTime": "yesterday"},
        {"userIdentity": None},
    ],
    ids=str,
)
def test_a_record_of_something_else_is_none(changed: dict[str, Any]) -> None:
    assert event_of({**RECORD, **changed}) is None


class Client:
    """A CloudTrail client with ``records``, two on a page; it remembers what it was asked."""

    def __init__(self, records: Sequence[Any] = (), code: str = "") -> None:
        self.records, self.code = records, code
        self.asked: list[dict[str, Any]] = []
        self.meta = self.service_model = self.service_id = self.events = self

    def hyphenize(self) -> str:
        return "cloudtrail"

    def register_first(self, *_: Any) -> None:
        pass

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if self.code:
            refusal: Any = {"Error": {"Code": self.code, "Message": "no"}}
            refusal["ResponseMetadata"] = {"HTTPStatusCode": 400, "RequestId": "r"}
            raise ClientError(refusal, "LookupEvents")
        begin = int(asked.get("NextToken", 0))
        page = [{"CloudTrailEvent": json.dumps(each)} for each in self.records[begin : begin + 2]]
        more = {"NextToken": str(begin + 2)} if len(self.records) > begin + 2 else {}
        answered = {"ResponseMetadata": {"HTTPStatusCode": 200, "RequestId": "r"}}
        return {"Events": page, **more, **answered}


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_each_user_and_each_session_in_its_minutes_is_asked_for_page_by_page() -> None:
    client = Client([{**RECORD, "eventID": f"e-{number}"} for number in range(5)])
    calls = [
        call(age=DAY),
        call("TagUser", age=DAY - timedelta(minutes=20)),
        call("TagUser", age=3 * DAY),
        call("TagUser", age=OLD),
    ]
    found = read_trail(client, calls, Backoff(), NOW)
    assert [each.id for each in found.events] == [f"e-{number}" for number in range(5)]
    assert found.gaps == ()
    asked = [
        (*each["LookupAttributes"][0].values(), each["StartTime"], each["EndTime"])
        for each in client.asked
        if "NextToken" not in each
    ]
    around = timedelta(minutes=15)
    one = timedelta(seconds=1)
    session = "CloudCustodian@run-7"
    assert asked == [
        ("EventName", "DeleteUser", NOW - timedelta(days=90), NOW),
        ("ResourceName", "alice", NOW - timedelta(days=90), NOW),
        ("Username", session, NOW - 3 * DAY - around, NOW - 3 * DAY + around + one),
        ("Username", session, NOW - DAY - around, NOW - DAY + timedelta(minutes=35) + one),
    ]
    assert len(client.asked) == 12


def test_a_session_of_our_role_that_aws_alone_names_is_asked_for() -> None:
    client = Client([RECORD, {**RECORD, "eventID": "e-2", "userIdentity": {"arn": OTHER}}])
    read_trail(client, [call(caller=HAND)], Backoff(), NOW)
    asked = [tuple(each["LookupAttributes"][0].values()) for each in client.asked]
    assert asked[2:] == [("Username", "CloudCustodian@run-7"), ("Username", "somebody")]
    assert client.asked[2]["EndTime"] == NOW - DAY + timedelta(minutes=15)


def test_no_more_than_two_calls_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slots = Clock(), list[float]()
    limit = RateLimit(2.0, clock, clock.sleep)
    client = Client([{**RECORD, "eventID": f"e-{number}"} for number in range(9)])
    lookup = client.lookup_events

    def limited(**asked: Any) -> dict[str, Any]:
        limit.take()  # as each request of a real client does
        slots.append(clock())
        return lookup(**asked)

    monkeypatch.setattr(client, "lookup_events", limited)
    read_trail(client, [call(), call(age=5 * DAY)], Backoff(), NOW, limit)
    assert slots == [number / 2 for number in range(20)]


def test_a_session_with_too_many_events_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers.report.trail_reader.MOST_PAGES", 2)
    found = read_trail(Client([RECORD] * 5), [call()], Backoff(), NOW)
    assert len(found.gaps) == 3
    assert "ResourceName alice has over 100 events" in found.gaps[1]


def test_what_journals_ask_for_has_a_bound_and_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("c7n_iamusers.report.trail_reader.MOST_QUESTIONS", 3)
    client = Client()
    found = read_trail(client, [call(user=f"u{n}", caller=f"{ROLE}{n}") for n in range(20)], Backoff(), NOW)
    asked = [each["LookupAttributes"][0]["AttributeKey"] for each in client.asked]
    assert asked == ["EventName", "ResourceName", "ResourceName", "Username", "Username", "Username"]
    assert found.gaps == ("its journals ask for more than 3 users, or minutes of sessions",) * 2


@pytest.mark.parametrize(
    "journaled",
    [
        pytest.param({"result": "failed"}, id="failed-without-a-code"),
        pytest.param({"result": "gone"}, id="gone-without-a-code"),
        pytest.param({"result": "unknown"}, id="unknown-with-an-answer"),
        pytest.param({"result": "failed", "code": "AccessDenied", "request_id": ""}, id="refused"),
    ],
)
def test_what_aws_did_is_no_refused_call(journaled: dict[str, Any]) -> None:
    found = match([call(**journaled)], [event()], NOW)
    assert (sum(found.matched.values()), len(found.unjournaled)) == (0, 1)


@pytest.mark.parametrize(
    ("journaled", "aws", "proven"),
    [
        pytest.param(
            {"result": "unknown", "code": "ReadTimeoutError"}, {}, True, id="an-answer-that-was-lost"
        ),
        pytest.param({"result": "tried", "code": "ReadTimeoutError"}, {}, True, id="a-try"),
        pytest.param({"result": "done", "code": "ConnectionClosedError"}, {}, True, id="settled-by-reading"),
        pytest.param(
            {"result": "gone", "code": "NoSuchEntity", "request_id": "r-1"},
            {"error": "NoSuchEntityException"},
            True,
            id="the-name-of-its-class",
        ),
        pytest.param(
            {"result": "failed", "code": "AccessDenied", "request_id": "r-1"},
            {"error": "NoSuchEntityException"},
            False,
            id="another-error",
        ),
    ],
)
def test_an_answer_is_that_of_its_event_as_far_as_it_was_read(
    journaled: dict[str, Any], aws: dict[str, Any], proven: bool
) -> None:
    found = match([call(**{"request_id": "", **journaled})], [event(**aws)], NOW)
    assert (sum(found.matched.values()), len(found.unproven)) == (proven, not proven)
    assert found.unjournaled == []


#: Right after AWS did it, the run was killed: there is no line of its answer.
OPEN: dict[str, Any] = {"answered": "", "result": "", "request_id": "", "caller": ""}


@pytest.mark.whole
@pytest.mark.parametrize(
    ("calls", "events", "expected"),
    [
        pytest.param([call(**OPEN)], [event(request_id="x")], {"unproven": [KILLED]}, id="done"),
        pytest.param([call(**OPEN)], [event(arn=HAND)], {"unproven": [KILLED]}, id="another-session"),
        pytest.param(
            [call(age=DAY + timedelta(minutes=59), **OPEN)],
            [event()],
            {"unproven": [KILLED]},
            id="tried-for-long",
        ),
        pytest.param([call(**OPEN)], [event(error="AccessDenied")], {"unproven": [KILLED]}, id="refused"),
        pytest.param([call(**OPEN)], [], {"unproven": [NO_NAME]}, id="killed-before-it"),
        pytest.param(
            [call(**OPEN)], [event(arn=OTHER)], {"unproven": [NO_NAME]}, id="somebody-else-did-the-same"
        ),
        pytest.param(
            [call(**OPEN)],
            [event(age=DAY - timedelta(hours=2))],
            {"unproven": [NO_NAME], "unjournaled": 1},
            id="hours-later",
        ),
        pytest.param(
            [detach("A", **OPEN)],
            [detached("B")],
            {"unproven": [NO_NAME], "unjournaled": 1},
            id="of-another-policy",
        ),
        pytest.param(
            [call(**OPEN)],
            [event(), event(id="e-2", request_id="y")],
            {"unproven": [KILLED], "unjournaled": 1},
            id="one-event-each",
        ),
        pytest.param(
            [call(**OPEN), call(request_id="")],
            [event(request_id="x")],
            {BY_SESSION: 1, "unproven": [NO_NAME]},
            id="a-call-that-names-its-session-first",
        ),
    ],
)
def test_a_call_of_a_killed_run_has_its_event(
    calls: list[Call], events: list[TrailEvent], expected: dict[str, Any]
) -> None:
    known = {BY_REQUEST_ID: 1, **expected}
    tagged = event("TagUser", request_id="r-0")
    assert told([call("TagUser", request_id="r-0"), *calls], [tagged, *events]) == known


def test_calls_and_events_are_no_product(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    def differ(*values: Any) -> bool:
        held.append(values)
        return True

    monkeypatch.setattr("c7n_iamusers.report.trail_matching._differ", differ)
    calls = [detach("A", request_id="") for _ in range(30)]
    found = match(calls, [detached("B", request_id=f"x-{n}", id=f"e-{n}") for n in range(1_000)], NOW)
    assert {why for _, why in found.unproven} == {TOO_MANY}
    assert len(held) <= 30 * 200 * 2


def test_no_call_lasts_a_month() -> None:
    begun = call(age=31 * DAY, answered=(NOW - DAY).isoformat())
    assert told([begun], [event()]) == {"missing": 1, "unjournaled": 1}


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(Client(code="AccessDeniedException"), id="denied"),
        pytest.param(Client([[]]), id="no-record"),
    ],
)
def test_a_refusal_is_an_error_that_says_so(client: Client) -> None:
    with pytest.raises(EvidenceUnreadable, match="cloudtrail:LookupEvents does not answer"):
        read_trail(client, [call()], Backoff(), NOW)
