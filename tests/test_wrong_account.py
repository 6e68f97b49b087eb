# SPDX-License-Identifier: Apache-2.0
"""The accounts file names a role of another account than the entry's: nothing is done there."""

from __future__ import annotations

import base64
import json
import zlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.exceptions import PolicyExecutionError
from c7n.utils import reset_session_cache
from c7n_org.cli import run_account
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers.entry import ACTIONS, FILTERS, load_classes
from c7n_iamusers_cli.main import main
from tests.plugins.deletions import user_names
from tests.policies import ACCOUNT, policy

OTHER, REGION = "444455556666", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"
CLASSES = load_classes({**FILTERS, **ACTIONS})
GLASS: dict[str, Any] = {
    "UserName": "glass",
    "UserId": "AIDAGLASS",
    "Path": "/",
    "Arn": f"arn:aws:iam::{ACCOUNT}:user/glass",
    "CreateDate": datetime(2026, 1, 1, tzinfo=timezone.utc),
}
REFUSED = (
    rf"account {OTHER}: its session acts in another account: it reads user glass of account {ACCOUNT}. "
    "No user was selected or touched: correct role or account_id in accounts.yml"
)


@pytest.mark.parametrize("name", CLASSES)
def test_each_plugin_refuses_users_of_another_account(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the users' ARNs, before any call: there is no AWS here."""
    example = (CLASSES[name].__doc__ or "").partition("code-block:: yaml")[2]
    data = {**yaml.safe_load(example)["policies"][0], "name": "under-test"}
    found = policy(data, account=OTHER).resource_manager
    (plugin, *_) = [each for each in (*found.filters, *found.actions) if each.type == name]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyExecutionError, match=REFUSED):
        plugin.process([GLASS])
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["evidence"], id="evidence"),
        pytest.param(
            ["roles", "--policy", "policies.yml", "--runner", f"arn:aws:iam::{ACCOUNT}:role/R"], id="roles"
        ),
        pytest.param(["shard", "--index", "0", "--of", "1"], id="shard"),
        pytest.param(["owners", "--from", "accounts"], id="owners"),
        pytest.param(["provision", "apply", "-s", ".", "--trust-intents"], id="provision"),
    ],
)
def test_each_command_refuses_the_accounts_file(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"account_id": ACCOUNT, "name": "payments", "role": "R", "vars": {"owner": "a@example.com"}},
        {"account_id": OTHER, "name": "research", "role": ROLE, "vars": {"owner": "b@example.com"}},
    ]
    Path("accounts.json").write_text(json.dumps({"accounts": rows}))
    Path("policies.yml").write_text("policies: [{name: p, resource: aws.iam-user, actions: [release]}]")
    result = CliRunner().invoke(main, [*arguments, "-c", "accounts.json"])
    assert result.exit_code != 0
    assert (
        f"research ({OTHER}): role {ROLE} is in account {ACCOUNT}: correct role or account_id"
        in result.stderr
    )


POLICIES = """
policies:
  - name: announce
    resource: aws.iam-user
    source: {source}
    filters: &flagged
      - {{type: unnecessary, exempt-from: exemptions.csv}}
    actions:
      - type: notify-owners
        notices: notices
        step: announce
        days: 0
        template: iam-users-flagged.html
        to: ["{{owner}}"]
        transport: {{type: sqs, queue: "{queue}"}}
        assume_role: false
  - name: quarantine
    resource: aws.iam-user
    source: {source}
    filters: *flagged
    actions: [{{type: quarantine, noticed: none, require: none}}]
  - name: delete
    resource: aws.iam-user
    source: {source}
    filters: *flagged
    actions: [{{type: composite-delete, noticed: none, require: none}}]
"""
RULES = "account,user,reason,expires\npayments,glass,break-glass,2999-12-31\n111122223333,pane,break-glass,2999-12-31\n"


pytestmark = pytest.mark.usefixtures("same_logging")


def c7n_org(source: str, **entry: Any) -> bool:
    """Run the policies as c7n-org does in the account of ``entry``. Whether all ended well."""
    reset_session_cache()
    account = {"regions": [REGION], "tags": [], "vars": {"owner": f"{entry['name']}@example.com"}, **entry}
    given = yaml.safe_load(POLICIES.format(source=source, queue=QUEUE))
    ended: bool = run_account(account, REGION, given, "output", 0, "cache", False, False, False)[1]
    return ended


def test_a_user_of_an_event_in_another_account(org: LocalOrg) -> None:
    org.client("iam", ACCOUNT).create_user(UserName="glass")
    with pytest.raises(PolicyExecutionError, match=REFUSED):
        policy({}, account=OTHER, assume_role=ROLE).resource_manager.get_resources(["glass"])


@pytest.mark.parametrize("source", ["authorization-details", "describe"])
def test_a_role_in_another_account(
    org: LocalOrg,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("exemptions.csv").write_text(RULES)
    iam = org.client("iam", ACCOUNT)
    for name in ("alice", "glass", "pane"):
        iam.create_user(UserName=name)
        iam.create_access_key(UserName=name)
    org.clear_calls()

    assert not c7n_org(source, account_id=OTHER, name="research", role=ROLE)
    for name in ("announce", "quarantine", "delete"):
        assert f"policy {name}: account {OTHER}: its session acts in another account" in caplog.text
    assert not Path("notices").exists()
    assert user_names(iam) == ["alice", "glass", "pane"]
    assert not [each for each in user_names(iam) if iam.list_user_policies(UserName=each)["PolicyNames"]]

    assert c7n_org(source, account_id=ACCOUNT, name="payments", role=ROLE)
    assert user_names(iam) == ["glass", "pane"]
    (message,) = org.client("sqs").receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10)["Messages"]
    told = json.loads(zlib.decompress(base64.b64decode(message["Body"])))
    assert told["action"]["to"] == ["payments@example.com"]
    assert [each["UserName"] for each in told["resources"]] == ["alice"]
