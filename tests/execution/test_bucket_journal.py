# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import BucketJournal, JournalReader, SegmentedJournal
from c7n_iamusers.execution.stores import DirectoryStore

pytestmark = pytest.mark.pure

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
BOB = Subject("bob", "arn:aws:iam::111122223333:user/bob", "AIDA2")


def now() -> datetime:
    return datetime(2026, 1, 2, tzinfo=timezone.utc)


def lines(root: Path, name: str) -> list[Any]:
    (path,) = root.glob(f"journal/20260102T000000Z-*/{name}.jsonl")
    return [json.loads(line)["phase"] for line in path.read_text().splitlines()]


def test_what_precedes_a_call_is_put_before_it(tmp_path: Path) -> None:
    journal = BucketJournal(DirectoryStore(tmp_path), now)
    journal.write(ALICE, "before", operation="DeleteUser")
    assert lines(tmp_path, "alice.AIDA1") == ["before"]
    journal.write(ALICE, "tried", operation="DeleteUser")
    journal.write(ALICE, "after", operation="DeleteUser")
    journal.write(BOB, "before", operation="DeleteUser")
    assert lines(tmp_path, "bob.AIDA2") == ["before"]
    journal.write(ALICE, "outcome")
    assert lines(tmp_path, "alice.AIDA1") == ["before", "tried", "after", "outcome"]


@pytest.mark.parametrize(("name", "file"), [("-rf", "_-rf"), (".x", "_.x"), ("a-b", "a-b")])
def test_no_name_of_an_object_is_an_option_or_hidden(tmp_path: Path, name: str, file: str) -> None:
    """Somebody may copy the bucket into a directory."""
    subject = Subject(name, f"arn:aws:iam::111122223333:user/{name}", "AIDA1")
    journal, store = BucketJournal(DirectoryStore(tmp_path), now), DirectoryStore(tmp_path)
    journal.write(subject, "before")
    assert lines(tmp_path, f"{file}.AIDA1") == ["before"]
    found = JournalReader(lambda: [store])
    assert [line["phase"] for line in found.of(subject)] == ["before"]
    again = Subject(name, subject.arn, "AIDA2")
    assert [line["phase"] for line in found.of_namesakes(again)] == ["before"]


def test_runs_do_not_share_objects(tmp_path: Path) -> None:
    for _ in range(2):
        BucketJournal(DirectoryStore(tmp_path), now).write(ALICE, "before")
    assert len(list(tmp_path.glob("journal/*/alice.AIDA1.jsonl"))) == 2


def test_what_cannot_be_put_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file is in the way")
    with pytest.raises(
        JournalRefused, match="user alice of account 111122223333: the journal can't be written"
    ):
        BucketJournal(DirectoryStore(tmp_path), now).write(ALICE, "before")


def segments(root: Path) -> list[list[tuple[str, str]]]:
    """For each object, the user and phase of each line."""
    found = sorted(root.glob("run/journal/20260102T000000.000000Z-*/*.jsonl"))
    rows = [[json.loads(line) for line in path.read_text().splitlines()] for path in found]
    return [[(row["user"], row["phase"]) for row in each] for each in rows]


def test_a_segment_has_all_lines_since_the_segment_before(tmp_path: Path) -> None:
    with SegmentedJournal(DirectoryStore(tmp_path), "run/journal", now) as journal:
        journal.write(ALICE, "before", operation="CreateGroup")
        journal.write(ALICE, "after", operation="CreateGroup")
        assert segments(tmp_path) == [[("alice", "before")]]
        journal.write(BOB, "before", operation="CreateUser")
        journal.write(BOB, "after", operation="CreateUser")
        assert segments(tmp_path) == [[("alice", "before")], [("alice", "after"), ("bob", "before")]]
    assert segments(tmp_path)[2:] == [[("bob", "after")]]


def test_a_journal_without_a_line_leaves_nothing(tmp_path: Path) -> None:
    with SegmentedJournal(DirectoryStore(tmp_path), "run/journal", now):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_cannot_be_put_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file is in the way")
    journal = SegmentedJournal(DirectoryStore(tmp_path), "run/journal", now)
    with pytest.raises(
        JournalRefused, match="user alice of account 111122223333: the journal can't be written"
    ):
        journal.write(ALICE, "before")


def test_results_that_cannot_be_put_hide_no_other_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file is in the way")

    def run(error: Exception | None) -> None:
        with SegmentedJournal(DirectoryStore(tmp_path), "run/journal", now) as journal:
            journal.write(ALICE, "after")
            if error:
                raise error

    with pytest.raises(JournalRefused, match="the last results: the journal can't be written"):
        run(None)
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError())
