# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.evidence import _progress
from c7n_iamusers_cli.main import main
from tests.policies import ACCOUNT

MANAGEMENT = "123456789012"

DETAILS = {
    "UserDetailList": [
        {"UserName": "dana.smith", "Arn": f"arn:aws:iam::{ACCOUNT}:user/dana.smith", "GroupList": ["Admins"]},
        {"UserName": "=1+1", "Arn": f"arn:aws:iam::{ACCOUNT}:user/=1+1", "GroupList": []},
    ],
    "GroupDetailList": [
        {
            "GroupName": "Admins",
            "AttachedManagedPolicies": [
                {
                    "PolicyName": "AdministratorAccess",
                    "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess",
                }
            ],
        }
    ],
}
REPORT = (
    "user,password_enabled,password_last_used,password_last_changed,mfa_active,access_key_1_active,"
    "access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated,cert_1_active,cert_1_last_rotated,"
    "cert_2_active,cert_2_last_rotated\n"
    "dana.smith,true,2026-01-02T00:00:00+00:00,2020-01-01T00:00:00+00:00,true," + ",".join(["false,N/A"] * 4)
)


@pytest.fixture
def documents(tmp_path: Path) -> list[str]:
    details, report = tmp_path / "details.json", tmp_path / "report.csv"
    details.write_text(json.dumps(DETAILS))
    report.write_text(REPORT)
    return ["--authorization-details", str(details), "--credential-report", str(report)]


def evidence(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["evidence", *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def test_json_is_a_list_with_an_object_a_user(documents: list[str]) -> None:
    found = json.loads(evidence(*documents, "--format", "json").stdout)
    assert [each["user"] for each in found] == ["=1+1", "dana.smith"]
    assert list(found[1]) == [
        "user",
        "arn",
        "kind",
        "reasons",
        "findings",
        "last_activity",
        "attachments",
        "trusted_by",
        "sources",
    ]
    assert found[1]["kind"] == "human"
    assert [each["id"] for each in found[1]["findings"]] == [
        "iam-user",
        "password-unused",
        "admin-rights",
        "no-boundary",
    ]


def test_csv_has_a_line_a_user_and_no_formulas(documents: list[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(evidence(*documents, "--format", "csv").stdout)))
    assert [each["user"] for each in rows] == ["'=1+1", "dana.smith"]
    assert rows[0]["last_activity"] == "unknown"
    assert rows[1]["last_activity"] == "2026-01-02T00:00:00+00:00"
    assert rows[1]["findings"] == "iam-user password-unused admin-rights no-boundary"
    assert "login-profile=1" in rows[1]["attachments"]
    assert "details.json" in rows[1]["sources"]


def test_the_table_shows_what_a_reader_looks_for(documents: list[str]) -> None:
    head, _, dana = evidence(*documents).stdout.splitlines()
    assert head.split() == "user kind last activity findings attached trusted by roles replacement".split()
    for text in (
        "human",
        "2026-01-02",
        "password-unused, admin-rights",
        "1 login-profile, ",
        "identity-center",
    ):
        assert text in dana
    assert "iam-user" not in dana


def test_a_live_account_by_its_role(org: LocalOrg) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="alice")
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    (alice,) = json.loads(evidence("--role", role, "--format", "json").stdout)
    assert alice["arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert json.loads(evidence("--format", "json").stdout) == []


def test_notes_go_beside_what_is_printed(org: LocalOrg) -> None:
    org.client("iam", org.settings.management_account).create_virtual_mfa_device(
        VirtualMFADeviceName="former"
    )
    result = evidence("--format", "json")
    assert json.loads(result.stdout) == []
    assert "note: virtual MFA devices assigned to no user: arn:aws:iam::" in result.stderr
    assert "mfa/former" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--role", "arn:aws:iam::111122223333:role/Missing"], "can't be assumed", id="role"),
        pytest.param(["--role", "arn:aws:iam::999999999999:role/a/b+c=1"], "can't be assumed", id="path"),
    ],
)
def test_what_cannot_be_read_ends_with_a_message(org: LocalOrg, arguments: list[str], message: str) -> None:
    result = evidence(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    result = evidence()
    assert result.exit_code == 1
    assert "Unable to locate credentials" in result.stderr


@pytest.mark.parametrize(
    "at",
    [[2, 3], [0, 1, "--role", f"arn:aws:iam::{ACCOUNT}:role/x"]],
    ids=["report-alone", "role-and-documents"],
)
def test_contradicting_options_are_refused(documents: list[str], at: list[int | str]) -> None:
    result = evidence(*[documents[each] if isinstance(each, int) else each for each in at])
    assert result.exit_code == 2
    assert "give" in result.stderr


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (True, False):
        screen = io.StringIO()
        monkeypatch.setattr(screen, "isatty", lambda shown=terminal: shown)
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", "xterm")
        with _progress() as on_step:
            on_step("users")
            on_step("groups")
        assert ("reading" in screen.getvalue()) is terminal


@pytest.mark.parametrize(
    ("role", "message"),
    [
        pytest.param("CloudCustodian", "is not the ARN of a role", id="name"),
        pytest.param("arn:aws:iam::1234:role/CloudCustodian", "is not the ARN of a role", id="account"),
        pytest.param("arn:aws:iam::111122223333:user/ana", "is not the ARN of a role", id="user"),
        pytest.param("arn:aws-x:iam::111122223333:role/a", "there is no partition 'aws-x'", id="partition"),
    ],
)
def test_what_is_no_role_is_refused(role: str, message: str) -> None:
    result = evidence("--role", role)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param([], MANAGEMENT, id="credentials"),
        pytest.param(["--role", f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"], ACCOUNT, id="role"),
        pytest.param(["--authorization-details", "details.json"], "in details.json", id="saved"),
        pytest.param(["-c", "accounts.yml"], f"payments ({ACCOUNT})", id="accounts-file"),
    ],
)
def test_an_account_without_users_is_said_so(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("details.json").write_text(json.dumps({"UserDetailList": []}))
    entry = {"name": "payments", "account_id": ACCOUNT, "role": "CloudCustodian", "regions": ["us-east-1"]}
    Path("accounts.yml").write_text(yaml.safe_dump({"accounts": [entry]}))
    result = evidence(*options)
    assert result.exit_code == 0, result.output
    named = f"note: account {named}" if "-c" in options else f"account {named}"
    assert result.stderr.splitlines()[-1] == f"{named} has no IAM users"


ENTRIES: list[dict[str, Any]] = [
    {"name": "payments", "account_id": ACCOUNT, "tags": ["wave:1"]},
    {"name": "research", "account_id": "444455556666", "tags": ["wave:1", "science"]},
    {"name": "closed", "account_id": "999999999999", "tags": ["wave:2"]},
    {"name": "platform", "account_id": "777788889999"},
]
USERS = [[ACCOUNT, "payments", "ana"], ["444455556666", "research", "bo"], ["777788889999", "platform", "cy"]]


@pytest.fixture
def accounts(org: LocalOrg, tmp_path: Path) -> str:
    """The accounts file of an organization with one user an account; one of the accounts can't be entered."""
    for account_id, _, name in USERS:
        org.client("iam", account_id).create_user(UserName=name)
    entries = [
        {**each, "role": f"arn:aws:iam::{each['account_id']}:role/CloudCustodian", "regions": ["us-east-1"]}
        for each in ENTRIES
    ]
    path = tmp_path / "accounts.yml"
    path.write_text(yaml.safe_dump({"accounts": entries}))
    return str(path)


@pytest.mark.parametrize("output_format", ["table", "json", "csv"])
def test_all_accounts_of_a_file_but_the_one_that_fails(accounts: str, output_format: str) -> None:
    result = evidence("-c", accounts, "--format", output_format)
    assert result.exit_code == 1
    head = {"table": ["account", "name", "user"], "csv": ["account", "account_name", "user"]}
    if output_format == "json":
        rows = [list(row.values())[:3] for row in json.loads(result.stdout)]
        assert list(json.loads(result.stdout)[0])[:3] == head["csv"]
    else:
        lines = [line.replace(",", " ").split()[:3] for line in result.stdout.splitlines()]
        assert lines.pop(0) == head[output_format]
        rows = lines
    assert rows == USERS
    *_, unread, last = result.stderr.splitlines()
    assert unread.startswith("not read: closed (999999999999): ")
    assert "1 of 4 accounts were not read" in last


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["-a", "research"], ["bo"], id="name"),
        pytest.param(["-a", "payments", "-a", "777788889999"], ["ana", "cy"], id="names"),
        pytest.param(["-t", "wave:1"], ["ana", "bo"], id="tag"),
        pytest.param(["-t", "wave:1", "-t", "science"], ["bo"], id="tags"),
    ],
)
def test_only_the_accounts_that_are_chosen(accounts: str, options: list[str], expected: list[str]) -> None:
    result = evidence("-c", accounts, *options, "--format", "json")
    assert result.exit_code == 0, result.output
    assert [each["user"] for each in json.loads(result.stdout)] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["-a", "paymnts"], "it has no account paymnts", id="name"),
        pytest.param(["-t", "wave:9"], "none of its accounts has the tag wave:9", id="tag"),
        pytest.param(["--role", f"arn:aws:iam::{ACCOUNT}:role/x"], "give only one", id="role"),
    ],
)
def test_a_choice_of_no_account_is_refused(accounts: str, options: list[str], message: str) -> None:
    result = evidence("-c", accounts, *options)
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


def test_accounts_are_chosen_from_a_file() -> None:
    assert "give it by -c" in evidence("-a", "payments").output
