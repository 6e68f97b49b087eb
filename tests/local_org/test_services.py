# SPDX-License-Identifier: Apache-2.0
"""The other services that Cloud Custodian, its mailer and this package speak to."""

from __future__ import annotations

import io
import re
import time

import pytest

from aws_local_org import LocalOrg
from tests.local_org.refusals import refusal
from tests.local_org.signed_requests import query


def test_sqs_as_boto3_speaks_it(org: LocalOrg) -> None:
    sqs = org.client("sqs")
    queue = sqs.create_queue(QueueName="mail")["QueueUrl"]
    assert queue == f"{org.endpoint_url}/123456789012/mail"
    kind = {"mtype": {"DataType": "String", "StringValue": "c7nmessage/1.0"}}
    sqs.send_message(QueueUrl=queue, MessageBody="hello", MessageAttributes=kind)
    (received,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    assert (received["Body"], received["MessageAttributes"]) == ("hello", kind)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=received["ReceiptHandle"])
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert (
        attributes["ApproximateNumberOfMessages"],
        attributes["ApproximateNumberOfMessagesNotVisible"],
    ) == (
        "0",
        "0",
    )


def test_sqs_in_the_query_protocol(org: LocalOrg) -> None:
    queue = org.client("sqs").create_queue(QueueName="mail")["QueueUrl"]
    version = {"QueueUrl": queue, "Version": "2012-11-05"}
    assert query(org, "sqs", "SendMessage", MessageBody="hello", **version).status == 200
    received = query(org, "sqs", "ReceiveMessage", WaitTimeSeconds=1, **version).text
    assert "<Body>hello</Body>" in received
    handle = re.findall("<ReceiptHandle>(.*)</ReceiptHandle>", received)[0]
    assert query(org, "sqs", "DeleteMessage", ReceiptHandle=handle, **version).status == 200


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each sleep, which pass at once."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(found))
    return found


@pytest.mark.parametrize("protocol", ["json", "query"])
def test_a_long_poll_waits_and_ends(org: LocalOrg, slept: list[float], protocol: str) -> None:
    sqs = org.client("sqs")
    queue = sqs.create_queue(QueueName="mail")["QueueUrl"]
    if protocol == "json":
        assert "Messages" not in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)
    else:
        answer = query(org, "sqs", "ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=1, Version="2012-11-05")
        assert (answer.status, "<Message>" in answer.text) == (200, False)
    assert 1 <= sum(slept) < 1.1


def test_a_long_poll_of_no_queue_fails_at_once(org: LocalOrg, slept: list[float]) -> None:
    missing = f"{org.endpoint_url}/123456789012/none"
    refused = refusal(org.client("sqs").receive_message, QueueUrl=missing, WaitTimeSeconds=10)
    assert refused is not None
    assert slept == []


def test_queues_are_the_accounts_own(org: LocalOrg) -> None:
    """So `notify` must send with the runner's credentials (`assume_role: false`), unless the queue has a policy."""
    queue = org.client("sqs").create_queue(QueueName="mail")["QueueUrl"]
    refused = refusal(org.client("sqs", "111122223333").send_message, QueueUrl=queue, MessageBody="hello")
    assert refused == ("AWS.SimpleQueueService.NonExistentQueue", 400)


def test_s3(org: LocalOrg) -> None:
    s3 = org.client("s3")
    s3.create_bucket(Bucket="out")
    s3.put_object(Bucket="out", Key="a/b c+d.json.gz", Body=b"first", Metadata={"my_key": "x"})
    s3.upload_fileobj(io.BytesIO(b"x" * 9_000_000), "out", "large")
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket="out")["Contents"]]
    assert listed == ["a/b c+d.json.gz", "large"]
    got = s3.get_object(Bucket="out", Key="a/b c+d.json.gz")
    assert (got["Body"].read(), got["Metadata"]) == (b"first", {"my_key": "x"})
    assert s3.head_object(Bucket="out", Key="large")["ContentLength"] == 9_000_000
    assert refusal(s3.get_object, Bucket="out", Key="none") == ("NoSuchKey", 404)
    assert refusal(s3.head_object, Bucket="out", Key="none") == ("404", 404)
    assert refusal(s3.head_bucket, Bucket="none") == ("404", 404)


def test_ses(org: LocalOrg) -> None:
    ses = org.client("ses")
    ses.verify_email_identity(EmailAddress="from@example.com")
    sent = ses.send_email(
        Source="from@example.com",
        Destination={"ToAddresses": ["to@example.com"]},
        Message={"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}},
    )
    assert sent["MessageId"]


def test_sns(org: LocalOrg) -> None:
    sns = org.client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    assert sns.publish(TopicArn=topic, Message="hello")["MessageId"]


def test_cloudwatch(org: LocalOrg) -> None:
    cloudwatch = org.client("cloudwatch")
    cloudwatch.put_metric_data(
        Namespace="CloudMaid", MetricData=[{"MetricName": "ResourceCount", "Value": 3}]
    )
    names = [metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace="CloudMaid")["Metrics"]]
    assert names == ["ResourceCount"]


def test_account_aliases(org: LocalOrg) -> None:
    iam = org.client("iam", "111122223333")
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.create_account_alias(AccountAlias="payments")
    assert iam.list_account_aliases()["AccountAliases"] == ["payments"]


def test_identity_center_and_organizations(org: LocalOrg) -> None:
    (instance,) = org.client("sso-admin").list_instances()["Instances"]
    store = instance["IdentityStoreId"]
    assert org.client("identitystore").list_users(IdentityStoreId=store)["Users"] == []
    accounts = [account["Id"] for account in org.client("organizations").list_accounts()["Accounts"]]
    assert accounts == list(org.settings.account_ids)
