# SPDX-License-Identifier: Apache-2.0
"""What a run writes is for the user who runs it, whatever the umask."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import c7n_iamusers_cli
from aws_local_org import LocalOrg
from c7n_iamusers import custodian
from tests.plugins import test_notify_owners as owners
from tests.policies import ACCOUNT, policy

EVERYBODY: dict[str, Any] = {"filters": owners.EVERYBODY}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The umask of most machines; ``same_umask`` takes back what the test makes of it."""
    monkeypatch.chdir(tmp_path)
    os.umask(0o022)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(EVERYBODY, id="flagging"),
        pytest.param({**EVERYBODY, "actions": [owners.action("notices")]}, id="announcing"),
        pytest.param({**EVERYBODY, "source": "describe"}, id="stock-source"),
        pytest.param({"filters": [{"UserName": "alice"}]}, id="source-alone"),
        pytest.param({**EVERYBODY, "actions": [{"type": "composite-delete"}]}, id="deleting"),
        pytest.param({"source": "describe", "actions": ["release"]}, id="releasing"),
    ],
)
def test_nobody_else_reads_what_a_policy_leaves(org: LocalOrg, tmp_path: Path, data: dict[str, Any]) -> None:
    org.client("iam", account_id=ACCOUNT).create_user(UserName="alice")
    policy(data, tmp_path / "output" / "payments").run()
    found = {path: path.stat().st_mode & 0o777 for path in (tmp_path).rglob("*")}
    assert any(path.name == "resources.json" for path in found)
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    files = {path.name: oct(mode) for path, mode in found.items() if path.is_file() and mode != 0o600}
    assert files == {}


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda: custodian.main(["version"]), id="launcher"),
        pytest.param(c7n_iamusers_cli.run, id="commands"),
    ],
)
def test_our_commands_write_for_their_user(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["c7n-iamusers", "mailer-templates"])
    with suppress(SystemExit):
        run()
    assert os.umask(0o022) == 0o077
