# SPDX-License-Identifier: Apache-2.0
"""Roles whose trust policy asks for an external id, in every command that assumes roles in accounts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.desired import intents
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.plugins.deletions import NAME, delete
from tests.policies import ACCOUNT

MANAGEMENT, ID = "123456789012", "iam-users-cleanup"
ROLE = "arn:aws:iam::{account_id}:role/CloudCustodian"
CENTER = f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner"
RESTORE = ("restore", f"out/{NAME}", "--role", ROLE, "--account", ACCOUNT)
PROVISION = ("provision", "plan", "-s", "output", "--region", "us-east-1")
MEMBERS, BY_ID = ("--member-role", ROLE), ("--external-id", ID)
FILE, OTHER_FILE = ("-c", "accounts.json"), ("-c", "other.json")


def ask_for_the_id(org: LocalOrg, account_id: str, role: str) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": MANAGEMENT},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": ID}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    org.client("iam", account_id).update_assume_role_policy(RoleName=role, PolicyDocument=document)


@pytest.fixture
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deleted user and another, intents, and accounts files with the right and with another external id."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    entry = {"account_id": ACCOUNT, "name": ACCOUNT, "role": ROLE.replace("{account_id}", ACCOUNT)}
    for name, external_id in (("accounts", ID), ("other", "another")):
        accounts = {"accounts": [{**entry, "external_id": external_id}]}
        Path(f"{name}.json").write_text(json.dumps(accounts))
    FleetRehearsal(org, Path("output")).leave(intents(ACCOUNT, "alice"))
    org.client("iam", ACCOUNT).create_user(UserName="alice")
    delete(Path("out"))
    org.client("iam", ACCOUNT).create_user(UserName="bob")
    ask_for_the_id(org, ACCOUNT, "CloudCustodian")
    ask_for_the_id(org, MANAGEMENT, "IdentityCenterProvisioner")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["evidence", *FILE], "bob", id="evidence"),
        pytest.param(["evidence", *OTHER_FILE], "AccessDenied", id="evidence-other"),
        pytest.param([*RESTORE, "--dry-run", *BY_ID], "would be restored by", id="restore"),
        pytest.param([*RESTORE, "--dry-run"], "can't be assumed", id="restore-none"),
        pytest.param([*PROVISION, *MEMBERS, *FILE], "no longer exists", id="provision-file"),
        pytest.param([*PROVISION, *MEMBERS, *OTHER_FILE], "can't be read by", id="provision-other"),
        pytest.param(
            [*PROVISION, *MEMBERS, *OTHER_FILE, *BY_ID], "no longer exists", id="provision-option-first"
        ),
        pytest.param(
            [*PROVISION, "--trust-intents", "--role", CENTER, *BY_ID], "+ user", id="provision-center"
        ),
        pytest.param([*PROVISION, "--trust-intents", "--role", CENTER], "AccessDenied", id="center-none"),
        pytest.param([*RESTORE[:2], *BY_ID], "give --role too", id="restore-alone"),
        pytest.param([*PROVISION, *BY_ID], "give --member-role or --role too", id="provision-alone"),
    ],
)
def test_the_external_id_is_given_where_roles_are_assumed(
    fleet: None, arguments: list[str], told: str
) -> None:
    assert told in run(*arguments).output


@pytest.mark.parametrize("command", [RESTORE, (*PROVISION, *MEMBERS)], ids=["restore", "provision"])
def test_what_is_no_external_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / NAME).mkdir(parents=True)
    (tmp_path / "output").mkdir()
    result = run(*command, "--external-id", "a b")
    assert result.exit_code == 2
    assert "'a b' is not an external id" in result.output
