# SPDX-License-Identifier: Apache-2.0
"""Fifty accounts, of which four give trouble: the others are done all the same, and those four are named at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from c7n.utils import reset_session_cache
from c7n_org.cli import run_account
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg, Settings
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers_cli.main import main
from tests.conftest import hurry
from tests.in_process import short_circuit
from tests.policies import waived

ACCOUNTS = {f"{300000000000 + number}": f"team-{number:02}" for number in range(50)}
LOCKED, DENIED, CLOSED, THROTTLED = TROUBLED = [list(ACCOUNTS)[number] for number in (3, 17, 31, 44)]
REGION = "us-east-1"
POLICY = {
    "name": "iam-users-delete",
    "resource": "aws.iam-user",
    "source": "authorization-details",
    "filters": [{"type": "unnecessary", "exempt": "none"}],
    "actions": [waived("composite-delete")],
}

pytestmark = pytest.mark.usefixtures("no_local_org", "same_logging")


@pytest.fixture(scope="module")
def started() -> Iterator[LocalOrg]:
    settings = Settings(
        member_accounts=tuple(ACCOUNTS.items()),
        report_seconds=0,
        enforce=True,
        throttled=1.0,
        faulty_accounts=(THROTTLED,),
    )
    with LocalOrg(settings) as org:
        for account in ACCOUNTS:
            backend = org.backend("iam", account)
            backend.create_user(REGION, "alice")
            backend.create_access_key("alice")
        _denies(org.client("iam", DENIED), "iam:DeleteAccessKey")
        _trusts_nobody(org.client("iam", LOCKED))
        org.client("organizations").close_account(AccountId=CLOSED)
        yield org


def _denies(iam: Any, action: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
    iam.put_role_policy(RoleName="CloudCustodian", PolicyName="p", PolicyDocument=json.dumps(document))


def _trusts_nobody(iam: Any) -> None:
    trust = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.update_assume_role_policy(RoleName="CloudCustodian", PolicyDocument=document)


@pytest.fixture
def org(started: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalOrg:
    for name, value in started.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)
    short_circuit(monkeypatch, started)
    hurry(monkeypatch)
    reset_session_cache()  # of an organization that a test before had
    delays = Backoff.delays
    monkeypatch.setattr(Backoff, "delays", lambda backoff: (0 * each for each in delays(backoff)))
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    Path("accounts.json").write_text(json.dumps({"accounts": entries()}))
    return started


def entries() -> list[dict[str, Any]]:
    return [
        {
            "account_id": account,
            "name": name,
            "role": f"arn:aws:iam::{account}:role/CloudCustodian",
            "regions": [REGION],
        }
        for account, name in ACCOUNTS.items()
    ]


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def test_a_run_and_its_report(org: LocalOrg, tmp_path: Path) -> None:
    ended = {
        entry["account_id"]: run_account(
            entry, REGION, {"policies": [POLICY]}, "output", 0, str(tmp_path), False, False, False
        )[1]
        for entry in entries()
    }
    assert [account for account, well in ended.items() if not well] == TROUBLED
    left = {account for account in ACCOUNTS if org.backend("iam", account).users}
    assert left == set(TROUBLED)
    found = run("report", "-s", "output", "-c", "accounts.json", "--check")
    assert found.exit_code == 1
    assert "46 deleted" in found.stdout
    for line, (account, told) in zip(
        found.stderr.splitlines()[-4:],
        (
            (LOCKED, "did not run: "),
            (CLOSED, "did not run: "),
            (THROTTLED, "failed: "),
            (DENIED, "iam:DeleteAccessKey failed with AccessDenied"),
        ),
        strict=True,
    ):
        assert f"account {account} ({ACCOUNTS[account]}): " in line
        assert told in line


@pytest.mark.parametrize("command", ["evidence", "preflight"])
def test_what_can_not_be_read_is_named_at_the_end(org: LocalOrg, command: str) -> None:
    found = run(command, "-c", "accounts.json", "--format", "json")
    assert found.exit_code == 1
    rows = json.loads(found.stdout)
    if command == "evidence":
        *lines, last = found.stderr.splitlines()[-4:]
        assert "3 of 50 accounts were not read" in last
        named = {account for account in ACCOUNTS if any(account in line for line in lines)}
    else:
        holes = {each["place"] for each in rows if each["status"] == "hole" and each["name"] != "owner"}
        named = {account for account, name in ACCOUNTS.items() if f"{name} ({account})" in holes}
    assert named == {LOCKED, CLOSED, THROTTLED}
