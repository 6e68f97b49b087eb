# SPDX-License-Identifier: Apache-2.0
"""Every sentence is replaced by random text, and all that runs decide, write, tell and report stays the same."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import set_password_last_used
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME
from c7n_iamusers.reasons import Reason
from c7n_iamusers.report.fleet import fleet_of
from c7n_iamusers.report.output_reader import read_outputs
from tests.plugins.provisioning_rehearsal import Rehearsal
from tests.plugins.test_notify_owners import action, age, records, sent
from tests.policies import ACCOUNT, policy

#: Members with text for people.
TEXTS = {"reason", "for_owners", "earlier", "skipped", "why"}
#: Members that decide, or tell what was decided. Others have ids and times, which differ between two runs.
VALUES = (
    *("user", "status", "code", "also", "codes", "call", "error", "calls", "history", "outcomes", "policy"),
    *(
        "left",
        "exempt",
        "quarantine",
        "severity",
        "kind",
        "level",
        "what",
        "selected",
        "skipped",
        "users",
        "operation",
    ),
)


def scramble(monkeypatch: pytest.MonkeyPatch, salt: str) -> None:
    """Make every text of a reason random; equal ones stay equal, as they do for people."""
    made = Reason._said

    def said(reason: Reason, owners: bool) -> str:
        text = made(reason, owners)
        return text and f"~{hashlib.sha256(f'{salt}{text}'.encode()).hexdigest()}"

    monkeypatch.setattr(Reason, "_said", said)


def untold(value: Any, told: list[str]) -> Any:
    """The VALUES in ``value``, in an order that does not rest on threads. Texts for people go to ``told``."""
    if isinstance(value, dict):
        told += [text for key, text in value.items() if key in TEXTS and isinstance(text, str) and text]
        found = {
            key: each for key, each in value.items() if key in VALUES and not isinstance(each, str | None)
        }
        texts = {
            key: each
            for key, each in value.items()
            if key in VALUES and key not in TEXTS and isinstance(each, str)
        }
        return {**texts, **{key: untold(each, told) for key, each in found.items()}}
    if isinstance(value, list):
        return sorted((untold(each, told) for each in value), key=str)
    return value


def run(output: Path, name: str, *actions: dict[str, Any]) -> None:
    """One policy. That a user failed ends it with an error, after the outcomes are written."""
    exempt = {"type": "unnecessary", "exempt": [{"user": "bob", "reason": "kept", "expires": "2999-12-31"}]}
    with suppress(PolicyExecutionError):
        policy({"name": name, "filters": [exempt], "actions": list(actions)}, output).run()


def use_password(org: LocalOrg, name: str, seconds: int = 0) -> None:
    """``seconds``: from now; IAM has whole ones, so what comes after another thing may have the same time."""
    with org.lock:
        used = utc_now() + timedelta(seconds=seconds)
        set_password_last_used(org.backend("iam", ACCOUNT).get_user(name), used)


def users(org: LocalOrg) -> Any:
    """The account's client; its users have a password and a key."""
    iam = org.client("iam", account_id=ACCOUNT)
    for name in ("alice", "bob", "dave", "erin", "frank"):
        iam.create_user(UserName=name)
        iam.create_access_key(UserName=name)
        iam.create_login_profile(UserName=name, Password="Hunter2-hunter2-!", PasswordResetRequired=False)
    return iam


def life(org: LocalOrg, output: Path, notices: Path) -> None:
    """Users are announced, quarantined and left alone for one reason and another; somebody undoes a quarantine; a file
    STOP ends a run; users are deleted and released."""
    iam, noticed = users(org), {"notices": str(notices), "delivery": "unchecked"}
    told_by = {"subject": "news", "account-name": "payments", "step": "inform", "days": None}
    park = {"type": "quarantine", "reason": "unused", "noticed": 16, "active-within": 30, **noticed}
    delete = {"type": "composite-delete", "quarantined-for": 14, "noticed": 30, **noticed}
    at_once, inform = {**delete, "quarantined-for": 1e-9}, action(notices, **told_by)

    run(output, "announce", action(notices))
    age(notices / ACCOUNT, 30)
    iam.create_user(UserName="carol")
    use_password(org, "dave")
    run(output, "park", park, inform)
    run(output, "delete", delete, inform)
    iam.delete_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME)
    use_password(org, "frank", 1)
    run(output, "delete", delete, inform)
    run(output, "park", {**park, "active-within": "none"}, inform)
    run(output, "plan", {**at_once, "plan-only": True}, inform)
    (notices / "STOP").touch()
    run(output, "delete", at_once, inform)
    (notices / "STOP").unlink()
    run(output, "delete", at_once, inform)
    run(output, "release", {"type": "release"}, inform)


def made_of(org: LocalOrg, place: Path, told: list[str]) -> Any:
    """What the runs decide, write, tell and report. Texts for people go to ``told``."""
    output, notices = place / "output", place / "notices"
    life(org, output, notices)
    iam = org.client("iam", account_id=ACCOUNT)
    rows = {each.parent.name: json.loads(each.read_text()) for each in output.rglob("outcomes.json")}
    messages = [each for _ in range(3) for each in sent(org)]
    fleet = fleet_of(read_outputs(DirectoryStore(output)), [], utc_now()).as_data()
    return {
        "outcomes": {name: untold(each, told) for name, each in rows.items()},
        "plan": untold(json.loads((output / "plan" / "deletion-plan.json").read_text()), told),
        "notices": sorted(
            # a release and its like has its time
            (each["step"], user["user"], re.sub("[0-9].*", "", user.get("what", "")))
            for each in records(notices)
            for user in each["users"]
        ),
        "messages": sorted(
            (
                str(each["action"]["step"]),
                user["UserName"],
                str(untold(user["c7n:IamUser"].get("outcome", {}), told)),
            )
            for each in messages
            for user in each["resources"]
        ),
        "report": {key: untold(list(fleet[key]), told) for key in ("attention", "policies", "users")},
        "left": sorted(each["UserName"] for each in iam.list_users()["Users"]),
    }


def test_nothing_but_texts_differs_where_every_sentence_is_random(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, noise = list[str](), list[str]()
    plain = made_of(org, tmp_path / "plain", words)
    org.reset()
    scramble(monkeypatch, "salt")
    assert made_of(org, tmp_path / "random", noise) == plain
    assert not any(each.startswith("~") for each in words)
    assert any(each.startswith("~") for each in noise)
    codes = {row["code"] for rows in plain["outcomes"].values() for row in rows}
    assert {"NotAnnounced", "UsedInQuarantine", "InQuarantineAndUsed", "QuarantineUndone"} <= codes


def provisioned(rehearsal: Rehearsal, told: list[str]) -> Any:
    """What becomes of people: one is served, one has no e-mail, one can't sign in as its user, one change fails."""
    for name, email in {"alice": "alice@example.com", "nobody": "", "leaver": "leaver@example.com"}.items():
        rehearsal.user(name, Email=email)
    iam = rehearsal.org.client("iam", ACCOUNT)
    for key in iam.list_access_keys(UserName="leaver")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="leaver", AccessKeyId=key["AccessKeyId"])
    with suppress(PolicyExecutionError):
        rehearsal.run()
    annotations = [each["c7n:IamUser"].get("provisioning", {}) for each in rehearsal.resources]
    return untold([list(rehearsal.outcomes().values()), annotations], told)


def test_nor_does_anything_differ_in_identity_center(
    rehearsal: Rehearsal, org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, noise = list[str](), list[str]()
    plain = provisioned(rehearsal, words)
    org.reset()
    scramble(monkeypatch, "salt")
    assert provisioned(Rehearsal(org, tmp_path / "random"), noise) == plain
    assert any(each.startswith("~") for each in noise)
    codes = {row["code"] for row in plain[0]} | {row["code"] for row in plain[1]}
    assert {"HasAccess", "InvalidPerson", "NoWorkingCredentials"} <= codes
