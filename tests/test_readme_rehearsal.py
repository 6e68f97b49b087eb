# SPDX-License-Identifier: Apache-2.0
"""The README's rehearsal on a copy of a real account, as it is written."""

from __future__ import annotations

import json
import shlex
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from aws_local_org.demo.expectations import mails
from c7n_iamusers_cli.main import main
from tests.conftest import hurry
from tests.local_org.demo.in_this_process import run_in_this_process
from tests.readme import COMMANDS, EVERYBODY, by_hand, copy_checkout, in_shell, of_rehearsal, substituted

#: Of a person who signed in elsewhere: a rehearsal must not use them, nor miss what they name.
REAL = {"AWS_PROFILE": "production", "AWS_ACCESS_KEY_ID": "AKIAREAL", "AWS_SECRET_ACCESS_KEY": "real"}
#: Who was active yesterday, and who has no e-mail address, so no replacement.
LEFT = {"busy-bot", "ana.silva", "lee.jones"}
EXEMPT = {"break-glass", "git-web"}


def test_an_organization_that_is_served_is_tried_by_hand(tmp_path: Path, no_local_org: None) -> None:
    checkout = copy_checkout(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    mailer = checkout / "mailer.yml"
    mailer.write_text(mailer.read_text().replace(": 2525", f": {port}"))
    (text,) = [substituted(each) for each in COMMANDS if by_hand(each)]
    # the server must not outlive a line that fails
    in_shell(f"trap 'kill $! 2> /dev/null || true' EXIT\n{text}", checkout, {"SMTP_PORT": port})
    assert len(mails(checkout / "mails")) == 1


def test_the_rehearsal_runs(tmp_path: Path, no_local_org: None, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = copy_checkout(tmp_path)
    with (checkout / "policies" / "exemptions.csv").open("a") as rules:
        rules.write(",git-*,,CodeCommit clients,platform@example.com,2999-12-31,\n")
    copying, rehearsing = [substituted(text) for text in COMMANDS if of_rehearsal(text)]
    in_shell(copying, checkout, REAL)
    hurry(monkeypatch)
    run_in_this_process(monkeypatch)
    monkeypatch.chdir(checkout)
    program, *arguments = shlex.split(rehearsing)
    done = CliRunner(env={**REAL, "COLUMNS": "300"}).invoke(main, arguments)
    assert (program, done.exit_code) == ("c7n-iamusers", 0), done.output
    printed = done.stdout
    assert "without its --credential-report" not in done.stderr
    work = checkout / ".rehearsal"
    rows = [
        row
        for path in work.glob("output/removal/*/us-east-1/iam-users-delete*/outcomes.json")
        for row in json.loads(path.read_text())
    ]
    deleted = {row["user"] for row in rows if row["status"] == "deleted"}
    assert deleted == EVERYBODY - LEFT - EXEMPT
    # announced, replaced, denied while it is listened and after it, reminded, deleted, overdue
    assert len(mails(work / "mails")) == 7
    assert "lee.jones" in (work / "report.html").read_text()
    (table,) = [line.split() for line in printed.splitlines() if line.split()[-1:] == ["5"]]
    assert table[2:] == ["9", "7", "2", "4", "4", "0", "5"]
    for reason in ("ana.silva, busy-bot", "break-glass, git-web", "lee.jones"):
        assert reason in printed
    # nothing outside its directory
    assert not (checkout / "notices").exists()
    assert not (checkout / "output").exists()
