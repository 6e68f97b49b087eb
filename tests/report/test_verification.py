# SPDX-License-Identifier: Apache-2.0
"""Verification of what is rarely there: provisioning's records, objects of a bucket, journals that machines merged."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import BucketJournal, Journal, SegmentedJournal
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.identity_center.applying.run_records import RunDirectory
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.grounds import verify_plans
from c7n_iamusers.report.verification import NOTE, Verified, verify_outputs
from c7n_iamusers.snapshots.snapshot import Snapshot, fingerprint
from c7n_iamusers_cli.bucket_copy import _merged

pytestmark = pytest.mark.pure

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
CALL = {"service": "iam", "operation": "UntagUser", "parameters": {"UserName": "alice"}}
DENIES = {"operation": "PutUserPolicy"}
OF_CENTER = {"service": "identitystore", "operation": "CreateGroup", "parameters": {}}
CALLER = "arn:aws:sts::111122223333:assumed-role/Remover/run"
ANSWERED = {"result": "done", "request_id": "r", "caller": CALLER}


def now(day: int = 2) -> datetime:
    return datetime(2026, 1, day, tzinfo=timezone.utc)


def verified(path: Path, keeps_calls: bool = False) -> Verified:
    found = Verified(keeps_calls=keeps_calls)
    verify_outputs(DirectoryStore(path), lambda content: "no plan" if b"?" in content else "", found)
    return found


def told(path: Path) -> list[tuple[str, str]]:
    """The level of each line, and the file that it is about."""
    return [(each.level, each.place.removeprefix(f"{path}/")) for each in verified(path).found]


def provision(path: Path, day: int = 2) -> str:
    """The directory of a run of provisioning."""
    run = RunDirectory.begin(DirectoryStore(path), now(day))
    with run.journal() as journal:
        journal.write(ALICE, "before", **OF_CENTER)
        journal.write(ALICE, "after", **OF_CENTER, result="done")
    run.finish({"schema": 1, "created": [], "instance": "arn:aws:sso:::instance/x"})
    return run.result.removesuffix("result.json")


def test_the_result_of_provisioning_has_the_digest_of_its_journal(tmp_path: Path) -> None:
    place = provision(tmp_path)
    found = verified(tmp_path)
    assert (found.found, found.counts["results"], found.counts["lines"]) == ([], 1, 3)
    result = tmp_path / place / "result.json"
    result.write_bytes(result.read_bytes() + b" ")
    assert told(tmp_path) == [(BLOCKING, f"{place}result.json")]


UNDONE = '{"removed": ["group x"], "complete": true}'


@pytest.mark.parametrize(
    ("leave", "expected"),
    [
        pytest.param(lambda run: (run / "result.json").unlink(), [(BLOCKING, "result.json")], id="gone"),
        pytest.param(
            lambda run: (run / "result.json").rename(run / "result.json.gz"),
            [(BLOCKING, "result.json"), (BLOCKING, "result.json.gz")],
            id="packed",
        ),
        pytest.param(
            lambda run: (run / "undone.json").write_text(UNDONE),
            [(BLOCKING, "undone.json")],
            id="undone-and-no-journal",
        ),
        pytest.param(
            lambda run: (run / "undone.json").write_text('{"removed": []}'), [], id="nothing-was-undone"
        ),
        pytest.param(lambda run: undo(run), [(ATTENTION, "undo-journal")], id="an-undo-that-was-stopped"),
        pytest.param(
            lambda run: (undo(run), (run / "undone.json").write_text(UNDONE)), [], id="an-undo-that-ended"
        ),
        pytest.param(
            lambda run: (run / "groups-before.json.gz").touch(),
            [(BLOCKING, "groups-before.json.gz")],
            id="groups-packed",
        ),
    ],
)
def test_what_runs_of_provisioning_leave(
    tmp_path: Path, leave: Callable[[Path], object], expected: list[tuple[str, str]]
) -> None:
    place = provision(tmp_path)
    leave(tmp_path / place)
    assert sorted(told(tmp_path)) == [(level, f"{place}{name}") for level, name in expected]


def test_a_run_of_provisioning_that_is_gone_is_named_by_the_next_one(tmp_path: Path) -> None:
    places = [provision(tmp_path, day) for day in (2, 3, 4)]
    assert told(tmp_path) == []
    shutil.rmtree(tmp_path / places[1])
    assert told(tmp_path) == [(BLOCKING, places[1].rstrip("/"))]


def undo(run: Path) -> bool:
    with Journal(run / "undo-journal.jsonl") as journal:
        journal.write(ALICE, "before", **OF_CENTER)
        journal.write(ALICE, "after", **OF_CENTER, result="done")
    return True


def test_the_result_of_a_killed_run_is_that_of_the_run_that_continued_it(tmp_path: Path) -> None:
    place = tmp_path / provision(tmp_path)
    (place / "result.json").unlink()
    run = RunDirectory(DirectoryStore(tmp_path), "20260103T000000.000000Z", (place.name,))
    with run.journal() as journal:
        journal.write(ALICE, "before", **OF_CENTER)
        journal.write(ALICE, "after", **OF_CENTER, result="done")
    run.finish({"instance": "arn:aws:sso:::instance/x"})
    assert told(tmp_path) == []


def test_the_objects_of_a_journal_are_one_chain(tmp_path: Path) -> None:
    with SegmentedJournal(DirectoryStore(tmp_path), "identity-center-runs/1/journal", now) as journal:
        for _ in range(3):
            journal.write(ALICE, "before", **OF_CENTER)
            journal.write(ALICE, "after", **OF_CENTER, result="done")
    assert told(tmp_path) == []
    segments = sorted(tmp_path.rglob("*.jsonl"))
    assert len(segments) == 4
    segments[1].unlink()
    ((level, place),) = told(tmp_path)
    assert (level, place.startswith("identity-center-runs/1/journal/20260102T")) == (BLOCKING, True)


def bucket_run(store: DirectoryStore, follows: str = "") -> BucketJournal:
    journal = BucketJournal(store, now)
    journal.follows = lambda _: follows
    journal.write(ALICE, "before", **CALL)
    journal.write(ALICE, "after", **CALL, **ANSWERED)
    journal.write(ALICE, "lapsed", gone=[], active=[])
    return journal


def test_an_object_may_begin_anew_and_follows_no_line_that_is_gone(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for _ in range(2):
        bucket_run(store)
    assert told(tmp_path) == []
    bucket_run(store, "0" * 64)
    ((level, place),) = told(tmp_path)
    assert (level, place.startswith("journal/")) == (BLOCKING, True)


@pytest.mark.parametrize("name", ["x/alice.AIDAALICE.jsonl", "{run}/zed.AIDAZED.jsonl"])
def test_an_object_that_runs_read_has_the_name_that_a_run_gives_it(tmp_path: Path, name: str) -> None:
    bucket_run(DirectoryStore(tmp_path))
    (written,) = tmp_path.rglob("*.jsonl")
    moved = tmp_path / "journal" / name.format(run=written.parent.name)
    moved.parent.mkdir(exist_ok=True)
    written.rename(moved)
    assert (BLOCKING, f"journal/{moved.relative_to(tmp_path / 'journal')}") in told(tmp_path)


def test_a_file_that_lies_there_twice_is_told(tmp_path: Path) -> None:
    for name in ("outcomes.json", "outcomes.json.gz"):
        (tmp_path / name).write_bytes(b"[]")
    assert (BLOCKING, "outcomes.json.gz") in told(tmp_path)


def test_journals_of_restorations_that_machines_merged_are_to_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "restore-journal.jsonl"
    both = b""
    for name in ("here", "there"):
        with Journal(tmp_path / name / "restore-journal.jsonl") as journal:
            journal.write(ALICE, "before", **CALL, notes={"by": name})
            journal.write(ALICE, "after", **CALL, **ANSWERED)
        both = _merged(both, (tmp_path / name / "restore-journal.jsonl").read_bytes())
        (tmp_path / name / "restore-journal.jsonl").unlink()
    path.write_bytes(both)
    assert told(tmp_path) == [(ATTENTION, "restore-journal.jsonl")]
    # a run has its output alone: nobody else writes to its journal
    path.rename(tmp_path / "journal.jsonl")
    assert told(tmp_path) == [(BLOCKING, "journal.jsonl")]


def torn(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"time": "20')


def torn_and_continued(path: Path) -> None:
    torn(path)
    write(path)


@pytest.mark.parametrize(
    ("leave", "expected"),
    [
        pytest.param(lambda path: path.write_bytes(b""), [], id="empty"),
        pytest.param(torn, [(ATTENTION, "journal.jsonl")], id="killed-in-its-first-line"),
        pytest.param(
            torn_and_continued, [(NOTE, "journal.jsonl"), (ATTENTION, "journal.jsonl")], id="and-continued"
        ),
        pytest.param(lambda path: path.mkdir(), [], id="a-directory"),
        pytest.param(lambda path: path.symlink_to("/etc/passwd"), [(BLOCKING, "journal.jsonl")], id="a-link"),
        pytest.param(
            lambda path: path.with_name("deletion-plan.json").write_text("?"),
            [(BLOCKING, "deletion-plan.json")],
            id="no-plan",
        ),
    ],
)
def test_what_is_left(
    tmp_path: Path, leave: Callable[[Path], object], expected: list[tuple[str, str]]
) -> None:
    leave(tmp_path / "journal.jsonl")
    assert told(tmp_path) == expected


def write(path: Path) -> None:
    with Journal(path) as journal:
        journal.write(ALICE, "before", **CALL)
        journal.write(ALICE, "after", **CALL, **ANSWERED)


USER = IamUser(
    {"UserName": ALICE.name, "Arn": ALICE.arn, "UserId": ALICE.unique_id, "Path": "/"},
    {kind.name: () for kind in ATTACHMENT_KINDS},
)


@pytest.mark.whole
@pytest.mark.parametrize(
    ("lines", "level"),
    [
        pytest.param([], ATTENTION, id="killed"),
        pytest.param([(3, "snapshot"), (3, "decision"), (3, "before")], ATTENTION, id="and-the-next-run"),
        pytest.param([(1, "decision"), (1, "before"), (3, "lapsed")], ATTENTION, id="changed-before-it"),
        pytest.param([(3, "decision"), (3, "before")], BLOCKING, id="a-deletion-without-one"),
        pytest.param([(3, "quarantine"), (3, "snapshot")], BLOCKING, id="a-quarantine-before-the-next-one"),
        pytest.param([(1, "snapshot"), (3, "before")], BLOCKING, id="a-deny-on-an-older-one"),
    ],
)
def test_a_run_is_killed_between_a_snapshot_and_its_line(
    tmp_path: Path, lines: list[tuple[int, str]], level: str
) -> None:
    store, names = DirectoryStore(tmp_path), [f"snapshots/alice.AIDA1{each}.json" for each in ("", ".2")]
    for day, name in zip((2, 3), names, strict=True):
        store.create(name, Snapshot(USER, now(day), fingerprint(USER)).checked_json())
    digest = hashlib.sha256(store.read(names[1]) or b"").hexdigest()
    with Journal(tmp_path / "journal.jsonl", lambda: days.pop(0)) as journal:
        days = [now(day) for day, _ in lines] + [now(4)]
        for _, phase in lines:
            more: dict[str, Any] = {"snapshot": names[1], "sha256": digest} if phase == "snapshot" else {}
            journal.write(ALICE, phase, **({**CALL, **DENIES} if phase == "before" else more))
        journal.write(ALICE, "snapshot", snapshot=names[1], sha256=digest)
    assert level in {each for each, place in told(tmp_path) if place == names[0]}


def test_each_try_of_a_call_is_an_answer_of_its_own(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write(ALICE, "before", **CALL)
        journal.write(ALICE, "tried", **CALL, code="Throttling", request_id="r-1", caller=CALLER)
        journal.write(ALICE, "after", **CALL, result="done", request_id="r-2", caller=CALLER)
        journal.write(ALICE, "before", **CALL)
    found = verified(tmp_path, keeps_calls=True)
    assert [(each.result, each.request_id, each.caller) for each in found.calls] == [
        ("tried", "r-1", CALLER),
        ("done", "r-2", CALLER),
        ("", "", ""),
    ]
    assert [each.level for each in found.found] == [ATTENTION]
    assert verified(tmp_path).calls == []


def test_what_is_told_of_a_line_is_no_longer_than_can_be_read() -> None:
    plan = {"place": "plan.json", "sha256": "0" * 200_000}
    verified = Verified(decisions=[("", {"plan": plan})])
    verify_plans(verified, ())
    (found,) = verified.found
    assert [len(found.place), found.place[:10]] == [2_003, "plan.json,"]
