# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from c7n_iamusers.aws.snapshots import SnapshotArchive
from c7n_iamusers.aws.stores import DirectoryStore
from c7n_iamusers.exceptions import SnapshotRefused
from c7n_iamusers.model.snapshot import Snapshot
from tests.records import EVERYTHING, user

ALICE = user(tags={"Team": "a"}, **EVERYTHING)
FIRST = Snapshot(ALICE, "2026-11-24T00:00:00+00:00", "0" * 64)
SECOND = replace(FIRST, fingerprint="1" * 64)


def archive(path: Path) -> SnapshotArchive:
    return SnapshotArchive(DirectoryStore(path))


def test_snapshots_of_a_user_are_kept_in_their_order(tmp_path: Path) -> None:
    places = [archive(tmp_path).add(FIRST, 1), archive(tmp_path).add(SECOND, 2)]
    assert places == [
        f"{tmp_path}/snapshots/alice.{ALICE.unique_id}.json",
        f"{tmp_path}/snapshots/alice.{ALICE.unique_id}.2.json",
    ]
    assert archive(tmp_path).of(ALICE.subject) == [FIRST, SECOND]


def test_one_that_is_there_is_never_written_again(tmp_path: Path) -> None:
    place = Path(archive(tmp_path).add(FIRST, 1))
    content = place.read_bytes()
    with pytest.raises(SnapshotRefused, match="user alice of account 111122223333: no durable snapshot"):
        archive(tmp_path).add(SECOND, 1)
    assert place.read_bytes() == content


def test_another_user_of_the_same_name_has_snapshots_of_its_own(tmp_path: Path) -> None:
    archive(tmp_path).add(FIRST, 1)
    other = user(unique_id="AIDAOTHER")
    assert archive(tmp_path).of(other.subject) == []
    archive(tmp_path).add(replace(FIRST, user=other), 1)
    assert archive(tmp_path).of(ALICE.subject) == [FIRST]


def test_a_place_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("a file is in the way")
    with pytest.raises(SnapshotRefused, match=r"no durable snapshot in .*: nothing further was touched"):
        archive(tmp_path).add(FIRST, 1)


def test_a_broken_one_refuses_rather_than_passing_for_none(tmp_path: Path) -> None:
    Path(archive(tmp_path).add(FIRST, 1)).write_text("{")
    with pytest.raises(SnapshotRefused, match="move a broken snapshot away"):
        archive(tmp_path).of(ALICE.subject)
