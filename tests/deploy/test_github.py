# SPDX-License-Identifier: Apache-2.0
"""The workflow of GitHub Actions: what its steps run, on the local organization, with the roles of its jobs alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from botocore.exceptions import ClientError
from c7n.utils import reset_session_cache
from click.testing import CliRunner

from aws_local_org import LocalOrg, Settings
from aws_local_org.seed import seed
from c7n_iamusers_cli.main import main
from tests.cli.test_init import deploy_as_the_readme_says
from tests.guides import commands_of as page_commands
from tests.guides import deploy, stack_of
from tests.in_process import short_circuit
from tests.local_org.demo.in_this_process import call, run_in_this_process, working_in
from tests.readme import ROOT

MANAGEMENT, MEMBER = "123456789012", "111122223333"
WORKFLOW = ROOT / "deploy" / "github" / "iam-users.yml"
# moto makes no provider of OIDC
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto")
#: The commands of docs/run-anywhere.md.
PAGE = page_commands("run-anywhere")
OPERATOR = f"arn:aws:iam::{MANAGEMENT}:role/LocalOrgOperator"
JOBS: Mapping[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
#: Job -> the role of its token, and the end of the token's subject.
ROLES = {
    "dry-run": ("IamUsersDryRun", "pull_request"),
    "cycle": ("IamUsersCycle", "environment:iam-users"),
    "mails": ("IamUsersMails", "environment:iam-users-mails"),
}
#: As GitHub runs what a step says (workflow syntax, jobs.<job_id>.steps[*].shell); without a shell, without pipefail.
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], None: ["bash", "-e"]}


@dataclass
class Runner:
    """A machine of GitHub in ``directory``, whose workspace is there, and its home beside it."""

    directory: Path
    environment: Mapping[str, str]

    @property
    def home(self) -> Path:
        return self.directory.parent / "home"

    def begin(self, keys: Mapping[str, str]) -> None:
        """What the actions before the commands leave: a clean machine, with a profile of the job's role."""
        shutil.rmtree(self.home, ignore_errors=True)
        (self.home / ".aws").mkdir(parents=True)
        (self.home / "summary").write_text("")
        lines = [f"{name} = {value}" for name, value in keys.items()]
        (self.home / ".aws" / "credentials").write_text("\n".join(["[github]", *lines, ""]))
        (self.home / ".aws" / "config").write_text("[profile github]\nregion = us-east-1\n")

    def run(self, step: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        places = {
            "HOME": str(self.home),
            "RUNNER_TEMP": str(self.home),
            "GITHUB_STEP_SUMMARY": str(self.home / "summary"),
            "ACCOUNT": MANAGEMENT,
        }
        file = self.home / "step.sh"
        file.write_text(step["run"])
        return subprocess.run(
            [*SHELLS[step.get("shell")], str(file)],
            cwd=self.directory,
            env={**self.environment, **places, **step.get("env", {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def summary(self) -> str:
        return (self.home / "summary").read_text()


def commands_of(job: str) -> list[Mapping[str, Any]]:
    """The steps of a job that are commands, after the installation."""
    found = [each for each in JOBS[job]["steps"] if "run" in each]
    assert found[0]["run"].startswith("pip install --only-binary :all: --require-hashes -r requirements.txt")
    return found[1:]


@pytest.mark.parametrize("job", ["dry-run", "cycle"])
@pytest.mark.parametrize(
    ("code", "ends", "warns"), [(0, 0, False), (3, 0, True), (1, 1, False), (2, 2, False), (143, 143, False)]
)
def test_waiting_is_told_and_what_blocks_fails_the_job(
    tmp_path: Path, job: str, code: int, ends: int, warns: bool
) -> None:
    stub = tmp_path / "bin" / "c7n-iamusers"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\necho "$@: \\`listen\\`"\nexit {code}\n')
    stub.chmod(0o755)
    (tmp_path / "ws").mkdir()
    runner = Runner(tmp_path / "ws", {"PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}"})
    runner.begin({})
    done = runner.run(commands_of(job)[-1])
    assert (done.returncode, "::warning " in done.stdout) == (ends, warns), done
    options = "cycle --dry-run" if job == "dry-run" else "cycle"
    # indented, so that nothing in it is Markdown
    assert runner.summary() == f"    {options}: `listen`\n"


def test_each_job_has_the_rights_and_limits_that_it_needs() -> None:
    data = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert data["permissions"] == {}
    assert set(data["on"]) == {"pull_request", "schedule", "workflow_dispatch"}
    assert set(JOBS) == {*ROLES}
    text = WORKFLOW.read_text(encoding="utf-8")
    assert "secrets." not in text
    for name, job in JOBS.items():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        assert job["timeout-minutes"] < 360
        # of several pull requests each has its own dry run; of two cycles one waits
        assert job["concurrency"]["cancel-in-progress"] is (name == "dry-run")
        _, subject = ROLES[name]
        environment = subject.partition("environment:")[2] or None
        assert job.get("environment") == environment
        assert ("event_name != 'pull_request'" in job["if"]) is bool(environment)
        # what GitHub or a person wrote gets into no command
        assert not any("${{" in str(step.get("run")) for step in job["steps"])
    assert "head.repo.full_name == github.repository" in JOBS["dry-run"]["if"]
    assert JOBS["cycle"]["concurrency"] == {"group": "iam-users", "cancel-in-progress": False}


def test_each_action_is_a_commit_and_says_its_release() -> None:
    used = re.findall(r"uses: (\S+?)@(\S+)(.*)", WORKFLOW.read_text(encoding="utf-8"))
    assert len(used) == 9
    for _, commit, comment in used:
        assert re.fullmatch(r"[0-9a-f]{40}", commit)
        assert re.fullmatch(r"  # v\d+\.\d+\.\d+", comment)


@pytest.fixture(scope="module")
def org(no_local_org: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalOrg]:
    settings = Settings(
        member_accounts=((MEMBER, "payments"),), identity_center_region="eu-central-1", enforce=True
    )
    with LocalOrg(settings) as running:
        yield running


@pytest.fixture(scope="module")
def workspace(org: LocalOrg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace made as docs/run-anywhere.md says, and deployed as its README says."""
    directory = tmp_path_factory.mktemp("repository")
    seed(org, 1, 10)
    org.client("ses").verify_email_identity(EmailAddress="gov@example.com")
    (directory / "dist").mkdir()
    (directory / "dist" / "c7n_iamusers-1.0-py3-none-any.whl").write_bytes(b"wheel")
    shutil.copytree(ROOT / "deploy", directory / "deploy")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in org.environment().items():
            patch.setenv(name, value)
        patch.chdir(directory)
        for line in PAGE:
            follow(org, line)
        deploy_as_the_readme_says(org)
    return directory / "ws"


def follow(org: LocalOrg, line: str) -> None:
    """A command of the page."""
    names = {"OWNER@ID/REPOSITORY@ID": "octo-org@1/iam-users@2", "WORKSPACE": "ws", "YOU": OPERATOR}
    for name, value in names.items():
        line = line.replace(name, value)
    words = shlex.split(line)
    if words[0] == "aws":
        assert words[1:4] == ["cloudformation", "deploy", "--stack-name"]
        given = dict(each.split("=", 1) for each in words if "=" in each)
        deploy(org, MANAGEMENT, words[4], Path(words[words.index("--template-file") + 1]).read_text(), given)
        (operators,) = stack_of(org, MANAGEMENT, words[4])["Outputs"]
        assert any(operators["OutputValue"] in each for each in PAGE)
    elif words[0] == "c7n-iamusers":
        given_at_once = ["--yes", "--contact", "gov@example.com", "--first-account", MEMBER]
        done = CliRunner().invoke(main, [*words[1:], *given_at_once, "--policies", "machines"])
        assert done.exit_code == 3, (done.output, done.exception)
    elif words[0] == "make":
        assert words == ["make", "dist"]
    elif words[0] == "docker":
        follow_docker(words)
    else:
        done_there = subprocess.run(["sh", "-ec", line], capture_output=True, text=True)
        assert done_there.returncode == 0, (line, done_there.stderr)


def follow_docker(words: list[str]) -> None:
    """Docker is not here: that its targets, and what runs in them, are there."""
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)
    if words[1] == "build":
        assert words[words.index("--target") + 1] in stages
        assert Path(words[words.index("-f") + 1]).is_file()
        return
    assert words[1] == "run"
    assert "--read-only" in words
    image = next(each for each in words if each.endswith("_IMAGE"))
    ran = words[words.index(image) + 1 :]
    assert ran == (["cycle"] if image == "CYCLE_IMAGE" else ["--run", "-c", "mailer.yml"])


def keys_of(org: LocalOrg, role: str, **session: str) -> dict[str, str]:
    """What GitHub's token gets: a session of ``role``, which here trusts an administrator for that moment."""
    iam = org.client("iam")
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    principal = {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"}
    open_trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [open_trust]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))
    arn = f"arn:aws:iam::{MANAGEMENT}:role/{role}"
    keys = org.client("sts").assume_role(RoleArn=arn, RoleSessionName="GitHubActions")["Credentials"]
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


@pytest.mark.parametrize("job", [*ROLES])
def test_each_role_trusts_one_job_of_one_repository(org: LocalOrg, workspace: Path, job: str) -> None:
    role, subject = ROLES[job]
    (step,) = (each for each in JOBS[job]["steps"] if "role-to-assume" in each.get("with", {}))
    assert step["with"]["role-to-assume"] == f"arn:aws:iam::${{{{ env.ACCOUNT }}}}:role/{role}"
    found = org.client("iam").get_role(RoleName=role)["Role"]
    assert step["with"].get("role-duration-seconds", 3600) <= found["MaxSessionDuration"]
    (statement,) = found["AssumeRolePolicyDocument"]["Statement"]
    host = "token.actions.githubusercontent.com"
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{MANAGEMENT}:oidc-provider/{host}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{host}:aud": "sts.amazonaws.com",
                f"{host}:sub": f"repo:octo-org@1/iam-users@2:{subject}",
            }
        },
    }


@pytest.mark.parametrize(
    ("job", "role", "session", "allowed"),
    [
        ("dry-run", "Runner", "dry-run", True),
        ("dry-run", "Runner", "cycle", False),
        ("dry-run", "IamUsersMailer", "dry-run", False),
        ("cycle", "Runner", "cycle", True),
        ("cycle", "IamUsersMailer", "cycle", False),
        ("mails", "IamUsersMailer", "mails", True),
        ("mails", "Runner", "mails", False),
    ],
)
def test_each_job_acts_as_its_own_role_alone(
    org: LocalOrg, workspace: Path, job: str, role: str, session: str, allowed: bool
) -> None:
    client = org.client("sts", **keys_of(org, ROLES[job][0]))
    wanted = {"RoleArn": f"arn:aws:iam::{MANAGEMENT}:role/{role}", "RoleSessionName": session}
    if allowed:
        assert client.assume_role(**wanted)["Credentials"]
        return
    with pytest.raises(ClientError, match="AccessDenied"):
        client.assume_role(**wanted)


def test_the_packages_are_installed_by_their_hashes(workspace: Path) -> None:
    digest = hashlib.sha256(b"wheel").hexdigest()
    listed = (workspace / "requirements.txt").read_text()
    assert listed.endswith(f"\n./c7n_iamusers-1.0-py3-none-any.whl --hash=sha256:{digest}\n")
    for job, further in (("dry-run", ""), ("cycle", ""), ("mails", " -r requirements-mailer.txt")):
        line = next(each["run"] for each in JOBS[job]["steps"] if "run" in each)
        assert line == f"pip install --only-binary :all: --require-hashes -r requirements.txt{further}"
        assert all((workspace / each).is_file() for each in re.findall(r"-r (\S+)", line))
    assert (workspace / ".github" / "workflows" / WORKFLOW.name).read_bytes() == WORKFLOW.read_bytes()


@pytest.fixture
def machine(org: LocalOrg, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """A runner whose commands are run in this process, without credentials but those of a profile."""
    named = re.compile("ACCESS_KEY|SESSION_TOKEN|CONFIG_FILE|CREDENTIALS_FILE")
    own = {name: value for name, value in org.environment().items() if not named.search(name)}
    runner = Runner(workspace, {**own, "PATH": os.environ["PATH"]})
    for name in org.environment():
        monkeypatch.delenv(name, raising=False)
    for name, value in {**own, "HOME": str(runner.home), "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    short_circuit(monkeypatch, org)
    run_in_this_process(monkeypatch)
    yield runner
    reset_session_cache()


def exit_code(machine: Runner, job: str) -> int:
    """Run the commands of a job, the last one in this process: in the shell it is in the table above."""
    *prepares, last = commands_of(job)
    for step in prepares:
        assert machine.run(step).returncode == 0
    (line,) = re.findall(r"^c7n-[^|\n]+", last["run"], re.MULTILINE)
    reset_session_cache()
    with working_in(machine.directory), mock.patch.dict(os.environ, last["env"]):
        try:
            call(*line.split())
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def test_the_jobs_do_what_they_say(org: LocalOrg, machine: Runner, capfd: pytest.CaptureFixture[str]) -> None:
    """A list, announcements, and mails, by the profiles that the steps write. Only named places are written to."""
    settings = machine.directory / "iam-users.yml"
    settings.write_text(settings.read_text() + "steps: [announce]\n")
    content, before, said = settings.read_bytes(), written(machine.directory), dict[str, str]()
    for job, (role, _) in ROLES.items():
        settings.write_bytes(content)  # a clean checkout
        machine.begin(keys_of(org, role))
        code = exit_code(machine, job)
        printed = capfd.readouterr()
        said[job] = printed.out
        assert code == 0, printed
        assert {each.name for each in machine.home.iterdir()} <= {".aws", ".cache", "step.sh", "summary"}
    assert [each for each in written(machine.directory) - before if not each.startswith(".cycle/")] == []
    assert re.search(r"^announce +payments \(111122223333\) +\S+ +announced", said["dry-run"], re.MULTILINE)
    assert "announce: ran in 1 account" in said["cycle"]
    assert [each.operation for each in org.calls].count("SendRawEmail") == 1


def written(directory: Path) -> set[str]:
    return {str(each.relative_to(directory)) for each in directory.rglob("*") if each.is_file()}


@pytest.mark.parametrize(("session", "allowed"), [("dry-run", False), ("cycle", True)])
def test_a_dry_run_can_only_read(org: LocalOrg, workspace: Path, session: str, allowed: bool) -> None:
    """Whatever a pull request makes of the workflow: beside reads it is denied what a cycle may do."""
    base = keys_of(org, "IamUsersDryRun" if session == "dry-run" else "IamUsersCycle")
    runner = {"RoleArn": f"arn:aws:iam::{MANAGEMENT}:role/Runner", "RoleSessionName": session}
    found = org.client("sts", **base).assume_role(**runner)["Credentials"]
    keys = {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }
    clients = {name: org.client(name, **keys) for name in ("s3", "sqs", "sts")}
    bucket = f"iam-users-notices-{MANAGEMENT}-us-east-1"
    queue = org.client("sqs").get_queue_url(QueueName="iam-users-mails")["QueueUrl"]

    def assume(account: str, role: str) -> Callable[[], Any]:
        arn = f"arn:aws:iam::{account}:role/{role}"
        return lambda: clients["sts"].assume_role(RoleArn=arn, RoleSessionName="any")

    reads: tuple[Callable[[], Any], ...] = (
        lambda: clients["s3"].list_objects_v2(Bucket=bucket, Prefix="notices/"),
        lambda: clients["sqs"].get_queue_attributes(QueueUrl=queue),
        assume(MEMBER, "IamUsersReader"),
        assume(MANAGEMENT, "IdentityCenterReader"),
    )
    changes: tuple[Callable[[], Any], ...] = (
        lambda: clients["s3"].put_object(Bucket=bucket, Key="notices/x", Body=b""),
        lambda: clients["sqs"].send_message(QueueUrl=queue, MessageBody="x"),
        assume(MEMBER, "IamUsersRemover"),
    )
    for read in reads:
        assert read()
    for change in changes:
        if allowed:
            assert change()
            continue
        with pytest.raises(ClientError, match="AccessDenied"):
            change()
