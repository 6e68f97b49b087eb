# SPDX-License-Identifier: Apache-2.0
"""The runbook's commands as they are written, in their order, with exactly the roles that its own commands print.

In the local organization with --enforce, in this process. Left to other tests: `pip install` (tests/packaging) and
`rehearse`, which starts an organization of its own (tests/test_readme_rehearsal.py).
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from c7n import mu
from c7n.utils import reset_session_cache
from c7n_mailer.cli import main as c7n_mailer
from c7n_org.cli import cli as c7n_org
from click.testing import CliRunner

from aws_local_org import LocalOrg
from aws_local_org.smtp_sink import SmtpSink
from c7n_iamusers.notices import delivery
from c7n_iamusers_cli.main import main
from tests.full_users import create_full_user
from tests.readme import copy_checkout
from tests.test_runbook import LINES

MANAGEMENT, MEMBER = "123456789012", "111122223333"
RUNNER = f"arn:aws:iam::{MANAGEMENT}:role/Runner"
#: As docs/runbook.md says under "To practise the whole path in minutes"; and places in buckets, as its step 2 says.
VARIABLES = {
    "announce_days": 0,
    "brownout_after_days": 0,
    "listen_after_days": 0,
    "quarantine_after_days": 0,
    "quarantined_for_days": 0.00001,
    "notices": "s3://iam-users-notices/all?region=us-east-1",
    "records": "output/intents",
}
#: "Names to replace", beside those that are the local organization's.
NAMES = {"BUCKET": "example-iam-users-realtime"}
#: Of the templates, those that are not for each member account.
CENTRAL = ("identity-center", "runner", "mailer", "bucket-policy", "queue-policy")
#: What is run elsewhere, and what the checkout's fixture has done by hand.
ELSEWHERE = ("pip install", "c7n-iamusers rehearse")
GUESTS = {"c7n-iamusers": main, "c7n-org": c7n_org}


#: A part of a line -> the users that are left after it.
AFTER = {
    "policies/quarantine.yml -s": {"alice", "bot", "jane.doe"},
    "policies/delete.yml -s": set[str](),
    "--account 111122223333 --user jane.doe": {"jane.doe"},
    "--give-back": {"alice", "jane.doe"},
}


def in_emergency(line: str) -> str:
    """By then jane.doe is restored, so somebody calls for another."""
    return line.replace("jane.doe", "alice") if line.startswith("c7n-iamusers user ") else line


def names(org: LocalOrg) -> set[str]:
    return {each["UserName"] for each in org.client("iam", MEMBER).list_users()["Users"]}


class Reader:
    """Who follows the runbook: in ``directory``, with the credentials that each step says."""

    def __init__(self, org: LocalOrg, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.org, self.directory, self._patch = org, directory, monkeypatch
        self.variables: dict[str, str] = {}
        self.codes: dict[str, int] = {}

    def follow(self, line: str) -> str:
        """What a line prints. It must succeed: `preflight` and `report --check` may ask for a look, and end with 3."""
        for name, value in NAMES.items():
            line = line.replace(name, value)
        line = re.sub(r'"\$(\w+)"', lambda found: self.variables[found[1]], line)
        if assigned := re.fullmatch(r"(\w+)=\$\((.*)\)", line):
            self.variables[assigned[1]] = self._shell(assigned[2]).strip()
            return ""
        command, _, file = line.partition(" > ")
        program, *words = shlex.split(command)
        run = {"aws": self._aws, "c7n-mailer": self._mailer}.get(program)
        if program in GUESTS:
            run = partial(self._python, program)
        if run is None:
            return self._shell(line)
        printed = run(words)
        print(printed)
        if file:
            (self.directory / file.strip()).write_text(printed)
        return printed

    def act_as(self, role: str) -> None:
        """Put the credentials of a role into the environment, or those of an administrator for an empty one."""
        for name, value in self.org.environment().items():
            self._patch.setenv(name, value)
        if role:
            keys = (
                boto3.Session().client("sts").assume_role(RoleArn=role, RoleSessionName="ci")["Credentials"]
            )
            self._patch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
            self._patch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
            self._patch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
        reset_session_cache()

    def _shell(self, line: str) -> str:
        return subprocess.run(
            ["sh", "-ec", line], cwd=self.directory, check=True, capture_output=True, text=True
        ).stdout

    def _python(self, program: str, words: list[str]) -> str:
        reset_session_cache()
        # in this process, and not in one for each account
        debug = ["--debug"] if program == "c7n-org" and words[0] == "run" else []
        found = CliRunner().invoke(GUESTS[program], [*words, *debug])
        checks = words[0] == "preflight" or "--check" in words
        told = f"{program} {' '.join(words)}\n{found.output}\n{found.exception!r}"
        assert found.exit_code in ((0, 3) if checks else (0,)), told
        assert "Error running policy in" not in told
        self.codes[" ".join(words)] = found.exit_code
        return found.stdout

    def _mailer(self, words: list[str]) -> str:
        # the queue's reader is an instance in its account, which there is none of here
        self.act_as(f"arn:aws:iam::{MANAGEMENT}:role/IamUsersMailer")
        self._patch.setattr(sys, "argv", ["c7n-mailer", *words])
        c7n_mailer()
        self.act_as(RUNNER)
        return ""

    def _aws(self, words: list[str]) -> str:
        """As the AWS CLI does, by an administrator of the account that the text names."""
        service, operation, *rest = words
        if service == "cloudformation":
            given = dict(zip(rest[::2], rest[1::2], strict=True))
            name = given["--stack-name"].removeprefix("iam-users-")
            account = MANAGEMENT if name in CENTRAL else MEMBER
            template = (self.directory / given["--template-file"]).read_text()
            deploy(self.org, account, given["--stack-name"], template)
            if name == "mailer":
                # the local organization has no instances
                let_in_the_runner(self.org.client("iam", account), json.loads(template))
            return ""
        assert (service, operation) == ("s3", "cp"), words
        source, target = rest
        bucket, _, key = target.removeprefix("s3://").partition("/")
        self.org.client("s3").put_object(Bucket=bucket, Key=key, Body=(self.directory / source).read_bytes())
        return ""


def deploy(org: LocalOrg, account: str, name: str, template: str) -> None:
    """`aws cloudformation deploy`: makes the stack, or updates it."""
    client = org.client("cloudformation", account)
    known = {each["StackName"] for each in client.describe_stacks()["Stacks"]}
    made = client.create_change_set(
        StackName=name,
        ChangeSetName=f"deploy-{len(known)}",
        ChangeSetType="UPDATE" if name in known else "CREATE",
        TemplateBody=template,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    client.execute_change_set(ChangeSetName=made["Id"], StackName=name)
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def let_in_the_runner(iam: Any, template: Any) -> None:
    name = template["Resources"]["Role"]["Properties"]["RoleName"]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)


@pytest.fixture
def checkout(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkout after what steps 1 to 3 say to do by hand, in an organization without any role for it."""
    path = copy_checkout(tmp_path / "checkout")
    data = yaml.safe_load((path / "accounts.yml").read_text())
    data["vars"] |= VARIABLES
    for account in data["accounts"]:
        account |= {"role": f"arn:aws:iam::{account['account_id']}:role/IamUsersReader", "tags": ["wave:1"]}
    (path / "accounts.yml").write_text(yaml.safe_dump(data))
    (path / "replies").mkdir()
    asked = f'{MEMBER},"jane.doe",,"nightly export",payments-owner@example.com,{date.today() + timedelta(days=90)}'
    (path / "replies" / "a.eml").write_text(f"From: payments-owner@example.com\n\n{asked}\n")
    (path / "output" / "intents").mkdir(parents=True)
    monkeypatch.chdir(path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    iam = org.client("iam")
    iam.detach_role_policy(
        RoleName="IdentityCenterProvisioner", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    iam.delete_role(RoleName="IdentityCenterProvisioner")
    root = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"},
        "Action": "sts:AssumeRole",
    }
    iam.create_role(
        RoleName="Runner", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [root]})
    )
    for bucket in ("iam-users-notices", data["vars"]["lambda_bucket"]):
        org.client("s3").create_bucket(Bucket=bucket)
    create_full_user(org, "bot", path="/ci/").delete_login_profile(UserName="bot")
    for name in ("jane.doe", "alice"):
        email = {"Key": "Email", "Value": f"{name}@example.com"}
        create_full_user(org, name).tag_user(UserName=name, Tags=[email])
    return path


# c7n-mailer's libraries
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_runbook_runs_as_it_is_written(
    org: LocalOrg, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "APART", timedelta(0))
    monkeypatch.setattr(mu, "custodian_archive", lambda packages: mu.PythonPackageArchive(()))
    monkeypatch.setattr(mu.PythonPackageArchive, "get_bytes", lambda _: b"PK\5\6" + bytes(18))
    reader = Reader(org, checkout, monkeypatch)
    org.configure(enforce=True)
    mailer = next(line for line in LINES if line.startswith("c7n-mailer"))
    reader.act_as("")
    mails = checkout.parent / "mails"
    with SmtpSink(mails) as mail:
        file = checkout / "mailer.yml"
        file.write_text(file.read_text().replace(": 2525", f": {mail.port}"))
        for line in LINES:
            if line.startswith("c7n-iamusers owners"):
                reader.act_as(RUNNER)
            if not line.startswith(ELSEWHERE):
                reader.follow(in_emergency(line))
            if line.endswith("-u policies/flag-and-notify.yml -s output/flag --cache-period 0"):
                # as in practice: two readings that find the queue empty
                reader.follow(mailer)
                reader.follow(line)
            if (users := AFTER.get(next((each for each in AFTER if each in line), ""))) is not None:
                assert names(org) == users, line
    denied = [
        (call.service, call.operation, call.account)
        for call in org.calls
        if call.error_code in ("AccessDenied", "AccessDeniedException")
    ]
    assert denied == []
    assert len(list(mails.glob("*.eml"))) >= 4
    check_that_the_guardrail_spares_what_runs(checkout)


def check_that_the_guardrail_spares_what_runs(checkout: Path) -> None:
    """In real time nobody hears of what these roles do, so nobody else may create one of the name."""
    policy = json.loads((checkout / "guardrail.json").read_text())
    spared = {
        arn for each in policy["Statement"] for arn in each["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    }
    variables = yaml.safe_load((checkout / "accounts.yml").read_text())["vars"]
    assert {f"arn:aws:iam::*:role/{variables[name]}" for name in ("runner_role", "restorer_role")} <= spared
