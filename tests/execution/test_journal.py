# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import pytest

from c7n_iamusers.exceptions import JournalRefused, RunLockLost
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import Journal, NoJournal
from tests.execution.syncing import synced

pytestmark = pytest.mark.pure

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")


def test_a_line_has_time_user_and_call(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", now=lambda: datetime(2026, 1, 2, tzinfo=timezone.utc)) as journal:
        journal.write(ALICE, "before", operation="DeleteUser")
    assert json.loads((tmp_path / "j").read_text()) == {
        "time": "2026-01-02T00:00:00+00:00",
        "user": "alice",
        "arn": ALICE.arn,
        "unique_id": "AIDA1",
        "phase": "before",
        "previous": "",
        "operation": "DeleteUser",
    }


def test_a_later_run_appends_after_an_incomplete_line(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text('{"phase": "before"}\n{"pha')
    with Journal(path) as journal:
        journal.write(ALICE, "before")
    first, torn, new = path.read_text().splitlines()
    assert (json.loads(first)["phase"], torn, json.loads(new)["user"]) == ("before", '{"pha', "alice")


def test_a_new_journal_and_its_directories_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out" / "policy" / "j"
    with synced(monkeypatch, tmp_path) as places, Journal(path):
        assert places == [tmp_path, tmp_path / "out", tmp_path / "out" / "policy"]
    with Journal(path) as journal:
        journal.write(ALICE, "before")
    with synced(monkeypatch, tmp_path) as places, Journal(path):
        assert places == []


def test_lines_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: journal.write(ALICE, "before", number=n, filler="x" * 500), range(60)))
    lines = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()]
    assert sorted(line["number"] for line in lines) == list(range(60))


def test_a_line_that_is_not_durable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("No space left on device")

    with Journal(tmp_path / "j") as journal:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(
            JournalRefused,
            match=r"user alice of account 111122223333: the journal .*No space left.*run again",
        ):
            journal.write(ALICE, "before")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_journal_that_was_removed_takes_no_line_of_a_call(tmp_path: Path, replaced: bool) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.write(ALICE, "before")
        (tmp_path / "j").rename(tmp_path / "moved")
        if replaced:
            (tmp_path / "j").touch()
        journal.write(ALICE, "after")  # of a call that was made
        with pytest.raises(RunLockLost, match="was replaced" if replaced else "is gone"):
            journal.write(ALICE, "before")
    assert len((tmp_path / "moved").read_text().splitlines()) == 2


def test_a_run_that_only_plans_has_no_journal() -> None:
    with (
        NoJournal() as journal,
        pytest.raises(AssertionError, match=r"user alice .* about to call DeleteUser"),
    ):
        journal.write(ALICE, "before", operation="DeleteUser")


def test_a_planted_fifo_or_link_is_refused_and_nothing_written_to_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "foreign").write_text("theirs")
    (tmp_path / "link").symlink_to("foreign")
    for name, kind in (("fifo", "FIFO"), ("link", "symbolic link")):
        with pytest.raises(OSError, match=f"{name} is a {kind}"):
            Journal(tmp_path / name)
    assert (tmp_path / "foreign").read_text() == "theirs"
