# SPDX-License-Identifier: Apache-2.0
"""The event history of each account: the newest management events, which cost little until somebody reads them."""

from __future__ import annotations

import collections
import itertools
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from aws_local_org import settings

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
    """One event. ``detail``: makes the rest of the record, when somebody reads it. ``username``: the attribute
    Username of LookupEvents: the name of a user or of a role session.
    """

    name: str
    source: str
    region: str
    time: datetime
    username: str
    access_key_id: str
    detail: Callable[[], dict[str, Any]]
    read_only: bool = False
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
        # The sort is stable: of events of one second, the one that came later is first.
        mine = (event for event in reversed(found) if event.region == region)
        return sorted(mine, key=lambda event: event.time, reverse=True)

    def clear(self) -> None:
        with self._lock:
            self._events.clear()


#: moto's backends are globals of the process, so is this.
HISTORY = EventHistory()


def event_source(service: str) -> str:
    """The event source of a service by boto3's name for it."""
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
