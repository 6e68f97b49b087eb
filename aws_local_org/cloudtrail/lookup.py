# SPDX-License-Identifier: Apache-2.0
"""LookupEvents, in moto's CloudTrail.

Source of the rules: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html. Unlike on AWS
an event can be found at once, and calls are not throttled.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from aws_local_org.cloudtrail.events import HISTORY, Event

#: "Lookup of management events or Insights events captured by CloudTrail ... within the last 90 days."
KEPT = timedelta(days=90)
#: The default and the maximum of MaxResults.
LARGEST_PAGE = 50

_ATTRIBUTES: dict[str, Callable[[Event], str]] = {
    "EventId": lambda event: event.id,
    "EventName": lambda event: event.name,
    "EventSource": lambda event: event.source,
    "ReadOnly": lambda event: str(event.read_only).lower(),
    "Username": lambda event: event.username,
    "AccessKeyId": lambda event: event.access_key_id,
}


class _Refused(ServiceException):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


def install() -> None:
    """Patch moto's response class, for the whole process. Idempotent."""
    CloudTrailResponse.lookup_events = _lookup_events


def _lookup_events(self: CloudTrailResponse) -> ActionResult:
    given = json.loads(self.body or "{}")
    now = datetime.now(timezone.utc)
    page, following = found(self.current_account, self.region, given, now)
    shown = [_shown(event, self.current_account) for event in page]
    return ActionResult({"Events": shown, "NextToken": following})


def found(
    account_id: str, region: str, given: dict[str, Any], now: datetime
) -> tuple[list[Event], str | None]:
    """One page of the events that the request ``given`` asks for, newest first, and the token of the next one."""
    start, end = _time(given.get("StartTime")), _time(given.get("EndTime"))
    if start and end and start > end:
        raise _Refused("InvalidTimeRangeException", "Start time must be before end time")
    size = int(given.get("MaxResults", LARGEST_PAGE))
    if not 1 <= size <= LARGEST_PAGE:
        raise _Refused("InvalidMaxResultsException", f"Max results must be between 1 and {LARGEST_PAGE}")
    matches = _matcher(given.get("LookupAttributes") or [])
    oldest = max(start or now - KEPT, now - KEPT)
    events = [
        event
        for event in HISTORY.of(account_id, region)
        if oldest <= event.time <= (end or now) and matches(event)
    ]
    after = _after(given.get("NextToken"), events)
    page = events[after : after + size]
    more = len(events) > after + size
    return page, base64.b64encode(page[-1].id.encode()).decode() if more else None


def _matcher(attributes: list[dict[str, str]]) -> Callable[[Event], bool]:
    if len(attributes) > 1:
        raise _Refused("InvalidLookupAttributesException", "Only one lookup attribute is allowed")
    if not attributes:
        return lambda event: True
    key, value = attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]
    if key not in _ATTRIBUTES:
        if key in ("ResourceType", "ResourceName"):  # the events here name no resources
            return lambda event: False
        raise _Refused("InvalidLookupAttributesException", f"Invalid attribute key: {key}")
    return lambda event: _ATTRIBUTES[key](event) == value


def _after(token: str | None, events: list[Event]) -> int:
    """Where the page of ``token`` begins. The token names the last event of the page before."""
    if not token:
        return 0
    try:
        last = base64.b64decode(token, validate=True).decode()
    except ValueError:
        last = ""
    for place, event in enumerate(events):
        if event.id == last:
            return place + 1
    raise _Refused("InvalidNextTokenException", "The NextToken is invalid or has expired")


def _time(value: Any) -> datetime | None:
    """botocore sends times as seconds since 1970."""
    return None if value is None else datetime.fromtimestamp(float(value), timezone.utc)


def _shown(event: Event, account_id: str) -> dict[str, Any]:
    return {
        "EventId": event.id,
        "EventName": event.name,
        "ReadOnly": str(event.read_only).lower(),
        "AccessKeyId": event.access_key_id or None,
        "EventTime": event.time,
        "EventSource": event.source,
        "Username": event.username or None,
        "Resources": [],
        "CloudTrailEvent": json.dumps(event.record(account_id)),
    }
