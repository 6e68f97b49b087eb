# SPDX-License-Identifier: Apache-2.0
"""Calls by a key, in CloudTrail's event history of one Region."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.key_usage import event_lookup
from c7n_iamusers.key_usage.event_lookup import EventLookup

REGION, KEY, OTHER = "eu-west-1", "AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_lookup, "PER_SECOND", 100_000.0)


def an_event(key_id: str = KEY, **members: Any) -> dict[str, Any]:
    """One event of LookupEvents."""
    record = {
        **{"eventID": f"{len(members)}-{members}", "eventTime": "2026-11-20T10:00:00Z"},
        **{"eventSource": "ec2.amazonaws.com", "eventName": "DescribeInstances", "awsRegion": REGION},
        **{"sourceIPAddress": "192.0.2.4", "userAgent": "aws-cli/2.31.0"},
        **{"userIdentity": {"type": "IAMUser", "accessKeyId": key_id}, **members},
    }
    return {"EventId": "1", "CloudTrailEvent": json.dumps(record)}


class History:
    """The event history of a Region, whose answers are given in advance."""

    def __init__(self, most_pages: int = 1) -> None:
        client = boto3.client("cloudtrail", REGION, aws_access_key_id="x", aws_secret_access_key="x")
        self.stub = Stubber(client)
        self.stub.activate()
        self.lookup = EventLookup(client, REGION, Backoff(sleep=lambda _: None, budget=2), most_pages)

    def with_page(self, *events: Any, token: str = "") -> History:
        page = {"Events": [*events], **({"NextToken": token} if token else {})}
        self.stub.add_response("lookup_events", page)
        return self

    def with_error(self, code: str, times: int = 1, status: int = 400) -> History:
        for _ in range(times):
            self.stub.add_client_error("lookup_events", code, http_status_code=status)
        return self

    @property
    def left(self) -> int:
        """Answers that nobody asked for yet."""
        return len(self.stub._queue)  # type: ignore[attr-defined]

    def of(self, key_id: str = KEY) -> Any:
        return self.lookup.usage_of(key_id, NOW)


def test_one_page_is_read_and_that_there_are_more_is_said() -> None:
    found = History().with_page(an_event(), an_event(eventName="RunInstances"), token="next").of()
    assert [(group.event, group.calls) for group in found.groups] == [
        ("DescribeInstances", 1),
        ("RunInstances", 1),
    ]
    assert (found.more, found.problem) == (True, "")
    assert found.as_data()["source"] == f"CloudTrail's event history in {REGION}"
    assert (found.as_of, found.since) == (NOW, NOW - timedelta(days=90))


def test_further_pages_are_read_as_far_as_is_asked() -> None:
    history = (
        History(most_pages=2).with_page(an_event(), token="a").with_page(an_event(eventName="B"), token="b")
    )
    found = history.of()
    assert [group.event for group in found.groups] == ["DescribeInstances", "B"]
    assert found.more
    history = History(most_pages=5).with_page(an_event(), token="a").with_page(an_event(eventName="B"))
    assert not history.of().more


def test_it_asks_for_the_key_and_for_90_days() -> None:
    history = History()
    expected = {
        "LookupAttributes": [{"AttributeKey": "AccessKeyId", "AttributeValue": KEY}],
        "StartTime": NOW - timedelta(days=90),
        "EndTime": NOW,
    }
    history.stub.add_response("lookup_events", {"Events": []}, expected)
    found = history.of()
    assert (found.groups, found.more, found.problem, found.as_of) == ((), False, "", NOW)


@pytest.mark.parametrize("bad", ["{", "[" * 100_000, "[]", "null", "", '{"eventTime": "x"}'])
def test_one_bad_event_loses_no_other_and_leaves_the_counts_as_minimums(bad: str) -> None:
    found = History().with_page({"CloudTrailEvent": bad}, an_event()).of()
    assert [group.calls for group in found.groups] == [1]
    assert found.more


def test_an_event_without_its_record_is_a_bad_one() -> None:
    found = History().with_page({"EventId": "1"}, an_event()).of()
    assert ([group.calls for group in found.groups], found.more) == ([1], True)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"userAgent": None}, id="no-user-agent"),
        pytest.param({"sourceIPAddress": None}, id="no-address"),
        pytest.param({"requestParameters": {"policy": "x" * 256 * 1024}}, id="256-kb"),
        pytest.param({"userAgent": {"not": "text"}, "errorCode": 7}, id="other-types"),
    ],
)
def test_an_unusual_event_is_a_call(members: dict[str, Any]) -> None:
    found = History().with_page(an_event(**members)).of()
    assert ([group.calls for group in found.groups], found.more) == ([1], False)


def test_refused_calls_are_told_apart() -> None:
    found = History().with_page(an_event(), an_event(errorCode="AccessDenied")).of()
    assert [(group.calls, group.denied) for group in found.groups] == [(2, 1)]


def test_an_event_of_another_key_does_not_count() -> None:
    assert History().with_page(an_event(OTHER)).of().groups == ()


def test_once_denied_no_other_key_is_asked_for() -> None:
    history = History().with_error("AccessDeniedException")
    first, second = history.of(), history.of(OTHER)
    assert first.problem == (
        f"cloudtrail:LookupEvents in {REGION} is refused (AccessDeniedException): allow it to the "
        "role that reads"
    )
    assert second.problem == first.problem
    assert (first.as_of, first.groups, second.as_of) == (None, (), None)


def test_what_stays_throttled_is_retried_for_one_key_only() -> None:
    history = History().with_error("ThrottlingException", times=20)
    left = history.left
    assert "is throttled (ThrottlingException)" in history.of().problem
    tried = left - history.left
    assert tried > 1
    assert "ThrottlingException" in history.of(OTHER).problem
    assert left - history.left == tried


def test_an_unreachable_endpoint_is_not_said_to_throttle(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History()

    def unreachable(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://cloudtrail.invalid")

    monkeypatch.setattr(history.lookup.client, "_make_api_call", unreachable)
    problem = history.of().problem
    assert "does not answer (EndpointConnectionError)" in problem
    assert "throttled" not in problem


def test_throttling_that_ends_loses_nothing() -> None:
    found = History().with_error("ThrottlingException").with_page(an_event()).of()
    assert (len(found.groups), found.problem) == (1, "")


def test_a_question_that_one_key_fails_does_not_stop_the_others() -> None:
    history = History().with_error("InvalidLookupAttributesException").with_page(an_event(OTHER))
    assert history.of("nonsense").problem
    assert history.of(OTHER).groups


def test_a_further_page_that_fails_keeps_the_first_as_a_minimum() -> None:
    found = History(most_pages=2).with_page(an_event(), token="a").with_error("AccessDeniedException").of()
    assert (len(found.groups), found.more, found.as_of) == (1, True, NOW)
    assert "AccessDeniedException" in found.problem


def test_a_page_without_events_is_no_empty_one() -> None:
    history = History()
    history.stub.add_response("lookup_events", {})
    found = history.of()
    assert found.as_of is None
    assert "can't be read" in found.problem


def test_the_rate_is_that_of_the_client_not_of_each_key(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[float]()
    monkeypatch.setattr(event_lookup, "PER_SECOND", 2.0)
    monkeypatch.setattr(
        event_lookup,
        "RateLimit",
        lambda rate: type("Limit", (), {"attach": lambda self, client: taken.append(rate)})(),
    )
    history = History().with_page().with_page()
    history.of()
    history.of(OTHER)
    assert taken == [2.0]
