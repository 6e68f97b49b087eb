# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers guardrail --check`` and its options, against the event history of the local organization."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main

ACCOUNTS = ("111122223333", "444455556666")


def guardrail(*options: str) -> Result:
    return CliRunner().invoke(main, ["guardrail", "--spare", "IamUsersRemover", *options])


@pytest.fixture
def accounts(org: LocalOrg, tmp_path: Path) -> str:
    entries = [
        {
            "name": f"account-{each}",
            "account_id": each,
            "role": f"arn:aws:iam::{each}:role/CloudCustodian",
            "regions": ["us-east-1"],
        }
        for each in ACCOUNTS
    ]
    path = tmp_path / "accounts.yml"
    path.write_text(yaml.safe_dump({"accounts": entries}))
    return str(path)


def test_whose_calls_would_have_been_denied_is_listed(org: LocalOrg, accounts: str) -> None:
    assert guardrail("--check", "-c", accounts).exit_code == 0
    iam = org.client("iam", ACCOUNTS[0])
    iam.create_user(UserName="ada")
    for _ in range(2):
        iam.create_access_key(UserName="ada")
    result = guardrail("--check", "-c", accounts)
    assert result.exit_code == 3, result.output
    caller = f"arn:aws:iam::{ACCOUNTS[0]}:role/CloudCustodian"
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{ACCOUNTS[0]}  iam:CreateAccessKey  2  last 20")
    assert first.endswith(caller)
    assert "iam:CreateUser  1" in second
    assert "3 calls by 1 principals in 90 days would have been denied" in result.stderr
    found = json.loads(guardrail("--check", "-c", accounts, "--format", "json").stdout)
    assert (found["accounts"], found["read"], found["problems"]) == (2, 2, [])
    assert [(each["action"], each["count"], each["principal"]) for each in found["denied"]] == [
        ("iam:CreateAccessKey", 2, caller),
        ("iam:CreateUser", 1, caller),
    ]
    # whoever is spared is not denied
    spared = CliRunner().invoke(main, ["guardrail", "--spare", "CloudCustodian", "--check", "-c", accounts])
    assert (spared.exit_code, spared.stdout) == (0, "")


def test_an_account_that_can_not_be_read_is_said(org: LocalOrg, accounts: str) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}],
    }
    org.client("iam", ACCOUNTS[1]).update_assume_role_policy(
        RoleName="CloudCustodian", PolicyDocument=json.dumps(trust)
    )
    result = guardrail("--check", "-c", accounts)
    assert result.exit_code == 1
    told = f"account-{ACCOUNTS[1]} ({ACCOUNTS[1]}): not checked"
    assert told in result.stderr
    none = "0 calls by 0 principals in 90 days would have been denied"
    summary = f"{none}, as far as is known: 1 of the 2 accounts were read to the end"
    assert result.stderr.splitlines()[-1] == summary
    data = guardrail("--check", "-c", accounts, "--format", "json")
    found = json.loads(data.stdout)
    assert (data.exit_code, found["denied"], found["accounts"], found["read"]) == (1, [], 2, 1)
    assert [each.startswith(told) for each in found["problems"]] == [True]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(("--check",), "give -c FILE with it", id="no accounts"),
        pytest.param(("--athena", "x; drop"), "is not the name of a table", id="no table"),
        pytest.param(("--athena", "t", "--bearer-tokens"), "exclude each other", id="two at once"),
        pytest.param((), "without --admin nobody could change the named roles", id="locked out"),
        pytest.param(("--admin", "A", "--no-admin"), "--admin and --no-admin exclude", id="admin or none"),
    ],
)
def test_what_does_not_go_together(options: tuple[str, ...], said: str) -> None:
    result = guardrail(*options)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_that_nobody_deploys_the_roles_is_spelled_out() -> None:
    def who_may_change(*options: str) -> list[str]:
        (found,) = [
            each["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
            for each in json.loads(guardrail(*options).stdout)["Statement"]
            if each["Sid"] == "ProtectExemptRoles"
        ]
        return [each.rpartition(":role/")[2] for each in found]

    assert who_may_change("--no-admin") == ["IamUsersRemover"]
    assert who_may_change("--admin", "stacksets-exec-*") == ["IamUsersRemover", "stacksets-exec-*"]


def test_the_other_outputs() -> None:
    query, second = guardrail("--athena", "db.trail"), guardrail("--bearer-tokens")
    assert query.stdout.startswith("SELECT recipientaccountid")
    assert "FROM db.trail\n" in query.stdout
    sids = [each["Sid"] for each in json.loads(second.stdout)["Statement"]]
    assert sids == ["DenyBearerTokens", "DenyLongTermBedrockKeys"]
