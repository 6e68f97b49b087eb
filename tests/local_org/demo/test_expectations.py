# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from aws_local_org.demo.expectations import (
    PolicyOutput,
    access_faults,
    deletion_faults,
    flag_faults,
    leaving,
    mail_faults,
)
from aws_local_org.demo.state import AccountState, UserState

USERS = (
    UserState("alice", "/", "alice@example.com"),
    UserState("ci", "/machines/", ""),
    UserState("git-web", "/", ""),
    UserState("break-glass", "/emergency/", "security@example.com"),
)
BEFORE = AccountState("111122223333", "payments", USERS, frozenset({"old"}))
AFTER = AccountState("111122223333", "payments", USERS[2:], frozenset({"old"}))
CALL = {"user": "alice", "operation": "DeleteUser", "parameters": {"UserName": "alice"}}


def named(*names: str) -> list[dict[str, str]]:
    return [{"UserName": name} for name in names]


def output(path: Path, **files: Any) -> PolicyOutput:
    """A policy's output in which everything went well, but for ``files``."""
    good: dict[str, Any] = {
        "resources": [{"UserName": "alice"}, {"UserName": "ci"}],
        "outcomes": [{"user": name, "status": "deleted"} for name in ("alice", "ci")],
        "snapshots": ["alice", "ci"],
        "journal": [{"phase": "before", **CALL}, {"phase": "after", "result": "done", **CALL}],
    }
    found = {**good, **files}
    (path / "snapshots").mkdir()
    for name in ("resources", "outcomes"):
        if found[name] is not None:
            (path / f"{name}.json").write_text(json.dumps(found[name]))
    for name in found["snapshots"]:
        (path / "snapshots" / f"{name}.json").write_text(json.dumps({"user": {"UserName": name}}))
    (path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found["journal"]))
    return PolicyOutput(path)


def mail(
    to: str = "owner@example.com", subject: str = "Gone", text: str = "111122223333 alice ci"
) -> EmailMessage:
    message = EmailMessage()
    message["To"], message["Subject"] = to, subject
    message.set_content(text)
    return message


def test_who_leaves() -> None:
    assert leaving(BEFORE) == {"alice", "ci"}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        pytest.param({}, None, id="all-flagged"),
        pytest.param({"resources": [{"UserName": "alice"}]}, "flagged: ci is missing", id="one-missed"),
        pytest.param(
            {"resources": named("alice", "ci", "git-web")},
            "git-web is too many",
            id="exempt",
        ),
        pytest.param({"resources": None}, "the policy did not run", id="not-run"),
    ],
)
def test_flag_faults(tmp_path: Path, files: dict[str, Any], fault: str | None) -> None:
    check(flag_faults(BEFORE, output(tmp_path, **files)), fault)


@pytest.mark.parametrize(
    ("after", "files", "fault"),
    [
        pytest.param(AFTER, {}, None, id="all-gone"),
        pytest.param(BEFORE, {}, "users left: alice is too many", id="still-there"),
        pytest.param(
            replace(AFTER, users=USERS[3:]),
            {},
            "git-web is missing",
            id="exempt-deleted",
        ),
        pytest.param(
            replace(AFTER, orphaned_mfa=frozenset({"old", "new"})), {}, "new is too many", id="orphan"
        ),
        pytest.param(AFTER, {"snapshots": ["alice"]}, "snapshots: ci is missing", id="no-snapshot"),
        pytest.param(AFTER, {"outcomes": []}, "outcomes deleted: alice is missing", id="no-outcome"),
        pytest.param(
            AFTER,
            {"journal": [{"phase": "before", **CALL}]},
            "call not ended: alice",
            id="journal",
        ),
    ],
)
def test_deletion_faults(
    tmp_path: Path, after: AccountState, files: dict[str, Any], fault: str | None
) -> None:
    check(deletion_faults(BEFORE, after, output(tmp_path, **files)), fault)


@pytest.mark.parametrize(
    ("received", "fault"),
    [
        pytest.param([mail()], None, id="told"),
        pytest.param([mail(text="111122223333 alice"), mail(text="ci")], None, id="told-in-two"),
        pytest.param([], "has no mail 'Gone' about account 111122223333", id="no-mail"),
        pytest.param([mail(to="other@example.com")], "has no mail", id="other-person"),
        pytest.param([mail(subject="Else")], "has no mail", id="other-subject"),
        pytest.param([mail(text="111122223333 alice")], "misses ci", id="one-not-named"),
    ],
)
def test_mail_faults(received: list[EmailMessage], fault: str | None) -> None:
    check(mail_faults(BEFORE, ["owner@example.com"], "Gone", received), fault)


@pytest.mark.parametrize(
    ("access", "fault"),
    [
        pytest.param({"alice@example.com": "Readers"}, None, id="who-leaves"),
        pytest.param({}, "alice@example.com is missing", id="nobody"),
        pytest.param(
            {"alice@example.com": "R", "eve@example.com": "R"}, "eve@example.com is too many", id="stranger"
        ),
    ],
)
def test_access_faults(access: dict[str, str], fault: str | None) -> None:
    check(access_faults(BEFORE, access), fault)


def check(faults: list[str], fault: str | None) -> None:
    """Exactly the expected fault, or none."""
    if fault is None:
        assert faults == []
    else:
        assert any(fault in found for found in faults), faults
