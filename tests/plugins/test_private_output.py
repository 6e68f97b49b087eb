# SPDX-License-Identifier: Apache-2.0
"""What a run writes is for the user who runs it, whatever the umask."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyValidationError

import c7n_iamusers_cli
from aws_local_org import LocalOrg
from c7n_iamusers import custodian
from tests.plugins import test_notify_owners as owners
from tests.plugins.deletions import outcomes
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


POLICIES = {
    "flagging": EVERYBODY,
    "source-alone": {"filters": [{"UserName": "alice"}]},
    "releasing": {"source": "describe", "actions": ["release"]},
}
OWN = ("custodian-run.log", "resources.json", "metadata.json")


def linked(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def linked_hard(place: Path, victim: Path) -> None:
    place.hardlink_to(victim)


def piped(place: Path, victim: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize("data", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("make", [linked, linked_hard, piped])
def test_cloud_custodian_writes_through_no_link(
    org: LocalOrg, tmp_path: Path, data: dict[str, Any], make: Callable[[Path, Path], None]
) -> None:
    org.client("iam", account_id=ACCOUNT).create_user(UserName="alice")
    output, victim = tmp_path / "output" / "under-test", tmp_path / "victim"
    output.mkdir(parents=True)
    victim.write_text("precious")
    for name in OWN:
        make(output / name, victim)
        with pytest.raises(PolicyValidationError, match=rf"policy under-test: .*{name} (is|has)"):
            policy(data, tmp_path / "output").run()
        (output / name).unlink()
    assert victim.read_text() == "precious"
    policy(data, tmp_path / "output").run()


def test_a_link_in_place_of_the_output_is_refused(org: LocalOrg, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "under-test").symlink_to(elsewhere)
    with pytest.raises(PolicyValidationError, match="under-test is not a directory"):
        policy(EVERYBODY, tmp_path / "output").run()
    assert not list(elsewhere.iterdir())


def test_what_earlier_runs_left_is_written_again(org: LocalOrg, tmp_path: Path) -> None:
    org.client("iam", account_id=ACCOUNT).create_user(UserName="alice")
    for expected in ("quarantined", "unchanged"):
        policy({**EVERYBODY, "actions": [{"type": "quarantine"}]}, tmp_path / "output").run()
        assert outcomes(tmp_path / "output")["alice"]["status"] == expected


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
