# SPDX-License-Identifier: Apache-2.0
"""Asks SQS whether the queue of the messages is there, whether they leave it in time, and whether runs can see that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlparse

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.notices.queue_counts import ATTRIBUTES, queue_region, queue_url, read_queue
from c7n_iamusers.organization.readiness import ATTENTION, HOLE, OK, ORGANIZATION, Check

_ERRORS = (ClientError, BotoCoreError)
#: Below it no announcement counts, a problem: two readings, a day apart, and the day of the message itself.
_PROVING_RETENTION = timedelta(days=3)
#: Below it mails are lost if c7n-mailer stops, which needs attention: SQS's default, a weekend and a day to spare.
_SAFE_RETENTION = timedelta(days=4)
_WAITING = tuple(f"ApproximateNumberOfMessages{each}" for each in ("", "NotVisible", "Delayed"))
#: The attributes of a queue that ``queue_doubts`` reads.
QUEUE_ATTRIBUTES = (*_WAITING, "MessageRetentionPeriod")


@dataclass(frozen=True)
class QueueProbes:
    """``session``: boto3's, of the runner. ``caller``: the runner's ARN."""

    session: Any
    caller: str
    backoff: Backoff

    def queue(self, queue: str) -> Check:
        """Whether the queue that notices go to is there."""
        place = ORGANIZATION
        region: str | None
        try:
            if queue.startswith("arn:"):
                _, _, _, region, owner, name = queue.split(":", 5)
                client = self._client("sqs", region)
                url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=owner)["QueueUrl"]
            elif not queue.startswith("https://"):
                raise ValueError("it is no URL, so Cloud Custodian looks for it in each member account")
            else:
                labels = (urlparse(queue).hostname or "").split(".")
                region = labels[1] if labels[0] == "sqs" and len(labels) > 1 else None
                client, url = self._client("sqs", region), queue
            self.backoff.call(client.get_queue_attributes, QueueUrl=url, AttributeNames=["QueueArn"])
        except (*_ERRORS, ValueError) as error:
            remedy = (
                f"create the queue or correct {queue!r} (variable queue_url), and allow sqs:GetQueueAttributes and "
                f"sqs:SendMessage to {self.caller}"
            )
            return Check(place, "queue", HOLE, f"{queue}: {error}", remedy)
        return Check(place, "queue", OK, queue)

    def in_queue(self, queue: str) -> Iterator[Check]:
        """Whether messages leave a queue in time. Nothing for an unreadable queue, which ``queue`` reports."""
        url = queue_url(queue, "", "")
        try:
            client = self._client("sqs", queue_region(url))
            found = self.backoff.call(
                client.get_queue_attributes, QueueUrl=url, AttributeNames=[*QUEUE_ATTRIBUTES]
            )["Attributes"]
        except (*_ERRORS, ValueError):
            return
        yield from queue_doubts(queue, found)

    def delivery(self, queue: str) -> Iterator[Check]:
        """Why runs can't find out whether messages leave ``queue``; nothing for an unreadable queue."""
        place, name, url = ORGANIZATION, "delivery", queue_url(queue, "", "")
        if not queue.startswith(("arn:", "https://")):
            return
        found = read_queue(self._client, url, datetime.now(timezone.utc)).reading
        denied = [each for each in found.unread if each.permission == ATTRIBUTES]
        if denied and url not in {each.resource for each in denied}:
            told = (
                f"no announcement counts: {', '.join(map(str, denied))}, its dead-letter queue, was refused"
            )
            remedy = f"allow {ATTRIBUTES} on the dead-letter queue of {queue} to {self.caller}"
            yield Check(place, name, HOLE, told, remedy)
        if found.retention is not None and found.retention < _PROVING_RETENTION:
            told = (
                f"no announcement counts: {queue} keeps messages for {found.retention}, and a policy that runs daily "
                "can't find out twice within that time whether a message left it"
            )
            yield Check(place, name, HOLE, told, "set its MessageRetentionPeriod to four days or more")

    def _client(self, service: str, region: str | None) -> Any:
        return self.session.client(service, region_name=region, config=SINGLE_TRY)


def queue_doubts(queue: str, attributes: Mapping[str, str]) -> Iterator[Check]:
    """Whether messages wait in the queue, or may expire there. ``attributes``: of GetQueueAttributes."""
    seconds = int(attributes["MessageRetentionPeriod"])
    kept = f"{seconds / 3600:g} hours"
    if waiting := sum(int(attributes[each]) for each in _WAITING):
        told = f"{queue}: {waiting} messages wait in it; each is lost after {kept}"
        yield Check(
            ORGANIZATION, "queue", ATTENTION, told, "check that c7n-mailer runs, and reads this queue"
        )
    if timedelta(seconds=seconds) < _SAFE_RETENTION:
        told = f"{queue} keeps a message for {kept} only, so that mails are lost if c7n-mailer stops"
        yield Check(
            ORGANIZATION, "queue", ATTENTION, told, "set its MessageRetentionPeriod to 345600 or more"
        )
