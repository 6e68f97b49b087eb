# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.cloudtrail import HISTORY, Event, events_page

ACCOUNT = "111122223333"
NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def event(name: str, age: timedelta, **more: Any) -> Event:
    given = {
        "source": "iam.amazonaws.com",
        "region": "us-east-1",
        "username": "ada",
        "access_key_id": "AKIA1",
    }
    return Event(name, time=NOW - age, detail=dict, **{**given, **more})


@pytest.fixture
def history() -> Any:
    HISTORY.clear()
    for each in (
        event("CreateUser", 2 * HOUR, resources=(("AWS::IAM::User", "ada"),)),
        event("GetUser", HOUR, username="bob", read_only=True),
        event("RunInstances", 3 * HOUR, region="eu-west-1", source="ec2.amazonaws.com"),
        event("OldNews", timedelta(days=91)),
    ):
        HISTORY.add(ACCOUNT, each)
    yield HISTORY
    HISTORY.clear()


def names(given: dict[str, Any], region: str = "us-east-1") -> list[str]:
    return [each.name for each in events_page(ACCOUNT, region, given, NOW)[0]]


def by(key: str, value: str) -> dict[str, Any]:
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, ["GetUser", "CreateUser"], id="newest-first-and-90-days"),
        pytest.param(by("Username", "ada"), ["CreateUser"], id="username"),
        pytest.param(by("Username", "Ada"), [], id="username-case"),
        pytest.param(by("EventName", "GetUser"), ["GetUser"], id="event-name"),
        pytest.param(by("ReadOnly", "true"), ["GetUser"], id="read-only"),
        pytest.param(by("AccessKeyId", "AKIA1"), ["GetUser", "CreateUser"], id="key"),
        pytest.param(by("ResourceName", "ada"), ["CreateUser"], id="resource"),
        pytest.param(by("ResourceType", "AWS::IAM::User"), ["CreateUser"], id="resource-type"),
        pytest.param(by("ResourceName", "AWS::IAM::User"), [], id="another-attribute"),
        pytest.param({"StartTime": (NOW - 1.5 * HOUR).timestamp()}, ["GetUser"], id="start"),
        pytest.param({"EndTime": (NOW - 1.5 * HOUR).timestamp()}, ["CreateUser"], id="end"),
    ],
)
def test_what_is_found(history: Any, given: dict[str, Any], expected: list[str]) -> None:
    assert names(given) == expected


def test_each_region_has_its_own(history: Any) -> None:
    assert names({}, "eu-west-1") == ["RunInstances"]


def test_pages_continue_where_the_last_ended(history: Any) -> None:
    for number in range(5):
        history.add(ACCOUNT, event(f"E{number}", timedelta(minutes=number)))
    seen, token = [], None
    while True:
        page, token = events_page(ACCOUNT, "us-east-1", {"MaxResults": 2, "NextToken": token}, NOW)
        seen += [each.name for each in page]
        history.add(ACCOUNT, event("Later", -HOUR))  # after the end of the window: no page moves
        if token is None:
            break
    assert seen == ["E0", "E1", "E2", "E3", "E4", "GetUser", "CreateUser"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param({"MaxResults": 51}, "InvalidMaxResultsException", id="page"),
        pytest.param({"NextToken": "bm9uZQ=="}, "InvalidNextTokenException", id="token"),
        pytest.param({"StartTime": NOW, "EndTime": NOW - HOUR}, "InvalidTimeRangeException", id="range"),
        pytest.param(
            {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "a"}] * 2},
            "InvalidLookupAttributesException",
            id="two-attributes",
        ),
    ],
)
def test_what_is_refused(org: LocalOrg, given: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        org.client("cloudtrail", ACCOUNT).lookup_events(**given)
    assert refused.value.response["Error"]["Code"] == code


def test_calls_become_events_as_cloudtrail_writes_them(org: LocalOrg) -> None:
    iam = org.client("iam", ACCOUNT)
    answer = iam.create_user(UserName="ada")
    made = answer["User"]
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    with pytest.raises(ClientError):
        iam.get_user(UserName="nobody")
    org.client("sqs", ACCOUNT).create_queue(QueueName="q")
    events = org.client("cloudtrail", ACCOUNT).lookup_events()["Events"]
    found = {each["EventName"]: json.loads(each["CloudTrailEvent"]) for each in events}
    assert found["CreateUser"]["responseElements"]["user"]["userId"] == made["UserId"]
    assert found["CreateUser"]["requestParameters"] == {"userName": "ada"}
    assert found["CreateUser"]["requestID"] == answer["ResponseMetadata"]["RequestId"]
    (created,) = (each for each in events if each["EventName"] == "CreateUser")
    assert created["Resources"] == [{"ResourceType": "AWS::IAM::User", "ResourceName": "ada"}]
    identity = found["CreateUser"]["userIdentity"]
    issuer = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    assert (identity["type"], identity["sessionContext"]["sessionIssuer"]["arn"]) == ("AssumedRole", issuer)
    assert found["CreateAccessKey"]["responseElements"]["accessKey"]["accessKeyId"] == key["AccessKeyId"]
    assert key["SecretAccessKey"] not in json.dumps(found)
    assert found["GetUser"]["errorCode"] == "NoSuchEntity"
    assert "nobody" in found["GetUser"]["errorMessage"]
    assert found["CreateQueue"]["eventSource"] == "sqs.amazonaws.com"


def test_events_of_iam_are_in_the_home_region_alone(org: LocalOrg) -> None:
    session = org.session(ACCOUNT)
    session.client("iam", region_name="eu-west-1").list_users()
    session.client("sqs", region_name="eu-west-1").list_queues()
    away = session.client("cloudtrail", region_name="eu-west-1").lookup_events()["Events"]
    assert [each["EventName"] for each in away] == ["ListQueues"]
    home = session.client("cloudtrail").lookup_events()["Events"]
    assert "ListUsers" in [each["EventName"] for each in home]
    org.reset()
    assert session.client("cloudtrail").lookup_events()["Events"] == []


def test_a_users_own_call(org: LocalOrg) -> None:
    iam = org.client("iam", ACCOUNT)
    user = iam.create_user(UserName="ada")["User"]
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    org.session(ACCOUNT).client("sts", aws_session_token=org.token, **keys).get_caller_identity()
    given = by("Username", "ada")
    (seen,) = org.client("cloudtrail", ACCOUNT).lookup_events(**given)["Events"]
    identity = json.loads(seen["CloudTrailEvent"])["userIdentity"]
    expected = {"type": "IAMUser", "principalId": user["UserId"], "arn": user["Arn"], "accountId": ACCOUNT}
    assert identity == {**expected, "accessKeyId": made["AccessKeyId"], "userName": "ada"}


def test_an_event_has_an_id_of_its_own() -> None:
    first, second = event("A", HOUR), event("A", HOUR)
    assert first.id != second.id
    assert dataclasses.replace(first).id == first.id
