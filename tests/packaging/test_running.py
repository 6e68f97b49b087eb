# SPDX-License-Identifier: Apache-2.0
"""The plain commands on accounts that have users, from an environment with the package just installed.

How it was installed makes a difference to what a new process knows alone: test_registration.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.environments import ACCOUNTS, Environment, Variables

POLICY = Path(__file__).with_name("flag.yml")


def write_accounts(file: Path) -> Path:
    rows = [
        {
            "account_id": account,
            "name": f"account-{account}",
            "regions": ["us-east-1"],
            "role": f"arn:aws:iam::{account}:role/CloudCustodian",
        }
        for account in ACCOUNTS
    ]
    file.write_text(json.dumps({"accounts": rows}), encoding="utf-8")
    return file


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    return write_accounts(tmp_path / "accounts.yml")


def flagged(output: Path) -> list[str]:
    """The users in a policy's output; none if the run wrote nothing, which c7n-org does not call a failure."""
    file = output / "flag" / "resources.json"
    resources: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    assert all("c7n:IamUser" in resource for resource in resources)
    return [resource["UserName"] for resource in resources]


def flagged_by_account(output: Path) -> dict[str, list[str]]:
    return {account: flagged(output / f"account-{account}" / "us-east-1") for account in ACCOUNTS}


EXPECTED = {account: [f"ada-{account}"] for account in ACCOUNTS}
#: c7n-org's options for one account, whose worker shows what every worker does.
ONE = ("-a", f"account-{ACCOUNTS[0]}")


@pytest.mark.parametrize("environment", ["wheel"], indirect=True)
def test_custodian_run_and_report(
    environment: Environment, organization: dict[str, Variables], tmp_path: Path
) -> None:
    variables = organization[ACCOUNTS[0]]
    done = environment.run("custodian", "run", "--cache-period=0", "-s", tmp_path, POLICY, **variables)
    assert done.returncode == 0, done.stderr
    assert flagged(tmp_path) == EXPECTED[ACCOUNTS[0]]

    report = environment.run("custodian", "report", "-s", tmp_path, "--format=simple", POLICY, **variables)
    assert report.returncode == 0, report.stderr
    assert f"ada-{ACCOUNTS[0]}" in report.stdout


@pytest.mark.parametrize("environment", ["wheel"], indirect=True)
def test_c7n_org_validate_run_and_report(
    environment: Environment, organization: dict[str, Variables], accounts: Path, tmp_path: Path
) -> None:
    variables = organization["management"]
    valid = environment.run("c7n-org", "validate", "--per-account", "-c", accounts, "-u", POLICY, **variables)
    assert valid.returncode == 0, valid.stderr

    common = ("-c", accounts, "-u", POLICY, "-s", tmp_path / "output")
    done = environment.run("c7n-org", "run", *common, "--cache-period=0", **variables)
    assert done.returncode == 0, done.stderr
    assert flagged_by_account(tmp_path / "output") == EXPECTED, done.stderr

    report = environment.run("c7n-org", "report", *common, **variables)
    assert report.returncode == 0, report.stderr
    assert all(f"ada-{account}" in report.stdout for account in ACCOUNTS)


@pytest.mark.parametrize("environment", ["wheel"], indirect=True)
def test_c7n_org_refuses_the_policy_without_the_plugins(environment: Environment, accounts: Path) -> None:
    done = environment.run("c7n-org", "validate", "-c", accounts, "-u", POLICY, C7N_IAMUSERS_AUTOLOAD="0")
    assert done.returncode != 0
    assert "authorization-details" in done.stdout + done.stderr


@pytest.mark.parametrize("environment", ["wheel"], indirect=True)
def test_init_writes_a_workspace_of_what_the_wheel_has(
    environment: Environment, organization: dict[str, Variables], tmp_path: Path
) -> None:
    arguments = ("init", tmp_path / "ws", "--yes", "--contact", "gov@example.com")
    done = environment.run("c7n-iamusers", *arguments, **organization["management"])
    # the local organization has a role whose name a stack would take
    assert done.returncode == 3, done.stdout + done.stderr
    assert "look: the role IdentityCenterProvisioner is there" in done.stdout
    written = {each.name for each in (tmp_path / "ws").rglob("*") if each.is_file()}
    assert written >= {"accounts.yml", "delete.yml", "iam-users-runner.json", "README.md", "as"}
