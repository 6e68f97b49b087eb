# SPDX-License-Identifier: Apache-2.0
"""What an answer proves: as botocore parses what gateways and proxies send, and as AWS refuses."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import (
    AnswerUnreadable,
    Backoff,
    Verdict,
    answered,
    error_code,
    http_status,
    message_of,
    refusals_of,
    request_id,
    verdict_of,
    verdict_on,
)
from c7n_iamusers.execution.sessions import account_session
from tests.fakes import ScriptedClient, client_error
from tests.gateway import FORMS, Gateway, answer_with

SET = "arn:aws:sso:::permissionSet/ssoins-1234567890123456/ps-1234567890123456"
INSTANCE = "arn:aws:sso:::instance/ssoins-1234567890123456"
ASSIGNMENT = {
    "InstanceArn": INSTANCE,
    "PermissionSetArn": SET,
    "TargetId": "1" * 12,
    "TargetType": "AWS_ACCOUNT",
}
PRINCIPAL = {"PrincipalType": "GROUP", "PrincipalId": "12345678-1234-1234-1234-123456789012"}
#: Service, method, parameters: changes and reads in each protocol.
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("iam", "remove_user_from_group", {"GroupName": "g", "UserName": "u"}),
    ("iam", "create_user", {"UserName": "u"}),
    ("iam", "list_access_keys", {"UserName": "u"}),
    ("identitystore", "create_group", {"IdentityStoreId": "d-1234567890", "DisplayName": "g"}),
    ("sso-admin", "create_account_assignment", {**ASSIGNMENT, **PRINCIPAL}),
    ("s3", "put_object", {"Bucket": "b", "Key": "k", "Body": b"x", "IfNoneMatch": "*"}),
    ("s3", "list_objects_v2", {"Bucket": "b"}),
    ("s3", "get_object", {"Bucket": "b", "Key": "k"}),
    ("sqs", "send_message", {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/1/q", "MessageBody": "m"}),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("service", "method", "parameters"), CALLS, ids=[each[1] for each in CALLS])
def test_what_a_gateway_says_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, form: str, service: str, method: str, parameters: dict[str, Any]
) -> None:
    Gateway(form, lambda *_: True, applied=False).install(monkeypatch)
    once = Config(retries={"total_max_attempts": 1})
    client = _client(service, once)
    with pytest.raises((ClientError, BotoCoreError)) as raised:
        answered(getattr(client, method), **parameters)
    assert verdict_on(raised.value, refusals_of(service)) is Verdict.UNKNOWN
    assert verdict_on(raised.value) is Verdict.UNKNOWN
    assert request_id(raised.value) == ""
    assert message_of(raised.value)


def _client(service: Any, config: Config | None = None) -> Any:
    return boto3.client(service, "us-east-1", config=config, aws_access_key_id="a", aws_secret_access_key="b")


def _modelled(service: str, operation: str) -> list[Any]:
    model = _client(service).meta.service_model.operation_model(operation)
    return [shape.error_code for shape in model.error_shapes]


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("iam", "RemoveUserFromGroup"),
        ("iam", "PutUserPolicy"),
        ("iam", "DeleteUser"),
        ("identitystore", "CreateUser"),
        ("sso-admin", "CreateAccountAssignment"),
        ("s3", "PutObject"),
    ],
)
def test_what_aws_refuses_is_refused(service: str, operation: str) -> None:
    busy = {"ConcurrentModification", "EntityTemporarilyUnmodifiable", "ThrottlingException"}
    failing = {"ServiceFailure", "InternalServerException"}
    for code in (*_modelled(service, operation), "AccessDenied", "ExpiredToken", "InvalidClientTokenId"):
        error = client_error(code)
        expected = Verdict.BUSY if code in busy else Verdict.UNKNOWN if code in failing else Verdict.REFUSED
        assert verdict_on(error, refusals_of(service)) is expected, code


def _error(code: str, status: int | None, **more: Any) -> ClientError:
    metadata = {} if status is None else {"ResponseMetadata": {"HTTPStatusCode": status}}
    return client_error(code, **{"ResponseMetadata": {}, **metadata, **more})


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        pytest.param(_error("AccessDenied", 403), Verdict.REFUSED, id="denied"),
        pytest.param(_error("NoSuchEntity", 404), Verdict.REFUSED, id="missing"),
        pytest.param(_error("DeleteConflict", 409), Verdict.REFUSED, id="conflict"),
        pytest.param(_error("AccessDenied", 500), Verdict.UNKNOWN, id="refusal-with-500"),
        pytest.param(_error("AccessDenied", 408), Verdict.UNKNOWN, id="refusal-with-408"),
        pytest.param(_error("AccessDenied", 302), Verdict.UNKNOWN, id="refusal-with-redirect"),
        pytest.param(_error("AccessDenied", None), Verdict.UNKNOWN, id="refusal-without-status"),
        pytest.param(_error("SomethingNew", 400), Verdict.UNKNOWN, id="unknown-code"),
        pytest.param(_error("Unknown", 400), Verdict.UNKNOWN, id="no-code"),
        pytest.param(_error("Throttling", 400), Verdict.BUSY, id="throttled"),
        pytest.param(_error("EntityTemporarilyUnmodifiable", 409), Verdict.BUSY, id="temporary"),
        pytest.param(_error("Throttling", 503), Verdict.UNKNOWN, id="throttled-with-503"),
        pytest.param(
            _error("ConflictException", 409, Reason="CONCURRENT_MODIFICATION"), Verdict.BUSY, id="race"
        ),
        pytest.param(_error("ServiceFailure", 500), Verdict.UNKNOWN, id="service-failure"),
        pytest.param(ReadTimeoutError(endpoint_url="x"), Verdict.UNKNOWN, id="timeout"),
        pytest.param(ConnectionClosedError(endpoint_url="x"), Verdict.UNKNOWN, id="closed"),
        pytest.param(ResponseParserError("x"), Verdict.UNKNOWN, id="unparsable"),
        pytest.param(AnswerUnreadable(operation="x", why="y"), Verdict.UNKNOWN, id="not-of-aws"),
        pytest.param(EndpointConnectionError(endpoint_url="x"), Verdict.BUSY, id="not-connected"),
        pytest.param(ConnectTimeoutError(endpoint_url="x"), Verdict.BUSY, id="connect-timeout"),
        # a proxy that closes the connection after the request
        pytest.param(ProxyConnectionError(proxy_url="x"), Verdict.UNKNOWN, id="proxy"),
        pytest.param(_error("ConditionalRequestConflict", 409), Verdict.BUSY, id="conditional-conflict"),
        pytest.param(NoCredentialsError(), Verdict.REFUSED, id="no-credentials"),
        pytest.param(ParamValidationError(report="x"), Verdict.REFUSED, id="not-sent-by-botocore"),
    ],
)
def test_the_verdict_on_a_change(error: Exception, verdict: Verdict) -> None:
    assert verdict_on(error, refusals_of("iam")) is verdict
    # of a code in a journal it may be open, and never another one
    assert verdict_of(error_code(error), http_status(error), refusals_of("iam")) in (verdict, None)


def test_a_read_takes_any_code_of_aws_for_a_refusal() -> None:
    assert verdict_on(_error("SomethingNew", 400)) is Verdict.REFUSED
    assert verdict_on(_error("403", 403)) is Verdict.UNKNOWN


def test_an_answer_with_a_request_id_is_one_of_aws() -> None:
    answer = {"ResponseMetadata": {"RequestId": "r-1", "HTTPStatusCode": 200}}
    assert answered(lambda: answer) is answer
    assert request_id(answer) == "r-1"


def test_an_error_without_an_error_element_has_a_code_and_a_text() -> None:
    answer: Any = {"ResponseMetadata": {"HTTPStatusCode": 403}}
    error = ClientError(answer, "RemoveUserFromGroup")
    assert (error_code(error), "RemoveUserFromGroup" in message_of(error)) == ("Unknown", True)


#: What a service may send that botocore's parsers do not expect.
ODD = {
    "latin-1": (403, "<p>Zugriff nicht möglich</p>".encode("latin-1")),
    "json-text": (403, b'"Forbidden"'),
    "json-list": (200, b"[1]"),
    "nested": (200, b"[" * 200_000),
}


@pytest.mark.parametrize("form", ODD)
@pytest.mark.parametrize(("service", "method", "parameters"), CALLS[:5], ids=[each[1] for each in CALLS[:5]])
def test_what_no_parser_expects_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, form: str, service: str, method: str, parameters: dict[str, Any]
) -> None:
    monkeypatch.setitem(FORMS, form, ODD[form])
    Gateway(form, lambda *_: True, applied=False).install(monkeypatch)
    once = Config(retries={"total_max_attempts": 1})
    with pytest.raises((ClientError, BotoCoreError)) as raised:
        answered(getattr(_client(service, once), method), **parameters)
    assert verdict_on(raised.value, refusals_of(service)) is Verdict.UNKNOWN


LISTS: list[tuple[str, str, dict[str, Any], bytes]] = [
    (
        "identitystore",
        "list_group_memberships",
        {"IdentityStoreId": "d-1234567890", "GroupId": "g-1"},
        b'{"GroupMemberships": []}',
    ),
    ("sso-admin", "list_permission_sets", {"InstanceArn": INSTANCE}, b'{"PermissionSets": []}'),
    (
        "s3",
        "list_objects_v2",
        {"Bucket": "b"},
        b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>",
    ),
]


@pytest.mark.parametrize(("service", "method", "parameters", "body"), LISTS, ids=[each[1] for each in LISTS])
@pytest.mark.parametrize("cut", [0, 5, None])
@pytest.mark.parametrize("told", [True, False], ids=["with-length", "without-length"])
def test_a_list_that_was_cut_off_is_not_an_empty_one(
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    method: str,
    parameters: dict[str, Any],
    body: bytes,
    cut: int | None,
    told: bool,
) -> None:
    """With the request id that AWS sends in the headers."""
    length = {"Content-Length": str(len(body))} if told else {}
    headers = {"x-amzn-requestid": "r-1", "x-amz-request-id": "r-1", **length}
    answer_with(monkeypatch, body[:cut], headers)
    call = getattr(_client(service, Config(retries={"total_max_attempts": 1})), method)
    if cut is None:
        assert request_id(answered(call, **parameters)) == "r-1"
        return
    with pytest.raises((ClientError, BotoCoreError)) as raised:
        answered(call, **parameters)
    assert verdict_on(raised.value) is Verdict.UNKNOWN


#: Lists whose answers always have them, by botocore's model; AWS sends an empty one, too.
WHOLE_BUT_LISTLESS: list[tuple[str, str, dict[str, Any], bytes]] = [
    (
        "iam",
        "list_access_keys",
        {"UserName": "alice"},
        b"<ListAccessKeysResponse><ListAccessKeysResult><IsTruncated>false</IsTruncated></ListAccessKeysResult>"
        b"<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></ListAccessKeysResponse>",
    ),
    ("identitystore", "list_users", {"IdentityStoreId": "d-1234567890"}, b'{"Other": []}'),
]


@pytest.mark.parametrize(
    ("service", "method", "parameters", "body"),
    WHOLE_BUT_LISTLESS,
    ids=[each[1] for each in WHOLE_BUT_LISTLESS],
)
def test_an_answer_that_lacks_its_list_is_not_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, service: str, method: str, parameters: dict[str, Any], body: bytes
) -> None:
    answer_with(monkeypatch, body, {"x-amzn-requestid": "r-1", "Content-Length": str(len(body))})
    call = getattr(_client(service, Config(retries={"total_max_attempts": 1})), method)
    with pytest.raises(AnswerUnreadable, match=r"it has no (AccessKeyMetadata|Users)"):
        answered(call, **parameters)


@pytest.mark.parametrize("declared", [b"", b'<?xml version="1.0"?>\n'], ids=["bare", "declared"])
def test_an_answer_to_another_call_is_none(monkeypatch: pytest.MonkeyPatch, declared: bytes) -> None:
    """As a proxy gives it that mixes up two requests."""
    body = (
        declared + b"<%sResponse><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></%sResponse>"
    )
    call = _client("iam", Config(retries={"total_max_attempts": 1})).remove_user_from_group
    given = {"UserName": "alice", "GroupName": "g"}
    answer_with(monkeypatch, body % ((b"RemoveUserFromGroup",) * 2), {})
    assert request_id(answered(call, **given)) == "r-1"
    answer_with(monkeypatch, body % ((b"TagUser",) * 2), {})
    with pytest.raises(AnswerUnreadable, match="it is a TagUserResponse") as raised:
        answered(call, **given)
    assert verdict_on(raised.value, refusals_of("iam")) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([{"Users": [], "IsTruncated": True}], id="no-marker"),
        pytest.param([{"Users": [], "IsTruncated": True, "Marker": "m"}] * 2, id="the-same-page-again"),
        pytest.param(
            [{"Users": [], "IsTruncated": True, "Marker": marker} for marker in "mnm"], id="an-earlier-page"
        ),
        pytest.param([{"Users": [], "NextToken": "t"}] * 2, id="the-same-token"),
    ],
)
def test_a_page_that_leads_nowhere_is_no_answer(answers: list[dict[str, Any]]) -> None:
    client = ScriptedClient(list_users=answers)
    with pytest.raises(AnswerUnreadable, match="does not say where its next page is"):
        items(client, "ListUsers", "Users", Backoff())


def test_a_role_whose_session_a_gateway_answers_can_not_be_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    Gateway("200-html", lambda *_: True, applied=False).install(monkeypatch)
    with pytest.raises(
        EvidenceUnreadable, match=r"role .* can't be assumed: the answer to assume_role is not AWS's"
    ):
        account_session("arn:aws:iam::111122223333:role/Reader")
