# SPDX-License-Identifier: Apache-2.0
"""The runbook's commands as they are written, in their order, with exactly the roles that its own commands print.

In the local organization with --enforce, in this process. Left to other tests: `pip install` (tests/packaging) and
`rehearse`, which starts an organization of its own (tests/test_readme_rehearsal.py).
"""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from botocore.exceptions import ClientError
from c7n import mu

from aws_local_org import LocalOrg
from aws_local_org.smtp_sink import SmtpSink
from c7n_iamusers.notices import delivery
from tests.full_users import create_full_user
from tests.guides import MANAGEMENT, MEMBER, RUNBOOK_LINES, Reader, credentials_of
from tests.readme import ROOT, copy_checkout

LINES = RUNBOOK_LINES
#: As docs/runbook.md says under "To practise the whole path in minutes"; and places in buckets, as its step 2 says.
VARIABLES = {
    "announce_days": 0,
    "brownout_after_days": 0,
    "listen_after_days": 0,
    "quarantine_after_days": 0,
    "quarantined_for_days": 0.00001,
    "notices": "s3://iam-users-notices/all?region=us-east-1",
    "records": "output/intents",
    "queue_url": f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/iam-users-mail",
    "realtime_queue_url": f"https://sqs.us-east-1.amazonaws.com/{MANAGEMENT}/iam-users-events",
    "identity_center_role": f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterReader",
}
#: "Names to replace", beside those that are the local organization's.
NAMES = {
    "MACHINE": f"arn:aws:iam::{MANAGEMENT}:root",
    "PEOPLE": f"arn:aws:iam::{MANAGEMENT}:root",
    "QUEUE": "iam-users-mail",
    "BUCKET": "iam-users-notices",
    "PREFIX": "all",
    "REALTIME_QUEUE": "iam-users-events",
    "REALTIME_BUCKET": "example-iam-users-realtime",
    "practice.yml": "accounts.yml",
    "output/practice": "output/flag",
    "TOPIC": f"arn:aws:sns:us-east-1:{MANAGEMENT}:iam-users-alarms",
}
REALTIME = "policies/realtime"
#: What is run elsewhere, such as the same commands by `cycle` (tests/cli/test_cycle_in_an_organization.py), and the
#: other way into member accounts, by which test_guide.py goes.
ELSEWHERE = ("c7n-iamusers rehearse", "c7n-iamusers cycle", "pip install", "c7n-org run-script", "sleep")
OTHER_WAY = [line for line in LINES if "accounts-setup.yml" in line]
#: Those between the first announcement and the next step.
MAILER = next(line for line in LINES if "c7n-mailer" in line)
PRACTICE = [line for line in LINES if "practice.yml" in line]


#: A part of a line -> the users that are left after it.
AFTER = {
    "policies/quarantine.yml -s": {"alice", "bot", "jane.doe"},
    "policies/delete.yml -s": set[str](),
    "--account 111122223333 --user jane.doe": {"jane.doe"},
    "--give-back": {"alice", "jane.doe"},
}


def in_emergency(line: str) -> str:
    """By then jane.doe is restored, so somebody calls for another."""
    return line.replace("jane.doe", "alice") if "c7n-iamusers user " in line else line


def names(org: LocalOrg) -> set[str]:
    return {each["UserName"] for each in org.client("iam", MEMBER).list_users()["Users"]}


@pytest.fixture
def checkout(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkout after what steps 1 to 3 say to do by hand, in an organization without any role for it."""
    path = copy_checkout(tmp_path / "checkout")
    shutil.copytree(ROOT / "deploy", path / "deploy")
    data = yaml.safe_load((path / "accounts.yml").read_text())
    data["vars"] |= VARIABLES
    for account in data["accounts"]:
        account |= {"role": f"arn:aws:iam::{account['account_id']}:role/IamUsersReader", "tags": ["wave:1"]}
    (path / "accounts.yml").write_text(yaml.safe_dump(data))
    mailer = path / "mailer.yml"
    mailer.write_text(mailer.read_text().replace("/c7n-mailer", "/iam-users-mail"))
    (path / "replies").mkdir()
    asked = f'{MEMBER},"jane.doe",,"nightly export",payments-owner@example.com,{date.today() + timedelta(days=90)}'
    (path / "replies" / "a.eml").write_text(f"From: payments-owner@example.com\n\n{asked}\n")
    (path / "output" / "intents").mkdir(parents=True)
    monkeypatch.chdir(path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    create_full_user(org, "bot", path="/ci/").delete_login_profile(UserName="bot")
    for name in ("jane.doe", "alice"):
        email = {"Key": "Email", "Value": f"{name}@example.com"}
        create_full_user(org, name).tag_user(UserName=name, Tags=[email])
    return path


@pytest.mark.usefixtures("same_logging")
# c7n-mailer's libraries
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto")
def test_the_runbook_runs_as_it_is_written(
    org: LocalOrg, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "APART", timedelta(0))
    monkeypatch.setattr(mu, "custodian_archive", lambda packages: mu.PythonPackageArchive(()))
    monkeypatch.setattr(mu.PythonPackageArchive, "get_bytes", lambda _: b"PK\5\6" + bytes(18))
    org.configure(enforce=True)
    reader = Reader(org, checkout, monkeypatch)
    reader.names |= {**NAMES, **reader.organization()}
    reader.fill_in(MAILER_BY=NAMES["MACHINE"])
    reader.act_as("")
    mails = checkout.parent / "mails"
    with SmtpSink(mails) as mail:
        file = checkout / "mailer.yml"
        file.write_text(file.read_text().replace(": 2525", f": {mail.port}"))
        for line in LINES:
            follow(reader, line)
            if (users := AFTER.get(next((each for each in AFTER if each in line), ""))) is not None:
                assert names(org) == users, line
    assert denied(org) == []
    assert len(list(mails.glob("*.eml"))) >= 4
    check_that_the_guardrail_spares_what_runs(checkout)
    check_that_the_restorer_is_apart(org)
    check_that_daily_runs_only_read_identity_center(checkout)
    check_that_nothing_is_lost(org)


def follow(reader: Reader, line: str) -> None:
    """Follow a line, where and when a reader would."""
    if "--stack-name iam-users-realtime " in line:
        reader.fill_in(REALTIME=f"{REALTIME}.yml", REALTIME_QUARANTINE=f"{REALTIME}-quarantine.yml")
    if not line.startswith(ELSEWHERE) and line not in (*OTHER_WAY, *PRACTICE):
        reader.follow(in_emergency(line))
    if line.endswith("-u policies/flag-and-notify.yml -s output/flag --cache-period 0"):
        # as in practice: two readings that find the queue empty
        for each in (MAILER, *PRACTICE):
            reader.follow(each)


def denied(org: LocalOrg) -> list[tuple[str, str, str]]:
    codes = ("AccessDenied", "AccessDeniedException")
    return [(call.service, call.operation, call.account) for call in org.calls if call.error_code in codes]


def check_that_the_restorer_is_apart(org: LocalOrg) -> None:
    """Daily runs can't give anybody back what it had: only who is on call can."""
    runner = credentials_of(org, f"arn:aws:iam::{MANAGEMENT}:role/Runner")
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    sts = org.client("sts", **{name: runner[name.upper()] for name in names})
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=f"arn:aws:iam::{MEMBER}:role/IamUsersRestorer", RoleSessionName="daily")


def check_that_daily_runs_only_read_identity_center(checkout: Path) -> None:
    (role, *others) = json.loads((checkout / "roles" / "identity-center-reader.json").read_text())[
        "Resources"
    ].values()
    assert others == []
    (policy,) = role["Properties"]["Policies"]
    actions = {
        action.partition(":")[2]
        for each in policy["PolicyDocument"]["Statement"]
        for action in each["Action"]
    }
    assert {
        action for action in actions if not action.startswith(("Describe", "Get", "List", "Simulate"))
    } == set()


def check_that_nothing_is_lost(org: LocalOrg) -> None:
    """A message that nobody takes is kept."""
    for queue in (NAMES["QUEUE"], NAMES["REALTIME_QUEUE"]):
        sqs = org.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] == 5
        assert int(found["MessageRetentionPeriod"]) == timedelta(days=14).total_seconds()


def check_that_the_guardrail_spares_what_runs(checkout: Path) -> None:
    """In real time nobody hears of what these roles do, so nobody else may create one of the name."""
    policy = json.loads((checkout / "guardrail.json").read_text())
    spared = {
        arn for each in policy["Statement"] for arn in each["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    }
    variables = yaml.safe_load((checkout / "accounts.yml").read_text())["vars"]
    assert {f"arn:aws:iam::*:role/{variables[name]}" for name in ("runner_role", "restorer_role")} <= spared
