# SPDX-License-Identifier: Apache-2.0
"""docs/threat-model.md: what somebody can cause who can write one of the things that this package reads.

Each test forges as one writer, with everything else as it should be.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.exceptions import PolicyExecutionError
from c7n.policy import Policy
from c7n_mailer.utils import get_message_subject

from aws_local_org import LocalOrg
from c7n_iamusers.execution.calls import AFTER, BEFORE, Subject
from c7n_iamusers.execution.journal import Journal, utc_now
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from c7n_iamusers.notices import exempted
from c7n_iamusers.notices.notices import ANNOUNCED, Notice
from tests.hostile_texts import COMMAND, INVISIBLE, TEXTS
from tests.plugins.deletions import NAME, acting, outcomes, user_names
from tests.plugins.test_deletion_proposal import plan_file, propose
from tests.policies import ACCOUNT, policy

ROOT = Path(__file__).parents[1]
OTHER = "444455556666"
LONG_AGO = timedelta(days=40)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy without an output directory writes into the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def iam(org: LocalOrg) -> Any:
    client = org.client("iam", ACCOUNT)
    for name in ("alice", "bob"):
        client.create_user(UserName=name)
    return client


def subjects(iam: Any) -> dict[str, Subject]:
    return {
        each["UserName"]: Subject(each["UserName"], each["Arn"], each["UserId"])
        for each in iam.list_users()["Users"]
    }


def forge_notice(place: Path, iam: Any, account: str = ACCOUNT, **changes: Any) -> None:
    """An announcement of all users, forty days ago for ten days ago."""
    now = utc_now()
    head = (account, ANNOUNCED, now - LONG_AGO, (now - timedelta(days=10)).date(), ("eve@evil.example",))
    notice = replace(Notice(*head, "m-1", "iam-users-flag", tuple(subjects(iam).values())), **changes)
    store, recorded = DirectoryStore(place), exempted.place_of(account, notice.time)
    if store.read(recorded) is None:
        store.create(recorded, exempted.as_json(account, notice.time, ()))
    store.create(notice.name, notice.as_json())


def exempt(name: str, **options: Any) -> dict[str, Any]:
    """An exemption for the user."""
    ends = (date.today() + timedelta(days=90)).isoformat()
    return {"user": name, "reason": "needed", "owner": "o@example.com", "expires": ends, **options}


def run(output: Path, *rules: dict[str, Any], **options: Any) -> None:
    acting({"type": "composite-delete", **options}, output, *rules).run()


# Notices


def test_a_forged_notice_opens_no_other_gate(iam: Any, tmp_path: Path) -> None:
    """What its writer can cause at most: the deletion, without notice, of who passes every other gate."""
    forge_notice(tmp_path / "notices", iam)
    gate = {"noticed": 30, "notices": str(tmp_path / "notices")}
    run(tmp_path / "first", exempt("alice"), **gate, **{"quarantined-for": 14})
    assert outcomes(tmp_path / "first")["bob"]["reason"].startswith("not in quarantine")
    assert user_names(iam) == ["alice", "bob"]
    run(tmp_path / "second", exempt("alice"), **gate)
    assert user_names(iam) == ["alice"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"step": "informed"}, "were not addressed", id="other-step"),
        pytest.param({"step": "created"}, "were not addressed", id="of-a-function"),
        pytest.param({"account_id": OTHER}, "were not addressed", id="of-another-account"),
        pytest.param({"users": ()}, "were not addressed", id="of-nobody"),
        pytest.param(
            {"time": datetime(2020, 1, 1, tzinfo=timezone.utc), "day": date(2020, 2, 1)},
            "were not addressed",
            id="lapsed",
        ),
    ],
)
def test_what_is_no_announcement_of_the_user_opens_nothing(
    iam: Any, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    forge_notice(tmp_path / "notices", iam, **changes)
    run(tmp_path / "output", exempt("nobody"), noticed=30, notices=str(tmp_path / "notices"))
    assert all(told in row["reason"] for row in outcomes(tmp_path / "output").values())
    assert user_names(iam) == ["alice", "bob"]


def test_a_file_that_is_no_notice_stops_its_account_alone(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    other = org.client("iam", OTHER)
    other.create_user(UserName="carol")
    forge_notice(tmp_path / "notices", other, OTHER)
    broken = tmp_path / "notices" / ACCOUNT
    broken.mkdir()
    (broken / "x.json").write_text('{"time": "' + TEXTS["line"].replace("\n", "\\n") + '"}')
    gate = {"type": "composite-delete", "noticed": 30, "notices": str(tmp_path / "notices")}
    filters = [{"type": "unnecessary", "exempt": [exempt("nobody")]}]
    with pytest.raises(PolicyExecutionError, match="is no notice"):
        policy({"filters": filters, "actions": [gate]}, tmp_path / "a").run()
    policy({"filters": filters, "actions": [gate]}, tmp_path / "b", account=OTHER).run()
    assert (user_names(iam), user_names(other)) == (["alice", "bob"], [])


def test_addresses_of_a_notice_that_are_none_touch_nobody(
    iam: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forge_notice(
        tmp_path / "notices", iam, addresses=(TEXTS["terminal"], TEXTS["line"]), day=date(2099, 1, 1)
    )
    with pytest.raises(PolicyExecutionError, match="one that is no e-mail address"):
        run(tmp_path / "output", exempt("nobody"), noticed=30, notices=str(tmp_path / "notices"))
    assert user_names(iam) == ["alice", "bob"]
    assert not any((INVISIBLE | {"\n"}) & set(each) for each in caplog.messages if "no notice" in each)


def test_notices_of_functions_are_none_that_a_deletion_reads() -> None:
    """Whoever administers a member account can write the notices of that account's functions."""

    def places(file: Path) -> set[str]:
        policies = yaml.safe_load(file.read_text())["policies"]
        return {
            str(each["notices"]) for one in policies for each in one.get("actions", ()) if "notices" in each
        }

    deleting, functions = set[str](), set[str]()
    for file in (ROOT / "policies").glob("*.yml"):
        (functions if file.name.startswith("realtime") else deleting).update(places(file))
    assert deleting == {"{notices}"}
    assert functions
    assert all(each.startswith("s3://{lambda_bucket}/realtime/") for each in functions)


# Output directory


@pytest.mark.parametrize("phase", ["before", "after", "outcome", "quarantine", "snapshot"])
def test_a_forged_journal_deletes_and_hides_nobody(iam: Any, tmp_path: Path, phase: str) -> None:
    """At most the outcomes of earlier runs are wrong: those of this run are its own."""
    alice = subjects(iam)["alice"]
    when = (utc_now() - LONG_AGO).isoformat()
    line = {
        "time": when,
        "phase": phase,
        "user": "alice",
        "arn": alice.arn,
        "unique_id": alice.unique_id,
        "operation": "DeleteUser",
        "service": "iam",
        "parameters": {"UserName": "alice"},
        "result": "done",
        "status": "deleted",
        "reason": TEXTS["terminal"],
        "snapshot": "snapshots/../../x.json",
        "sha256": "0" * 64,
        "since": when,
    }
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "journal.jsonl").write_text(json.dumps(line) + "\n")
    run(tmp_path, exempt("bob"), **{"quarantined-for": 14})
    row = outcomes(tmp_path)["alice"]
    assert row["status"] == "skipped"
    assert user_names(iam) == ["alice", "bob"]
    run(tmp_path, exempt("bob"))
    assert outcomes(tmp_path)["alice"]["status"] == "deleted"
    assert user_names(iam) == ["bob"]


def test_forged_outcomes_stop_the_run_or_change_nothing(iam: Any, tmp_path: Path) -> None:
    alice = subjects(iam)["alice"]
    row = {"user": "alice", "arn": alice.arn, "unique_id": alice.unique_id, "status": "deleted", "reason": ""}
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "outcomes.json").write_text(json.dumps([row]))
    run(tmp_path, exempt("bob"), **{"quarantined-for": 14})
    assert outcomes(tmp_path)["alice"]["status"] == "skipped"
    (tmp_path / NAME / "outcomes.json").write_text("[[]]")
    with pytest.raises(PolicyExecutionError, match="is not a file of outcomes"):
        run(tmp_path, exempt("bob"))
    assert user_names(iam) == ["alice", "bob"]


@pytest.mark.parametrize("pinned", [True, False])
def test_a_forged_plan_opens_no_gate(iam: Any, tmp_path: Path, pinned: bool) -> None:
    """It is read as any other: who is exempt, unannounced or in no quarantine stays, whatever it lists."""
    propose(tmp_path)
    forged = json.loads(plan_file(tmp_path).read_text())
    forged["made"] = "2020-01-01T00:00:00+00:00"
    plan_file(tmp_path).write_text(json.dumps(forged))
    digest = hashlib.sha256(plan_file(tmp_path).read_bytes()).hexdigest()
    options = {"plan": str(plan_file(tmp_path)), **({"plan-sha256": digest} if pinned else {})}
    gate = {"noticed": 30, "notices": str(tmp_path / "notices")}
    run(tmp_path, exempt("alice"), **options, **gate)
    assert "were not addressed" in outcomes(tmp_path)["bob"]["reason"]
    assert user_names(iam) == ["alice", "bob"]


def forge(output: Path, place: Path, later: timedelta, **changes: str) -> None:
    """A further journal with the lines of a quarantine, so much ``later``, and ``changes`` of texts in them."""
    text = (output / NAME / "journal.jsonl").read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    lines = [json.loads(each) for each in text.splitlines()]
    lines = [each for each in lines if each["phase"] in ("before", "after", "quarantine")]
    for line in lines:
        line["time"] = (datetime.fromisoformat(line["time"]) + later).isoformat()
        if "record" in line:
            since = datetime.fromisoformat(line["record"]["since"]) + later
            line["record"]["since"] = since.isoformat()
    place.mkdir()
    (place / "journal.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))


def bobs(output: Path, ran: Policy) -> dict[str, Any]:
    """What becomes of bob by a policy, which may end with an error because of it."""
    with suppress(PolicyExecutionError):
        ran.run()
    rows = json.loads((output / ran.name / "outcomes.json").read_text())
    (row,) = (dict(row) for row in rows if row["user"] == "bob")
    return row


def released(output: Path) -> dict[str, Any]:
    return bobs(output, policy({"name": "freeing", "actions": ["release"]}, output))


def test_a_forged_journal_activates_no_key_that_the_deny_does_not_name(iam: Any, tmp_path: Path) -> None:
    """Somebody switched it off before, as for a leak. It stays inactive, and the operator reads of it."""
    ours, leaked = (iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"] for _ in range(2))
    iam.update_access_key(UserName="bob", AccessKeyId=leaked, Status="Inactive")
    acting({"type": "quarantine", "reason": "unused"}, tmp_path, exempt("alice")).run()
    forge(tmp_path, tmp_path / "forged", timedelta(seconds=2), **{ours: leaked})
    row = released(tmp_path)
    keys = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]
    assert {each["AccessKeyId"]: each["Status"] for each in keys}[leaked] == "Inactive"
    assert "OnlyInAJournal" in (row["code"], *row.get("also", ()))
    assert f"access key {leaked}" in row["reason"]


def test_a_journal_and_a_tag_free_no_key_of_a_user_that_was_never_in_quarantine(
    iam: Any, tmp_path: Path
) -> None:
    """Of a quarantine without a Deny, the journal alone tells. No snapshot shows the key active."""
    leaked = iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"]
    iam.update_access_key(UserName="bob", AccessKeyId=leaked, Status="Inactive")
    record = QuarantineRecord(
        utc_now().replace(microsecond=0) - timedelta(days=2), "p", "r", (leaked,), "none"
    )
    iam.tag_user(UserName="bob", Tags=[record.tag()])
    given = {"UserName": "bob", "AccessKeyId": leaked, "Status": "Inactive"}
    call = {"service": "iam", "operation": "UpdateAccessKey", "parameters": given}
    with Journal(tmp_path / "forged" / "journal.jsonl", lambda: record.since) as journal:
        journal.write(subjects(iam)["bob"], "quarantine", record=record.as_data())
        journal.write(subjects(iam)["bob"], BEFORE, **call, notes={})
        journal.write(subjects(iam)["bob"], AFTER, **call, result="done")
    row = released(tmp_path)
    (key,) = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]
    assert key["Status"] == "Inactive"
    assert "OnlyInAJournal" in (row["code"], *row.get("also", ()))


READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def bound(iam: Any) -> str:
    found = iam.get_user(UserName="bob")["User"].get("PermissionsBoundary") or {}
    return str(found.get("PermissionsBoundaryArn", ""))


def under_boundary(iam: Any, output: Path) -> str:
    """bob, below ReadOnlyAccess, in a quarantine whose only form is AWSDenyAll as the boundary. Returns its ARN."""
    listed = iam.list_policies(Scope="AWS", MaxItems=50)["Policies"]
    arns = [each["Arn"] for each in listed if each["PolicyName"] not in ("AdministratorAccess", "AWSDenyAll")]
    for arn in arns[:10]:
        iam.attach_user_policy(UserName="bob", PolicyArn=arn)
    resources = [f"arn:aws:s3:::{'x' * 62}{number:02d}/*" for number in range(23)]
    statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": resources}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="bob", PolicyName="big", PolicyDocument=document)
    iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=READ_ONLY)
    acting({"type": "quarantine", "reason": "unused"}, output, exempt("alice")).run()
    return bound(iam)


@pytest.mark.parametrize("former", ["", "arn:aws:iam::aws:policy/AdministratorAccess"], ids=["none", "wider"])
def test_a_forged_journal_chooses_no_boundary(iam: Any, tmp_path: Path, former: str) -> None:
    """Neither of a release nor, through the snapshot of a deletion that is half-way, of a later one."""
    deny = under_boundary(iam, tmp_path)
    assert deny.endswith(":policy/AWSDenyAll")
    forge(tmp_path, tmp_path / "forged", timedelta(seconds=1), **{READ_ONLY: former})
    row = released(tmp_path)
    assert (row["status"], row["code"], bound(iam)) == ("failed", "BoundaryDisputed", deny)
    deletion = acting({"type": "composite-delete"}, tmp_path, exempt("alice"), name="deleting")
    assert bobs(tmp_path, deletion)["code"] == "BoundaryDisputed"
    assert not list((tmp_path / "deleting" / "snapshots").glob("*"))
    snapshot = next((tmp_path / NAME / "snapshots").iterdir())
    content = snapshot.read_bytes()
    snapshot.unlink()
    for ran in (policy({"name": "freeing", "actions": ["release"]}, tmp_path), deletion):
        assert bobs(tmp_path, ran)["code"] == "SnapshotMissing"
    DirectoryStore(tmp_path / NAME).create(f"snapshots/{snapshot.name}", content)
    (tmp_path / "forged" / "journal.jsonl").unlink()
    assert (released(tmp_path)["status"], bound(iam)) == ("released", READ_ONLY)


def test_the_name_of_a_snapshot_that_is_gone_is_given_to_no_other_content(iam: Any, tmp_path: Path) -> None:
    """Else the journal would prove both, and somebody who kept the first could put it back."""
    parking = acting({"type": "quarantine", "reason": "unused"}, tmp_path, exempt("alice"))
    assert bobs(tmp_path, parking)["status"] == "quarantined"
    assert released(tmp_path)["status"] == "released"
    snapshot = next((tmp_path / NAME / "snapshots").iterdir())
    content = snapshot.read_bytes()
    snapshot.unlink()
    iam.attach_user_policy(UserName="bob", PolicyArn=READ_ONLY)
    assert bobs(tmp_path, parking)["code"] == "SnapshotMissing"
    assert not iam.list_user_policies(UserName="bob")["PolicyNames"]
    DirectoryStore(tmp_path / NAME).create(f"snapshots/{snapshot.name}", content)
    assert bobs(tmp_path, parking)["status"] == "quarantined"


# Exemptions


def test_who_loses_the_exemption_has_to_be_announced(iam: Any, tmp_path: Path) -> None:
    gate = {"noticed": 30, "notices": str(tmp_path / "notices")}
    run(tmp_path / "output", exempt("nobody"), **gate)
    assert all("were not addressed" in row["reason"] for row in outcomes(tmp_path / "output").values())
    assert user_names(iam) == ["alice", "bob"]


def test_an_exemption_keeps_a_user_and_nothing_else(iam: Any, tmp_path: Path) -> None:
    """What its writer can cause at most: that users stay. Its texts reach logs and mails visibly."""
    run(tmp_path, exempt("[ab]*", reason=TEXTS["line"], owner=TEXTS["header"]))
    assert user_names(iam) == ["alice", "bob"]
    log = (tmp_path / NAME / "custodian-run.log").read_text()
    assert not any(each.startswith(("2026-01-01", "Bcc:")) for each in log.splitlines())


# A user's policies


def test_a_deny_with_an_early_time_shortens_a_quarantine_and_opens_no_other_gate(
    iam: Any, tmp_path: Path
) -> None:
    """Whoever may put a policy on a user may date our Deny back. The notice, exemptions and uses still hold."""
    sid = f"Quarantined{utc_now() - LONG_AGO:%Y%m%dT%H%M%SZ}"
    document = deny_all_document(sid)
    for name in ("alice", "bob"):
        iam.put_user_policy(UserName=name, PolicyName=DENY_ALL_NAME, PolicyDocument=document)
    gate = {"noticed": 30, "notices": str(tmp_path / "notices"), "quarantined-for": 14}
    run(tmp_path / "output", exempt("alice"), **gate)
    assert "were not addressed" in outcomes(tmp_path / "output")["bob"]["reason"]
    assert user_names(iam) == ["alice", "bob"]


def test_a_forged_deny_makes_a_release_activate_credentials_of_that_user_at_most(
    iam: Any, tmp_path: Path
) -> None:
    """Whoever may put a policy on a user could give it any other, too."""
    keys = {
        name: iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"] for name in ("alice", "bob")
    }
    for name, key in keys.items():
        iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
    begun = utc_now()
    forged = deny_all_document(
        f"Quarantined{begun:%Y%m%dT%H%M%SZ}" + "".join(f"x{key}" for key in keys.values())
    )
    tag = {"Key": "c7n-iamusers-quarantine", "Value": f"{begun:%Y-%m-%dT%H:%M:%SZ} deny=inline by me: so"}
    for tags, found in (([], "Inactive"), ([tag], "Active")):
        iam.put_user_policy(UserName="alice", PolicyName=DENY_ALL_NAME, PolicyDocument=forged)
        iam.tag_user(UserName="alice", Tags=tags)
        policy({"actions": ["release"]}, tmp_path / found).run()
        status = {
            name: iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["Status"]
            for name in ("alice", "bob")
        }
        assert status == {"alice": found, "bob": "Inactive"}


# The mailer's queue


def test_whoever_writes_to_the_queue_runs_code_in_the_mailer(tmp_path: Path) -> None:
    """c7n-mailer itself: nothing of ours holds it. Once this fails, docs/threat-model.md has to say so."""
    message = {"policy": {"name": "p"}, "action": {"subject": COMMAND}}
    get_message_subject(message)
    assert Path("pwned").exists()


# The document


def test_each_test_that_the_document_names_exists() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) >= 20
    for file, test in named:
        content = (ROOT / file).read_text()
        assert not test or f"def {test}(" in content, (file, test)
    here = Path(__file__).read_text()
    mine = set(re.findall(r"^def (test_\w+)\(", here, re.MULTILINE)) - {
        "test_each_test_that_the_document_names_exists"
    }
    assert mine <= {test for _, test in named}, mine - {test for _, test in named}
