# SPDX-License-Identifier: Apache-2.0
"""Stock filters and actions of aws.iam-user behave the same with and without this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.environments import ACCOUNTS, Environment, Variables

POLICY = {
    "name": "stock",
    "resource": "aws.iam-user",
    "filters": [
        {"not": [{"type": "access-key", "key": "Status", "value": "Active"}]},
        {"not": [{"type": "credential", "key": "password_enabled", "value": True}]},
        {"type": "mfa-device", "key": "MFADevices", "value": []},
        {"not": [{"type": "group", "key": "GroupName", "value": "Nobody"}]},
        {"type": "has-inline-policy", "value": False},
        {"tag:Stock": "absent"},
    ],
    "actions": [{"type": "tag", "tags": {"Stock": "seen"}}, {"type": "remove-tag", "tags": ["Stock"]}],
}


def run(environment: Environment, output: Path, variables: Variables, autoload: str) -> list[dict[str, Any]]:
    path = output / "stock.yml"
    output.mkdir()
    path.write_text(json.dumps({"policies": [POLICY]}), encoding="utf-8")
    done = environment.run(
        "custodian",
        "run",
        "--cache-period=0",
        "-s",
        output,
        path,
        **variables,
        C7N_IAMUSERS_AUTOLOAD=autoload,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(
        (output / "stock" / "resources.json").read_text(encoding="utf-8")
    )
    return found


@pytest.mark.parametrize("environment", ["wheel"], indirect=True)
def test_stock_plugins_are_as_they_were(
    environment: Environment, organization: dict[str, Variables], tmp_path: Path
) -> None:
    variables = organization[ACCOUNTS[0]]
    without = run(environment, tmp_path / "without", variables, "0")
    assert run(environment, tmp_path / "with", variables, "1") == without
    assert [user["UserName"] for user in without] == [f"ada-{ACCOUNTS[0]}"]
