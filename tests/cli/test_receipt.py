# SPDX-License-Identifier: Apache-2.0
"""Receipts of real deletions: what is on record, and that what is not is said."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aws_local_org import LocalOrg
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.delivery import QueueReading, place_of
from c7n_iamusers.notices.notices import ANNOUNCED, Notice
from c7n_iamusers_cli.main import main
from tests.full_users import create_full_user
from tests.plugins.deletions import acting
from tests.policies import ACCOUNT

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/c7n-mailer"
OWNER = "payments-owner@example.com"
RULE = {"user": "break-glass-*", "reason": "sealed in the safe", "expires": "2099-01-01"}


@pytest.fixture
def iam(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    client = create_full_user(org, "alice", "/team/")
    client.create_user(UserName="bob")
    return client


def run(action: dict[str, Any], name: str = "", **data: Any) -> None:
    acting(action, Path("output"), RULE, name=name or action["type"], **data).run()


def announce(iam: Any, *names: str) -> Notice:
    """Their owner was addressed 40 days ago, for a day that has come; the message has left its queue."""
    time = utc_now() - timedelta(days=40)
    subjects = tuple(
        Subject(each["UserName"], each["Arn"], each["UserId"])
        for each in (iam.get_user(UserName=name)["User"] for name in names)
    )
    day = time.date() + timedelta(days=30)
    notice = Notice(ACCOUNT, ANNOUNCED, time, day, (OWNER,), "m-1", "flag", subjects, queue=QUEUE)
    store = DirectoryStore(Path("notices"))
    store.create(exempted.place_of(ACCOUNT, time), exempted.as_json(ACCOUNT, time, ()))
    store.create(notice.name, notice.as_json())
    for minutes in (2, 5):
        at = time + timedelta(minutes=minutes)
        reading = QueueReading(QUEUE, at, waiting=0, dead=0, retention=timedelta(days=14))
        store.create(place_of(ACCOUNT, at), reading.as_json(ACCOUNT))
    return notice


def receipt(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["receipt", *arguments, "-s", "output"])


def written(name: str = "alice") -> tuple[dict[str, Any], str]:
    (path,) = Path("receipts", ACCOUNT).glob(f"{name}.*.json")
    return json.loads(path.read_text()), path.with_suffix(".html").read_text()


def delete_alice(iam: Any) -> Notice:
    notice = announce(iam, "alice")
    told = {"noticed": 30, "notices": "notices"}
    run({"type": "quarantine", **told})
    run({"type": "composite-delete", **told, "plan-only": True}, "plan")
    plan = "output/plan/deletion-plan.json"
    run({"type": "composite-delete", **told, "plan": plan})
    return notice


def test_it_has_everything_that_is_on_record(iam: Any) -> None:
    unique_id = iam.get_user(UserName="alice")["User"]["UserId"]
    notice = delete_alice(iam)
    result = receipt("ALICE")
    assert result.exit_code == 0, result.output
    assert f"receipts/{ACCOUNT}/alice.{unique_id}.html" in result.output
    data, page = written()
    assert data["user"]["unique_id"] == unique_id
    assert data["user"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/alice"
    assert data["user"]["attachments"]["access key"] == 2
    deletion = data["deletion"]
    assert (deletion["policy"], deletion["result"]) == ("composite-delete", "done")
    assert deletion["by"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/CloudCustodian/")
    assert data["exemptions"]["rules"] == 1
    assert data["exemptions"]["of_policy"] == [RULE]
    assert data["exemptions"]["last_exempt"] is None
    (told,) = data["notices"]
    assert (told["to"], told["day"], told["file"]) == ([OWNER], notice.day.isoformat(), notice.name)
    assert told["queue"]["state"] == "left"
    assert told["queue"]["read"][:16] == (notice.time + timedelta(minutes=5)).isoformat()[:16]
    # all that a section is evidence for, by the benchmark's numbers
    (cis, *_), nist = data["controls"]["unnecessary"], data["controls"]["calls"]
    assert cis["control"] == "1.12 (v3.0.0 to v4.0.1), 1.11 (v5.0.0), 2.11 (v6.0.0 to v7.0.0)"
    assert [each["control"] for each in nist] == ["AU-3"]
    for text in (unique_id, deletion["request_id"], OWNER, notice.name):
        assert text in page
    assert "compliant" not in page.lower()


def test_it_has_the_quarantine_the_plan_the_snapshots_and_every_call(iam: Any) -> None:
    delete_alice(iam)
    assert receipt("alice").exit_code == 0
    data, page = written()
    assert data["quarantine"]["deactivated"]
    assert data["quarantine"]["days_until_deletion"] == 0.0
    assert data["reviewed_plan"]["place"] == "output/plan/deletion-plan.json"
    assert [each["state"] for each in data["snapshots"]] == ["as it was written"] * 2
    operations = [each["operation"] for each in data["calls"]]
    assert operations[-1] == "DeleteUser"
    assert "UpdateAccessKey" in operations
    assert all(each["request_id"] and each["caller"] and each["time"] for each in data["calls"])
    assert data["deletion"]["request_id"] == data["calls"][-1]["request_id"]
    assert any("unique id" in each for each in data["cannot_come_back"])
    assert data["restore"].endswith(" --give-back -- alice")
    assert data["snapshots"][0]["sha256"] in page


def test_no_secret_and_nothing_from_elsewhere_is_in_it(iam: Any) -> None:
    secret = "s3cr3t-value-of-a-tag"
    iam.tag_user(UserName="alice", Tags=[{"Key": "token", "Value": secret}])
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    run({"type": "quarantine"})
    run({"type": "composite-delete"})
    assert receipt("--all").exit_code == 0
    for name in ("alice", "bob"):
        data, page = written(name)
        for text in (secret, key["SecretAccessKey"], '"Effect"', "Statement"):
            assert text not in page
            assert text not in json.dumps(data)
        assert not re.search(r"""(src|href|url\()\s*=?\s*["']?https?:""", page)
        assert "<script" not in page
        assert "default-src 'none'" in page


def test_what_is_not_on_record_is_said(iam: Any) -> None:
    run({"type": "composite-delete"})
    result = receipt("bob", "-o", "receipts")
    assert result.exit_code == 0, result.output
    data, page = written("bob")
    missing = ("replacement", "quarantine", "reviewed_plan", "notices")
    assert [data[each] for each in missing] == [None] * 4
    # the run that deleted it saw it last, and nobody announced it
    assert data["unnecessary"]["source"] == "later run"
    assert "evidence at its announcement is not on record" in page
    # and it is evidence for nothing
    assert [fact for fact, found in data["controls"].items() if not found] == [
        "replacement",
        "quarantine",
        "access_keys",
        "credentials",
    ]
    assert "1.21 (v3.0.0" not in page
    assert page.count("not on record") > 4


def test_what_a_killed_run_and_others_left(iam: Any) -> None:
    delete_alice(iam)
    journal = Path("output/composite-delete/journal.jsonl")
    whole = journal.read_bytes().splitlines(keepends=True)
    # killed before the answer of DeleteUser: no line after it, no outcome; the snapshot was changed since
    before = max(number for number, line in enumerate(whole) if b'"before"' in line)
    journal.write_bytes(b"".join(whole[: before + 1]) + b'{"time": "20')
    (snapshot,) = Path("output/composite-delete/snapshots").iterdir()
    snapshot.write_bytes(snapshot.read_bytes() + b" ")
    Path("notices", ACCOUNT, "20260101T000000Z-announced-0.json").write_text("{")
    result = receipt("alice")
    assert result.exit_code == 1
    assert "is no notice" in result.output
    data, page = written()
    assert data["calls"][-1]["operation"] == "DeleteUser"
    assert (data["calls"][-1]["result"], data["deletion"]["request_id"]) == (None, None)
    assert "was changed: it has another SHA-256" in page
    assert len(data["notices"]) == 1


def test_hostile_names_stay_text(iam: Any) -> None:
    run({"type": "composite-delete"})
    path = Path("output/composite-delete/outcomes.json")
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([{**row, "reason": "<script>alert(1)</script>\u202e"} for row in rows]))
    assert receipt("bob").exit_code == 0
    _, page = written("bob")
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "\u202e" not in page


def test_what_others_wrote_leads_nowhere_and_hides_no_other_user(iam: Any) -> None:
    run({"type": "quarantine"})
    run({"type": "composite-delete"})
    path = Path("output/composite-delete/outcomes.json")
    rows = json.loads(path.read_text())
    forged = {**rows[0], "arn": f"arn:aws:iam::{ACCOUNT}:user/..", "unique_id": "../../../etc/x"}
    path.write_text(json.dumps([forged, *rows]))
    resources = Path("output/composite-delete/resources.json")
    found = json.loads(resources.read_text())
    for each in found:
        if each["UserName"] == "alice":
            each["c7n:IamUser"]["attempts"] = "none"
    resources.write_text(json.dumps(found))
    result = receipt("--all")
    assert result.exit_code == 1
    assert "user alice of account 111122223333: its records are not what a run writes" in result.output
    names = {str(each.relative_to("receipts")) for each in Path("receipts").rglob("*.html")}
    assert f"{ACCOUNT}/_....._.._.._etc_x.html" in names
    assert any(name.startswith(f"{ACCOUNT}/bob.") for name in names)
    assert len(names) == 2


@pytest.mark.parametrize("place", ["s3://[x", "s3://b/p?region=../x", "s3://b/p?region=us-iso-east-1"])
def test_a_place_of_notices_that_is_none_is_said(iam: Any, place: str) -> None:
    """Whoever writes an account's part names it."""
    delete_alice(iam)
    Path("accounts.yml").write_text(f"accounts: [{{name: payments, account_id: '{ACCOUNT}'}}]")
    path = Path("output/composite-delete/metadata.json")
    data = json.loads(path.read_text())
    for action in data["policy"]["actions"]:
        action["notices"] = place
    path.write_text(json.dumps(data))
    result = receipt("alice", "-c", "accounts.yml")
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert (result.exit_code, place in result.output) == (1, True), result.output
    assert written()[0]["user"]["name"] == "alice"


def test_nobody_of_that_name_was_deleted(iam: Any) -> None:
    run({"type": "quarantine"})
    result = receipt("alice")
    assert result.exit_code == 1
    assert "no deletion of a user alice is on record in output" in result.output
    assert receipt().exit_code == receipt("alice", "--all").exit_code == 2
    assert not Path("receipts").exists()


def test_who_was_restored_later_is_said(iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run({"type": "composite-delete"})
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    restored = CliRunner().invoke(main, ["restore", "output", "--role", role, "--user", "bob", "--yes"])
    assert restored.exit_code == 0, restored.output
    assert receipt("bob").exit_code == 0
    data, page = written("bob")
    assert data["later"][-1]["what"] == "restored"
    assert "CreateUser" in [each["operation"] for each in data["calls"]]
    assert "Later" in page
