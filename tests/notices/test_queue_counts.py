# SPDX-License-Identifier: Apache-2.0
"""What is read of a queue, by what SQS and CloudWatch answer."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.notices.queue_counts import queue_region, read_queue
from tests.fakes import client_error

pytestmark = pytest.mark.pure

ACCOUNT = "123456789012"
QUEUE, DEAD = (f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/{name}" for name in ("mailer", "dead"))
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def counts(*given: int) -> dict[str, str]:
    return dict(zip(COUNTS, map(str, given), strict=True))


def read(queues: dict[str, Any], points: Any = (), account: str = ACCOUNT) -> Any:
    """The reading. ``queues``: URL -> its attributes, or the error. ``points``: minutes ago and age in seconds."""
    asked = list[dict[str, Any]]()

    def attributes(QueueUrl: str, AttributeNames: list[str]) -> Any:
        if isinstance(found := queues[QueueUrl], Exception):
            raise found
        return {"Attributes": found}

    def statistics(**given: Any) -> Any:
        asked.append(given)
        if isinstance(points, Exception):
            raise points
        return {"Datapoints": [{"Timestamp": NOW - ago * MINUTE, "Maximum": age} for ago, age in points]}

    made = SimpleNamespace(
        get_queue_attributes=attributes,
        get_metric_statistics=statistics,
        get_caller_identity=lambda: {"Account": account},
    )
    found = read_queue(lambda service, region: made, QUEUE, NOW)
    assert len(asked) <= 1
    return found


@pytest.mark.parametrize(
    ("points", "oldest"),
    [
        pytest.param([], None, id="not-told"),
        pytest.param([(1, 60)], None, id="of-one-minute-only"),
        pytest.param([(1, 60), (2, 120)], NOW - 4 * MINUTE, id="the-older-of-two"),
        pytest.param([(2, 120), (3, 6000), (1, 60)], NOW - 4 * MINUTE, id="the-two-latest-in-any-order"),
    ],
)
def test_the_oldest_message_is_older_than_the_latest_two_minutes_say(points: Any, oldest: Any) -> None:
    assert read({QUEUE: counts(1, 0, 0)}, points).reading.oldest == oldest


@pytest.mark.parametrize(
    ("queues", "waiting", "dead", "unread"),
    [
        pytest.param({QUEUE: counts(1, 2, 4)}, 7, 0, [], id="no-dead-letter-queue"),
        pytest.param({QUEUE: {COUNTS[0]: "1"}}, None, 0, [], id="a-count-is-missing"),
        pytest.param({QUEUE: {**counts(0, 0, 0), COUNTS[0]: "-1"}}, None, 0, [], id="no-number"),
        pytest.param({QUEUE: client_error("AccessDenied")}, None, None, [QUEUE], id="denied"),
        pytest.param(
            {
                QUEUE: {**counts(0, 0, 0), "RedrivePolicy": '{"deadLetterTargetArn": "a:b:dead"}'},
                DEAD: counts(0, 1, 2),
            },
            *(0, 3, []),
            id="dead-letters",
        ),
        pytest.param(
            {
                QUEUE: {**counts(0, 0, 0), "RedrivePolicy": '{"deadLetterTargetArn": "a:b:dead"}'},
                DEAD: client_error("AccessDenied"),
            },
            *(0, None, [DEAD]),
            id="dead-letters-denied",
        ),
        pytest.param({QUEUE: {**counts(0, 0, 0), "RedrivePolicy": "{"}}, 0, None, [], id="unreadable-policy"),
    ],
)
def test_what_waits(queues: dict[str, Any], waiting: int | None, dead: int | None, unread: list[str]) -> None:
    found = read(queues).reading
    assert (found.waiting, found.dead, [each.resource for each in found.unread]) == (waiting, dead, unread)


@pytest.mark.parametrize(
    ("points", "account", "unread"),
    [
        pytest.param(client_error("AccessDenied"), ACCOUNT, ["cloudwatch:GetMetricStatistics"], id="denied"),
        pytest.param([(1, 60), (2, 120)], "999999999999", [], id="another-accounts-queue-of-that-name"),
    ],
)
def test_an_age_that_cannot_be_read_is_unknown(points: Any, account: str, unread: list[str]) -> None:
    found = read({QUEUE: counts(1, 0, 0)}, points, account).reading
    assert (found.oldest, [each.permission for each in found.unread]) == (None, unread)


def test_what_a_queue_says_of_itself() -> None:
    more = {"MessageRetentionPeriod": "345600", "CreatedTimestamp": "1700000000", "KmsMasterKeyId": "key"}
    found = read({QUEUE: {**counts(0, 0, 0), **more}})
    assert found.key == "key"
    assert found.reading.retention == timedelta(days=4)
    assert found.reading.created == datetime.fromtimestamp(1_700_000_000, timezone.utc)
    bare = read({QUEUE: counts(0, 0, 0)})
    assert (bare.key, bare.reading.retention, bare.reading.created) == ("", None, None)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/1/q", "eu-west-1"),
        ("https://eu-west-1.queue.amazonaws.com/1/q", "eu-west-1"),
        ("https://queue.amazonaws.com/1/q", "us-east-1"),
        ("https://sqs/1/q", "sqs"),
        ("-", ""),
    ],
)
def test_the_region_of_a_queue(url: str, region: str) -> None:
    assert queue_region(url) == region
