# SPDX-License-Identifier: Apache-2.0
"""The stacks of deploy/'s templates: each parameter changed, and changed back; and the names that are free."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from aws_local_org import LocalOrg
from tests.deploy.template import ROOT, read
from tests.local_org.stacks import deploy, reasons

MANAGEMENT, MEMBER = "123456789012", "111122223333"
IMAGE = f"{MANAGEMENT}.dkr.ecr.us-east-1.amazonaws.com/iam-users@sha256:"
TOPIC = f"arn:aws:sns:us-east-1:{MANAGEMENT}:on-call"
#: Template of deploy/ -> its parameters, each with its first value, empty for the default, and another one.
PARAMETERS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "template.yml": {
        "Image": (IMAGE + "0" * 64, IMAGE + "1" * 64),
        "Subnets": ("subnet-1,subnet-2", "subnet-3"),
        "VpcId": ("vpc-1", "vpc-2"),
        "AssignPublicIp": ("", "ENABLED"),
        "Shards": ("", "2"),
        "MaxConcurrency": ("", "2"),
        "ToleratedFailurePercentage": ("", "50"),
        "ShardSize": ("", "512/2048"),
        "LastSize": ("", "2048/16384"),
        "Accounts": ("", "accounts-remove.yml"),
        "Policies": ("", "policies/delete.yml"),
        "IdentityCenterRoleArn": ("", f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner"),
        "Provision": ("", "policies/provision-intents.yml#iam-users-intents"),
        "MemberRole": ("", "IamUsersRemover"),
        "IdentityCenterReaderRoleArn": ("", f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterReader"),
        "IdentityCenterRegion": ("", "eu-west-1"),
        "OrganizationId": ("", "o-0123456789"),
        "ExemptionReaders": ("", "IamUsersReader"),
        "MailQueueArn": ("", f"arn:aws:sqs:us-east-1:{MANAGEMENT}:c7n-mailer"),
        "NoticesBucket": ("", "another-bucket"),
        "ScheduleExpression": ("", "cron(0 7 * * ? *)"),
        "AlarmTopicArn": ("", TOPIC),
        "ScheduleState": ("", "ENABLED"),
        "LogRetentionDays": ("", "30"),
        "ObjectLockDays": ("", "0"),
        "ObjectLockMode": ("", "COMPLIANCE"),
        "KmsKeyArn": ("", f"arn:aws:kms:us-east-1:{MANAGEMENT}:key/1"),
        "StartsWithinHours": ("", "30"),
        "OnCallRole": ("", "OnCallToo"),
    },
    "runner.yml": {
        "Operators": (f"arn:aws:iam::{MANAGEMENT}:root", f"arn:aws:iam::{MEMBER}:root"),
        "OnCall": (f"arn:aws:iam::{MANAGEMENT}:root", f"arn:aws:iam::{MEMBER}:root"),
        "QueueName": ("mails", "other-mails"),
        "NoticesBucket": ("", "notices-of-users"),
        "ProvisionerRoleArn": ("", f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner"),
        "AlarmTopicArn": ("", TOPIC),
    },
    "realtime.yml": {
        "BucketName": ("functions", "other-functions"),
        "QueueName": ("of-functions", "other-of-functions"),
        "OrganizationId": ("o-0123456789", "o-9876543210"),
        "AlarmTo": ("security@example.com", "on-call@example.com"),
        "OnCallRole": ("", "OnCallToo"),
    },
    "github.yml": {
        "Repository": ("octo-org/iam-users", "octo-org@1/iam-users@2"),
        "MakesProvider": ("", "no"),
    },
    "function-alarms.yml": {"AlarmTopicArn": (TOPIC, TOPIC + "-2")},
}


#: Parameters that one update changes.
_AT_ONCE = 4
#: moto makes no alarms.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto")


def with_on_call(org: LocalOrg, *names: str) -> None:
    """The roles of deploy/runner.yml that others refer to."""
    trust = {"Effect": "Allow", "Principal": {"AWS": MANAGEMENT}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    for name in names or ("OnCall", "OnCallToo"):
        org.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)


def updated(org: LocalOrg, file: str, **given: str) -> Mapping[str, Any]:
    """The stack after an update, the status and all that failed with it."""
    return deploy(org, MANAGEMENT, "tested", (ROOT / "deploy" / file).read_text(), **given)


def first(file: str) -> dict[str, str]:
    """The values of the parameters at first, the defaults too."""
    parameters = read(ROOT / "deploy" / file)["Parameters"]
    return {key: value or str(parameters[key]["Default"]) for key, (value, _) in PARAMETERS[file].items()}


@pytest.mark.whole
@pytest.mark.parametrize("file", sorted(PARAMETERS))
def test_each_parameter_can_be_changed_and_changed_back(org: LocalOrg, file: str) -> None:
    """A few at a time, so that an update meets what the ones before it have changed."""
    before, after = first(file), {key: value for key, (_, value) in PARAMETERS[file].items()}
    assert before.keys() == read(ROOT / "deploy" / file)["Parameters"].keys()
    given = {key: value for key, (value, _) in PARAMETERS[file].items() if value}
    if "OnCallRole" in before:
        with_on_call(org)
    assert updated(org, file, **given)["StackStatus"] == "CREATE_COMPLETE"
    batches = [dict([*after.items()][at : at + _AT_ONCE]) for at in range(0, len(after), _AT_ONCE)]
    for batch in (*batches, before):
        if (bucket := before.get("BucketName")) and batch is before:
            org.client("s3").delete_bucket(Bucket=bucket)  # it was kept when the name changed
        status = updated(org, file, **batch)["StackStatus"]
        assert (status, reasons(org, MANAGEMENT, "tested")) == ("UPDATE_COMPLETE", []), batch


def test_every_template_of_deploy_is_updated_here() -> None:
    assert {path.name for path in (ROOT / "deploy").glob("*.yml")} == PARAMETERS.keys()


def test_an_update_reaches_what_uses_a_parameter(org: LocalOrg) -> None:
    """By Fn::Sub, by a condition, by another resource's name, or in a list."""
    file = "template.yml"
    with_on_call(org)
    updated(org, file, **{key: value for key, (value, _) in PARAMETERS[file].items() if value})
    ecs, events, logs = (org.client(each) for each in ("ecs", "events", "logs"))

    def task() -> str:
        (arn,) = ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"]
        return str(
            ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"][0][
                "image"
            ]
        )

    def targets() -> list[str]:
        names = [each["Name"] for each in events.list_rules()["Rules"]]
        return [each["Arn"] for name in names for each in events.list_targets_by_rule(Rule=name)["Targets"]]

    assert (task(), targets()) == (IMAGE + "0" * 64, [])
    updated(org, file, Image=IMAGE + "1" * 64, AlarmTopicArn=TOPIC, LogRetentionDays="30", Shards="2")
    assert (task(), targets()) == (IMAGE + "1" * 64, [TOPIC])
    assert {each["retentionInDays"] for each in logs.describe_log_groups()["logGroups"]} == {30}
    machines = org.client("stepfunctions")
    (machine,) = machines.list_state_machines()["stateMachines"]
    found = machines.describe_state_machine(stateMachineArn=machine["stateMachineArn"])
    states = json.loads(found["definition"])["States"]
    assert "MathAdd(2, -1)" in states["All shards"]["Parameters"]["shards.$"]
    assert task_of(states) == ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"]
    updated(org, file, AlarmTopicArn="")
    assert targets() == []


def task_of(states: Any) -> list[str]:
    """The task definitions that a definition of states names."""
    text = json.dumps(states)
    return sorted({each.partition('"')[0] for each in text.split('"TaskDefinition": "')[1:]})


def test_a_resource_with_another_name_takes_the_place_of_the_former_one(org: LocalOrg) -> None:
    given = {key: value for key, (value, _) in PARAMETERS["runner.yml"].items() if value}
    updated(org, "runner.yml", **given, NoticesBucket="first-notices")
    updated(org, "runner.yml", QueueName="other-mails", NoticesBucket="later-notices")
    urls = org.client("sqs").list_queues()["QueueUrls"]
    names = {url.rpartition("/")[2] for url in urls}
    assert names >= {"other-mails", "other-mails-unsent"}
    assert not names & {"mails", "mails-unsent"}
    buckets = {each["Name"] for each in org.client("s3").list_buckets()["Buckets"]}
    assert buckets >= {"first-notices", "later-notices"}  # UpdateReplacePolicy: Retain


def test_an_update_that_fails_gives_back_what_it_replaced(org: LocalOrg) -> None:
    given = {key: value for key, (value, _) in PARAMETERS["runner.yml"].items() if value}
    updated(org, "runner.yml", **given)
    org.client("s3", MEMBER).create_bucket(Bucket="taken")
    stack = updated(org, "runner.yml", QueueName="other-mails", NoticesBucket="taken")
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert [each[:2] for each in reasons(org, MANAGEMENT, "tested")] == [("Notices", "CREATE_FAILED")]
    names = {url.rpartition("/")[2] for url in org.client("sqs").list_queues()["QueueUrls"]}
    assert names >= {"mails", "mails-unsent"}
    assert not names & {"other-mails", "other-mails-unsent"}
    assert {
        each["ParameterValue"] for each in stack["Parameters"] if each["ParameterKey"] == "QueueName"
    } == {"mails"}
    assert updated(org, "runner.yml", QueueName="other-mails")["StackStatus"] == "UPDATE_COMPLETE"


def test_a_queue_that_a_guide_s_template_makes_is_not_there(org: LocalOrg) -> None:
    """The names that accounts.yml ships, but for that of c7n-mailer's queue, of which the runbook says it."""
    variables = yaml.safe_load((ROOT / "accounts.yml").read_text())["vars"]
    name = variables["realtime_queue_url"].rpartition("/")[2]
    given = {"BucketName": variables["lambda_bucket"], "OrganizationId": "o-0123456789"}
    template = (ROOT / "deploy" / "realtime.yml").read_text()
    with_on_call(org)
    stack = deploy(
        org, MANAGEMENT, "of-functions", template, **given, QueueName=name, AlarmTo="a@example.com"
    )
    assert stack["StackStatus"] == "CREATE_COMPLETE"
