# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.iam.models import IAMBackend

from aws_local_org import LocalOrg, application
from aws_local_org.aws_request import AwsRequest
from aws_local_org.errors import WireResponse
from tests.local_org.refusals import message, refusal
from tests.local_org.signed_requests import exchange, query, send

NOT_IMPLEMENTED = ("NotImplementedByLocalOrg", 400)
USER = "arn:aws:iam::123456789012:user/ada"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "named"),
    [
        pytest.param(
            "iam",
            "generate_organizations_access_report",
            {"EntityPath": "o-exampleorgid/r-exam"},
            "iam GenerateOrganizationsAccessReport",
            id="query",
        ),
        pytest.param(
            "organizations", "list_handshakes_for_organization", {}, "organizations ListHandshakes", id="json"
        ),
        pytest.param("bedrock", "list_guardrails", {}, "bedrock ListGuardrails", id="rest-json"),
        pytest.param(
            "cloudfront", "list_streaming_distributions", {}, "cloudfront ListStreaming", id="rest-xml"
        ),
        pytest.param(
            "accessanalyzer", "list_analyzers", {}, "access-analyzer", id="a service that moto lacks"
        ),
    ],
)
def test_what_is_not_implemented_says_so_at_once(
    org: LocalOrg, service: str, operation: str, parameters: dict[str, Any], named: str
) -> None:
    call = getattr(org.client(service), operation)
    org.clear_calls()
    assert refusal(call, **parameters) == NOT_IMPLEMENTED
    assert len(org.calls) == 1  # boto3, with its usual retries, did not try again
    assert org.calls[0].error_code == NOT_IMPLEMENTED[0]
    said = message(call, **parameters)
    assert said.startswith("The local organization does not implement ")
    assert named in said


def test_an_operation_that_no_model_knows(org: LocalOrg) -> None:
    answer = query(org, "iam", "DeleteEverything", Version="2010-05-08")
    assert answer.status == 400
    assert "<Code>InvalidAction</Code>" in answer.text
    assert org.calls[-1].operation == "DeleteEverything"


@pytest.mark.parametrize("service", ["iam", "sso", "s3", "lambda", "nothing"])
def test_nothing_is_answered_with_a_page(org: LocalOrg, service: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        answer = send(org, service, method, "/no/such/path?x=1")
        assert "<html" not in answer.text.lower()
        assert answer.status < 500


@pytest.mark.parametrize(
    "path", ["/moto-api/reset", "/moto-api/data.json", "/latest/meta-data/", "/favicon.ico"]
)
def test_motos_own_routes_are_not_there(org: LocalOrg, path: str) -> None:
    org.client("iam").create_user(UserName="ada")
    assert exchange(org, "POST", path).status == 403
    assert send(org, "iam", "POST", path).status == 400
    assert refusal(org.client("iam").get_user, UserName="ada") is None


def test_a_failure_inside_is_an_error_that_says_where(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(IAMBackend, "list_account_aliases", fail)
    assert refusal(org.client("iam").list_account_aliases) == ("LocalOrgFailure", 400)
    said = message(org.client("iam").list_account_aliases)
    assert said == "The local organization failed at iam ListAccountAliases: KeyError: 'oops'"


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("iam", "list_users", "InvalidClientTokenId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("sqs", "list_queues", "UnrecognizedClientException"),
        ("sso-admin", "list_instances", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_unknown_credentials(org: LocalOrg, service: str, operation: str, code: str) -> None:
    session = boto3.Session("AKIAIOSFODNN7EXAMPLE", "secret", region_name="us-east-1")
    client: Any = session.client(service, endpoint_url=org.endpoint_url)  # type: ignore[call-overload]
    assert refusal(getattr(client, operation)) == (code, 403)
    assert org.calls[-1].account == "unknown"


def test_no_credentials(org: LocalOrg) -> None:
    body = "Action=ListUsers&Version=2010-05-08"
    answer = exchange(org, "POST", "/", body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 403
    assert "<Code>MissingAuthenticationToken</Code>" in answer.text


def test_an_account_cannot_be_claimed_by_a_header(org: LocalOrg) -> None:
    org.client("iam", "111122223333").create_user(UserName="ada.lovelace")
    answer = send(
        org,
        "iam",
        body="Action=ListUsers&Version=2010-05-08",
        Content_Type="application/x-www-form-urlencoded",
        x_moto_account_id="111122223333",
    )
    assert answer.status == 200
    assert "ada.lovelace" not in answer.text


def test_latency_delays_calls_but_not_each_other(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = org.client("iam")
    org.configure(latency_ms=200)
    together, slept = threading.Barrier(5), []

    def sleep(seconds: float) -> None:
        together.wait(60)  # raises unless all five sleep at one time
        slept.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    threads = [threading.Thread(target=iam.list_users) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slept == [0.2] * 5


def test_threads_do_not_disturb_each_other(org: LocalOrg) -> None:
    iam = org.client("iam")
    failures: list[ClientError] = []

    def live(number: int) -> None:
        try:
            for turn in range(5):
                name = {"UserName": f"user{number}.{turn}"}
                iam.create_user(**name)
                iam.tag_user(**name, Tags=[{"Key": "k", "Value": str(number)}])
                iam.create_access_key(**name)
        except ClientError as error:
            failures.append(error)

    threads = [threading.Thread(target=live, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(iam.list_users(MaxItems=1000)["Users"]) == 40


def test_nobody_waits_for_a_long_poll(org: LocalOrg) -> None:
    sqs, iam = org.client("sqs"), org.client("iam")
    queue = sqs.create_queue(QueueName="mail")["QueueUrl"]
    received: list[dict[str, Any]] = []

    def wait_for_mail() -> None:
        received.extend(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages", []))

    waiting = threading.Thread(target=wait_for_mail)
    waiting.start()
    iam.list_users()
    assert waiting.is_alive()
    sqs.send_message(QueueUrl=queue, MessageBody="hello")
    waiting.join()
    assert [entry["Body"] for entry in received] == ["hello"]


EMPTY = WireResponse(200, b"{}")
FULL = WireResponse(200, b'{"Messages": [{"ReceiptHandle": "x"}]}')
REFUSED = WireResponse(400, b'{"__type": "QueueDoesNotExist"}')


class Queue:
    """Answers from a script, the last answer over and over, and lets the time of its waits pass at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: WireResponse) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []
        self.now = 0.0
        monkeypatch.setattr(application, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.wait))

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
        pytest.param(20, [EMPTY], 21, 1, id="longer than the organization waits"),
    ],
)
def test_polling(
    monkeypatch: pytest.MonkeyPatch, wait: object, answers: list[WireResponse], polls: int, waited: float
) -> None:
    queue = Queue(monkeypatch, *answers)
    response = application.poll(receive(wait), b'{"WaitTimeSeconds": 1}', queue)
    assert response == answers[-1]
    assert len(queue.sent) == pytest.approx(polls, abs=1)
    assert queue.now == pytest.approx(waited, abs=0.06)


@pytest.mark.parametrize(
    "request_", [receive(5, "SendMessage"), AwsRequest("sns", "ReceiveMessage", "query", "", "")]
)
def test_other_calls_are_passed_on(monkeypatch: pytest.MonkeyPatch, request_: AwsRequest) -> None:
    queue = Queue(monkeypatch, EMPTY)
    assert application.poll(request_, b"as it is", queue) == EMPTY
    assert queue.sent == [b"as it is"]


def test_moto_is_asked_not_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(monkeypatch, FULL)
    application.poll(receive(5), b'{"QueueUrl": "q", "WaitTimeSeconds": 5}', queue)
    application.poll(receive("5", protocol="query"), b"QueueUrl=q%2Fx&WaitTimeSeconds=5", queue)
    assert json.loads(queue.sent[0]) == {"QueueUrl": "q", "WaitTimeSeconds": 0}
    assert parse_qs(queue.sent[1].decode()) == {"QueueUrl": ["q/x"], "WaitTimeSeconds": ["0"]}
