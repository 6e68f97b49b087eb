# SPDX-License-Identifier: Apache-2.0
"""CloudTrail's event history: the management events of each account's last 90 days, and LookupEvents over them.

An event takes little time and memory until it is read. Source of the rules of LookupEvents, which replaces moto's:
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html. Unlike on AWS, events are found at
once, and calls are not throttled.
"""

from __future__ import annotations

import base64
import collections
import functools
import itertools
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from botocore.parsers import create_parser
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import get_service_model

from aws_local_org import settings
from aws_local_org.aws_request import AwsRequest
from aws_local_org.call_log import SECRETS, CallRecord, redacted
from aws_local_org.credentials import Principal
from aws_local_org.errors import NOT_IMPLEMENTED, WireResponse

#: The newest events of an account; older ones are dropped.
CAPACITY = 20_000

#: "CloudTrail record contents" (CloudTrail User Guide).
EVENT_VERSION = "1.11"

#: Services with one endpoint in a partition. CloudTrail records their events in its Region ("Global service events").
GLOBAL_SERVICES = frozenset({"iam", "organizations", "account"})

#: Operations that CloudTrail logs as data events ("Logging data events"), which the event history never has.
DATA_EVENTS = {
    "s3": frozenset(
        """
        GetObject PutObject DeleteObject DeleteObjects HeadObject HeadBucket CopyObject ListObjects ListObjectsV2
        ListObjectVersions CreateMultipartUpload UploadPart CompleteMultipartUpload AbortMultipartUpload ListParts
        GetObjectAcl PutObjectAcl GetObjectAttributes GetObjectTagging PutObjectTagging DeleteObjectTagging
        """.split()
    ),
    "sqs": frozenset(
        """
        SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility
        ChangeMessageVisibilityBatch
        """.split()
    ),
    "sns": frozenset({"Publish", "PublishBatch"}),
    "lambda": frozenset({"Invoke", "InvokeFunction", "InvokeAsync", "InvokeWithResponseStream"}),
    "dynamodb": frozenset(
        """
        GetItem PutItem UpdateItem DeleteItem Query Scan BatchGetItem BatchWriteItem TransactGetItems
        TransactWriteItems
        """.split()
    ),
}

#: The event sources that are not the service's name in boto3.
_SOURCES = {"sso-admin": "sso", "cloudwatch": "monitoring", "sesv2": "ses"}
_READING = ("Get", "List", "Describe", "Lookup", "Head", "Simulate", "BatchGet", "AssumeRole")


@dataclass(frozen=True)
class Event:
    """One event. ``resources``: the (type, name) of each one that it names.

    ``detail``: makes the rest of the record when it is read. ``username``: the attribute Username of LookupEvents,
    which is the name of a user or of a role session.
    """

    name: str
    source: str
    region: str
    time: datetime
    username: str
    access_key_id: str
    detail: Callable[[], dict[str, Any]]
    read_only: bool = False
    resources: tuple[tuple[str, str], ...] = ()
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def record(self, account_id: str) -> dict[str, Any]:
        """The event as its JSON in CloudTrail."""
        return {
            "eventVersion": EVENT_VERSION,
            "eventTime": self.time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": self.source,
            "eventName": self.name,
            "awsRegion": self.region,
            "requestParameters": None,
            "responseElements": None,
            "eventID": self.id,
            "readOnly": self.read_only,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": account_id,
            "eventCategory": "Management",
            **self.detail(),
        }


class EventHistory:
    """The events of all accounts. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, collections.deque[Event]] = {}

    def add(self, account_id: str, event: Event) -> None:
        with self._lock:
            self._events.setdefault(account_id, collections.deque(maxlen=CAPACITY)).append(event)

    def of(self, account_id: str, region: str) -> list[Event]:
        """The events of an account in a Region, newest first."""
        with self._lock:
            found = list(self._events.get(account_id, ()))
        # The sort is stable: of two events with the same time, the later one comes first.
        mine = (event for event in reversed(found) if event.region == region)
        return sorted(mine, key=lambda event: event.time, reverse=True)

    def everywhere(self, account_id: str) -> list[Event]:
        """The events of an account in all Regions, as they came."""
        with self._lock:
            return list(self._events.get(account_id, ()))

    def clear(self) -> None:
        with self._lock:
            self._events.clear()


#: A global of the process, like moto's backends.
HISTORY = EventHistory()


def event_source(service: str) -> str:
    """The event source of a service, by boto3's name."""
    return f"{_SOURCES.get(service, service)}.amazonaws.com"


def region_of(service: str, region: str) -> str:
    """The Region whose event history has the calls to ``service`` that were signed for ``region``."""
    return settings.current().home_region if service in GLOBAL_SERVICES else region


def is_read_only(operation: str) -> bool:
    return operation.startswith(_READING)


def is_data_event(service: str, operation: str) -> bool:
    return operation in DATA_EVENTS.get(service, frozenset())


def lower_first(value: Any) -> Any:
    """Members as CloudTrail spells them: ``UserName`` becomes ``userName``; times become text."""
    if isinstance(value, dict):
        return {f"{name[:1].lower()}{name[1:]}": lower_first(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [lower_first(inner) for inner in itertools.islice(value, 100)]
    return value.isoformat() if isinstance(value, datetime) else value


# The events of the calls that the organization served.

#: Longer responses (bytes) are not kept, so that the event has no response elements.
LARGEST_BODY = 65_536


@dataclass(frozen=True)
class Sender:
    """Where a request came from."""

    address: str
    agent: str


def add_call(
    request: AwsRequest, caller: Principal, sender: Sender, record: CallRecord, response: WireResponse
) -> None:
    """Add the event of a served call to its account's history. ``record``: of the call, without secrets."""
    service, operation, error_code = record.service, record.operation, record.error_code
    if error_code == NOT_IMPLEMENTED or is_data_event(service, operation):
        return
    read_only = is_read_only(operation)
    kept = (error_code or not read_only) and len(response.body) <= LARGEST_BODY
    key = request.access_key_id or ""
    body, request_id = (response.body if kept else b""), "" if read_only else _request_id(response)
    answer = _Answer(service, operation, response.status, body, error_code, request_id)
    detail = functools.partial(_detail, caller, key, sender, record.parameters, answer)
    resources = tuple(_resources(record.parameters)) if service == "iam" else ()
    region = region_of(service, request.region)
    username = caller.user_name or caller.arn.rpartition("/")[2]
    source = event_source(service)
    event = Event(operation, source, region, record.time, username, key, detail, read_only, resources)
    HISTORY.add(caller.account, event)


#: IAM's parameters that name resources, with the type that CloudTrail gives them ("AWS resource and property types").
_RESOURCES = {
    "UserName": "AWS::IAM::User",
    "AccessKeyId": "AWS::IAM::AccessKey",
    "GroupName": "AWS::IAM::Group",
    "RoleName": "AWS::IAM::Role",
    "PolicyArn": "AWS::IAM::Policy",
}


def _resources(parameters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, kind in _RESOURCES.items():
        if isinstance(value := parameters.get(name), str):
            yield kind, value


def identity_of(caller: Principal, access_key_id: str) -> dict[str, Any]:
    """``userIdentity`` of a caller ("CloudTrail userIdentity element", CloudTrail User Guide)."""
    common = {
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": access_key_id,
    }
    if caller.role_arn is None:
        return {"type": "IAMUser", **common, "userName": caller.user_name}
    issuer = {
        "type": "Role",
        "principalId": caller.user_id.partition(":")[0],
        "arn": caller.role_arn,
        "accountId": caller.account,
        "userName": caller.role_arn.rpartition("/")[2],
    }
    return {"type": "AssumedRole", **common, "sessionContext": {"sessionIssuer": issuer}}


@dataclass(frozen=True)
class _Answer:
    service: str
    operation: str
    status: int
    body: bytes
    error_code: str | None
    request_id: str = ""

    def parsed(self) -> dict[str, Any]:
        """The response as boto3 shows it, without secrets; empty if it was not kept or can't be parsed."""
        if not self.body:
            return {}
        try:
            model = get_service_model(self.service)
            shape = model.operation_model(self.operation).output_shape
            wire = {"status_code": self.status, "headers": {}, "body": self.body}
            found = dict(create_parser(model.protocol).parse(wire, shape))
        except Exception:  # noqa: BLE001 - whatever botocore raises for a body of another form
            return {}
        found.pop("ResponseMetadata", None)
        kept: dict[str, Any] = _without_secrets(found)
        return kept


_REQUEST_ID = re.compile(rb"<RequestId>([^<]+)</RequestId>")


def _request_id(response: WireResponse) -> str:
    """The id that the client reads in the response. It is undocumented whether AWS's events of IAM have the same."""
    if found := _REQUEST_ID.search(response.body):
        return found[1].decode()
    return next((value for name, value in response.headers.items() if name.lower() == "x-amzn-requestid"), "")


def _detail(
    caller: Principal, key: str, sender: Sender, parameters: dict[str, Any], answer: _Answer
) -> dict[str, Any]:
    parsed = answer.parsed()
    found: dict[str, Any] = {
        "userIdentity": identity_of(caller, key),
        "sourceIPAddress": sender.address,
        "userAgent": sender.agent,
        "requestParameters": lower_first(_without_secrets(parameters)) or None,
        "requestID": answer.request_id or None,
    }
    if answer.error_code:
        message = str((parsed.get("Error") or {}).get("Message", ""))
        return {**found, "errorCode": answer.error_code, "errorMessage": message}
    return {**found, "responseElements": lower_first(redacted(parsed)) or None}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(inner) for name, inner in value.items() if name not in SECRETS}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


# LookupEvents.

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


#: The attributes of the resources that an event names, in the order of Event.resources.
_OF_RESOURCES = ("ResourceType", "ResourceName")


class _Refused(ServiceException):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


def install() -> None:
    """Patch moto's response class, for the whole process. Idempotent."""
    CloudTrailResponse.lookup_events = _lookup_events


def _lookup_events(self: CloudTrailResponse) -> ActionResult:
    given = json.loads(self.body or "{}")
    now = datetime.now(timezone.utc)
    page, following = events_page(self.current_account, self.region, given, now)
    shown = [_shown(event, self.current_account) for event in page]
    return ActionResult({"Events": shown, "NextToken": following})


def events_page(
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
    if key in _OF_RESOURCES:
        return lambda event: any(each[_OF_RESOURCES.index(key)] == value for each in event.resources)
    if key not in _ATTRIBUTES:
        raise _Refused("InvalidLookupAttributesException", f"Invalid attribute key: {key}")
    return lambda event: _ATTRIBUTES[key](event) == value


def _after(token: str | None, events: list[Event]) -> int:
    """Where the page of ``token`` begins. The token names the last event of the previous page."""
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
        "Resources": [{"ResourceType": kind, "ResourceName": name} for kind, name in event.resources],
        "CloudTrailEvent": json.dumps(event.record(account_id)),
    }
