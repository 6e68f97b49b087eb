# SPDX-License-Identifier: Apache-2.0
"""Reads CloudTrail's event history for the users and sessions of journals, within its two calls a second.

LookupEvents takes one attribute and a time, and no request id. It is asked for each user by ResourceName, for all 90
days, since a change may have been made at any time; for all deletions of users in these, since the journals may lack a
user; and for each session by Username in the minutes of its calls, since not every event lists the user among its
resources (LookupEvents, CloudTrail API reference). The journals say whose sessions these are; AWS says it of our roles.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.evidence.attempted_calls import DELIVERY, HISTORY
from c7n_iamusers.evidence.event_history import PER_SECOND
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.paging import pages
from c7n_iamusers.execution.rate_limit import RateLimit
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.report.journal_calls import Call
from c7n_iamusers.report.trail_matching import TrailEvent, event_of, role_of, session_of, users_of
from c7n_iamusers.text.times import moment

#: Pages of 50 events of one question. A session that makes more calls in its minutes is not read to the end.
MOST_PAGES = 400
#: Users, and then minutes of sessions, that are asked for in an account, which has 5,000 users mostly: 40 minutes each.
#: Whoever writes a journal may name as many more as they like.
MOST_QUESTIONS = 5_000
#: Key and value of an attribute, and from when to when.
_Question = tuple[str, str, datetime, datetime]
#: Around the calls of a session; calls closer than that are asked for together.
_AROUND = timedelta(minutes=15)


@dataclass(frozen=True)
class Trail:
    """``events``: each once. ``gaps``: what was not read to the end, in words."""

    events: tuple[TrailEvent, ...]
    gaps: tuple[str, ...] = ()


def read_trail(
    client: Any, calls: Sequence[Call], backoff: Backoff, now: datetime, limit: RateLimit | None = None
) -> Trail:
    """The events about the users of ``calls``, and of their sessions. ``client``: of CloudTrail in IAM's Region.

    Raises EvidenceUnreadable if CloudTrail does not answer.
    """
    (limit or RateLimit(PER_SECOND)).attach(client)
    events, gaps = dict[str, TrailEvent](), list[str]()

    def ask(key: str, value: str, begin: datetime, end: datetime) -> None:
        asked = {
            "LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}],
            "StartTime": begin,
            "EndTime": end,
        }
        try:
            for number, page in enumerate(pages(client, "LookupEvents", backoff, **asked), 1):
                for event in _events(page):
                    events[event.id] = event
                if number == MOST_PAGES and page.get("NextToken"):
                    gaps.append(
                        f"{key} {value} has over {MOST_PAGES * 50} events from {begin:%Y-%m-%d %H:%M} UTC on"
                    )
                    break
        except (ClientError, BotoCoreError, KeyError, ValueError) as error:
            raise EvidenceUnreadable(
                f"cloudtrail:LookupEvents does not answer ({error_code(error)}): {error}"
            ) from error

    for question in _bounded(_of_users(calls, now), gaps):
        ask(*question)
    for question in _bounded(_of_sessions(calls, list(events.values()), now), gaps):
        ask(*question)
    return Trail(tuple(events.values()), tuple(gaps))


def _bounded(questions: Iterable[_Question], gaps: list[str]) -> Iterator[_Question]:
    for number, question in enumerate(questions):
        if number == MOST_QUESTIONS:
            gaps.append(f"its journals ask for more than {MOST_QUESTIONS} users, or minutes of sessions")
            return
        yield question


def _of_users(calls: Sequence[Call], now: datetime) -> Iterator[_Question]:
    yield "EventName", "DeleteUser", now - HISTORY, now
    for user in users_of(calls):
        yield "ResourceName", user, now - HISTORY, now


def _of_sessions(calls: Sequence[Call], events: Iterable[TrailEvent], now: datetime) -> Iterator[_Question]:
    """``events``: of the users. The sessions of our roles that are in them count, whatever the journals say."""
    oldest, times = now - HISTORY, defaultdict[str, list[datetime]](list)
    ours, users = {role_of(call.caller) for call in calls}, {user.casefold() for user in users_of(calls)}
    for event in events:
        if not event.read_only and role_of(event.arn) in ours and event.user.casefold() in users:
            times[session_of(event.arn)].append(event.time)
    for call in calls:
        for time in filter(None, (moment(call.time), moment(call.answered))):
            if call.caller and time >= oldest:
                times[session_of(call.caller)].append(time)
    for session, of in sorted(times.items()):
        for begin, end in _spans(of):
            yield "Username", session, max(begin, oldest), min(end, now)


def _spans(times: Iterable[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """The times in which all ``times`` lie, with what is around them."""
    begin = end = None
    for time in sorted(times):
        if end is None or begin is None or time - _AROUND > end:
            if begin is not None and end is not None:
                yield begin, end
            begin = time - _AROUND
        end = time + max(_AROUND, DELIVERY)
    if begin is not None and end is not None:
        yield begin, end


def _events(page: Mapping[str, Any]) -> Iterator[TrailEvent]:
    """The events of IAM in a page. Raises KeyError or ValueError."""
    for each in page["Events"]:
        record = json.loads(each["CloudTrailEvent"])
        if not isinstance(record, Mapping):
            raise ValueError("a CloudTrailEvent is not a JSON object")
        if event := event_of(record):
            yield event
