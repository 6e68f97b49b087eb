# SPDX-License-Identifier: Apache-2.0
"""The policies that ship: they validate as a person would validate them, and they agree with one another."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from c7n_iamusers.entry import ACTIONS, FILTERS
from c7n_iamusers.exemptions import parse_list, parse_rules

ROOT = Path(__file__).parent.parent
POLICIES = sorted((ROOT / "policies").glob("*.yml"))


def command(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that is installed beside this Python."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)


def test_there_are_policies() -> None:
    assert [path.stem for path in POLICIES] == ["delete", "flag-and-notify", "provision-intents", "provision"]


def test_c7n_org_validates_them_for_every_account(tmp_path: Path) -> None:
    every = [policy for path in POLICIES for policy in yaml.safe_load(path.read_text())["policies"]]
    path = tmp_path / "every.yml"
    path.write_text(yaml.safe_dump({"policies": every}, sort_keys=False))
    done = command("c7n-org", "validate", "--per-account", "-c", "accounts.yml", "-u", path)
    assert done.returncode == 0, done.stderr
    assert "Account validation PASSED: payments" in done.stderr


def test_custodian_validates_them() -> None:
    done = command("custodian", "validate", "--strict", *POLICIES)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Configuration valid") == len(POLICIES)


def live_rules(policy: dict[str, Any]) -> list[dict[str, Any]]:
    (flag,) = [
        each for each in policy["filters"] if isinstance(each, dict) and each.get("type") == "unnecessary"
    ]
    return [rule for rule in flag["exempt"] if rule["expires"] > date(2026, 11, 24)]


def test_the_same_users_are_exempt_in_all_of_them() -> None:
    policies = [policy for path in POLICIES for policy in yaml.safe_load(path.read_text())["policies"]]
    first, *others = map(live_rules, policies)
    assert first
    assert all(rules == first for rules in others)


def test_the_list_that_comes_along_exempts_the_same_users() -> None:
    (first, *_) = [policy for path in POLICIES for policy in yaml.safe_load(path.read_text())["policies"]]
    rules = parse_list((ROOT / "policies" / "exemptions.csv").read_text(), "csv", "exemptions.csv")
    assert list(rules) == list(parse_rules(live_rules(first), "exempt"))


@pytest.mark.parametrize("place", [*FILTERS.values(), *ACTIONS.values()])
def test_every_example_says_whom_it_spares(place: str) -> None:
    """What is copied from a docstring must not meet the break-glass users."""
    module, _, name = place.replace(":", ".").rpartition(".")
    example = str(getattr(importlib.import_module(module), name).__doc__).partition(".. code-block:: yaml")[2]
    policies = yaml.safe_load(textwrap.dedent(example))["policies"]
    assert policies
    for policy in policies:
        for each in policy["filters"]:
            if isinstance(each, dict) and each.get("type") == "unnecessary":
                assert each.get("exempt") or each.get("exempt-from")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(
            {"reason": None}, "exempt[0]: reason is missing: say why these users may stay", id="reason"
        ),
        pytest.param({"expires": "2027-13-01"}, "exempt[0]: expires is not a date: '2027-13-01'", id="date"),
        pytest.param({"username": "x"}, "exempt[0]: there is no key 'username': a rule has one of", id="key"),
    ],
)
def test_custodian_refuses_a_faulty_exemption_with_its_place(
    tmp_path: Path, fault: dict[str, Any], message: str
) -> None:
    rule = {"user": "x", "reason": "r", "expires": "2027-01-01", **fault}
    policy = {
        "name": "faulty",
        "resource": "aws.iam-user",
        "filters": [
            {"type": "unnecessary", "exempt": [{key: value for key, value in rule.items() if value}]}
        ],
    }
    path = tmp_path / "faulty.yml"
    path.write_text(yaml.safe_dump({"policies": [policy]}))
    done = command("custodian", "validate", path)
    assert done.returncode == 1
    assert f"policy faulty: filter unnecessary: {message}" in done.stderr
