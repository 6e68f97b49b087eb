# SPDX-License-Identifier: Apache-2.0
"""Reads what is in a queue of SQS, and in its dead-letter queue. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlparse

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.retries import error_code
from c7n_iamusers.notices.delivery import QueueReading, Unread
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import quoted

#: What reading takes, on the queue, on its dead-letter queue, and in the queue's account.
ATTRIBUTES, METRIC = "sqs:GetQueueAttributes", "cloudwatch:GetMetricStatistics"
FIFO = ".fifo"
_COUNTS = tuple(f"ApproximateNumberOfMessages{each}" for each in ("", "NotVisible", "Delayed"))
#: SQS reports its metrics each minute, "Available CloudWatch metrics for Amazon SQS"; they arrive some minutes late.
_MINUTE, _RECENT = 60, timedelta(minutes=15)
_ERRORS = (ClientError, BotoCoreError, ResponseParserError, KeyError, TypeError, ValueError)
#: Makes a client of a service in a Region.
Clients = Callable[[str, str], Any]


def queue_url(queue: str, region: str, account_id: str) -> str:
    """The URL of ``queue``, which is its URL, ARN or name, as Cloud Custodian's ``notify`` makes it."""
    if queue.startswith("https://"):
        return queue
    if queue.startswith("arn:"):
        *_, region, account_id, queue = queue.split(":", 5)
    return f"https://sqs.{region}.amazonaws.com/{account_id}/{queue}"


def queue_arn(queue: str, partition: str) -> str:
    """The ARN of a queue, from its ARN or URL. Raises InvalidPolicyData for anything else."""
    if queue.startswith("arn:"):
        return queue
    url = urlparse(queue)
    path = url.path.strip("/").split("/")
    labels = (url.hostname or "").split(".")
    # sqs.REGION.amazonaws.com, and the older REGION.queue.amazonaws.com and queue.amazonaws.com
    region = {"sqs": labels[1:2], "queue": ["us-east-1"]}.get(labels[0], labels[:1])
    if url.scheme != "https" or len(path) != 2 or not {"sqs", "queue"} & set(labels[:2]):
        raise InvalidPolicyData(
            f"{quoted(queue)} is not the ARN or the https URL of a queue, so the permission for it can't be given: "
            "correct it in the policy, in the variable that it comes from, or in c7n-mailer's configuration"
        )
    return f"arn:{partition}:sqs:{region[0]}:{path[0]}:{path[1]}"


def queue_region(url: str) -> str:
    """The Region of the queue at ``url``: sqs.REGION.amazonaws.com, or the older forms, as in ``queue_url``."""
    labels = (urlparse(url).hostname or "").split(".")
    if labels[0] == "queue":
        return "us-east-1"
    return labels[1] if labels[0] == "sqs" and len(labels) > 1 else labels[0]


@dataclass(frozen=True)
class QueueState:
    """``reading``: the counts. ``key``: the KMS key that encrypts the queue; empty if it has none of its own."""

    reading: QueueReading
    key: str = ""


def read_queue(clients: Clients, url: str, time: datetime) -> QueueState:
    """What is in the queue at ``url`` now, which is ``time`` or a little later.

    At most two calls, and two more if the queue is not empty: GetCallerIdentity and CloudWatch. What a failed call
    would say is unknown; ``unread`` of the reading has the call.
    """
    region, unread = queue_region(url), list[Unread]()

    def attributes(of: str) -> Mapping[str, str]:
        try:
            found = clients("sqs", region).get_queue_attributes(QueueUrl=of, AttributeNames=["All"])
            return dict(found["Attributes"])
        except _ERRORS as error:
            unread.append(Unread(ATTRIBUTES, of, error_code(error)))
            return {}

    own = attributes(url)
    waiting = _sum(own)
    target = _dead_letter_arn(own)
    dead = _sum(attributes(_sibling(url, target))) if target else 0 if own and target == "" else None
    oldest = _oldest(clients, url, time, unread) if waiting else None
    retention, created = _whole(own.get("MessageRetentionPeriod")), _whole(own.get("CreatedTimestamp"))
    reading = QueueReading(
        url,
        time,
        waiting,
        None if retention is None else timedelta(seconds=retention),
        None if created is None else datetime.fromtimestamp(created, timezone.utc),
        dead,
        oldest,
        tuple(unread),
    )
    return QueueState(reading, str(own.get("KmsMasterKeyId") or ""))


def _sum(attributes: Mapping[str, str]) -> int | None:
    counts = [_whole(attributes.get(count)) for count in _COUNTS]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _whole(text: Any) -> int | None:
    return int(float(text)) if str(text).replace(".", "", 1).isdigit() else None


def _dead_letter_arn(attributes: Mapping[str, str]) -> str | None:
    """Empty if there is none; None if that is unknown."""
    try:
        return str(json.loads(attributes.get("RedrivePolicy") or "{}").get("deadLetterTargetArn") or "")
    except (ValueError, AttributeError):
        return None


def _sibling(url: str, arn: str) -> str:
    """The URL of the queue with this ARN, which is in the account and Region of the queue at ``url``."""
    return f"{url.rpartition('/')[0]}/{arn.rpartition(':')[2]}"


def _owner(url: str) -> str:
    """The account of the queue at ``url``."""
    return url.split("/")[-2]


def _oldest(clients: Clients, url: str, now: datetime, unread: list[Unread]) -> datetime | None:
    """See QueueReading.oldest; None where CloudWatch tells of fewer than two minutes, or of another account's queues.

    There it would tell of a queue of the same name. It leaves out a message that was received three times and is still
    there ("Available CloudWatch metrics for Amazon SQS").
    """
    region = queue_region(url)
    try:
        if clients("sts", region).get_caller_identity()["Account"] != _owner(url):
            return None
        client = clients("cloudwatch", region)
        found = client.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": url.rpartition("/")[2]}],
            StartTime=now - _RECENT,
            EndTime=now,
            Period=_MINUTE,
            Statistics=["Maximum"],
        )
        return _before_all(found["Datapoints"])
    except _ERRORS as error:
        unread.append(Unread(METRIC, url, error_code(error)))
        return None


def _before_all(points: Iterable[Mapping[str, Any]]) -> datetime | None:
    latest = sorted(points, key=lambda each: each["Timestamp"])[-2:]
    sent = [each["Timestamp"] - timedelta(seconds=float(each["Maximum"])) for each in latest]
    return moment(min(sent)) if len(sent) > 1 else None
