# SPDX-License-Identifier: Apache-2.0
"""What lies on people's disks and in their buckets: what this version writes, byte by byte, and that it reads that.

A snapshot or a reviewed plan whose canonical form differs is refused ("changed since"), so a change of it would leave
every deleted user without a restoration. If a test here fails, the format has changed: give it a new version and a
reader of the old one, and only then new files in tests/data/persisted.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from c7n_iamusers import reasons
from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.deletion.reviewed_plan import Asked, DeletionPlan, PlannedDeletion
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED, Subject
from c7n_iamusers.execution.journal import DECISION, OUTCOME, SNAPSHOT, JournalReader, journal_line
from c7n_iamusers.execution.journal_format import chain_of, line_digest
from c7n_iamusers.execution.outcomes import DELETED, SKIPPED, Outcome
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.key_usage.history_reading import Reading, parse_readings, readings_as_json
from c7n_iamusers.key_usage.model import CallGroup
from c7n_iamusers.notices.notices import Notice, parse_record
from c7n_iamusers.reasons import read_reason
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint
from tests.records import ACCOUNT, EVERYTHING, user

pytestmark = pytest.mark.pure

DATA = Path(__file__).parent / "data" / "persisted"
TAKEN = datetime(2026, 11, 24, 12, 30, 15, 250000, tzinfo=timezone.utc)
CALLED = datetime(2026, 11, 20, 10, tzinfo=timezone.utc)
ALICE = user(tags={"Team": "ä", "Email": "alice@example.com"}, **EVERYTHING)
DOCUMENT = '{"Statement":[{"Action":"s3:Get*","Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}'
GROUP = {
    "GroupName": "Developers",
    "GroupId": "AGPADEVELOPERS123456",
    "Path": "/",
    "GroupPolicyList": [{"PolicyName": "s3", "PolicyDocument": json.loads(DOCUMENT)}],
    "AttachedManagedPolicies": [{"PolicyName": "p", "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p"}],
}
SNAPSHOT_OF_ALICE = Snapshot(
    ALICE,
    TAKEN,
    fingerprint(ALICE, ["AKIA1"]),
    "iam-users-delete",
    (f"arn:aws:iam::{ACCOUNT}:role/deploy",),
    (GROUP,),
    {"since": TAKEN.isoformat(), "deactivated": ["AKIA1"]},
    policies=(PolicyVersion(f"arn:aws:iam::{ACCOUNT}:policy/p", "v3", DOCUMENT),),
    rights_read=TAKEN,
)
ACTIVE = reasons.ACTIVE(days=30, use="its password was used on 2026-11-20 12:00 UTC")
PLAN = DeletionPlan(
    ACCOUNT,
    "iam-users-delete",
    TAKEN,
    (
        PlannedDeletion(
            ALICE.subject, fingerprint(ALICE), plan_deletion(ALICE, TAKEN).calls, {"access-key": 2}
        ),
        PlannedDeletion(user("bob", unique_id="AIDABOBBOBBOBBOBBOB23").subject, skipped=ACTIVE),
    ),
    asked=Asked(("eu-west-1",), ("s3://states/users.tfstate",), ("s3",)),
)
NOTICE = Notice(
    ACCOUNT,
    "announce",
    TAKEN,
    date(2026, 12, 24),
    ("owner@example.com",),
    "0b1c-7d",
    "iam-users-announce",
    (ALICE.subject,),
    {ALICE.unique_id: "deleted"},
    stop=date(2026, 12, 10),
    queue="https://sqs.us-east-1.amazonaws.com/123456789012/mailer",
)
CALL = {
    "service": "iam",
    "operation": "DeleteAccessKey",
    "parameters": {"UserName": "alice", "AccessKeyId": "AKIA1"},
}
LINES = (
    (SNAPSHOT, {"snapshot": "snapshots/a.json", "sha256": "0" * 64}),
    (
        DECISION,
        {
            "exemptions": {"rules": 2, "sha256": "1" * 64},
            "announcement": {
                "notice": NOTICE.name,
                "sha256": "2" * 64,
                "delivery": "left",
                "day": "2026-12-24",
            },
            "noticed": 30,
            "plan": {"place": "reviewed.json", "sha256": "3" * 64},
        },
    ),
    (BEFORE, {**CALL, "notes": {}}),
    (TRIED, {**CALL, "code": "Throttling", "status": 400, "request_id": "r-1"}),
    (
        AFTER,
        {
            **CALL,
            "result": "done",
            "saved": {},
            "request_id": "r-2",
            "caller": f"arn:aws:iam::{ACCOUNT}:role/r",
        },
    ),
    (OUTCOME, Outcome.of(ALICE.subject, DELETED, calls=14, seconds=1.25).at(TAKEN).as_data()),
)


def journal() -> bytes:
    """LINES, each with the digest of the one before."""
    lines = [b""]
    for phase, entry in LINES:
        previous = line_digest(lines[-1]) if lines[1:] else ""
        lines.append(journal_line(TAKEN, ALICE.subject, phase, entry, previous))
    return b"".join(lines)


OUTCOMES = [
    Outcome.of(ALICE.subject, DELETED, calls=14, seconds=1.25).at(TAKEN).as_data(),
    Outcome.of(ALICE.subject, SKIPPED, ACTIVE, verdict="equal").at(TAKEN).as_data(),
]
READING = Reading(
    *("AKIA1", "eu-west-1"),
    (CallGroup("s3", "ListBuckets", "eu-west-1", "192.0.2.4", "Boto3/1.34", 3, 1, CALLED, CALLED),),
    *(TAKEN.replace(microsecond=0), CALLED - timedelta(days=80), CALLED),
    ids=("5f0d1a6c-0f3b-4b6e-9a57-6d1f5a3c0001",),
)
WRITTEN = {
    "snapshot.json": SNAPSHOT_OF_ALICE.as_json().encode(),
    "deletion-plan.json": PLAN.as_json().encode(),
    "notice.json": NOTICE.as_json(),
    "journal.jsonl": journal(),
    "outcomes.json": json.dumps(OUTCOMES, indent=1).encode(),
    "event-history.json": readings_as_json({(ACCOUNT, "eu-west-1", "AKIA1"): READING}),
}


def kept(name: str) -> bytes:
    return (DATA / name).read_bytes()


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_what_was_written(name: str) -> None:
    assert WRITTEN[name] == kept(name)


def test_the_fingerprint_of_a_snapshot_is_that_of_the_user_read_live() -> None:
    found = Snapshot.from_json(kept("snapshot.json"))
    assert found.fingerprint == fingerprint(found.user, found.deactivated) == fingerprint(ALICE, ["AKIA1"])
    assert found.fingerprint == "b8c38c95cfbbe90353d4866c192001fb877acc4f1dec993ec2eaaea32eb09d94"
    assert found.rights_fingerprint == "2e58b93c0559e411d203ebdd00acf135650e098cd40f74fa1815e0a96b452f75"


def test_a_plan_is_read_as_it_was_made() -> None:
    found = DeletionPlan.from_json(kept("deletion-plan.json"))
    assert found.asked == PLAN.asked
    planned = found.of(ALICE.subject)
    assert planned
    assert planned.fingerprint == "b8c38c95cfbbe90353d4866c192001fb877acc4f1dec993ec2eaaea32eb09d94"
    assert [call.operation for call in planned.calls][-1] == "DeleteUser"
    assert found.users[1].skipped == read_reason(ACTIVE.as_data())


def test_a_notice_is_read_as_it_was_written() -> None:
    found = parse_record(kept("notice.json"), ACCOUNT, TAKEN)
    assert isinstance(found, Notice)
    assert (found.day, found.stop, found.users, found.what, found.queue) == (
        NOTICE.day,
        NOTICE.stop,
        NOTICE.users,
        NOTICE.what,
        NOTICE.queue,
    )
    assert found.name == f"{ACCOUNT}/20261124T123015Z-announce-50067b87b5af.json"


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(kept("journal.jsonl"))
    lines = JournalReader(lambda: [DirectoryStore(tmp_path)]).of(
        Subject(ALICE.name, ALICE.arn, ALICE.unique_id)
    )
    assert [line["phase"] for line in lines] == [phase for phase, _ in LINES]
    assert [line["time"] for line in lines] == [TAKEN.isoformat()] * len(LINES)
    chain = chain_of(kept("journal.jsonl"), lambda _: None)
    assert (chain.lines, chain.first, chain.faults, chain.cut) == (len(LINES), "", {}, False)


def test_what_was_read_of_an_event_history_is_read_as_it_was() -> None:
    assert parse_readings(kept("event-history.json")) == {(ACCOUNT, "eu-west-1", "AKIA1"): READING}
