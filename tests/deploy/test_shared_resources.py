# SPDX-License-Identifier: Apache-2.0
"""What all templates of deploy/ hold: buckets and queues that keep what they got, and an alarm for each function."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.deploy.template import ROOT, read

TEMPLATES = sorted((ROOT / "deploy").glob("*.yml"))
#: 14 days, the most that SQS has.
LONGEST = 1209600
pytestmark = pytest.mark.pure


def resources(kind: str) -> list[Any]:
    """The resources of this type, with their templates' names as ids."""
    return [
        pytest.param(each, id=f"{path.stem}-{name}")
        for path in TEMPLATES
        for name, each in read(path)["Resources"].items()
        if each["Type"] == kind
    ]


@pytest.mark.parametrize("bucket", resources("AWS::S3::Bucket"))
def test_a_bucket_is_private_and_keeps_what_was_in_it(bucket: Any) -> None:
    properties = bucket["Properties"]
    # a creation that failed leaves none, whose name the next one would find taken
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]
    public = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    assert properties["PublicAccessBlockConfiguration"] == dict.fromkeys(public, True)


@pytest.mark.parametrize("queue", resources("AWS::SQS::Queue"))
def test_a_queue_is_encrypted_and_keeps_its_messages(queue: Any) -> None:
    assert queue["Properties"]["MessageRetentionPeriod"] == LONGEST
    assert queue["Properties"]["SqsManagedSseEnabled"] is True


def test_each_function_has_an_alarm_on_its_errors() -> None:
    functions = {
        f"custodian-{policy['name']}"
        for path in (ROOT / "policies").glob("*.yml")
        for policy in yaml.safe_load(path.read_text())["policies"]
        if "mode" in policy
    }
    alarms = [
        each["Properties"] for each in read(ROOT / "deploy" / "function-alarms.yml")["Resources"].values()
    ]
    assert {(each["Namespace"], each["MetricName"]) for each in alarms} == {("AWS/Lambda", "Errors")}
    assert {each["Dimensions"][0]["Value"] for each in alarms} == functions


def test_the_topic_of_alarms_takes_what_the_stacks_send_there() -> None:
    """CloudWatch's alarms, and the rule of template.yml that tells of an execution that failed."""
    (policy,) = [
        each
        for each in read(ROOT / "deploy" / "realtime.yml")["Resources"].values()
        if each["Type"] == "AWS::SNS::TopicPolicy"
    ]
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    services = {each["Principal"]["Service"] for each in statements if each["Action"] == "sns:Publish"}
    assert services == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    assert all(each["Condition"]["StringEquals"] for each in statements)
