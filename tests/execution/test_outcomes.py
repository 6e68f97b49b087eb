# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import signal
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import Journal
from c7n_iamusers.execution.outcomes import (
    DELETED,
    FAILED,
    MOST_FORMER,
    SKIPPED,
    Outcome,
    OutcomeWriter,
    merged_outcomes,
    outcome_of,
)
from c7n_iamusers.execution.stopped_runs import missing_outcomes
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.reasons import DONE
from tests.records import said

pytestmark = pytest.mark.pure

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
BOB = Subject("bob", "arn:aws:iam::111122223333:user/bob", "AIDA2")


def outcome(subject: Subject, status: str, calls: int = 3) -> Outcome:
    return Outcome(subject.name, subject.arn, status, said("as it went"), calls)


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((path / "outcomes.json").read_text())
    return found


def run(path: Path, *outcomes: tuple[Subject, str]) -> None:
    with Journal(path / "journal.jsonl") as journal:
        writer = OutcomeWriter(DirectoryStore(path), journal)
        for subject, status in outcomes:
            writer.add(subject, outcome(subject, status))
        writer.close()


def test_the_latest_outcome_is_the_row_and_earlier_ones_its_history(tmp_path: Path) -> None:
    run(tmp_path, (ALICE, FAILED), (BOB, DELETED))
    run(tmp_path, (ALICE, SKIPPED))
    run(tmp_path, (ALICE, DELETED))
    alice, bob = rows(tmp_path)
    assert (alice["status"], [each["status"] for each in alice["history"]]) == (DELETED, [FAILED, SKIPPED])
    assert all("history" not in each for each in alice["history"])
    assert (bob["status"], "history" in bob) == (DELETED, False)


def test_a_run_a_day_does_not_make_the_file_grow(tmp_path: Path) -> None:
    run(tmp_path, (ALICE, SKIPPED), (BOB, FAILED))
    run(tmp_path, (ALICE, SKIPPED), (BOB, FAILED))
    assert ["history" in row for row in rows(tmp_path)] == [False, False]
    with Journal(tmp_path / "journal.jsonl") as journal:
        for day in range(MOST_FORMER + 5):
            writer = OutcomeWriter(DirectoryStore(tmp_path), journal)
            writer.add(ALICE, Outcome.of(ALICE, SKIPPED, said(f"used on day {day}")))
            writer.close()
    alice, _ = rows(tmp_path)
    days = range(3, MOST_FORMER + 4)
    assert [each["reason"] for each in alice["history"]] == [f"used on day {day}" for day in days]
    run(tmp_path, (ALICE, FAILED), (ALICE, DELETED))
    assert len(rows(tmp_path)[0]["history"]) == MOST_FORMER + 1


def test_the_last_outcome_of_each_status_is_kept(tmp_path: Path) -> None:
    outcomes = [Outcome.of(ALICE, SKIPPED, said(f"used on day {day}")) for day in range(3 * MOST_FORMER)]
    changed = [Outcome.of(ALICE, "quarantined", said(reason)) for reason in ("first", "second")]
    (row,) = json.loads(merged_outcomes([], [*outcomes[:5], *changed, *outcomes[5:]]))
    kept = [each["reason"] for each in row["history"]]
    assert kept[0] == "second"
    assert len(kept) == MOST_FORMER + 2


@pytest.mark.parametrize(
    ("before", "after"), [(FAILED, FAILED), (DELETED, SKIPPED)], ids=["failed-before", "not-failed"]
)
def test_a_run_that_is_stopped_before_a_users_turn_does_not_hide_its_failure(
    tmp_path: Path, before: str, after: str
) -> None:
    run(tmp_path, (ALICE, before))
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)
        stopped = outcome_of(ALICE, lambda *_: (DELETED, DONE), interruption)
    assert stopped.status == SKIPPED
    with Journal(tmp_path / "journal.jsonl") as journal:
        writer = OutcomeWriter(DirectoryStore(tmp_path), journal)
        writer.add(ALICE, stopped)
        writer.close()
    assert [row["status"] for row in rows(tmp_path)] == [after]


def test_a_killed_run_has_written_outcomes_until_seconds_before(tmp_path: Path) -> None:
    now = [0.0]
    with Journal(tmp_path / "journal.jsonl") as journal:
        writer = OutcomeWriter(DirectoryStore(tmp_path), journal, seconds=2.0, clock=lambda: now[0])
        writer.add(ALICE, outcome(ALICE, DELETED))
        assert not (tmp_path / "outcomes.json").exists()
        now[0] = 2.0
        writer.add(BOB, outcome(BOB, DELETED))
    assert [row["user"] for row in rows(tmp_path)] == ["alice", "bob"]
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["user"], line["status"]) for line in lines] == [
        ("outcome", "alice", DELETED),
        ("outcome", "bob", DELETED),
    ]


def test_writing_in_between_makes_no_history_of_the_same_run(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        writer = OutcomeWriter(DirectoryStore(tmp_path), journal, seconds=0.0)
        writer.add(ALICE, outcome(ALICE, DELETED))
        writer.add(BOB, outcome(BOB, DELETED))
        writer.close()
    assert ["history" in row for row in rows(tmp_path)] == [False, False]


def test_users_without_calls_are_not_in_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        writer = OutcomeWriter(DirectoryStore(tmp_path), journal)
        writer.add(ALICE, outcome(ALICE, SKIPPED, calls=0))
        writer.close()
    assert (tmp_path / "journal.jsonl").read_text() == ""
    assert rows(tmp_path)[0]["status"] == SKIPPED


@pytest.mark.parametrize(
    "micros", [0, 456, 123_000, 123_456], ids=["whole-second", "microseconds", "milliseconds", "both"]
)
def test_a_written_outcome_is_not_missing_in_the_next_run(tmp_path: Path, micros: int) -> None:
    """The last call's line may be of the same millisecond as the row."""

    def now() -> datetime:
        return datetime(2026, 11, 24, 12, 0, 0, micros, tzinfo=timezone.utc)

    with Journal(tmp_path / "journal.jsonl", now) as journal:
        for phase in ("before", "after"):
            journal.write(ALICE, phase, operation="DeleteUser", result="done")
        writer = OutcomeWriter(DirectoryStore(tmp_path), journal, now=now)
        writer.add(ALICE, outcome(ALICE, DELETED))
        writer.close()
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert list(missing_outcomes(lines, rows(tmp_path), lambda _: None)) == []


def test_a_row_has_unique_id_and_time(tmp_path: Path) -> None:
    time = datetime(2026, 11, 24, 12, 0, 0, 123_456, tzinfo=timezone.utc)
    with Journal(tmp_path / "journal.jsonl") as journal:
        writer = OutcomeWriter(DirectoryStore(tmp_path), journal, now=lambda: time)
        assert writer.earlier == []
        written = writer.add(ALICE, outcome(ALICE, DELETED))
        writer.close()
    assert (written.unique_id, written.time) == ("AIDA1", "2026-11-24T12:00:00.123456+00:00")
    assert [(row["unique_id"], row["time"]) for row in rows(tmp_path)] == [(written.unique_id, written.time)]
    assert OutcomeWriter(DirectoryStore(tmp_path), Refusing()).earlier == rows(tmp_path)


def test_another_user_of_the_same_arn_has_a_row_of_its_own(tmp_path: Path) -> None:
    later = Subject("alice", ALICE.arn, "AIDA9")
    run(tmp_path, (ALICE, DELETED))
    run(tmp_path, (later, FAILED))
    assert [(row["unique_id"], row["status"]) for row in rows(tmp_path)] == [
        ("AIDA1", DELETED),
        ("AIDA9", FAILED),
    ]
    assert not any("history" in row for row in rows(tmp_path))


def test_two_writers_in_parallel_lose_no_row(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        books = [OutcomeWriter(DirectoryStore(tmp_path), journal) for _ in range(2)]
        for writer, subject in zip(books, (ALICE, BOB), strict=True):
            writer.add(subject, outcome(subject, DELETED))
        for writer in books:
            writer.close()
    assert [row["user"] for row in rows(tmp_path)] == ["alice", "bob"]


class Refusing:
    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        raise JournalRefused("no room")


def test_a_journal_that_refuses_hides_no_outcome(tmp_path: Path) -> None:
    writer = OutcomeWriter(DirectoryStore(tmp_path), Refusing())
    assert writer.add(ALICE, outcome(ALICE, DELETED)).status == DELETED
    writer.close()
    assert rows(tmp_path)[0]["status"] == DELETED


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("[{", "line 1, column 3: Expecting", id="torn"),
        pytest.param('{"version": 2}', "no list of users' outcomes", id="no-list"),
        pytest.param('["arn"]', "no list of users' outcomes", id="no-objects"),
        pytest.param('[{"user": "alice"}]', "no list of users' outcomes", id="no-arn"),
        pytest.param('[{"arn": ["a"]}]', "no list of users' outcomes", id="arn-no-text"),
        pytest.param('[{"arn": "a", "history": null}]', "no list of users' outcomes", id="history-no-list"),
    ],
)
def test_a_file_of_another_kind_is_named_at_the_start_and_not_overwritten(
    tmp_path: Path, content: str, why: str
) -> None:
    path = tmp_path / "outcomes.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"{path} is not a file of outcomes \({why}.*move it away"):
        OutcomeWriter(DirectoryStore(tmp_path), Refusing())
    assert path.read_text() == content
