# SPDX-License-Identifier: Apache-2.0
"""The policies that ship: they validate as a person would validate them, and they agree with one another."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from c7n_iamusers.entry import ACTIONS, FILTERS
from c7n_iamusers.evidence.model import KINDS
from c7n_iamusers.exemptions import parse_list
from tests import policies as in_process
from tests.policies import ACCOUNT

ROOT = Path(__file__).parent.parent
POLICIES = sorted((ROOT / "policies").glob("*.yml"))


def command(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that is installed beside this Python."""
    program = Path(sys.executable).with_name(name)
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)


#: Of each file, in the order of a user's way out.
FILES = {
    "flag-and-notify": ["iam-users-flag"],
    "remind": ["iam-users-remind-7", "iam-users-remind-1"],
    "provision": ["iam-users-provision", "iam-users-without-replacement"],
    "provision-intents": ["iam-users-intents", "iam-users-moved"],
    "quarantine": ["iam-users-quarantine", "iam-users-quarantine-people"],
    "delete": ["iam-users-delete", "iam-users-delete-people"],
    "release": ["iam-users-release"],
}
DATA = {path.stem: yaml.safe_load(path.read_text())["policies"] for path in POLICIES}
EVERY = [policy for policies in DATA.values() for policy in policies]
EXEMPTIONS = "policies/exemptions.csv"


def test_there_are_policies() -> None:
    assert {name: [each["name"] for each in policies] for name, policies in DATA.items()} == FILES


def test_c7n_org_validates_them_for_an_account(tmp_path: Path) -> None:
    """For every account, `make check` does."""
    path = tmp_path / "every.yml"
    path.write_text(yaml.safe_dump({"policies": EVERY}, sort_keys=False))
    done = command("c7n-org", "validate", "--per-account", "-c", "accounts.yml", "-a", "payments", "-u", path)
    assert done.returncode == 0, done.stderr
    assert "Account validation PASSED: payments" in done.stderr


def test_custodian_validates_them() -> None:
    done = command("custodian", "validate", "--strict", *POLICIES)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Configuration valid") == len(POLICIES)


def part(policy: dict[str, Any], section: str, kind: str) -> dict[str, Any]:
    """The filter or action of a policy that has this type; empty where it has none."""
    found = [each for each in policy[section] if isinstance(each, dict) and each.get("type") == kind]
    return found[0] if found else {}


def destructive(policy: dict[str, Any]) -> dict[str, Any]:
    return part(policy, "actions", "quarantine") or part(policy, "actions", "composite-delete")


@pytest.mark.parametrize("policy", EVERY, ids=lambda policy: str(policy["name"]))
def test_all_of_them_share_one_list_of_exemptions(policy: dict[str, Any]) -> None:
    flag = part(policy, "filters", "unnecessary")
    if policy["name"] == "iam-users-release":
        assert not flag
        assert policy["filters"] == [{"UserName": "somebody"}]
        return
    assert flag["exempt-from"] == EXEMPTIONS
    assert "exempt" not in flag


def test_the_list_of_exemptions() -> None:
    rules = parse_list((ROOT / EXEMPTIONS).read_text(), "csv", "exemptions.csv")
    assert [(each.field, each.pattern) for each in rules if each.expires > date(2026, 11, 24)] == [
        ("path", "/emergency/*"),
        ("user", "git-*"),
    ]
    # an expired exemption no longer protects its users, and their notice says so
    assert [each.pattern for each in rules if each.expires < date(2026, 11, 24)] == ["/vendors/*"]


DESTRUCTIVE = [policy for policy in EVERY if destructive(policy)]


@pytest.mark.parametrize("policy", DESTRUCTIVE, ids=lambda policy: str(policy["name"]))
def test_what_destroys_asks_for_everything_that_spares(policy: dict[str, Any]) -> None:
    action, flag = destructive(policy), part(policy, "filters", "unnecessary")
    assert action["noticed"] >= 16
    assert action["notices"] == "{notices}"
    assert action["active-within"] == 30
    assert not action.keys() & {"include-compromised", "adopt"}
    assert flag["findings"] == {"none-of": ["role-trusts-user"]}
    assert 0 < policy["max-resources"] <= 200
    people = {"human", "mixed", "unknown"} & set(flag["kinds"])
    assert bool(people) == policy["name"].endswith("-people")
    assert part(policy, "filters", "identity-center").get("state") == ("provisioned" if people else None)
    if not people:
        assert part(policy, "filters", "credential")["value"] is False
        assert {"tag:Email": "absent"} in policy["filters"]
    if action["type"] == "composite-delete":
        assert action.get("require") == ("provisioned" if people else None)
        assert action["quarantined-for"] == 14


def test_there_are_four_that_destroy() -> None:
    names = ["iam-users-delete", "iam-users-delete-people"]
    assert sorted(policy["name"] for policy in DESTRUCTIVE) == [
        *names,
        *(name.replace("delete", "quarantine") for name in names),
    ]


def test_machines_and_people_are_the_same_in_quarantine_and_deletion() -> None:
    parked, deleted = (
        [[each for each in policy["filters"] if each.get("type") != "unnecessary"] for policy in DATA[name]]
        for name in ("quarantine", "delete")
    )
    assert parked == deleted
    kinds = [part(policy, "filters", "unnecessary")["kinds"] for policy in DATA["quarantine"]]
    assert kinds == [part(policy, "filters", "unnecessary")["kinds"] for policy in DATA["delete"]]
    # AWS does not tell when a Bedrock API key is used
    assert sorted(each for listed in kinds for each in listed) == sorted(set(KINDS) - {"bedrock-api-key"})


@pytest.mark.parametrize("name", ["quarantine", "delete"])
def test_who_may_be_a_person_is_no_machine(org: LocalOrg, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Keys in use and a password that nobody used make a machine by kind, and may be a person at the keyboard."""
    used = datetime.now(timezone.utc) - timedelta(days=400)
    account = org.backend("iam", ACCOUNT)
    for user_name, tags in (("bot", {}), ("cli", {}), ("mail", {"Email": "mail@example.com"})):
        user = seeding.add_user(account, user_name, created=used, tags=tags)
        key = seeding.add_access_key(account, user, created=used)
        seeding.set_access_key_last_used(key, used, service="s3", region="us-east-1")
        if user_name == "cli":
            seeding.set_password(user, used)
    monkeypatch.chdir(ROOT)
    machines, _ = DATA[name]
    selected = in_process.policy({**machines, "actions": []}).resource_manager.resources()
    assert [user["UserName"] for user in selected] == ["bot"]


def test_the_days_agree() -> None:
    (flag,), reminders, (quarantine, _), (deletion, _) = (
        DATA[name] for name in ("flag-and-notify", "remind", "quarantine", "delete")
    )
    days = part(flag, "actions", "notify-owners")["days"]
    action = part(deletion, "actions", "composite-delete")
    assert action["noticed"] == days
    for policy in (flag, *reminders):
        told = part(policy, "actions", "notify-owners")["quarantined_for"]
        assert told == action["quarantined-for"]
    assert part(quarantine, "actions", "quarantine")["noticed"] + action["quarantined-for"] == days


def test_no_tag_decides() -> None:
    """Whoever holds iam:TagUser writes tags."""
    for path in POLICIES:
        assert "marked-for-op" not in path.read_text()
        assert "mark-for-op" not in path.read_text()


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: str(path.stem))
def test_the_head_says_how_it_is_run(path: Path) -> None:
    head = path.read_text().partition("policies:\n")[0]
    assert f"policies/{path.name}" in head
    assert "from the checkout's root" in head or path.stem == "release"


@pytest.mark.parametrize("place", [*FILTERS.values(), *ACTIONS.values()])
def test_every_example_says_whom_it_spares(place: str) -> None:
    """What is copied from a docstring must not meet who is exempt, active, unannounced or without replacement."""
    module, _, name = place.replace(":", ".").rpartition(".")
    example = str(getattr(importlib.import_module(module), name).__doc__).partition(".. code-block:: yaml")[2]
    policies = yaml.safe_load(textwrap.dedent(example))["policies"]
    assert policies
    for policy in policies:
        for each in policy["filters"]:
            if isinstance(each, dict) and each.get("type") == "unnecessary":
                assert each.get("exempt") or each.get("exempt-from")
        for action in policy.get("actions", ()):
            if action["type"] in ("composite-delete", "quarantine"):
                assert {"noticed", "notices", "active-within"} <= set(action)
                (flag,) = [each for each in policy["filters"] if "kinds" in each]
                assert set(flag["kinds"]) <= {"machine", "no-credentials"}
                assert "role-trusts-user" in flag["findings"]["none-of"]


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
