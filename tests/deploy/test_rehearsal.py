# SPDX-License-Identifier: Apache-2.0
"""The state machine over three accounts in two shards, with processes in place of tasks; one of them is killed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from aws_local_org import LocalOrg
from aws_local_org.call_log import CallRecord
from c7n_iamusers_cli.main import main
from tests.deploy.machine import Machine, Processes
from tests.deploy.template import MANAGEMENT, ROOT, Template, definition
from tests.report.fleet_outputs import Outputs, at

ACCOUNTS = PAYMENTS, *_ = ("111122223333", "444455556666", "777788889999")
ROLE = f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner"
#: Behind flag-and-notify.yml, in one file, as each file is a run of c7n-org.
REMOVE = """
  - name: remove-machines
    resource: aws.iam-user
    source: authorization-details
    filters:
      - {type: unnecessary, kinds: [machine, no-credentials], exempt: none}
    actions: [{type: composite-delete, noticed: none, require: none, active-within: none}]
"""
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
GIVEN = {
    "Shards": "2",
    "Policies": "policies/both.yml",
    "Provision": "policies/provision-intents.yml#iam-users-intents",
    "IdentityCenterRoleArn": ROLE,
    # that of the local organization
    "MemberRole": "CloudCustodian",
}
#: Changing calls that must be made once only; what a Deny-all or a journal is put for again does no harm.
ONCE = ("Delete", "Create", "SendMessage", "Remove", "Detach")


@pytest.fixture
def checkout(org: LocalOrg, tmp_path: Path) -> Path:
    """What the image has, and the buckets; in each account a person and a machine."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    flag = (tmp_path / "policies" / "flag-and-notify.yml").read_text()
    (tmp_path / "policies" / "both.yml").write_text(flag + REMOVE)
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    accounts["vars"] |= {"notices": "s3://outputs/notices?region=us-east-1", "identity_center_role": ROLE}
    (tmp_path / "accounts.yml").write_text(yaml.safe_dump(accounts))
    org.configure(assignment_seconds=0)
    org.client("s3").create_bucket(Bucket="outputs")
    for account in ACCOUNTS:
        iam = org.client("iam", account)
        iam.create_user(UserName="ada", Tags=[{"Key": "Email", "Value": "ada@example.com"}])
        iam.create_login_profile(UserName="ada", Password="correct-Horse-7-battery")
        iam.attach_user_policy(UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
        iam.create_user(UserName="bot")
        for _ in range(2):
            iam.create_access_key(UserName="bot")
    return tmp_path


def environment(org: LocalOrg, checkout: Path) -> Mapping[str, str]:
    """That of the container, and what stands for the machine's own."""
    (container,) = Template(**GIVEN).properties("TaskDefinition")["ContainerDefinitions"]
    own = {"PATH": PATH, "HOME": str(checkout / "home"), "TMPDIR": str(checkout)}
    return {
        **own,
        **org.environment(),
        **{each["Name"]: str(each["Value"]) for each in container["Environment"]},
    }


def test_a_killed_shard_runs_again_and_nothing_happens_twice(
    org: LocalOrg, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes(str(ROOT / "deploy" / "run"), str(checkout), environment(org, checkout))
    record = org.record
    killed: list[CallRecord] = []

    def kill_at(call: CallRecord) -> None:
        """The shard of payments alone dies with its machine right after a deletion, before it learns of it."""
        record(call)
        if not killed and (call.account, call.operation) == (PAYMENTS, "DeleteAccessKey"):
            killed.append(call)
            processes.kill("0")

    monkeypatch.setattr(org, "record", kill_at)
    org.clear_calls()
    machine = Machine(definition(**GIVEN), processes.start)
    assert machine.execute("e-1") == ("SUCCEEDED", "")
    ran = [each.environment.get("SHARD", each.command) for each in machine.tasks]
    assert Counter(ran) == {"0": 2, "1": 1, "finish": 1}
    check_end(org)
    made = Counter(
        (call.account, call.operation, json.dumps(call.parameters, sort_keys=True, default=str))
        for call in org.calls
        if call.operation.startswith(ONCE) and call.error_code is None and call.service != "s3"
    )
    assert len(killed) == 1
    assert {key: count for key, count in made.items() if count > 1} == {}
    assert sum(count for (_, operation, _), count in made.items() if operation == "SendMessage") == 3


def check_end(org: LocalOrg) -> None:
    """Machines are gone, people have access in each account, and the report says so."""
    for account in ACCOUNTS:
        assert [each["UserName"] for each in org.client("iam", account).list_users()["Users"]] == ["ada"]
        assert outcomes(org, account) == {"bot": "deleted"}
    store = org.client("identitystore")
    instance = org.client("sso-admin").list_instances()["Instances"][0]
    people = store.list_users(IdentityStoreId=instance["IdentityStoreId"])["Users"]
    assert [each["UserName"] for each in people] == ["ada@example.com"]
    assigned = [
        call.parameters["TargetId"] for call in org.calls if call.operation == "CreateAccountAssignment"
    ]
    assert sorted(assigned) == sorted(ACCOUNTS)
    listed = org.client("s3").list_objects_v2(Bucket="outputs")["Contents"]
    results = [each["Key"] for each in listed if each["Key"].endswith("/result.json")]
    assert [each.startswith("records/identity-center-runs/") for each in results] == [True]
    page = org.client("s3").get_object(Bucket="outputs", Key="report.html")["Body"].read().decode()
    assert all(account in page for account in ACCOUNTS)


def outcomes(org: LocalOrg, account: str) -> dict[str, str]:
    s3 = org.client("s3")
    listed: list[dict[str, Any]] = s3.list_objects_v2(Bucket="outputs", Prefix="runs/")["Contents"]
    (key,) = [each["Key"] for each in listed if f"{account}/remove-machines/outcomes.json" in each["Key"]]
    rows = json.loads(s3.get_object(Bucket="outputs", Key=key)["Body"].read())
    return {row["user"]: row["status"] for row in rows}


def test_an_account_that_c7n_org_only_logs_fails_the_execution(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """c7n-org ends with 0 where a policy has a variable that the account lacks; no call to AWS is made."""
    Outputs(tmp_path / "output" / "runs").leave(name="research", account="444455556666", policy="flag")
    accounts = [{"name": "payments", "account_id": PAYMENTS, "role": "Reader", "regions": ["us-east-1"]}]
    (tmp_path / "accounts.yml").write_text(yaml.safe_dump({"accounts": accounts}))
    filters = [{"type": "unnecessary", "exempt": "none", "kinds": "{missing}"}]
    flag = {"name": "flag", "resource": "aws.iam-user", "filters": filters}
    (tmp_path / "flag.yml").write_text(yaml.safe_dump({"policies": [flag]}))
    given = {"ACCOUNTS": "accounts.yml", "POLICIES": "flag.yml", "PROVISION": "", "OUTPUT": "output"}
    nowhere = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
    }
    own = {"PATH": PATH, "HOME": str(tmp_path), "TMPDIR": str(tmp_path), **nowhere}
    base = {**own, **given, "SHARDS": "1", "EXECUTION": "e-1"}
    processes = Processes(str(ROOT / "deploy" / "run"), str(tmp_path), base)
    assert processes.start("shard", {"SHARD": "0"})() == 0
    assert "Error running policy in payments" in capfd.readouterr().out
    assert processes.start("finish", {"RAN": "[0]", "STARTED": at(1)})() == 1
    assert f"account {PAYMENTS} (payments): never ran: no run of a policy left" in capfd.readouterr().out


def test_what_a_log_says_fails_no_shard(tmp_path: Path) -> None:
    """Such as the reason of a rule, which somebody wrote."""
    said = "echo exempt by user, reason: Error running policy in prod"
    for name, line in (("c7n-iamusers", "echo accounts"), ("c7n-org", said)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    given = {"ACCOUNTS": "a", "POLICIES": "a.yml", "PROVISION": "", "OUTPUT": "output", "SHARDS": "1"}
    own = {"PATH": f"{tmp_path}{os.pathsep}{PATH}", "TMPDIR": str(tmp_path), "EXECUTION": "e-1"}
    processes = Processes(str(ROOT / "deploy" / "run"), str(tmp_path), {**own, **given})
    assert processes.start("shard", {"SHARD": "0"})() == 0


def finishing(
    tmp_path: Path, printed: str, code: int = 0, of_shard: int = 0, **more: str
) -> tuple[int, list[list[str]]]:
    """The exit code of the last task, and the commands that it ran.

    A command that notes its arguments, and prints ``printed``, stands for c7n-iamusers. As ``report`` it ends with
    ``code``, as ``shard`` with ``of_shard``.
    """
    told = tmp_path / "told"
    command = tmp_path / "c7n-iamusers"
    command.write_text(
        f'#!/bin/sh\necho "$@" >> {told}\ncat {tmp_path}/printed\n[ $1 != report ] || exit {code}\n'
        f"[ $1 != shard ] || exit {of_shard}\n"
    )
    command.chmod(0o755)
    (tmp_path / "printed").write_text(printed)
    given = {
        "PATH": f"{tmp_path}{os.pathsep}{PATH}",
        "TMPDIR": str(tmp_path),
        "ACCOUNTS": "accounts.yml",
        "POLICIES": "policies/a.yml policies/b.yml#of-b",
        "PROVISION": "",
        "OUTPUT": "s3://outputs?region=us-east-1",
        "SHARDS": "16",
        "EXECUTION": "e-1",
        "STARTED": "2026-01-31T06:00:00.123Z",
        "RAN": "[2,5]",
        **more,
    }
    ended = Processes(str(ROOT / "deploy" / "run"), str(tmp_path), given).start("finish", {})()
    return ended, [line.split() for line in told.read_text().splitlines()]


def test_shards_without_an_account_leave_nothing_to_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    empty = CliRunner().invoke(
        main, ["shard", "-c", str(ROOT / "accounts.yml"), "--of", "2000", "--index", "5"]
    )
    assert empty.exit_code == 3
    code, commands = finishing(tmp_path, empty.stdout, of_shard=3, PROVISION="policies/c.yml")
    assert (code, [each[0] for each in commands]) == (0, ["shard"])
    assert "no account is in the shards [2,5] of 16: there is nothing to report" in capfd.readouterr().out


def test_a_shard_that_can_not_be_read_fails_the_task(tmp_path: Path) -> None:
    code, commands = finishing(tmp_path, "", of_shard=1)
    assert (code, [each[0] for each in commands]) == (1, ["shard"])


def test_the_report_is_on_this_execution_and_its_shards(tmp_path: Path) -> None:
    code, (shards, report) = finishing(tmp_path, "accounts: [one]")
    assert code == 0
    users = "--users s3://outputs/users.json?region=us-east-1"
    assert shards == f"shard -c accounts.yml --of 16 --index 2 --index 5 {users}".split()
    part = report.pop(report.index("-c") + 1)
    assert Path(part).parent.parent == tmp_path
    assert (
        report
        == (
            "report -s s3://outputs?region=us-east-1 -c --since 2026-01-31T06:00:00.123Z -u policies/a.yml -u "
            "policies/b.yml#of-b --check --output s3://outputs/report.html?region=us-east-1"
        ).split()
    )


def test_what_all_shards_ran_balances_the_next_execution(tmp_path: Path) -> None:
    """The numbers of a part would move accounts while others are still to run again."""
    _, (_, report) = finishing(tmp_path, "accounts: [one]", SHARDS="2", RAN="[0,1]")
    assert report[report.index("--users-output") + 1] == "s3://outputs/users.json?region=us-east-1"


@pytest.mark.parametrize("execution", ["e-1", "e-2"])
def test_the_records_of_all_executions_lie_in_one_place(tmp_path: Path, execution: str) -> None:
    _, (_, provision, _) = finishing(
        tmp_path,
        "accounts: [one]",
        MEMBER_ROLE="M",
        IDENTITY_CENTER_ROLE="R",
        IDENTITY_CENTER_REGION="us-east-1",
        EXECUTION=execution,
        PROVISION="policies/c.yml#of-c",
    )
    assert (
        provision
        == (
            f"provision apply -s s3://outputs/intents/{execution}?region=us-east-1 --records "
            "s3://outputs/records?region=us-east-1 -c accounts.yml -u policies/c.yml --member-role M --role R --region "
            "us-east-1"
        ).split()
    )


@pytest.mark.parametrize(("code", "ended"), [(0, 0), (3, 0), (1, 1), (2, 1), (143, 1)])
def test_only_what_blocks_the_next_step_fails_the_execution(tmp_path: Path, code: int, ended: int) -> None:
    assert finishing(tmp_path, "accounts: [one]", code)[0] == ended


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"EXECUTION": "7f0c_nightly-1"}, "7f0c_nightly-1", id="execution"),
        pytest.param({"EXECUTION": f"a b:{'x' * 80}"}, f"a-b-{'x' * 45}", id="what-no-session-may-be-named"),
        pytest.param({"EXECUTION": "e-1", "C7N_SESSION_SUFFIX": "mine"}, "mine", id="given"),
    ],
)
def test_c7ns_sessions_are_named_after_the_execution(
    tmp_path: Path, given: dict[str, str], expected: str
) -> None:
    for name, line in (("c7n-iamusers", "echo accounts"), ("c7n-org", 'echo "$C7N_SESSION_SUFFIX" > told')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    base = {
        "ACCOUNTS": "accounts.yml",
        "POLICIES": "a.yml",
        "PROVISION": "",
        "OUTPUT": "output",
        "SHARDS": "1",
    }
    own = {"PATH": f"{tmp_path}{os.pathsep}{PATH}", "TMPDIR": str(tmp_path)}
    processes = Processes(str(ROOT / "deploy" / "run"), str(tmp_path), {**own, **base, **given})
    assert processes.start("shard", {"SHARD": "0"})() == 0
    assert (tmp_path / "told").read_text().strip() == expected
    # RoleSessionName (AssumeRole, STS API reference) has 64 characters at most
    assert len(f"CloudCustodian@{expected}") <= 64


#: Stands for c7n-org: its parent dies of the signal, and its worker finishes what it began and then waits for ever.
WORKS = """#!/usr/bin/env python3
import os, signal, sys, time
from pathlib import Path
note = Path(os.environ["TMPDIR"], "told")
def say(text):
    with note.open("a") as file:
        file.write(text + "\\n")
say(f"began {sys.argv[sys.argv.index('-u') + 1]}")
if os.fork() == 0:
    def finish(*_):
        time.sleep(0.2)
        say("finished its user")
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, finish)
    Path(os.environ["TMPDIR"], "ready").touch()
    time.sleep(600)
time.sleep(600)
"""


def test_a_stopped_task_lets_its_workers_finish_and_begins_nothing_more(tmp_path: Path) -> None:
    for name, text in (("c7n-iamusers", "#!/bin/sh\necho accounts\n"), ("c7n-org", WORKS)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    given = {
        "PATH": f"{tmp_path}{os.pathsep}{PATH}",
        "TMPDIR": str(tmp_path),
        "ACCOUNTS": "a",
        "POLICIES": "a.yml b.yml",
        "PROVISION": "c.yml",
        "OUTPUT": "output",
        "SHARDS": "1",
        "EXECUTION": "e-1",
        "GRACE": "1",
    }
    processes = Processes(str(ROOT / "deploy" / "run"), str(tmp_path), given)
    end = processes.start("shard", {"SHARD": "0"})
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    processes.stop("0")
    assert end() == 143
    assert (tmp_path / "told").read_text().splitlines() == ["began a.yml", "finished its user"]
