# SPDX-License-Identifier: Apache-2.0
"""The accounts file with another role: in every entry, or nothing is written."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n_org.cli import CONFIG_SCHEMA
from click.testing import CliRunner, Result
from jsonschema import validate

from c7n_iamusers_cli.main import main
from tests.readme import ROOT

A, B = "111122223333", "012345678901"
PLAIN = f"""\
vars:
  announce_days: 30
  quarantined_for_days: 14
  contact: c@example.com
accounts:
  - name: payments
    account_id: "{A}"
    role: arn:aws:iam::{A}:role/IamUsersReader
    regions: [us-east-1]
    tags: ["wave:1"]
    vars: {{owner: o@example.com, announce_days: 60, hub: none}}
  - name: research
    account_id: "{B}"
    role: arn:aws:iam::{B}:role/IamUsersReader
    external_id: "0123"
"""
FORMS = {
    "plain": PLAIN.encode(),
    "crlf": PLAIN.replace("\n", "\r\n").encode(),
    "bom": b"\xef\xbb\xbf" + PLAIN.encode(),
    "comment-after-the-role": PLAIN.replace("IamUsersReader\n", "IamUsersReader # reads\n").encode(),
    "quoted": PLAIN.replace("role: ", "role: '").replace("IamUsersReader", "IamUsersReader'").encode(),
    "other-roles": PLAIN.replace(f"{B}:role/IamUsersReader", f"{B}:role/team/Special").encode(),
    "name-alone": PLAIN.replace(f"arn:aws:iam::{B}:role/", "").encode(),
    "merge-key": f"""\
vars:
  base: &base
    regions: [us-east-1]
    vars: &vars {{owner: o@example.com}}
accounts:
  - {{<<: *base, name: payments, account_id: "{A}", role: "arn:aws:iam::{A}:role/IamUsersReader"}}
  - {{<<: *base, name: research, account_id: "{B}", role: "arn:aws:iam::{B}:role/IamUsersReader", vars: *vars}}
""".encode(),
}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def accounts(content: bytes | str, *arguments: str, role: str = "IamUsersRemover") -> Result:
    Path("accounts.yml").write_bytes(content.encode() if isinstance(content, str) else content)
    result = CliRunner().invoke(main, ["accounts", "-c", "accounts.yml", "--role", role, *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def written(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = yaml.safe_load(result.stdout)
    validate(found, CONFIG_SCHEMA)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_entry_has_the_role_and_nothing_else_changes(form: str) -> None:
    before, after = yaml.safe_load(FORMS[form]), written(accounts(FORMS[form]))
    assert [each["role"] for each in after["accounts"]] == [
        f"arn:aws:iam::{each}:role/IamUsersRemover" for each in (A, B)
    ]
    expected = deepcopy(before)
    for old, new in zip(expected["accounts"], after["accounts"], strict=True):
        old["role"] = new["role"]
    assert after == expected


def test_the_shipped_file() -> None:
    before = yaml.safe_load((ROOT / "accounts.yml").read_text())
    after = written(accounts((ROOT / "accounts.yml").read_text()))
    assert after["vars"] == before["vars"]
    assert {each["role"].rpartition("/")[2] for each in after["accounts"]} == {"IamUsersRemover"}


def test_partition_chain_and_path() -> None:
    entry = {
        "account_id": A,
        "role": [f"arn:aws-us-gov:iam::{B}:role/Hub", f"arn:aws-us-gov:iam::{A}:role/Reader"],
    }
    (found,) = written(accounts(yaml.safe_dump({"accounts": [entry]}), role="team/Remover"))["accounts"]
    assert found["role"] == [
        f"arn:aws-us-gov:iam::{B}:role/Hub",
        f"arn:aws-us-gov:iam::{A}:role/team/Remover",
    ]


def test_variables_are_set_in_all_accounts() -> None:
    given = ("announce_days=0", "quarantined_for_days=0.0001", "contact=a=b", f"hub={A}")
    found = written(accounts(PLAIN, *(part for each in given for part in ("--set", each))))
    assert found["vars"] == {"announce_days": 0, "contact": "a=b", "quarantined_for_days": 0.0001, "hub": A}
    assert [each.get("vars") for each in found["accounts"]] == [
        {"owner": "o@example.com", "announce_days": 0, "hub": A},
        None,
    ]


def test_a_variable_that_the_file_does_not_have_writes_nothing() -> None:
    result = accounts(PLAIN, "--set", "anounce_days=0", "-o", "remove.yml")
    assert (result.exit_code, Path("remove.yml").exists()) == (1, False)
    assert "it has no variable anounce_days, but announce_days, contact, hub, owner" in result.output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(
            PLAIN.replace(f"{B}:role/IamUsersReader", f"{B}:role/IamUsersRemover"),
            f"research ({B}) has the role 'IamUsersRemover' already",
            id="already",
        ),
        pytest.param(
            PLAIN.replace(f"role: arn:aws:iam::{B}:role/IamUsersReader", "profile: research"),
            f"research ({B}) has no role",
            id="profile",
        ),
        pytest.param(
            PLAIN.replace(f"role: arn:aws:iam::{B}:role/IamUsersReader", "role: []"),
            "has no role",
            id="empty-chain",
        ),
        pytest.param(
            PLAIN.replace(f"::{B}:role", f"::{A}:role"), f"is in account {A}", id="role-of-another-account"
        ),
        pytest.param(PLAIN.replace(f'"{A}"', A), "in quotes", id="id-as-number"),
        pytest.param("accounts: []", "no accounts", id="no-accounts"),
        pytest.param("subscriptions: []", "no list named accounts", id="other"),
        pytest.param("accounts:\n\t- a", "line 2", id="tab"),
        pytest.param("", "no list named accounts", id="nothing"),
        pytest.param(
            PLAIN.replace("  contact", "  announce_days: 3\n  contact"), "announce_days", id="twice"
        ),
        pytest.param(PLAIN.partition("accounts:")[2], "accounts file", id="list"),
    ],
)
def test_an_entry_that_would_stay_writes_nothing(content: str, told: str) -> None:
    Path("remove.yml").write_text("before")
    result = accounts(content, "-o", "remove.yml", "--force")
    assert result.exit_code == 1
    assert told in result.output
    assert Path("remove.yml").read_text() == "before"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(("--role", f"arn:aws:iam::{A}:role/R"), "without the account", id="arn"),
        pytest.param(("--role", ""), "not the name of a role", id="empty"),
        pytest.param(("--role", "R*"), "not the name of a role", id="glob"),
        pytest.param(("--role", "/R"), "not the name of a role", id="slash"),
        pytest.param(("--role", "R/"), "not the name of a role", id="slash-at-the-end"),
        pytest.param(("--set", "days"), "is no KEY=VALUE", id="no-value"),
        pytest.param(("--set", "=1"), "is no KEY=VALUE", id="no-key"),
        pytest.param(("--set", "a-b=1"), "is no KEY=VALUE", id="no-variable"),
        pytest.param(("--set", "a=1", "--set", "a=2"), "a is given twice", id="twice"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[str, ...], told: str) -> None:
    result = accounts(PLAIN, *arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


def test_a_file_is_private_and_replaces_another_only_by_force() -> None:
    given = ("-o", "remove.yml")
    assert accounts(PLAIN, *given).exit_code == 0
    assert Path("remove.yml").stat().st_mode & 0o777 == 0o600
    assert accounts(PLAIN, *given).exit_code == 0
    changed = PLAIN.replace("c@example", "d@example")
    refused = accounts(changed, *given)
    assert (refused.exit_code, "exists with other content" in refused.output) == (1, True)
    assert accounts(changed, *given, "--force").exit_code == 0
    assert "d@example" in Path("remove.yml").read_text()
    assert accounts(PLAIN, "-o", "accounts.yml", "--force").exit_code == 1
    assert Path("accounts.yml").read_text() == PLAIN
