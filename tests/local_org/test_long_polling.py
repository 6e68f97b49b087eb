# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest

from aws_local_org import long_polling
from aws_local_org.aws_request import AwsRequest
from aws_local_org.errors import WireResponse

EMPTY = WireResponse(200, b"{}")
FULL = WireResponse(200, b'{"Messages": [{"ReceiptHandle": "x"}]}')
REFUSED = WireResponse(400, b'{"__type": "QueueDoesNotExist"}')


class Queue:
    """Answers from a script, the last answer over and over, and lets the time of its waits pass at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: WireResponse) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []
        self.now = 0.0
        monkeypatch.setattr(
            long_polling, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.wait)
        )

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self, body: bytes) -> WireResponse:
        self.sent.append(body)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def receive(wait: object = None, operation: str = "ReceiveMessage", protocol: str = "json") -> AwsRequest:
    parameters = {} if wait is None else {"WaitTimeSeconds": wait}
    return AwsRequest("sqs", operation, protocol, "us-east-1", "ASIA", parameters)


@pytest.mark.parametrize(
    ("wait", "answers", "polls", "waited"),
    [
        pytest.param(None, [EMPTY], 1, 0, id="no wait asked for"),
        pytest.param(0, [EMPTY], 1, 0, id="none at all"),
        pytest.param(5, [FULL], 1, 0, id="a message is there"),
        pytest.param(5, [EMPTY, EMPTY, FULL], 3, 0.1, id="a message comes"),
        pytest.param(5, [REFUSED], 1, 0, id="refused"),
        pytest.param(1, [EMPTY], 21, 1, id="nothing comes"),
        pytest.param("1", [EMPTY], 21, 1, id="a number as text"),
        pytest.param(100, [EMPTY], 401, 20, id="longer than SQS allows"),
    ],
)
def test_polling(
    monkeypatch: pytest.MonkeyPatch, wait: object, answers: list[WireResponse], polls: int, waited: float
) -> None:
    queue = Queue(monkeypatch, *answers)
    response = long_polling.poll(receive(wait), b'{"WaitTimeSeconds": 1}', queue)
    assert response == answers[-1]
    assert len(queue.sent) == pytest.approx(polls, abs=1)
    assert queue.now == pytest.approx(waited, abs=0.06)


@pytest.mark.parametrize(
    "request_", [receive(5, "SendMessage"), AwsRequest("sns", "ReceiveMessage", "query", "", "")]
)
def test_other_calls_are_passed_on(monkeypatch: pytest.MonkeyPatch, request_: AwsRequest) -> None:
    queue = Queue(monkeypatch, EMPTY)
    assert long_polling.poll(request_, b"as it is", queue) == EMPTY
    assert queue.sent == [b"as it is"]


def test_moto_is_asked_not_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(monkeypatch, FULL)
    long_polling.poll(receive(5), b'{"QueueUrl": "q", "WaitTimeSeconds": 5}', queue)
    long_polling.poll(receive("5", protocol="query"), b"QueueUrl=q%2Fx&WaitTimeSeconds=5", queue)
    assert json.loads(queue.sent[0]) == {"QueueUrl": "q", "WaitTimeSeconds": 0}
    assert parse_qs(queue.sent[1].decode()) == {"QueueUrl": ["q/x"], "WaitTimeSeconds": ["0"]}
