# SPDX-License-Identifier: Apache-2.0
"""Reading on in CloudTrail's event history: in pieces it says what it says in one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as some

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.key_usage.event_lookup import HISTORY, EventLookup
from c7n_iamusers.key_usage.history_reading import Reading, parse_readings, readings_as_json
from tests.fakes import client_error

REGION, KEY, ACCOUNT = "eu-west-1", "AKIAIOSFODNN7EXAMPLE", "111122223333"
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
PLACE = (ACCOUNT, REGION, KEY)


class History:
    """CloudTrail's events of a Region, the newest first, two a page. ``fails``: numbers of calls that AWS refuses."""

    def __init__(self, times: Sequence[datetime], fails: Sequence[int] = ()) -> None:
        self._events = [_event(number, time) for number, time in enumerate(sorted(times, reverse=True))]
        self._fails, self.asked, self.meta = fails, list[dict[str, Any]](), MagicMock()

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if len(self.asked) in self._fails:
            raise client_error("AccessDeniedException")
        # botocore sends whole seconds
        end = asked["EndTime"].replace(microsecond=0)
        found = [each for each in self._events if asked["StartTime"] <= each["EventTime"] <= end]
        after = int(asked.get("NextToken", 0))
        token = {"NextToken": str(after + 2)} if len(found) > after + 2 else {}
        return {"Events": found[after : after + 2], **token}

    def read_on(self, before: Reading, pages: int, now: datetime = NOW) -> Reading:
        """As another process does, which knows of ``before`` what a file has."""
        (kept,) = parse_readings(readings_as_json({PLACE: before})).values()
        lookup = EventLookup(self, REGION, Backoff(sleep=lambda _: None, budget=0), pages)
        *_, last = lookup.read_on(kept, now)
        return last


def _event(number: int, time: datetime) -> dict[str, Any]:
    record = {
        **{
            "eventID": str(number),
            "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": "ec2.amazonaws.com",
        },
        **{"eventName": f"Describe{number % 3}", "awsRegion": REGION, "userIdentity": {"accessKeyId": KEY}},
    }
    return {"EventId": str(number), "EventTime": time, "CloudTrailEvent": json.dumps(record)}


def whole(times: Sequence[datetime]) -> Reading:
    """All of them, in one reading."""
    return History(times).read_on(Reading(KEY, REGION), 1_000)


@given(
    # many of one second, and some between seconds
    some.lists(
        some.integers(0, 30).map(lambda number: NOW - timedelta(milliseconds=400 * number)), max_size=20
    ),
    some.integers(1, 3),
    some.lists(some.integers(1, 12), max_size=3),
)
def test_in_pieces_it_says_what_it_says_in_one(times: list[datetime], pages: int, fails: list[int]) -> None:
    history, found = History(times, fails), Reading(KEY, REGION)
    for _ in range(40):
        found = history.read_on(found, pages)
        if found.ended:
            break
    assert found.ended
    assert (found.usage, found.problem) == (whole(times).usage, "")
    assert sum(group.calls for group in found.groups) == len(times)


def test_it_asks_for_so_many_pages_more_and_for_nothing_at_the_end() -> None:
    history = History([NOW - timedelta(hours=number) for number in range(5)])
    first = history.read_on(Reading(KEY, REGION), 1)
    assert (len(history.asked), first.usage.more, first.usage.back_to) == (1, True, NOW - timedelta(hours=1))
    assert first.usage.as_data()["back_to"] == "2026-11-20T11:00:00+00:00"
    second = history.read_on(first, 1)
    assert (len(history.asked), history.asked[1]["EndTime"]) == (2, first.back_to)
    last = history.read_on(second, 9)
    assert (last.ended, last.usage.more, last.usage.back_to) == (True, False, None)
    asked = len(history.asked)
    assert history.read_on(last, 9) == last
    assert len(history.asked) == asked


def test_a_second_with_more_events_than_a_page_does_not_hold_it_up() -> None:
    history, found = History([NOW] * 7), Reading(KEY, REGION)
    calls = []
    while not found.ended:
        found = history.read_on(found, 1)
        calls.append(sum(group.calls for group in found.groups))
    assert calls == [2, 4, 6, 7]


def test_what_is_refused_loses_nothing_and_is_asked_again() -> None:
    history = History([NOW] * 3, fails=[1, 3])
    refused = history.read_on(Reading(KEY, REGION), 1)
    assert (refused.usage.as_of, refused.usage.more) == (None, False)
    assert "is refused" in refused.usage.problem
    first = history.read_on(refused, 1)
    second = history.read_on(first, 1)
    assert (second.groups, second.usage.more) == (first.groups, True)
    assert "is refused" in second.usage.problem
    assert history.read_on(second, 1).problem == ""


def test_what_cloudtrail_has_no_more_is_said() -> None:
    history = History([NOW - timedelta(days=number) for number in range(5)])
    first = history.read_on(Reading(KEY, REGION), 1)
    later = history.read_on(first, 1, NOW + HISTORY)
    assert (later.groups, later.usage.more, len(history.asked)) == (first.groups, True, 1)
    assert "older than 90 days now" in later.usage.problem


def test_an_event_that_can_not_be_read_stays_one() -> None:
    history = History([NOW, NOW, NOW - timedelta(hours=1)])
    history._events[0]["CloudTrailEvent"] = "{"
    found = history.read_on(history.read_on(Reading(KEY, REGION), 1), 1)
    assert found.ended
    assert (found.usage.problem, found.usage.more) == ("1 event of it can't be read", True)
    assert sum(group.calls for group in found.groups) == 2


GOOD = {
    PLACE: History([NOW - timedelta(hours=number) for number in range(3)]).read_on(Reading(KEY, REGION), 1)
}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: [data], "it is no file of --resume"),
        (lambda data: {"Records": []}, "it is no file of --resume"),
        (lambda data: {**data, "version": 2}, "of version 2, and this program reads 1"),
        (lambda data: {**data, "readings": {}}, "{} where a list belongs"),
        *(
            (lambda data, name=name: changed(data, name), "9.5 where a ")
            for name in ("account", "key_id", "region", "groups", "as_of", "since", "back_to", "ids")
        ),
        *(
            (lambda data, name=name: changed(data, name), "9.5 where a ")
            for name in ("unclear", "overfull", "ended")
        ),
        *(
            (lambda data, name=name: changed_group(data, name, 9.5), "9.5 where a ")
            for name in ("service", "event", "region", "address", "user_agent", "calls", "denied", "first")
        ),
        (lambda data: changed_group(data, "last", None), "calls without their time"),
    ],
)
def test_what_no_run_wrote_is_refused(change: Any, why: str) -> None:
    data = json.loads(readings_as_json(GOOD))
    with pytest.raises(ValueError, match=why):
        parse_readings(json.dumps(change(data)).encode())


def changed(data: Any, name: str) -> Any:
    return {**data, "readings": [{**data["readings"][0], name: 9.5}]}


def changed_group(data: Any, name: str, value: Any) -> Any:
    reading = data["readings"][0]
    return {**data, "readings": [{**reading, "groups": [{**reading["groups"][0], name: value}]}]}


def test_each_page_is_there_to_be_kept() -> None:
    lookup = EventLookup(
        History([NOW] * 5, fails=[3]), REGION, Backoff(sleep=lambda _: None, budget=0), most_pages=9
    )
    found = [*lookup.read_on(Reading(KEY, REGION), NOW)]
    assert [(sum(group.calls for group in each.groups), bool(each.problem)) for each in found] == [
        (2, False),
        (4, False),
        (4, True),
    ]


def test_why_it_was_refused_is_not_kept() -> None:
    text = readings_as_json({PLACE: Reading(KEY, REGION, problem="is refused")}).decode()
    assert "refused" not in text
    assert "problem" not in text
