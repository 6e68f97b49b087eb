# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.cli.main import main


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
    ],
)
def test_serve_checks_its_options(arguments: list[str], message: str) -> None:
    result = run("serve", *arguments)
    assert result.exit_code == 2
    assert message in result.output
