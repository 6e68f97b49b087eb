# SPDX-License-Identifier: Apache-2.0
"""What a rehearsal takes and refuses. tests/test_readme_rehearsal.py runs one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aws_local_org.demo.rehearse import (
    _days,
    _ended_by_sigterm,
    _entry,
    _mailer,
    _reasons,
    _variables,
    prepared,
    read_copies,
)
from aws_local_org.demo.state import AccountState, UserState
from aws_local_org.demo.steps import Commands, Days, Workflow
from aws_local_org.errors import LocalOrgError
from aws_local_org.settings import Settings
from c7n_iamusers_cli.main import main

ROOT = Path(__file__).parents[3]
ONE, TWO = "210987654321", "109876543210"


def details(path: Path, account_id: str) -> Path:
    arn = f"arn:aws:iam::{account_id}:user/ana"
    path.write_text(json.dumps({"UserDetailList": [{"UserName": "ana", "Arn": arn}] if account_id else []}))
    return path


def report(path: Path, account_id: str) -> Path:
    path.write_text(f"user,arn\nana,arn:aws:iam::{account_id}:user/ana\n")
    return path


def test_a_report_belongs_to_the_account_that_it_names(tmp_path: Path) -> None:
    pages = [details(tmp_path / "1.json", ONE), details(tmp_path / "2.json", TWO)]
    found = read_copies(pages, [report(tmp_path / "2.csv", TWO)], [])
    assert [(each.account_id, bool(each.report)) for each in found] == [(ONE, False), (TWO, True)]
    found = read_copies(pages, [report(tmp_path / "2.csv", TWO)], ["111122223333", "444455556666"])
    assert [(each.account_id, bool(each.report)) for each in found] == [
        ("111122223333", False),
        ("444455556666", True),
    ]


@pytest.mark.parametrize(
    ("accounts", "reports", "message"),
    [
        pytest.param([ONE, ONE], [], f"account {ONE} is given twice", id="twice"),
        pytest.param([ONE], [TWO], f"is of account {TWO}", id="another"),
        pytest.param([ONE], [ONE, ONE], "two --credential-report are of the same account", id="two-reports"),
        pytest.param([""], [], "names no account", id="empty"),
    ],
)
def test_documents_that_do_not_fit_are_refused(
    tmp_path: Path, accounts: list[str], reports: list[str], message: str
) -> None:
    pages = [details(tmp_path / f"{number}.json", each) for number, each in enumerate(accounts)]
    rows = [report(tmp_path / f"{number}.csv", each) for number, each in enumerate(reports)]
    with pytest.raises(LocalOrgError, match=message):
        read_copies(pages, rows, [])


def rehearse(tmp_path: Path, *options: str) -> Result:
    given = ["--authorization-details", str(details(tmp_path / "details.json", ONE)), "--source", str(ROOT)]
    return CliRunner().invoke(main, ["rehearse", *given, *options])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--account", "12"], "is not an account id", id="account"),
        pytest.param(["--account", ONE, "--account", TWO], "give one for each, or none", id="accounts"),
        pytest.param(["--source", "."], "there is no accounts.yml", id="checkout"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = rehearse(tmp_path, *options)
    assert result.exit_code != 0
    assert message in result.output
    assert not (tmp_path / ".rehearsal").exists()


@pytest.mark.parametrize("marker", [None, ".c7n-iamusers-demo"], ids=["own", "demo"])
def test_a_directory_that_no_rehearsal_made_is_left_alone(tmp_path: Path, marker: str | None) -> None:
    work = tmp_path / "work"
    (work / "output").mkdir(parents=True)
    (work / "output" / "thesis.txt").write_text("years of work")
    if marker:
        (work / marker).touch()
    result = rehearse(tmp_path, "--work", str(work))
    assert result.exit_code == 1
    assert "has no marker of a rehearsal" in result.output
    assert (work / "output" / "thesis.txt").exists()


def test_only_names_owners_and_variables_are_taken_from_the_checkout() -> None:
    """What reaches real systems is the rehearsal's own: roles, queue, notices, Slack."""
    role = "arn:aws:iam::1:role/Abroad"
    file = {
        "vars": {
            "queue_url": "https://abroad",
            "realtime_queue_url": "https://abroad",
            "notices": "s3://abroad",
            "identity_center_region": "abroad",
            "contact": "help@example.com",
        },
        "accounts": [{"account_id": ONE, "name": "shop", "role": role, "vars": {"owner": "o@example.com"}}],
    }
    entry, settings = _entry(file, ONE), Settings()
    assert (entry["name"], entry["vars"]["owner"]) == ("shop", "o@example.com")
    assert entry["role"] == f"arn:aws:iam::{ONE}:role/CloudCustodian"
    variables = _variables(file, settings, Path("/work"))
    assert variables["contact"] == "help@example.com"
    assert variables["notices"] == "/work/notices"
    assert variables["identity_center_region"] == settings.region
    mailer = _mailer({"slack_token": "xoxb", "from_address": "f@x.y"}, {ONE: entry}, variables, settings, 25)
    assert mailer["account_emails"] == {ONE: ["o@example.com"]}
    assert "abroad" not in json.dumps([entry, variables, mailer]).lower()
    assert "slack_token" not in mailer


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({}, Days(), id="none"),
        pytest.param(
            {"announce_days": 60, "quarantine_after_days": 40}, Days(quarantine=40, deletion=60), id="own"
        ),
        pytest.param({"remind_days": 5}, Days(reminder=5), id="reminder"),
    ],
)
def test_the_days_are_those_of_the_policies(variables: dict[str, int], expected: Days) -> None:
    assert _days(variables) == expected


def test_who_is_denied_everything_is_not_called_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """late was in use before the Deny of the others, and got its own on the day of the quarantine."""
    at = datetime(2026, 11, 25, tzinfo=timezone.utc)
    users = (UserState("late", "/", "AIDA1", last_used=at), UserState("busy", "/", "AIDA2", last_used=at))
    account = AccountState(ONE, "payments", users, at=at)
    none: Any = None
    path = tmp_path
    rehearsal = Workflow(path, path, none, path, path, {ONE: account}, parked={ONE: {"late"}})
    monkeypatch.setattr(Workflow, "reasons", lambda *_: {"late": "quiet for 7 of 14 days", "busy": "active"})
    monkeypatch.setattr("aws_local_org.demo.rehearse.announcements", lambda *_: {"AIDA1": at, "AIDA2": at})
    assert [row[1:] for row in _reasons(rehearsal, account, {"late", "busy"})] == [
        [1, "in quarantine, to be deleted later: quiet for 7 of 14 days", "late"],
        [1, "active: used in the 30 days before the quarantine", "busy"],
    ]


def test_days_that_are_no_number_are_refused() -> None:
    with pytest.raises(LocalOrgError, match="announce_days: give a whole number"):
        _days({"announce_days": "60"})


def test_an_interrupt_ends_the_command_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "c7n-mailer"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    wait, begun = subprocess.Popen.wait, list[int]()

    def interrupted(process: subprocess.Popen[bytes]) -> int:
        if not begun:
            begun.append(process.pid)
            os.kill(os.getpid(), signal.SIGTERM)
        return wait(process)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(SystemExit) as ended, _ended_by_sigterm():
        Commands(tmp_path, tmp_path, {}).c7n_mailer("mailer", tmp_path, tmp_path)
    assert ended.value.code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(begun[0], 0)


def test_a_copy_without_a_credential_report_is_named(
    no_local_org: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everybody in it looks unused."""
    copies = read_copies([details(tmp_path / "1.json", ONE)], [], [])
    with prepared(copies, ROOT, tmp_path / "work"):
        pass
    assert f"warning: account {ONE}: without its --credential-report" in capsys.readouterr().err
