# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/deploy.md as they are written, and an execution with the stack's own roles, enforced.

Left out: docker. CloudFormation is moto's, which has no schedules.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
import yaml
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.call_log import CallRecord
from aws_local_org.smtp_sink import SmtpSink
from tests.deploy.machine import Machine, Processes
from tests.deploy.template import MANAGEMENT, Template, definition
from tests.deploy.test_rehearsal import PATH
from tests.guides import RUNBOOK_LINES, Reader, client_of, commands_of, credentials_of, stack_of
from tests.readme import ROOT

#: Left out: what docker does, and whose output it takes.
FIRST, SECOND, *LINES = (line for line in commands_of("deploy") if "docker " not in line)
#: Trying tasks on this machine, and what on-call people do.
TRUST = [line for line in LINES if line.startswith("aws iam update-assume-role-policy")]
TRY = [line for line in LINES if line.startswith("began=") or "deploy/run " in line]
EXEMPT = next(line for line in LINES if line.startswith("deploy/as OnCall"))
ACCOUNTS = ("111122223333", "444455556666")
#: Of step 3 of the runbook what follows its first command, without stack sets, up to the runner's shell.
RUNBOOK = RUNBOOK_LINES
ROLES = RUNBOOK[RUNBOOK.index("deploy/roles") : RUNBOOK.index("deploy/as Runner sh") + 1]
STOP = [line for line in RUNBOOK if "PREFIX/STOP" in line]
MAILER = next(line for line in RUNBOOK if "--stack-name iam-users-mailer " in line)
ROLE_OUTPUTS = {"SHARD_ROLE": "ShardRoleArn", "WRITER_ROLE": "WriterRoleArn"}
ROLE = f"arn:aws:iam::{MANAGEMENT}:role"
#: "Names to replace".
NAMES = {
    "MACHINE": f"arn:aws:iam::{MANAGEMENT}:root",
    "PEOPLE": f"arn:aws:iam::{MANAGEMENT}:root",
    "QUEUE": "iam-users-mail",
    "PREFIX": "notices",
    "REGION": "us-east-1",
    "TAG": "1",
    "SUBNET_A": "subnet-1",
    "SUBNET_B": "subnet-2",
    "=VPC": "=vpc-1",
    "=IMAGE": f"={MANAGEMENT}.dkr.ecr.us-east-1.amazonaws.com/iam-users@sha256:{'0' * 64}",
}

pytestmark = [
    pytest.mark.usefixtures("same_logging"),
    pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto"),
]


@pytest.fixture
def checkout(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the image has, in an organization without the roles; in each account a person and a machine."""
    path = tmp_path / "checkout"
    shutil.copytree(ROOT / "policies", path / "policies")
    shutil.copytree(ROOT / "deploy", path / "deploy")
    mailer = (ROOT / "mailer.yml").read_text()
    (path / "mailer.yml").write_text(mailer.replace("/c7n-mailer", f"/{NAMES['QUEUE']}"))
    data = yaml.safe_load((ROOT / "accounts.yml").read_text())
    data["vars"] |= {
        "queue_url": f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/{NAMES['QUEUE']}",
        "identity_center_role": f"{ROLE}/IdentityCenterReader",
    }
    data["accounts"] = [each for each in data["accounts"] if each["account_id"] in ACCOUNTS]
    for account in data["accounts"]:
        account["role"] = f"arn:aws:iam::{account['account_id']}:role/IamUsersReader"
    (path / "accounts.yml").write_text(yaml.safe_dump(data))
    monkeypatch.chdir(path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", PATH)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for account_id in ACCOUNTS:
        iam = org.client("iam", account_id)
        iam.create_user(UserName="ada", Tags=[{"Key": "Email", "Value": "ada@example.com"}])
        iam.create_login_profile(UserName="ada", Password="correct-Horse-7-battery")
        iam.attach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
        iam.create_user(UserName="bot")
    return path


def by_hand(checkout: Path, bucket: str) -> None:
    """Step 4: the places in the bucket."""
    path = checkout / "accounts.yml"
    data = yaml.safe_load(path.read_text())
    data["vars"] |= {
        "notices": f"s3://{bucket}/notices?region=us-east-1",
        "records": f"s3://{bucket}/records?region=us-east-1",
    }
    path.write_text(yaml.safe_dump(data))


def test_the_guide_runs_as_it_is_written(
    org: LocalOrg, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.configure(enforce=True, assignment_seconds=0)
    reader = Reader(org, checkout, monkeypatch)
    with SmtpSink(tmp_path / "mails") as mail:
        file = checkout / "mailer.yml"
        file.write_text(file.read_text().replace(": 2525", f": {mail.port}"))
        outputs, removing = set_up(reader)
    org.clear_calls()
    before, tasks = files(checkout), Tasks(org, checkout, outputs)
    monkeypatch.setattr(org, "record", tasks.stop_once_it_assigns(org.record))
    machine = Machine(definition(Shards="1"), tasks.start)
    # the last task is stopped as it provisions, and run again, as a redriven execution does
    assert machine.execute("e-1") == ("FAILED", "States.TaskFailed")
    last = machine.tasks[-1]
    assert (last.command, last.code) == ("finish", 143)
    assert locks(org, outputs["BucketName"]) == []
    assert tasks.start(last.command, last.environment)() == 0
    # whatever a task writes on its machine, it writes to /work
    assert files(checkout) == before
    check_end(org, outputs["BucketName"])
    reader.act_as(outputs["ShardRoleArn"])
    reader.follow(FIRST)
    reader.follow(SECOND)
    try_tasks(reader, outputs, removing)
    for line in (*STOP, EXEMPT):
        reader.follow(line)
    assert denied(org) == []
    check_that_tasks_are_apart(org, outputs, removing)
    check_that_only_on_call_stops_and_exempts(org, outputs["BucketName"])


def try_tasks(reader: Reader, first: Mapping[str, str], second: Mapping[str, str]) -> None:
    """As the guide says; of the second stack only the last task runs as a process."""
    reader.names |= names_of(first)
    reader.act_as("")
    for line in TRY:
        reader.follow(line)
    given = stack_parameters(reader.org, second["Name"])
    reader.names |= names_of(second)
    reader.act_as(second["ShardRoleArn"])
    for file in given["Policies"].split():
        place = "s3://BUCKET/runs?region=REGION"
        reader.follow(f"c7n-org run -c {given['Accounts']} -u {file} -s {place} --cache-period 0")
    reader.act_as("")
    last = re.sub('POLICIES="[^"]+"', f'POLICIES="{given["Policies"]}"', TRY[-1])
    reader.follow(last.replace("accounts.yml", given["Accounts"]))
    reader.names |= names_of(first)


def names_of(stack: Mapping[str, str]) -> dict[str, str]:
    """What the guide calls the outputs of a stack."""
    roles = {name: stack[output].rpartition("/")[2] for name, output in ROLE_OUTPUTS.items()}
    return {**roles, "BUCKET": stack["BucketName"]}


def check_that_only_on_call_stops_and_exempts(org: LocalOrg, bucket: str) -> None:
    found = {}
    for name in ("Runner", "OnCall"):
        s3 = client_of(org, "s3", f"{ROLE}/{name}")
        found[name] = [
            is_allowed(partial(call, Bucket=bucket, Key=key))
            for call, key in (
                (s3.put_object, "exemptions/exemptions.csv"),
                (s3.delete_object, f"notices/{ACCOUNTS[0]}/STOP"),
                (s3.delete_object, "notices/a.json"),
                (s3.delete_object, "exemptions/exemptions.csv"),
            )
        ]
    assert found == {"Runner": [False] * 4, "OnCall": [True, True, False, False]}


def is_allowed(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


def check_that_tasks_are_apart(
    org: LocalOrg, outputs: Mapping[str, str], removing: Mapping[str, str]
) -> None:
    """Who may act as which role: the last task alone provisions, and no task gives users back."""
    member = f"arn:aws:iam::{ACCOUNTS[0]}:role"
    roles = {
        "reads": f"{member}/IamUsersReader",
        "removes": f"{member}/IamUsersRemover",
        "restores": f"{member}/IamUsersRestorer",
        "reads-center": f"{ROLE}/IdentityCenterReader",
        "provisions": f"{ROLE}/IdentityCenterProvisioner",
    }
    callers = {
        "Runner": f"{ROLE}/Runner",
        "shard": outputs["ShardRoleArn"],
        "writer": outputs["WriterRoleArn"],
        "removing shard": removing["ShardRoleArn"],
    }
    found = {
        caller: {name for name, role in roles.items() if can_assume(org, arn, role)}
        for caller, arn in callers.items()
    }
    assert found == {
        "Runner": {"reads", "removes", "reads-center"},
        "shard": {"reads", "reads-center"},
        "writer": {"reads", "provisions"},
        "removing shard": {"removes", "reads-center"},
    }


def can_assume(org: LocalOrg, caller: str, role: str) -> bool:
    sts = client_of(org, "sts", caller)
    return is_allowed(lambda: sts.assume_role(RoleArn=role, RoleSessionName="test"))


def set_up(reader: Reader) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Follow the lines before an execution; the outputs of the two stacks."""
    reader.names |= {**NAMES, **reader.organization()}
    outputs = dict[str, Mapping[str, str]]()
    for line in LINES:
        if line in (*TRY, *TRUST, EXEMPT):
            continue
        if line.startswith("c7n-iamusers preflight") and "roles" not in outputs:
            create_roles(reader, outputs)
        if line.startswith("aws ecr describe-images"):
            image = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {},
            }
            reader.org.client("ecr").put_image(
                repositoryName="iam-users", imageManifest=json.dumps(image), imageTag=NAMES["TAG"]
            )
        reader.follow(line)
        if stack := re.search("--stack-name (iam-users|iam-users-remove) ", line):
            outputs[stack[1]] = outputs_of(reader, stack[1])
            reader.names["BUCKET"] = outputs["iam-users"]["BucketName"]
            by_hand(reader.directory, reader.names["BUCKET"])
    reader.act_as("")
    return outputs["iam-users"], outputs["iam-users-remove"]


def create_roles(reader: Reader, outputs: dict[str, Mapping[str, str]]) -> None:
    """Steps 5 and 6: what the runbook says there."""
    first, removing = outputs["iam-users"], outputs["iam-users-remove"]
    outputs["roles"] = {}
    reader.fill_in(
        MAILER_BY=NAMES["MACHINE"],
        SHARD=first["ShardRoleArn"],
        WRITER=first["WriterRoleArn"],
        REMOVING_SHARD=removing["ShardRoleArn"],
        OUTPUT=f"s3://{first['BucketName']}/runs s3://{removing['BucketName']}/runs",
    )
    shell = ROLES[-1]
    for line in (*(each for each in ROLES if "stack-set" not in each and each != shell), MAILER, shell):
        reader.follow(line)


def outputs_of(reader: Reader, name: str) -> dict[str, str]:
    """Those of a stack, and its name. Administrators can be its tasks, as there is no ECS: the guide says how."""
    stack = stack_of(reader.org, MANAGEMENT, name)
    found = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]} | {"Name": name}
    reader.names |= names_of(found)
    for line in TRUST:
        reader.follow(line)
    return found


def stack_parameters(org: LocalOrg, name: str) -> dict[str, str]:
    given = stack_of(org, MANAGEMENT, name)["Parameters"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in given}


def denied(org: LocalOrg) -> list[tuple[str, str]]:
    codes = ("AccessDenied", "AccessDeniedException")
    return [(call.service, call.operation) for call in org.calls if call.error_code in codes]


def files(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def locks(org: LocalOrg, bucket: str) -> list[str]:
    listed = org.client("s3").list_objects_v2(Bucket=bucket).get("Contents", ())
    return [each["Key"] for each in listed if each["Key"].endswith(".lock")]


def check_end(org: LocalOrg, bucket: str) -> None:
    """People have access in each account, owners are told, and the report says so."""
    assigned = [
        call.parameters["TargetId"] for call in org.calls if call.operation == "CreateAccountAssignment"
    ]
    assert sorted(assigned) == sorted(ACCOUNTS)
    assert sum(call.operation == "SendMessage" for call in org.calls) >= len(ACCOUNTS)
    counted = org.client("s3").get_object(Bucket=bucket, Key="users.json")["Body"].read()
    assert json.loads(counted) == dict.fromkeys(ACCOUNTS, 2)
    page = org.client("s3").get_object(Bucket=bucket, Key="report.html")["Body"].read().decode()
    assert all(account in page for account in ACCOUNTS)


class Tasks:
    """Tasks as processes with the credentials that ECS gives them, and the environment of container and image."""

    def __init__(self, org: LocalOrg, checkout: Path, outputs: Mapping[str, str]) -> None:
        self._org, self._outputs = org, outputs
        given = {
            **stack_parameters(org, outputs["Name"]),
            "Shards": "1",
            "Bucket": outputs["BucketName"],
        }
        (container,) = Template(**given).properties("TaskDefinition")["ContainerDefinitions"]
        assert container["ReadonlyRootFilesystem"] is True
        assert [each["ContainerPath"] for each in container["MountPoints"]] == ["/work"]
        dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
        assert "HOME=/work TMPDIR=/work" in dockerfile
        work = checkout.parent / "work"
        work.mkdir()
        own = {"PATH": PATH, "HOME": str(work), "TMPDIR": str(work), "PYTHONDONTWRITEBYTECODE": "1"}
        declared = {each["Name"]: str(each["Value"]) for each in container["Environment"]}
        self._processes = Processes(
            str(checkout / "deploy" / "run"), str(checkout), {**own, "GRACE": "5", **declared}
        )
        self._stopped = False

    def start(self, command: str, environment: Mapping[str, str]) -> Callable[[], int]:
        role = self._outputs["WriterRoleArn" if command == "finish" else "ShardRoleArn"]
        return self._processes.start(command, {**credentials_of(self._org, role), **environment})

    def stop_once_it_assigns(self, record: Callable[[CallRecord], None]) -> Callable[[CallRecord], None]:
        def recorded(call: CallRecord) -> None:
            record(call)
            if not self._stopped and call.operation == "CreateAccountAssignment":
                self._stopped = True
                self._processes.stop("finish")

        return recorded
