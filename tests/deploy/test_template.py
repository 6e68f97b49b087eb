# SPDX-License-Identifier: Apache-2.0
"""The template's state machine, and that its roles suffice."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from click.testing import CliRunner

from aws_local_org.enforcement import Policies, refusal
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.policy_comparison.evaluation import Request
from c7n_iamusers.text.times import moment
from c7n_iamusers_cli.main import main
from tests.deploy.machine import Machine
from tests.deploy.template import MANAGEMENT, ROOT, Template, definition

CENTER = f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner"
KEY = f"arn:aws:kms:us-east-1:{MANAGEMENT}:key/00000000-0000-0000-0000-000000000000"
#: "Task definition parameters for Fargate" of the Developer Guide of ECS: units of CPU -> MiB of memory.
FARGATE = {
    256: {512, 1024, 2048},
    512: {*range(1024, 4097, 1024)},
    1024: {*range(2048, 8193, 1024)},
    2048: {*range(4096, 16385, 1024)},
    4096: {*range(8192, 30721, 1024)},
    8192: {*range(16384, 61441, 4096)},
    16384: {*range(32768, 122881, 8192)},
}
QUEUE = f"arn:aws:sqs:us-east-1:{MANAGEMENT}:c7n-mailer"


def definition_errors(text: str) -> list[str]:
    """What cfn-lint finds in a definition. It checks none that has functions in it, as the template's has."""
    # more than a second to import, in each worker that only collects this file
    from cfnlint.api import ManualArgs, lint

    properties = {"RoleArn": f"arn:aws:iam::{MANAGEMENT}:role/R", "DefinitionString": text}
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    found = lint(json.dumps({"Resources": {"M": machine}}), config=ManualArgs())
    return [str(each.message) for each in found]


def test_the_definition_is_valid() -> None:
    text = json.dumps(definition())
    assert definition_errors(text) == []
    assert definition_errors(text.replace('"ErrorEquals"', '"Errors"')) != []


def role(name: str, **given: str) -> Policies:
    """The policies of a role of the template."""
    found = Template(MailQueueArn=QUEUE, **given).properties(name)["Policies"]
    return Policies(tuple(json.dumps(each["PolicyDocument"]) for each in found))


def denied(policies: Policies, action: str, resource: str, **context: str) -> str:
    keys = {"aws:resourceorgid": "o-1", "aws:principalorgid": "o-1", **context}
    return refusal(Request(action, resource, keys), policies)


def needed(kind: str) -> list[tuple[str, str]]:
    """What `c7n-iamusers roles` prints for the runner, with a resource for each pattern."""
    names = ("flag-and-notify", "remind", "provision-intents", "delete")
    files = [f"--policy={ROOT}/policies/{each}.yml" for each in names]
    members = ["--remover", "IamUsersReader", "--reader", "IamUsersReader"]
    places = ["-c", str(ROOT / "accounts.yml"), "-s", "s3://outputs/runs"]
    options = ["--runner", f"arn:aws:iam::{MANAGEMENT}:role/Runner", "--role", kind, "--format", "json"]
    printed = CliRunner().invoke(main, ["roles", *files, *members, *places, *options])
    assert printed.exit_code == 0, printed.output
    statements = json.loads(printed.stdout)["PolicyDocument"]["Statement"]
    return [
        (action, resource.replace("*", "444455556666"))
        for each in statements
        for action in each["Action"]
        for resource in each["Resource"]
    ]


def test_a_shard_may_do_what_the_policies_take() -> None:
    allowed = role("ShardRole", IdentityCenterReaderRoleArn=CENTER)
    asked = needed("runner")
    assert {action for action, _ in asked} >= {"sts:AssumeRole", "sqs:SendMessage", "s3:PutObject"}
    asked.append(("s3:GetObject", "arn:aws:s3:::outputs/exemptions/exemptions.csv"))
    asked.append(("s3:GetObject", "arn:aws:s3:::outputs/records/identity-center-runs/1/result.json"))
    assert [each for each in asked if denied(allowed, *each)] == []


@pytest.mark.parametrize(
    ("name", "action", "resource", "context"),
    [
        pytest.param("ShardRole", "sts:AssumeRole", CENTER, {}, id="only the last task provisions"),
        pytest.param(
            "ShardRole", "s3:DeleteObject", "arn:aws:s3:::outputs/runs/x", {}, id="a shard removes nothing"
        ),
        pytest.param(
            "ShardRole", "s3:PutObject", "arn:aws:s3:::outputs/exemptions/x", {}, id="a shard exempts nobody"
        ),
        pytest.param(
            "WriterRole", "s3:PutObject", "arn:aws:s3:::outputs/runs/x", {}, id="the last task reads runs"
        ),
        pytest.param(
            "ShardRole",
            "s3:PutObject",
            "arn:aws:s3:::outputs/records/identity-center-runs/former.json",
            {},
            id="a shard records no provisioning",
        ),
        pytest.param(
            "ShardRole",
            "sts:AssumeRole",
            "arn:aws:iam::999999999999:role/IamUsersReader",
            {"aws:resourceorgid": "o-2"},
            id="no role of another organization",
        ),
        pytest.param(
            "StateMachineRole",
            "iam:PassRole",
            f"arn:aws:iam::{MANAGEMENT}:role/Admin",
            {"iam:passedtoservice": "ecs-tasks.amazonaws.com"},
            id="no other role",
        ),
    ],
)
def test_a_role_may_do_no_more(name: str, action: str, resource: str, context: Mapping[str, str]) -> None:
    assert denied(role(name, IdentityCenterRoleArn=CENTER), action, resource, **context) != ""


def test_the_last_task_may_provision_and_report() -> None:
    provisions = role("WriterRole", Provision="p.yml#p", IdentityCenterRoleArn=CENTER)
    reports = role("WriterRole", IdentityCenterRoleArn=CENTER)
    outputs = "arn:aws:s3:::outputs"
    for action, resource, also_without in (
        ("sts:AssumeRole", CENTER, False),
        ("sts:AssumeRole", "arn:aws:iam::444455556666:role/IamUsersReader", False),
        ("s3:GetObject", f"{outputs}/runs/payments/us-east-1/p/2026/01/01/00/resources.json.gz", True),
        ("s3:PutObject", f"{outputs}/records/identity-center-runs/.lock", False),
        ("s3:DeleteObject", f"{outputs}/records/identity-center-runs/.lock", False),
        ("s3:PutObject", f"{outputs}/report.html", True),
    ):
        assert denied(provisions, action, resource) == ""
        assert (denied(reports, action, resource) == "") == also_without, (action, resource)


class Ends:
    """Tasks that end with the given codes, by shard or command; with 0 where none is left."""

    def __init__(self, **codes: list[int]) -> None:
        self._codes = codes

    def start(self, command: str, environment: Mapping[str, str]) -> Callable[[], int]:
        codes = self._codes.get(f"shard_{environment['SHARD']}" if command == "shard" else command, [])
        return lambda: codes.pop(0) if codes else 0


@pytest.mark.parametrize(
    ("codes", "given", "ended", "ran"),
    [
        pytest.param({}, {}, ("SUCCEEDED", ""), ["0", "1", "2", "finish"], id="all shards"),
        pytest.param({}, {"shards": [2]}, ("SUCCEEDED", ""), ["2", "finish"], id="one shard"),
        pytest.param(
            {},
            {"shards": [2, 0, 2]},
            ("SUCCEEDED", ""),
            ["0", "2", "finish"],
            id="a shard named twice runs once",
        ),
        pytest.param(
            {"shard_1": [137]},
            {},
            ("SUCCEEDED", ""),
            ["0", "1", "1", "2", "finish"],
            id="a failed one alone again",
        ),
        pytest.param(
            {"shard_1": [1, 1]},
            {},
            ("FAILED", "ShardsFailed"),
            ["0", "1", "1", "2", "finish"],
            id="the last task comes whatever the shards' end",
        ),
        pytest.param(
            {"finish": [1]},
            {"shards": [0]},
            ("FAILED", "States.TaskFailed"),
            ["0", "finish"],
            id="the last task is not repeated",
        ),
    ],
)
def test_the_state_machine(
    codes: dict[str, list[int]], given: dict[str, Any], ended: tuple[str, str], ran: list[str]
) -> None:
    machine, began = Machine(definition(Shards="3"), Ends(**codes).start), utc_now().replace(microsecond=0)
    assert machine.execute("e-1", **given) == ended
    assert sorted(each.environment.get("SHARD", each.command) for each in machine.tasks) == ran
    assert {each.environment["EXECUTION"] for each in machine.tasks} == {"e-1"}
    last = machine.tasks[-1]
    assert last.command == "finish"
    started = moment(last.environment["STARTED"])
    assert started
    assert began <= started <= utc_now()
    assert set(json.loads(last.environment["RAN"])) == {int(each) for each in ran if each != "finish"}
    assert machine.tasks[-1].parameters["Overrides"]["TaskRoleArn"] == "arn:aws:WriterRole.Arn"
    assert machine.waits == [120][: len(ran) - len(set(ran))]


def test_the_last_task_comes_although_too_many_shards_failed() -> None:
    # see interpreter.py: an inline map stands for one whose tolerated failures are exceeded
    text = json.dumps(definition(Shards="1")).replace("DISTRIBUTED", "INLINE")
    machine = Machine(json.loads(text), Ends(shard_0=[1, 1]).start)
    assert machine.execute("e-1") == ("FAILED", "ShardsFailed")
    assert [each.command for each in machine.tasks] == ["shard", "shard", "finish"]


@pytest.mark.parametrize(
    ("running", "ended"),
    [
        pytest.param(["e-1", "e-0"], ("FAILED", "AnotherExecution"), id="an older one runs"),
        pytest.param(["e-2", "e-1"], ("SUCCEEDED", ""), id="the older one goes on"),
        pytest.param(["e-0"], ("FAILED", "AnotherExecution"), id="another is listed, this one not yet"),
        pytest.param([], ("SUCCEEDED", ""), id="none is listed yet"),
    ],
)
def test_one_execution_at_a_time(running: list[str], ended: tuple[str, str]) -> None:
    machine = Machine(definition(Shards="1"), Ends().start, running)
    assert machine.execute("e-1") == ended
    assert len(machine.tasks) == (0 if ended[1] else 2)


@pytest.mark.parametrize(
    "shards",
    [
        pytest.param([], id="none"),
        pytest.param(None, id="null"),
        pytest.param("12", id="a text"),
        pytest.param(2, id="a number"),
        pytest.param({"0": 0}, id="a mapping"),
        pytest.param([1, "2"], id="a number as text"),
        pytest.param([0, 3], id="one shard too far"),
        pytest.param([-1], id="below 0"),
        pytest.param([1.5], id="a fraction"),
        pytest.param([None], id="null in the list"),
    ],
)
def test_an_input_that_names_no_shards_starts_no_task(shards: Any) -> None:
    machine = Machine(definition(Shards="3"), Ends().start)
    assert machine.execute("e-1", shards=shards) == ("FAILED", "InvalidShards")
    assert machine.tasks == []


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [
        pytest.param("aws", "us-east-1", "com", id="aws"),
        pytest.param("aws-cn", "cn-north-1", "com.cn", id="China"),
        pytest.param("aws-eusc", "eusc-de-east-1", "eu", id="European Sovereign Cloud"),
        pytest.param("aws-us-gov", "us-gov-west-1", "com", id="GovCloud"),
    ],
)
def test_the_image_has_a_digest_and_its_repository_is_the_only_one(
    partition: str, region: str, suffix: str
) -> None:
    repository = f"{MANAGEMENT}.dkr.ecr.{region}.amazonaws.{suffix}/c7n/iam.eu/users"
    image = f"{repository}@sha256:{'0' * 64}"
    allowed = re.compile(Template().data["Parameters"]["Image"]["AllowedPattern"])
    assert allowed.fullmatch(image)
    assert not allowed.fullmatch(f"{repository}:latest")
    given = {"Image": image, "AWS::Partition": partition, "AWS::Region": region}
    statements = json.loads(role("ExecutionRole", **given).own[0])["Statement"]
    assert (
        statements[1]["Resource"] == f"arn:{partition}:ecr:{region}:{MANAGEMENT}:repository/c7n/iam.eu/users"
    )


def test_each_size_of_a_task_is_one_that_fargate_has() -> None:
    parameters = Template().data["Parameters"]
    for name in ("ShardSize", "LastSize"):
        sizes = [tuple(map(int, each.split("/"))) for each in parameters[name]["AllowedValues"]]
        assert parameters[name]["Default"] in parameters[name]["AllowedValues"]
        assert [size for size in sizes if size[1] not in FARGATE.get(size[0], ())] == []


def test_the_last_task_may_have_more_memory_than_the_shards() -> None:
    given = {"ShardSize": "512/2048", "LastSize": "2048/16384", "Shards": "1"}
    task = Template(**given).properties("TaskDefinition")
    assert (task["Cpu"], task["Memory"]) == ("512", "2048")
    machine = Machine(definition(**given), Ends().start)
    machine.execute("e-1")
    shard, last = (each.parameters["Overrides"] for each in machine.tasks)
    assert (last["Cpu"], last["Memory"]) == ("2048", "16384")
    assert not shard.keys() & {"Cpu", "Memory"}


def test_a_key_encrypts_the_outputs_and_logs_and_the_tasks_may_use_it() -> None:
    given = {"KmsKeyArn": KEY}
    for name in ("TaskLogs", "StateMachineLogs"):
        assert Template(**given).properties(name)["KmsKeyId"] == KEY
        assert "KmsKeyId" not in Template().properties(name)
    (rule,) = Template(**given).properties("Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    (container,) = Template(**given).properties("TaskDefinition")["ContainerDefinitions"]
    output = {each["Name"]: each["Value"] for each in container["Environment"]}["OUTPUT"]
    # c7n and this package ask for AES256 otherwise, whatever the bucket's default is
    assert parse_qs(urlparse(output).query) == {"region": ["us-east-1"], "kms-key": [KEY]}
    for name in ("ShardRole", "WriterRole"):
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            assert denied(role(name, **given), action, KEY) == ""
            assert denied(role(name), action, KEY) != ""


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_a_topic_hears_of_executions_that_fail(status: str) -> None:
    topic = f"arn:aws:sns:us-east-1:{MANAGEMENT}:on-call"
    template = Template(AlarmTopicArn=topic)
    rule = template.properties("FailedExecutions")
    assert [each["Arn"] for each in rule["Targets"]] == [topic]
    pattern = rule["EventPattern"]
    assert status in pattern["detail"]["status"]
    assert "SUCCEEDED" not in pattern["detail"]["status"]
    assert pattern["detail"]["stateMachineArn"] == [template.known["StateMachine"]]
    assert template.data["Resources"]["FailedExecutions"]["Condition"] == "HasAlarmTopic"


def test_a_topic_hears_of_what_did_not_start() -> None:
    topic = f"arn:aws:sns:us-east-1:{MANAGEMENT}:on-call"
    template = Template(AlarmTopicArn=topic, StartsWithinHours="30")
    alarm = template.properties("NotStarted")
    machine = {"Name": "StateMachineArn", "Value": template.known["StateMachine"]}
    assert (alarm["MetricName"], alarm["Dimensions"]) == ("ExecutionsStarted", [machine])
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["TreatMissingData"]) == (
        3600,
        "30",
        "breaching",
    )
    # a disabled schedule starts nothing
    conditions, resources = template.data["Conditions"], template.data["Resources"]
    assert resources["NotStarted"]["Condition"] == "WatchesSchedule"
    assert {"Equals": [{"Ref": "ScheduleState"}, "ENABLED"]} in conditions["WatchesSchedule"]["And"]
    target = template.properties("Schedule")["Target"]
    statements = json.loads(role("ScheduleRole").own[0])["Statement"]
    queue = target["DeadLetterConfig"]["Arn"]
    assert {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue} in statements
    assert template.properties("UndeliveredStarts")["AlarmActions"] == [topic]


def test_what_is_written_is_kept_unless_somebody_says_otherwise() -> None:
    bucket = Template().properties("Bucket")
    assert bucket["ObjectLockEnabled"] is True
    rule = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert rule == {"Mode": "GOVERNANCE", "Days": 400}
    assert "ObjectLockConfiguration" not in Template(ObjectLockDays=0).properties("Bucket")
    for name in ("ShardRole", "WriterRole"):
        for action in ("s3:BypassGovernanceRetention", "s3:DeleteObjectVersion"):
            assert denied(role(name), action, "arn:aws:s3:::outputs/runs/x") != ""


def test_the_image_is_built_on_a_digest_alone() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    assert "ARG BASE" in lines
    (check,) = (line.removeprefix("RUN ") for line in lines if "sha256" in line and line.startswith("RUN"))
    for base, code in (("python:3.13@sha256:0", 0), ("python:3.13", 1), ("", 1)):
        assert subprocess.run(["sh", "-c", check], env={"BASE": base}, capture_output=True).returncode == code
