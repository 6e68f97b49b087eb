# SPDX-License-Identifier: Apache-2.0
"""Which accounts a command works on: a name that is no account's is an error, never a run over fewer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.plugins.deletions import NAME, delete
from tests.policies import ACCOUNT
from tests.report.fleet_outputs import OTHER_ACCOUNT, Outputs

FILE = ("-c", "accounts.json")
EVIDENCE, PREFLIGHT, REPORT = ("evidence", *FILE), ("preflight", *FILE), ("report", "-s", "output", *FILE)
UNKNOWN = "no account paymnts"


@pytest.fixture(autouse=True)
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outputs:
    monkeypatch.chdir(tmp_path)
    role = "arn:aws:iam::{}:role/CloudCustodian"
    rows = [
        {
            "account_id": account,
            "name": name,
            "role": role.format(account),
            "regions": ["us-east-1"],
            "tags": [tag],
            "vars": {"owner": "owner@example.com"},
        }
        for account, name, tag in (
            (ACCOUNT, "payments", "wave:1"),
            (OTHER_ACCOUNT, "research", "wave:2"),
            ("999999999999", "closed", "wave:3"),
        )
    ]
    Path("accounts.json").write_text(json.dumps({"accounts": rows}))
    left = Outputs(tmp_path / "output")
    left.leave("alice")
    return left


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param([*command, *choice], told, id=f"{command[0]}-{name}")
        for command in (EVIDENCE, PREFLIGHT, REPORT)
        for name, choice, told in (
            ("name", ("-a", "paymnts"), UNKNOWN),
            ("one-of-two", ("-a", "payments", "-a", "paymnts"), UNKNOWN),
            ("id", ("-a", "000000000000"), "no account 000000000000"),
            ("tag", ("-t", "wave:9"), "wave:9"),
            ("name-without-the-tag", ("-a", "payments", "-t", "wave:2"), "wave:2"),
        )
    ],
)
def test_a_choice_of_no_account(arguments: list[str], told: str) -> None:
    found = run(*arguments)
    assert found.exit_code == 1
    assert told in found.stderr
    assert "accounts.json" in found.stderr


@pytest.mark.parametrize("command", [EVIDENCE, PREFLIGHT, (*REPORT, "--check")], ids=lambda each: each[0])
def test_only_the_accounts_that_are_chosen(command: tuple[str, ...]) -> None:
    """The account that can't be entered, and of which there is no output, is not asked for."""
    well = 3 if command == PREFLIGHT else 0  # without policies, nothing names a queue
    assert run(*command).exit_code == 1
    assert run(*command, "-a", "payments").exit_code == well
    assert run(*command, "-a", ACCOUNT, "-t", "wave:1").exit_code == well


def test_an_account_under_two_names_is_shown_once(org: LocalOrg) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="alice")
    file = Path("accounts.json")
    (entry, *_) = json.loads(file.read_text())["accounts"]
    file.write_text(json.dumps({"accounts": [entry, {**entry, "name": "billing"}]}))
    found = run(*EVIDENCE, "--format", "json")
    assert found.exit_code == 0
    assert [(each["account_name"], each["user"]) for each in json.loads(found.stdout)] == [
        ("payments", "alice")
    ]
    assert f"billing ({ACCOUNT}): its account is in the accounts file before, as payments" in found.stderr


def test_a_choice_among_snapshots(org: LocalOrg) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="alice")
    delete(Path("out"))
    for option, value in (("--account", OTHER_ACCOUNT), ("--user", "alcie")):
        found = run("restore", f"out/{NAME}", option, value)
        assert found.exit_code == 1
        assert f"{value} in the given files: nothing was done" in found.stderr


def test_an_account_that_c7n_org_left_out() -> None:
    found = run(*REPORT, "--check", "-a", "payments", "-a", "research")
    assert found.exit_code == 1
    (line,) = [each for each in found.stderr.splitlines() if each.startswith("account ")]
    assert line.startswith(f"account {OTHER_ACCOUNT} (research): never ran")
