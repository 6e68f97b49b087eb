# SPDX-License-Identifier: Apache-2.0
"""The README's rehearsal on a copy of a real account, as it is written, and then its beginning once more."""

from __future__ import annotations

import json
import re
import socket
from contextlib import ExitStack
from pathlib import Path

from aws_local_org.demo.expectations import mails
from tests.readme import COMMANDS, EVERYBODY, copy_checkout, in_shell, of_rehearsal, shell, substituted

#: Of a rehearsal: announced, replaced, without a replacement, deleted machines, deleted people
MAILS = 5
#: Who was active yesterday.
LEFT = {"busy-bot", "ana.silva"}


def test_the_rehearsal_runs(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path)
    with ExitStack() as sockets:
        port, smtp_port = (free_port(sockets) for _ in range(2))
    config = (checkout / "mailer.yml").read_text()
    (checkout / "mailer.yml").write_text(config.replace("2525", str(smtp_port)))
    removal = checkout / "rehearsal/removal/payments/us-east-1"
    blocks = [substituted(text, port, smtp_port) for text in COMMANDS if of_rehearsal(text)]
    for text in blocks:
        in_shell(text, checkout, {})
    rows = {
        row["user"]: row["status"]
        for name in ("iam-users-delete", "iam-users-delete-people")
        for row in json.loads((removal / name / "outcomes.json").read_text())
    }
    assert {name for name, status in rows.items() if status == "skipped"} == LEFT
    # lee.jones has no e-mail address, so no replacement
    assert set(rows) == EVERYBODY - {"break-glass", "git-web", "lee.jones"}
    assert {status for name, status in rows.items() if name not in LEFT} == {"deleted"}
    assert len(mails(checkout / "mails")) == MAILS

    # a second rehearsal starts anew on what the first left, here up to its announcement
    for text in blocks:
        in_shell(re.sub(r"(?m)^c7n-org run (?!.* flag-today\.yml).*$", "", text), checkout, {})
    assert not removal.exists()
    assert len(mails(checkout / "mails")) == MAILS + 1


def test_nothing_runs_where_the_local_organization_does_not(tmp_path: Path) -> None:
    """With the reader's own credentials, what follows would flag and delete in the reader's own accounts."""
    checkout = copy_checkout(tmp_path)
    (checkout / "local.env").write_text("# of an earlier run\nexport AWS_ENDPOINT_URL=http://127.0.0.1:1\n")
    (text,) = [text for text in COMMANDS if "local-org serve" in text]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = shell(substituted(text, taken.getsockname()[1]), checkout, {})
    assert done.returncode != 0
    assert "Address already in use" in done.stderr
    assert not re.search("c7n|custodian", done.stdout)
    assert not (checkout / "rehearsal").exists()
    assert not (checkout / "cache-local").exists()


def free_port(sockets: ExitStack) -> int:
    """A port that nobody listens on; both are held until both are known."""
    return int(sockets.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1])
