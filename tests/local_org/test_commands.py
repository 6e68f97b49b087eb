# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["local-org", *arguments])


def test_calls_are_shown(org: LocalOrg) -> None:
    org.client("iam", "111122223333").create_user(UserName="ana")
    rows = [line.split() for line in run("calls").output.splitlines()]
    assert rows[0] == ["time", "account", "service", "operation", "status", "error_code"]
    assert [row[1:5] for row in rows[1:]] == [
        ["123456789012", "sts", "AssumeRole", "200"],
        ["111122223333", "iam", "CreateUser", "200"],
    ]


def test_calls_as_json_have_parameters(org: LocalOrg) -> None:
    org.client("iam").create_user(UserName="ana")
    (call,) = json.loads(run("calls", "--format", "json").output)
    assert call["parameters"] == {"UserName": "ana"}
    assert call["error_code"] is None


def test_reset_empties_accounts_and_calls(org: LocalOrg) -> None:
    org.client("iam").create_user(UserName="ana")
    result = run("reset")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "reset\n")
    assert org.calls == []
    assert org.client("iam").list_users()["Users"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["--page-limit", "0"], "0 is not in the range x>=1"),
        (["--latency-ms", "-1"], "is not in the range x>=0"),
        (["--member-account", "12=payments"], "'12' is not an account id of 12 digits"),
        (["--member-account", "١١١١٢٢٢٢٣٣٣٣"], "is not an account id of 12 digits"),
        (
            ["--member-account", "111122223333", "--member-account", "111122223333=x"],
            "an account id is given twice",
        ),
        (["--member-account", "111122223333", "--accounts", "2"], "give one of them"),
        (["--accounts", "2", "--suspended", "777788889999"], "777788889999 is no member account here"),
    ],
)
def test_serve_checks_its_options(arguments: list[str], message: str) -> None:
    result = run("serve", *arguments)
    assert result.exit_code == 2
    assert message in result.output


PAYMENTS = "111122223333"
DETAILS = {
    "UserDetailList": [
        {"UserName": "ana", "Arn": "arn:aws:iam::210987654321:user/ana", "GroupList": ["Developers"]}
    ]
}
REPORT = "user,password_enabled\nana,true\n"


@pytest.fixture
def details(tmp_path: Path) -> Path:
    path = tmp_path / "details.json"
    path.write_text(json.dumps(DETAILS), encoding="utf-8")
    return path


def users_of(org: LocalOrg, account_id: str) -> list[str]:
    return [user["UserName"] for user in org.client("iam", account_id).list_users()["Users"]]


def test_seed_prints_a_row_an_account_and_their_sum(org: LocalOrg) -> None:
    result = run("seed", "--users-per-account", "3")
    assert result.exit_code == 0, result.output
    heading, *rows = result.output.splitlines()
    assert heading.split()[:3] == ["account", "name", "users"]
    assert [row.split()[:3] for row in rows[:3]] == [
        [PAYMENTS, "payments", "3"],
        ["444455556666", "research", "3"],
        ["777788889999", "platform", "3"],
    ]
    assert rows[3].split()[:2] == ["all", "9"]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], {"seed": 1, "users_per_account": 30}),
        (["--seed", "7", "--users-per-account", "2"], {"seed": 7, "users_per_account": 2}),
        (["--now", "2026-03-01"], {"now": "2026-03-01T00:00:00+00:00"}),
    ],
)
def test_seed_passes_its_options_on(org: LocalOrg, arguments: list[str], wanted: dict[str, Any]) -> None:
    summary = json.loads(run("seed", "--format", "json", *arguments).output)
    assert wanted.items() <= summary.items()
    assert len(users_of(org, PAYMENTS)) == summary["users_per_account"]


def test_endpoint_goes_before_the_environment(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert run("seed", "--endpoint", org.endpoint_url).exit_code == 0


def test_seeding_twice_is_refused(org: LocalOrg) -> None:
    run("seed")
    result = run("seed")
    assert result.exit_code == 1
    assert f"account {PAYMENTS} is filled already" in result.output


def test_load_prints_what_it_made_and_warns(org: LocalOrg, details: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text(REPORT)
    result = run(
        "load",
        "--account",
        PAYMENTS,
        "--authorization-details",
        str(details),
        "--credential-report",
        str(report),
    )
    assert result.exit_code == 0, result.output
    counts = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines())
    assert (counts["users"], counts["groups"], counts["passwords"]) == ("1", "1", "1")
    assert "warning: group has members but is not described" in result.stderr
    assert users_of(org, PAYMENTS) == ["ana"]


def test_load_as_json(org: LocalOrg, details: Path) -> None:
    summary = json.loads(
        run("load", "--account", PAYMENTS, "--authorization-details", str(details), "--format", "json").stdout
    )
    assert summary["document_account"] == "210987654321"
    assert summary["warnings"]


@pytest.mark.parametrize(
    ("account", "text", "message"),
    [
        pytest.param(PAYMENTS, '{"UserDetailList": [}', "details.json: line 1, column 21", id="broken JSON"),
        pytest.param(PAYMENTS, '{"Users": []}', "not authorization details", id="another document"),
        pytest.param(
            "999999999999", json.dumps(DETAILS), "has no account '999999999999'", id="unknown account"
        ),
    ],
)
def test_what_cannot_be_loaded_is_said(
    org: LocalOrg, details: Path, account: str, text: str, message: str
) -> None:
    details.write_text(text)
    result = run("load", "--account", account, "--authorization-details", str(details))
    assert result.exit_code == 1
    assert message in result.output
    assert users_of(org, PAYMENTS) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seed", "--users-per-account", "0"], "0 is not in the range 1<=x<=5000"),
        (["seed", "--seed", "many"], "'many' is not a valid integer"),
        (["load", "--account", PAYMENTS], "Missing option '--authorization-details'"),
        (["load", "--account", PAYMENTS, "--authorization-details", "/nowhere.json"], "does not exist"),
        (
            ["load", "--account", "payments", "--authorization-details", __file__],
            "'payments' is not an account id",
        ),
        (
            ["load", "--account", "11112222333", "--authorization-details", __file__],
            "not an account id of 12",
        ),
    ],
)
def test_options_are_checked_before_anything_is_sent(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output
