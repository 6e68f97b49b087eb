# SPDX-License-Identifier: Apache-2.0
"""Bad input ends with the place and the remedy, before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers_cli.main import main
from tests.policies import ACCOUNT, policy
from tests.test_readme import quarantined, users

FLAG = {"type": "unnecessary", "exempt": "none"}
TRANSPORT = {"type": "sqs", "queue": "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"}
ANNOUNCE = {
    "type": "notify-owners",
    "notices": "notices",
    "step": "announce",
    "days": 30,
    "to": ["owner@example.com"],
    "transport": TRANSPORT,
}
QUARANTINE = {"type": "quarantine", "noticed": 16, "notices": "notices", "require": "none"}
RELEASE = {"type": "release"}
RULE = "user,reason,expires\nbot,in use,2030-01-01\n"


@pytest.fixture
def iam(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """IAM of an account with a user, and a directory with a list of one exemption and a file that is no directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exemptions.csv").write_text(RULE)
    (tmp_path / "file").write_text("")
    (tmp_path / "owners.json").write_text("[]")
    client = org.client("iam", ACCOUNT)
    client.create_user(UserName="alice")
    return client


def listed(place: str, **options: Any) -> dict[str, Any]:
    return {"type": "unnecessary", "exempt-from": {"from": place, **options}}


@pytest.mark.parametrize(
    ("flag", "action", "message"),
    [
        pytest.param(
            listed("none.csv"), ANNOUNCE, "none.csv can't be read.*: correct exempt-from", id="no-list"
        ),
        pytest.param(listed("file", format="csv"), QUARANTINE, "file: has no rules", id="empty-list"),
        pytest.param(
            listed("exemptions.csv", **{"min-rules": 2}),
            QUARANTINE,
            "has 1 rules, and min-rules asks for 2: it was probably cut off",
            id="shrunken-list",
        ),
        pytest.param(listed("s3://none/x.csv"), QUARANTINE, "s3://none/x.csv can't be read", id="s3-list"),
        pytest.param(
            FLAG,
            {**ANNOUNCE, "to": ["the team"]},
            r"no e-mail address in to.*to is \['the team'\]",
            id="owner",
        ),
        pytest.param(FLAG, {**ANNOUNCE, "to": ["{owner}"]}, "undefined variables: owner", id="no-owner"),
        pytest.param(
            FLAG,
            {
                **{key: value for key, value in ANNOUNCE.items() if key != "to"},
                "to_from": {"url": "file:owners.json"},
            },
            "no e-mail address in to.*These users were not announced: alice",
            id="owners-list-of-nobody",
        ),
        pytest.param(
            FLAG,
            {**ANNOUNCE, "notices": "file"},
            "notices can't be read and written.*make file readable and writable",
            id="notices",
        ),
        pytest.param(
            FLAG,
            {**ANNOUNCE, "notices": "s3://none/n"},
            "NoSuchBucket.*make s3://none/n readable and writable",
            id="notices-s3",
        ),
        pytest.param(
            FLAG,
            {**QUARANTINE, "notices": "s3://none/n"},
            "NoSuchBucket.*Nothing was touched: make s3://none/n readable",
            id="quarantine-notices-s3",
        ),
    ],
)
def test_a_policy_ends_before_it_touches_anybody(
    org: LocalOrg, iam: Any, tmp_path: Path, flag: dict[str, Any], action: dict[str, Any], message: str
) -> None:
    org.clear_calls()
    with pytest.raises((PolicyValidationError, PolicyExecutionError), match=message):
        policy({"filters": [flag], "actions": [action]}, tmp_path / "output").run()
    assert users(iam) == {"alice"}
    assert quarantined(iam) == set()
    # whether messages have left the queue is read
    assert {call.operation for call in org.calls if call.service == "sqs"} <= {"GetQueueAttributes"}


@pytest.mark.parametrize("action", [ANNOUNCE, QUARANTINE, RELEASE], ids=lambda action: str(action["type"]))
def test_an_unknown_region_is_refused(action: dict[str, Any]) -> None:
    filters = [] if action == RELEASE else [FLAG]
    found = policy({"filters": filters, "actions": [action]})
    found.options["region"] = "us-est-1"
    with pytest.raises(PolicyValidationError, match=r"'us-est-1' is no Region .*: correct it.* accounts.yml"):
        found.validate()


def accounts(path: Path, **changes: Any) -> str:
    entry = {"account_id": ACCOUNT, "name": "payments", "role": f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"}
    path.write_text(yaml.safe_dump({"accounts": [{**entry, "regions": ["us-east-1"], **changes}]}))
    return str(path)


@pytest.mark.parametrize(
    ("command", "changes", "message"),
    [
        pytest.param("preflight", {"regions": ["us-est-1"]}, "'us-est-1' is no Region", id="region"),
        pytest.param(
            "preflight", {"role": f"arn:aws-x:iam::{ACCOUNT}:role/X"}, "no partition 'aws-x'", id="partition"
        ),
        pytest.param(
            "evidence", {"role": f"arn:aws-x:iam::{ACCOUNT}:role/X"}, "no partition 'aws-x'", id="evidence"
        ),
        pytest.param("preflight", {"vars": {"owner": "x"}}, "'x' is not one e-mail address", id="owner"),
        pytest.param(
            "preflight", {"vars": {"notices": "file"}}, "create file (variable notices)", id="notices"
        ),
    ],
)
def test_a_command_names_what_is_wrong_with_an_account(
    iam: Any, tmp_path: Path, command: str, changes: dict[str, Any], message: str
) -> None:
    result = CliRunner().invoke(main, [command, "-c", accounts(tmp_path / "accounts.yml", **changes)])
    assert result.exit_code == 1
    assert message in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["restore", "other"], "other: no snapshot in it: give a run's output", id="restore"),
        pytest.param(["report", "-s", "other"], "other holds no output of a run", id="report"),
        pytest.param(["report", "-s", "none"], "none is no directory", id="report-missing"),
        pytest.param(["plan", "other/file.json"], "not a plan", id="plan"),
        pytest.param(
            ["provision", "plan", "-s", "other"], "no identity-center-intents.json below other", id="intents"
        ),
    ],
)
def test_a_directory_that_is_no_runs_is_refused(
    iam: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file.json").write_text("{}")
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert message in result.output
