# SPDX-License-Identifier: Apache-2.0
"""One access key, by outputs and notices of real runs: what was done; and giving it back by one command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.notices.stop import STOP
from c7n_iamusers_cli.main import main
from tests.plugins.keys import deactivate, key_of, on_keys, retire, statuses, use_key
from tests.plugins.test_notify_owners import action
from tests.plugins.test_quarantine import quarantine
from tests.policies import ACCOUNT
from tests.readme import ROOT

OUTPUT = Path("output/payments/us-east-1")


@pytest.fixture
def keys(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Of jane: one that is unused for a year, and one in use; the checkout's accounts."""
    monkeypatch.chdir(tmp_path)
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    (tmp_path / "accounts.yml").write_text(yaml.safe_dump(accounts))
    return key_of(org, "jane", 400, 365), key_of(org, "jane", 100, 1)


def key(key_id: str, *arguments: str, output: str = "output") -> Result:
    return CliRunner().invoke(main, ["key", key_id, "-s", output, "-c", "accounts.yml", *arguments])


def test_it_says_what_was_done_and_brings_the_key_back(org: LocalOrg, keys: tuple[str, str]) -> None:
    unused, used = keys
    on_keys(OUTPUT, action("notices", template="iam-keys-flagged.html"), name="announcing")
    deactivate(OUTPUT, name="parking")
    result = key(unused)
    assert result.exit_code == 0, result.output
    head, announced, parked = result.stdout.splitlines()
    assert head.startswith(f"access key {unused} of user jane of account {ACCOUNT}: made inactive on ")
    assert "by policy parking: unused, last used on " in head
    assert "announced: its day is" in announced
    assert "deactivated: inactive" in parked
    assert "policy parking (output/payments/us-east-1/parking)" in parked
    found = json.loads(key(unused, "--format", "json").stdout)["found"]
    assert (found["user"], found["parked"]["policy"], found["parked"]["certain"]) == ("jane", "parking", True)

    (Path("notices") / STOP).touch()  # which stops what takes, and not what gives back
    back = key(unused, "--give-back")
    assert back.exit_code == 0, back.output
    assert f"access key {unused} of user jane of account {ACCOUNT}: activated: inactive since " in back.stdout
    assert statuses(org, "jane") == {unused: "Active", used: "Active"}
    assert "given back on " in key(unused).stdout
    again = key(unused, "--give-back")
    assert (again.exit_code, "unchanged: it is active" in again.stdout) == (0, True)


def test_what_the_action_refuses_the_command_refuses(org: LocalOrg, keys: tuple[str, str]) -> None:
    unused, _ = keys
    deactivate(OUTPUT, name="parking")
    use_key(org, unused, 0.1)
    result = key(unused, "--give-back")
    assert result.exit_code == 1
    assert "its last use is not what it was when it was made inactive" in result.output
    assert statuses(org, "jane")[unused] == "Inactive"
    assert key(unused, "--give-back", "--adopt").exit_code == 0
    assert statuses(org, "jane")[unused] == "Active"


def test_a_key_of_a_denied_user_stays_parked(org: LocalOrg, keys: tuple[str, str]) -> None:
    unused, _ = keys
    deactivate(OUTPUT, name="parking")
    quarantine(OUTPUT)
    result = key(unused, "--give-back")
    assert (result.exit_code, "is denied everything" in result.output) == (1, True)
    assert statuses(org, "jane")[unused] == "Inactive"


def test_a_deleted_key_does_not_come_back(org: LocalOrg, keys: tuple[str, str]) -> None:
    unused, _ = keys
    deactivate(OUTPUT, name="parking")
    retire(org, OUTPUT)
    result = key(unused, "--give-back")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"access key {unused} of user jane of account {ACCOUNT}: deleted on ")
    assert "user jane has no such key now" in result.output
    assert json.loads(key(unused, "--format", "json").stdout)["found"]["deleted"]


def test_without_aws_no_traceback(
    org: LocalOrg, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deactivate(OUTPUT, name="parking")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = key(keys[0], "--give-back")
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, "Could not connect" in result.output) == (1, True), result.output


def test_in_a_bucket(org: LocalOrg, keys: tuple[str, str]) -> None:
    unused, used = keys
    org.client("s3").create_bucket(Bucket="governance")
    place: Any = "s3://governance/runs/payments/us-east-1?region=us-east-1"
    parking = {"type": "deactivate", "reason": "x", "active-within": "none", "noticed": "none"}
    on_keys(place, parking, name="parking")
    assert statuses(org, "jane")[unused] == "Inactive"
    back = key(unused, "--give-back", output="s3://governance/runs?region=us-east-1")
    assert back.exit_code == 0, back.output
    assert statuses(org, "jane") == {unused: "Active", used: "Active"}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["AIDAEXAMPLE"], 2, "is not the id of an access key"),
        (["AKIANOBODYS"], 1, "access key AKIANOBODYS is not on record in output"),
        (["AKIANOBODYS", "-a", "nowhere"], 1, "no account nowhere"),
    ],
)
def test_what_is_wrong_is_said(keys: tuple[str, str], arguments: list[str], code: int, told: str) -> None:
    deactivate(OUTPUT, name="parking")
    result = key(*arguments)
    assert (result.exit_code, told in result.output) == (code, True), result.output


def test_another_account_s_record_of_the_key_is_not_acted_on(org: LocalOrg, keys: tuple[str, str]) -> None:
    """AWS gives no id twice: one of them wrote what is not so."""
    unused, _ = keys
    deactivate(OUTPUT, name="parking")
    (before,) = key(unused, "-a", ACCOUNT).stdout.splitlines()[:1]
    (row,) = json.loads((OUTPUT / "parking" / "outcomes.json").read_text())
    other = "444455556666"
    forged = {**row, "user": "mallory", "arn": f"arn:aws:iam::{other}:user/mallory", "status": "activated"}
    for place in ("a/research/x", f"a/research/{ACCOUNT}/us-east-1/x"):
        directory = Path("output", place)
        directory.mkdir(parents=True)
        (directory / "outcomes.json").write_text(json.dumps([forged]))
    assert key(unused, "-a", ACCOUNT).stdout.splitlines()[0] == before
    for arguments in ([], ["--give-back"]):
        result = key(unused, *arguments)
        assert (result.exit_code, f"is on record in {ACCOUNT}, {other}" in result.output) == (1, True)
    assert statuses(org, "jane")[unused] == "Inactive"
    assert key(unused, "-a", ACCOUNT, "--give-back").exit_code == 0
    assert statuses(org, "jane")[unused] == "Active"
