# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import botocore.session
import pytest

from aws_local_org import CallRecord, LocalOrg, call_log
from aws_local_org.call_log import LONGEST, SECRETS, CallLog, redacted
from tests.local_org.refusals import refusal
from tests.local_org.signed_requests import query

PAYMENTS = "111122223333"


def last(org: LocalOrg) -> tuple[str, str, str, dict[str, Any]]:
    record = org.calls[-1]
    return record.account, record.service, record.operation, record.parameters


def test_a_call_of_the_query_protocol(org: LocalOrg) -> None:
    parameters = {"UserName": "ada", "Tags": [{"Key": "a", "Value": "b"}]}
    org.client("iam", PAYMENTS).create_user(**parameters)
    assert last(org) == (PAYMENTS, "iam", "CreateUser", parameters)
    record = org.calls[-1]
    assert (record.status, record.error_code) == (200, None)
    assert datetime.now(timezone.utc) - record.time < timedelta(seconds=30)


def test_a_call_of_the_json_protocol(org: LocalOrg) -> None:
    org.client("sqs").create_queue(QueueName="mail", Attributes={"DelaySeconds": "1"})
    parameters = {"QueueName": "mail", "Attributes": {"DelaySeconds": "1"}}
    assert last(org) == ("123456789012", "sqs", "CreateQueue", parameters)


def test_a_call_of_the_rest_protocol(org: LocalOrg) -> None:
    s3 = org.client("s3")
    s3.create_bucket(Bucket="out")
    s3.put_object(Bucket="out", Key="a/b c.json", Body=b"12345")
    account, service, operation, parameters = last(org)
    assert (account, service, operation) == ("123456789012", "s3", "PutObject")
    assert (parameters["Bucket"], parameters["Key"], parameters["Body"]) == ("out", "a/b c.json", "<5 bytes>")


@pytest.mark.parametrize(
    ("service", "operation", "named"),
    [
        ("sso-admin", "list_instances", "ListInstances"),
        ("cloudwatch", "list_metrics", "ListMetrics"),
        ("ses", "list_identities", "ListIdentities"),
        ("sesv2", "list_email_identities", "ListEmailIdentities"),
        ("organizations", "list_roots", "ListRoots"),
    ],
)
def test_services_have_the_names_that_boto3_gives_them(
    org: LocalOrg, service: str, operation: str, named: str
) -> None:
    getattr(org.client(service), operation)()
    assert last(org)[1:3] == (service, named)


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    [
        ("iam", "delete_user", {"UserName": "nobody"}, ("NoSuchEntity", 404)),
        ("sqs", "get_queue_url", {"QueueName": "none"}, ("AWS.SimpleQueueService.NonExistentQueue", 400)),
        ("s3", "get_object", {"Bucket": "none", "Key": "x"}, ("NoSuchBucket", 404)),
    ],
    ids=["query", "json", "rest-xml"],
)
def test_refused_calls_carry_the_code(
    org: LocalOrg, service: str, operation: str, parameters: dict[str, Any], expected: tuple[str, int]
) -> None:
    refused = refusal(getattr(org.client(service), operation), **parameters)
    assert refused == expected
    record = org.calls[-1]
    assert record.status == expected[1]
    assert record.error_code in (expected[0], "QueueDoesNotExist")


def test_secrets_are_not_in_it(org: LocalOrg) -> None:
    iam = org.client("iam")
    iam.create_user(UserName="ada")
    iam.create_login_profile(UserName="ada", Password="correct horse battery")
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    codes = {"AuthenticationCode1": "902817", "AuthenticationCode2": "715290"}
    iam.enable_mfa_device(UserName="ada", SerialNumber="GAHT12345678", **codes)
    credential = iam.create_service_specific_credential(
        UserName="ada", ServiceName="codecommit.amazonaws.com"
    )
    query(org, "iam", "CreateSomething", Password="correct horse battery")
    text = json.dumps([record.as_json() for record in org.calls])
    secrets = {
        "correct horse battery",
        key["SecretAccessKey"],
        credential["ServiceSpecificCredential"]["ServicePassword"],
        *codes.values(),
    }
    assert [secret for secret in secrets if secret in text] == []
    assert text.count('"***"') == 4


def test_a_snapshot_does_not_grow(org: LocalOrg) -> None:
    before = org.calls
    org.client("iam").list_users()
    assert len(org.calls) == len(before) + 1
    org.clear_calls()
    assert org.calls == []


def test_a_full_log_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_log, "CAPACITY", 2)
    log = CallLog()
    now = datetime.now(timezone.utc)
    for operation in ("First", "Second", "Third"):
        log.add(CallRecord(now, PAYMENTS, "iam", operation, {}, 200))
    assert [record.operation for record in log.records()] == ["Second", "Third"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            {"Password": "p", "UserName": "ada"}, {"Password": "***", "UserName": "ada"}, id="secret"
        ),
        pytest.param([{"a": ({"PrivateKey": "k"},)}], [{"a": [{"PrivateKey": "***"}]}], id="deep inside"),
        pytest.param(
            {"NextToken": "t", "SecretId": "s"}, {"NextToken": "t", "SecretId": "s"}, id="no secrets"
        ),
        pytest.param({"PasswordResetRequired": True}, {"PasswordResetRequired": True}, id="about a secret"),
        pytest.param({"Body": b"abc"}, {"Body": "<3 bytes>"}, id="bytes"),
        pytest.param([1, 2.5, None, False], [1, 2.5, None, False], id="plain values"),
        pytest.param("x" * LONGEST, "x" * LONGEST, id="the longest text"),
        pytest.param(
            "x" * LONGEST + "y", "x" * LONGEST + f"... <{LONGEST + 1} characters>", id="too long a text"
        ),
    ],
)
def test_redaction(value: Any, expected: Any) -> None:
    assert redacted(value) == expected


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_every_parameter_that_the_model_calls_sensitive_is_hidden(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    inputs = (model.operation_model(name).input_shape for name in model.operation_names)
    sensitive = {
        name
        for shape in inputs
        if shape is not None
        for name, member in shape.members.items()
        if member.metadata.get("sensitive")
    }
    assert sensitive
    assert sensitive - SECRETS == set()
