# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import timedelta

import pytest

from aws_local_org import LocalOrg
from aws_local_org.queues import age

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"
NAMES = ["ApproximateNumberOfMessages", "CreatedTimestamp", "MessageRetentionPeriod"]


def test_messages_expire(org: LocalOrg) -> None:
    sqs = org.client("sqs")

    def attributes() -> dict[str, str]:
        return dict(sqs.get_queue_attributes(QueueUrl=QUEUE, AttributeNames=NAMES)["Attributes"])

    sqs.send_message(QueueUrl=QUEUE, MessageBody="old")
    before = attributes()
    age(org.backend("sqs"), timedelta(days=13))
    sqs.send_message(QueueUrl=QUEUE, MessageBody="new")
    after = attributes()
    assert (before[NAMES[0]], after[NAMES[0]]) == ("1", "2")
    assert float(before[NAMES[1]]) - float(after[NAMES[1]]) == pytest.approx(13 * 86400)
    assert timedelta(seconds=int(after[NAMES[2]])) == timedelta(days=14)
    age(org.backend("sqs"), timedelta(days=2))
    (left,) = sqs.receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10)["Messages"]
    assert left["Body"] == "new"
