# SPDX-License-Identifier: Apache-2.0
"""Each check of the demo finds what it is there for, and nothing where all went well."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from aws_local_org.demo.after_deletion import overdue, receipt_faults
from aws_local_org.demo.expectations import (
    PolicyOutput,
    access_faults,
    announced_faults,
    attempted_faults,
    changed,
    deleted,
    deletion_faults,
    exempt,
    leaving,
    left_faults,
    mail_faults,
    number_faults,
    numbers_of,
    population_faults,
    quarantine_faults,
    recorded_faults,
    sparing_faults,
    stop_faults,
    unreplaced,
    why_left,
)
from aws_local_org.demo.state import DENY_ALL, AccountState, UserState

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
ALICE = UserState("alice", "/", "AIDA1", "alice@example.com", True, NOW - timedelta(days=90))
CI = UserState("ci", "/machines/", "AIDA2", last_used=NOW - timedelta(days=31))
GIT = UserState("git-web", "/", "AIDA3")
BREAK_GLASS = UserState("break-glass", "/emergency/", "AIDA4", "security@example.com", True)
USERS = (ALICE, CI, GIT, BREAK_GLASS)
BEFORE = AccountState(
    "111122223333",
    "payments",
    USERS,
    frozenset({"old"}),
    frozenset({"alice@example.com", "security@example.com"}),
    NOW,
)
AFTER = replace(BEFORE, users=USERS[2:])
PARKED = replace(BEFORE, users=tuple(replace(each, policies="Deny") for each in USERS[:2]) + USERS[2:])
ANNOUNCED = {user.unique_id: NOW - timedelta(days=30) for user in USERS}


@pytest.mark.parametrize(
    ("denied", "said", "fault"),
    [
        pytest.param(
            {"alice", "ci"}, {"AIDA1": "replace-first", "AIDA2": "goes", "AIDA3": "in-use"}, None, id="so"
        ),
        pytest.param(
            set(), {"AIDA2": "goes"}, "ci was not denied, and its owner was told: goes", id="not-denied"
        ),
        pytest.param(
            {"ci"}, {"AIDA2": "in-use"}, "ci was denied, and its owner was told: in-use", id="denied"
        ),
        pytest.param({"ci"}, {}, None, id="not-announced"),
    ],
)
def test_announced_faults(denied: set[str], said: dict[str, str], fault: str | None) -> None:
    check(announced_faults(BEFORE, denied, said), fault)


def call(name: str) -> dict[str, Any]:
    return {"user": name, "operation": "DeleteUser", "parameters": {"UserName": name}}


def output(path: Path, status: str = "deleted", **files: Any) -> PolicyOutput:
    """A policy's output in which everything went well, but for ``files``."""
    good: dict[str, Any] = {
        "resources": [{"UserName": "alice"}, {"UserName": "ci"}],
        "outcomes": [{"user": name, "status": status} for name in ("alice", "ci")],
        "snapshots": ["alice", "ci"],
        "journal": [
            {**line, **call(name)}
            for name in ("alice", "ci")
            for line in ({"phase": "before"}, {"phase": "after", "result": "done"})
        ],
    }
    found = {**good, **files}
    (path / "snapshots").mkdir()
    for name in ("resources", "outcomes"):
        if found[name] is not None:
            (path / f"{name}.json").write_text(json.dumps(found[name]))
    for name in found["snapshots"]:
        (path / "snapshots" / f"{name}.json").write_text(json.dumps({"user": {"UserName": name}}))
    (path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found["journal"]))
    return PolicyOutput((path,))


def mail(
    to: str = "owner@example.com", subject: str = "payments: Gone", text: str = "111122223333 alice ci"
) -> EmailMessage:
    message = EmailMessage()
    message["To"], message["Subject"] = to, subject
    message.set_content(text)
    return message


def test_who_leaves() -> None:
    assert leaving(BEFORE) == {"alice", "ci"}
    assert deleted(BEFORE, AFTER) == {"alice", "ci"}
    assert changed(BEFORE, PARKED) == {"alice", "ci"}
    assert changed(BEFORE, AFTER) == set()


@pytest.mark.parametrize(
    ("announced", "fault"),
    [
        pytest.param({"AIDA1", "AIDA2"}, None, id="all-announced"),
        pytest.param({"AIDA1"}, "announced: ci is missing", id="one-missed"),
        pytest.param({"AIDA1", "AIDA2", "AIDA3"}, "git-web is too many", id="exempt"),
    ],
)
def test_recorded_faults(announced: set[str], fault: str | None) -> None:
    check(recorded_faults(BEFORE, dict.fromkeys(announced, NOW), leaving(BEFORE)), fault)


def with_alice(**changes: Any) -> AccountState:
    return replace(BEFORE, users=(replace(ALICE, **changes), *USERS[1:]))


def with_ci(**changes: Any) -> AccountState:
    return replace(BEFORE, users=(ALICE, replace(CI, **changes), *USERS[2:]))


@pytest.mark.parametrize(
    ("before", "touched", "announced", "fault"),
    [
        pytest.param(BEFORE, {"alice", "ci"}, ANNOUNCED, None, id="sound"),
        pytest.param(
            BEFORE, {"git-web"}, ANNOUNCED, "git-web was deleted, although it is exempt", id="exempt"
        ),
        pytest.param(BEFORE, {"break-glass"}, ANNOUNCED, "although it is exempt", id="break-glass"),
        pytest.param(
            with_ci(last_used=NOW - timedelta(days=29)),
            {"ci"},
            ANNOUNCED,
            "although it was used on 2026-10-27, within 30 days",
            id="active",
        ),
        pytest.param(
            with_ci(last_used=NOW - timedelta(days=29)), {"alice"}, ANNOUNCED, None, id="active-and-left"
        ),
        pytest.param(
            with_ci(trusted_by=("deploy",)),
            {"ci"},
            ANNOUNCED,
            "although the role deploy trusts it",
            id="trusted",
        ),
        pytest.param(
            replace(BEFORE, access=frozenset()), {"alice"}, ANNOUNCED, "has no access through", id="no-access"
        ),
        pytest.param(with_alice(email=""), {"alice"}, ANNOUNCED, "has no access through", id="password-only"),
        pytest.param(
            with_alice(email="eve@example.com", has_password=False),
            {"alice"},
            ANNOUNCED,
            "has no access through",
            id="email-only",
        ),
        pytest.param(BEFORE, {"alice"}, {}, "although its owner was not addressed", id="unannounced"),
        pytest.param(
            BEFORE,
            {"alice"},
            {"AIDA1": NOW - timedelta(days=29)},
            "its owner was addressed on 2026-10-27, less than 30 days before",
            id="too-early",
        ),
    ],
)
def test_sparing_faults(
    before: AccountState, touched: set[str], announced: dict[str, datetime], fault: str | None
) -> None:
    check(sparing_faults(before, touched, announced, 30, "deleted"), fault)


@pytest.mark.parametrize(
    ("after", "files", "fault"),
    [
        pytest.param(PARKED, {}, None, id="all-parked"),
        pytest.param(replace(PARKED, users=PARKED.users[1:]), {}, "alice is gone", id="deleted"),
        pytest.param(BEFORE, {}, "outcomes quarantined: alice is too many", id="no-deny"),
        pytest.param(PARKED, {"outcomes": []}, "outcomes quarantined: ci is missing", id="no-outcome"),
        pytest.param(PARKED, {"resources": None}, "a policy did not run", id="not-run"),
        pytest.param(
            PARKED, {"journal": [{"phase": "before", **call("ci")}]}, "call not ended", id="journal"
        ),
    ],
)
def test_quarantine_faults(
    tmp_path: Path, after: AccountState, files: dict[str, Any], fault: str | None
) -> None:
    check(quarantine_faults(BEFORE, after, output(tmp_path, "quarantined", **files)), fault)


@pytest.mark.parametrize(
    ("after", "files", "fault"),
    [
        pytest.param(AFTER, {}, None, id="all-gone"),
        pytest.param(BEFORE, {}, "outcomes deleted: alice is too many", id="still-there"),
        pytest.param(replace(AFTER, users=USERS[1:]), {}, "no machine was deleted", id="no-machine"),
        pytest.param(replace(AFTER, users=(ALICE, *USERS[2:])), {}, "no person was deleted", id="no-person"),
        pytest.param(
            replace(AFTER, orphaned_mfa=frozenset({"old", "new"})), {}, "new is too many", id="orphan"
        ),
        pytest.param(AFTER, {"snapshots": ["alice"]}, "snapshots: ci is missing", id="no-snapshot"),
        pytest.param(AFTER, {"outcomes": []}, "outcomes deleted: alice is missing", id="no-outcome"),
        pytest.param(AFTER, {"resources": None}, "a policy did not run", id="not-run"),
        pytest.param(
            AFTER,
            {"journal": [{"phase": "before", **call("alice")}]},
            "call not ended: alice",
            id="unfinished",
        ),
        pytest.param(AFTER, {"journal": []}, "journal: alice is missing", id="no-journal"),
    ],
)
def test_deletion_faults(
    tmp_path: Path, after: AccountState, files: dict[str, Any], fault: str | None
) -> None:
    found = deletion_faults(BEFORE, after, output(tmp_path, **files))
    check(found + population_faults(BEFORE, deleted(BEFORE, after)), fault)


STOPPED = [
    {"user": "alice", "status": "skipped", "code": "Active"},
    {"user": "ci", "status": "failed", "code": "Stopped"},
]


@pytest.mark.parametrize(
    ("after", "rows", "code", "fault"),
    [
        pytest.param(BEFORE, STOPPED, 1, None, id="stopped"),
        pytest.param(BEFORE, STOPPED, 0, "ended with 0 despite STOP", id="no-error"),
        pytest.param(BEFORE, STOPPED[:1], 1, "no outcome of the deletion names STOP", id="nothing-to-stop"),
        pytest.param(BEFORE, None, 1, "no outcome of the deletion names STOP", id="no-outcomes"),
        pytest.param(AFTER, STOPPED, 1, "ci was touched despite STOP", id="deleted"),
        pytest.param(PARKED, STOPPED, 1, "alice was touched despite STOP", id="changed"),
    ],
)
def test_stop_faults(tmp_path: Path, after: AccountState, rows: Any, code: int, fault: str | None) -> None:
    check(stop_faults(BEFORE, after, output(tmp_path, outcomes=rows), code), fault)


@pytest.mark.parametrize(
    ("resources", "fault"),
    [
        pytest.param([{"UserName": "ci"}], None, id="attempted"),
        pytest.param([], "attempts: ci is missing", id="nobody-seen"),
        pytest.param([{"UserName": "ci"}, {"UserName": "alice"}], "alice is too many", id="another"),
        pytest.param(None, "a policy did not run", id="not-run"),
    ],
)
def test_heard_faults(tmp_path: Path, resources: Any, fault: str | None) -> None:
    check(attempted_faults(BEFORE, output(tmp_path, resources=resources), {"ci"}), fault)


@pytest.mark.parametrize(
    ("after", "reasons", "fault"),
    [
        pytest.param(AFTER, {}, None, id="only-the-exempt"),
        pytest.param(with_ci(), {"alice": "x"}, "ci is left, and nothing says why", id="unexplained"),
        pytest.param(with_ci(), {"alice": "x", "ci": "its owners were not addressed"}, None, id="said"),
        pytest.param(
            replace(BEFORE, users=(*USERS, UserState("new", "/"))),
            {"alice": "x", "ci": "x"},
            "new is left, and nothing says why",
            id="new",
        ),
    ],
)
def test_left_faults(after: AccountState, reasons: dict[str, str], fault: str | None) -> None:
    check(left_faults(after, BEFORE, {"git-web", "break-glass"}, reasons, 30), fault)


def test_people_who_went_without_a_replacement_are_named() -> None:
    assert unreplaced(BEFORE, AFTER) == []
    assert unreplaced(BEFORE, replace(AFTER, access=frozenset())) == ["alice"]


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
    check(mail_faults(BEFORE, ["alice", "ci"], ["owner@example.com"], "Gone", received), fault)


def counted(**changes: Any) -> dict[str, Any]:
    """The report of an account where two of four users were announced and deleted, and two are exempt."""
    row = {"users": 4, "left": 2, "exempt": 2}
    flag = {"policy": "iam-users-flag", "selected": 2, "outcomes": {}}
    delete = {"policy": "iam-users-delete", "selected": 4, "outcomes": {"deleted": 2, "skipped": 2}}
    report: dict[str, Any] = {
        "totals": {**row, "deleted": 2},
        "accounts": [{"account": BEFORE.account_id, **row}],
        "policies": [flag, delete],
    }
    return {**report, **changes}


SAID = (
    "4 users seen in 1 account: 2 deleted, 0 deleted by others, 2 still there, of which 2 are exempt and 0 of"
)
ANNOUNCING = mail(subject="payments: 2 IAM users are to be deleted on 2026-12-25")
GROUPED = mail(
    subject="payments: 1 IAM user is to be denied everything on 2026-12-11 and deleted on 2026-12-25, 1 in use"
)
NOBODY_GOES = mail(subject="payments: 1 IAM user in use, 1 without a replacement: move them by 2026-12-25")
#: The same users again.
REMINDING = mail(subject="payments: reminder: 2 IAM users are to be deleted on 2026-12-25")
TELLING = mail(subject="payments: 2 IAM users deleted, 1 left alone on 2026-12-25")


@pytest.mark.parametrize(
    ("report", "said", "received", "fault"),
    [
        pytest.param({}, SAID, (ANNOUNCING, REMINDING, TELLING), None, id="alike"),
        pytest.param({}, SAID, (GROUPED, REMINDING, TELLING), None, id="groups"),
        pytest.param({}, SAID, (NOBODY_GOES, REMINDING, TELLING), None, id="nobody-goes"),
        pytest.param(
            {"accounts": [{"account": BEFORE.account_id, "users": 2, "left": 0, "exempt": 0}]},
            SAID,
            (ANNOUNCING, TELLING),
            "111122223333: users in the report: 2, and not 4",
            id="exempt-users-are-not-seen",
        ),
        pytest.param(
            {"totals": {"users": 4, "left": 2, "exempt": 2, "deleted": 3}},
            SAID,
            (ANNOUNCING, TELLING),
            "deleted in the report: 3, and not 2",
            id="totals",
        ),
        pytest.param(
            {},
            SAID.replace("4 users", "2 users"),
            (ANNOUNCING, TELLING),
            "users on the terminal: 2, and not 4",
            id="terminal",
        ),
        pytest.param(
            {}, "", (ANNOUNCING, TELLING), "left on the terminal: None, and not 2", id="nothing-said"
        ),
        pytest.param(
            {},
            SAID,
            (TELLING,),
            "111122223333: announced in the subjects of mails: 0, and not 2",
            id="no-mail",
        ),
        pytest.param(
            {},
            SAID,
            (ANNOUNCING, mail(subject="payments: 1 IAM user deleted on 2026-12-25")),
            "111122223333: deleted in the subjects of mails: 1, and not 2",
            id="mail",
        ),
    ],
)
def test_number_faults(
    report: dict[str, Any], said: str, received: tuple[EmailMessage, ...], fault: str | None
) -> None:
    numbers = numbers_of(BEFORE, AFTER, 2, lambda user: user in (GIT, BREAK_GLASS))
    check(number_faults({BEFORE.account_id: numbers}, counted(**report), said, received), fault)


def test_who_is_overdue() -> None:
    """Whom nothing keeps, who is denied, and whom no announcement names, are not."""
    announced = {user.unique_id for user in USERS}
    without_access = replace(BEFORE, access=frozenset())
    assert overdue(without_access, announced, exempt, 30) == {ALICE.name}
    assert overdue(without_access, announced, exempt, 60) == {ALICE.name, CI.name}
    assert overdue(without_access, {CI.unique_id}, exempt, 60) == {CI.name}
    assert overdue(replace(BEFORE, access=frozenset({ALICE.email})), announced, exempt, 30) == set()
    denied = replace(without_access, users=tuple(replace(each, policies=DENY_ALL) for each in USERS))
    assert overdue(denied, announced, exempt, 60) == set()


def receipt(name: str, request_id: str) -> dict[str, Any]:
    return {"user": {"name": name}, "deletion": {"request_id": request_id}}


@pytest.mark.parametrize(
    ("receipts", "fault"),
    [
        pytest.param([receipt("alice", "r-1")], None, id="of-whom-is-gone"),
        pytest.param([], "1: alice is gone, and has no receipt", id="none"),
        pytest.param(
            [receipt("alice", "r-1"), receipt("bob", "r-2")],
            "1: bob has a receipt, and is not gone",
            id="of-whom-is-there",
        ),
        pytest.param(
            [receipt("alice", "r-2")], "has request id r-2, and not one of AWS's own", id="of-another-call"
        ),
    ],
)
def test_receipt_faults(receipts: list[dict[str, Any]], fault: str | None) -> None:
    check(receipt_faults("1", {"alice"}, {"alice": {"r-1"}, "bob": {"r-2"}}, receipts), fault)


@pytest.mark.parametrize(
    ("access", "fault"),
    [
        pytest.param({"alice@example.com"}, None, id="who-leaves"),
        pytest.param(set(), "alice@example.com is missing", id="nobody"),
        pytest.param({"alice@example.com", "eve@example.com"}, "eve@example.com is too many", id="stranger"),
    ],
)
def test_access_faults(access: set[str], fault: str | None) -> None:
    check(access_faults(BEFORE, access), fault)


def check(faults: list[str], fault: str | None) -> None:
    """Exactly the expected fault, or none."""
    if fault is None:
        assert faults == []
    else:
        assert any(fault in found for found in faults), faults


@pytest.mark.parametrize(
    ("user", "announced", "reason"),
    [
        pytest.param(ALICE, False, "exempt, or not selected", id="not-announced"),
        pytest.param(replace(ALICE, last_used=NOW), True, "active: used in the 30 days", id="active"),
        pytest.param(replace(ALICE, email="b@example.com"), True, "without access", id="no-replacement"),
        pytest.param(replace(CI, trusted_by=("deploy",)), True, "a role trusts it", id="trusted"),
        pytest.param(replace(CI, name="BedrockAPIKey-a1b2"), True, "a Bedrock API key", id="bedrock"),
        pytest.param(CI, True, None, id="unknown"),
    ],
)
def test_why_a_user_is_left(user: UserState, announced: bool, reason: str | None) -> None:
    check([why for why in [why_left(user, BEFORE, announced, 30)] if why], reason)
