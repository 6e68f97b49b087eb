# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.aws.bucket_journal import BucketJournal
from c7n_iamusers.aws.snapshots import SnapshotArchive
from c7n_iamusers.aws.stores import DirectoryStore
from c7n_iamusers.cli.snapshot_files import chosen_snapshots
from c7n_iamusers.model.moments import moment
from c7n_iamusers.model.snapshot import Snapshot
from tests.records import user

ALICE = user()
JANUARY, JUNE = (Snapshot(ALICE, f"2026-{month:02}-01T12:00:00+00:00", "0" * 64) for month in (1, 6))
CALL: dict[str, Any] = {"operation": "DeleteAccessKey", "parameters": {"AccessKeyId": "AKIA1"}}
FIRST, SECOND = "20260101T120000Z-ffffffff", "20260601T120000Z-00000000"


def lines(time: str, result: str) -> str:
    """A call that was announced and answered, as a journal has it."""
    entry = {"time": f"2026-{time}:00+00:00", "user": "alice", "arn": ALICE.arn, **CALL}
    both = [{**entry, "phase": "before"}, {**entry, "phase": "after", "result": result}]
    return "".join(json.dumps(line) + "\n" for line in both)


@pytest.mark.parametrize(
    ("journals", "expected"),
    [
        pytest.param({}, JANUARY, id="none"),
        pytest.param({"journal.jsonl": lines("06-01T12:30", "done")}, JUNE, id="directory"),
        pytest.param({f"journal/{SECOND}/alice.A.jsonl": lines("06-01T12:30", "done")}, JUNE, id="bucket"),
        pytest.param(
            {
                f"journal/{FIRST}/alice.A.jsonl": lines("01-01T12:30", "failed"),
                f"journal/{SECOND}/alice.A.jsonl": lines("06-01T12:30", "done"),
            },
            JUNE,
            id="bucket-the-first-run-failed",
        ),
        pytest.param(
            {
                f"journal/{FIRST}/alice.A.jsonl": lines("01-01T12:30", "done"),
                f"journal/{SECOND}/alice.A.jsonl": lines("06-01T12:30", "done"),
            },
            JANUARY,
            id="bucket-the-first-run-removed",
        ),
        pytest.param(
            {
                "journal.jsonl": lines("06-01T12:30", "done"),
                f"journal/{FIRST}/alice.A.jsonl": lines("01-01T12:30", "done"),
            },
            JANUARY,
            id="both",
        ),
    ],
)
def test_the_journal_tells_which_snapshot_is_whole(
    tmp_path: Path, journals: Mapping[str, str], expected: Snapshot
) -> None:
    archive = SnapshotArchive(DirectoryStore(tmp_path))
    for number, snapshot in enumerate((JANUARY, JUNE), 1):
        archive.add(snapshot, number)
    for name, content in journals.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    for place in (tmp_path, tmp_path / "snapshots"):
        assert [found.taken for found in chosen_snapshots([place])] == [expected.taken]


def test_the_journals_of_a_bucket_are_found_where_they_are_written(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    for number, snapshot in enumerate((JANUARY, JUNE), 1):
        SnapshotArchive(store).add(snapshot, number)
    time = moment("2026-06-01T12:30:00Z")
    assert time
    BucketJournal(store, lambda: time).write(ALICE.subject, "before", **CALL)
    assert [found.taken for found in chosen_snapshots([tmp_path])] == [JUNE.taken]
