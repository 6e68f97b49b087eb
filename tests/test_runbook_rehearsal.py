# SPDX-License-Identifier: Apache-2.0
"""The runbook's commands as they are written, in their order, with exactly the roles that its own commands print.

In the local organization with --enforce, in this process. Left to other tests: `pip install` (tests/packaging) and
`rehearse`, which starts an organization of its own (tests/test_readme_rehearsal.py).
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from c7n import mu

from aws_local_org import LocalOrg
from aws_local_org.smtp_sink import SmtpSink
from c7n_iamusers.notices import delivery
from tests.full_users import create_full_user
from tests.guides import MANAGEMENT, MEMBER, Reader, commands_of, trust_in_administrators
from tests.readme import copy_checkout

LINES = commands_of("runbook")
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
CENTRAL = frozenset({"identity-center", "runner", "mailer", "bucket-policy", "queue-policy"})
#: What is run elsewhere, and what the checkout's fixture has done by hand.
ELSEWHERE = ("c7n-iamusers rehearse", "pip install")


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
    iam.create_role(RoleName="Runner", AssumeRolePolicyDocument=trust_in_administrators())
    for bucket in ("iam-users-notices", data["vars"]["lambda_bucket"]):
        org.client("s3").create_bucket(Bucket=bucket)
    create_full_user(org, "bot", path="/ci/").delete_login_profile(UserName="bot")
    for name in ("jane.doe", "alice"):
        email = {"Key": "Email", "Value": f"{name}@example.com"}
        create_full_user(org, name).tag_user(UserName=name, Tags=[email])
    return path


@pytest.mark.usefixtures("same_logging")
# c7n-mailer's libraries
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_runbook_runs_as_it_is_written(
    org: LocalOrg, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "APART", timedelta(0))
    monkeypatch.setattr(mu, "custodian_archive", lambda packages: mu.PythonPackageArchive(()))
    monkeypatch.setattr(mu.PythonPackageArchive, "get_bytes", lambda _: b"PK\5\6" + bytes(18))
    reader = Reader(org, checkout, monkeypatch, CENTRAL)
    reader.names |= NAMES
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
