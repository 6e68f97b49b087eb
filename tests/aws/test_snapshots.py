# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from c7n_iamusers.aws.snapshots import SnapshotDirectory
from c7n_iamusers.exceptions import SnapshotRefused
from tests.records import EVERYTHING, user

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
ALICE = user(tags={"Team": "a"}, **EVERYTHING)


def snapshots(path: Path) -> SnapshotDirectory:
    return SnapshotDirectory(path / "snapshots", now=lambda: NOW)


def test_a_snapshot_holds_the_user_and_every_kind(tmp_path: Path) -> None:
    path = snapshots(tmp_path).save(ALICE)
    found = json.loads(path.read_text())
    assert path.name == f"alice.{ALICE.unique_id}.json"
    assert found["user"] == ALICE.detail
    assert found["attachments"] == {kind: list(items) for kind, items in ALICE.attachments.items()}
    assert (found["schema_version"], found["account_id"], found["taken"]) == (
        1,
        "111122223333",
        NOW.isoformat(),
    )


def test_what_is_left_of_a_user_does_not_replace_its_snapshot(tmp_path: Path) -> None:
    first = snapshots(tmp_path).save(ALICE)
    content = first.read_bytes()
    assert snapshots(tmp_path).save(user()) == first
    assert first.read_bytes() == content
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_what_a_user_has_gained_makes_a_further_snapshot(tmp_path: Path) -> None:
    first = snapshots(tmp_path).save(ALICE)
    content = first.read_bytes()
    more = replace(ALICE, attachments={**ALICE.attachments, "access-key": ({"AccessKeyId": "AKIA3"},)})
    second = snapshots(tmp_path).save(more)
    assert second.name == f"alice.{ALICE.unique_id}.2.json"
    assert first.read_bytes() == content
    assert snapshots(tmp_path).save(more) == second


def test_another_user_of_the_same_name_has_a_snapshot_of_its_own(tmp_path: Path) -> None:
    first = snapshots(tmp_path).save(ALICE)
    assert snapshots(tmp_path).save(user(unique_id="AIDAOTHER")) != first


def test_what_our_own_work_put_there_is_not_the_users(tmp_path: Path) -> None:
    held = user(inline_policy=({"PolicyName": "ours"}, {"PolicyName": "theirs"}))
    path = snapshots(tmp_path).save(held, passing=frozenset({"ours"}))
    assert json.loads(path.read_text())["attachments"]["inline-policy"] == [{"PolicyName": "theirs"}]


def test_recorded_items_are_those_of_the_same_user(tmp_path: Path) -> None:
    snapshots(tmp_path).save(ALICE)
    assert snapshots(tmp_path).recorded(ALICE, "mfa-device") == list(EVERYTHING["mfa_device"])
    assert snapshots(tmp_path).recorded(user(unique_id="AIDAOTHER"), "mfa-device") == []


def test_a_directory_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("a file is in the way")
    with pytest.raises(
        SnapshotRefused, match=r"user alice of account 111122223333: no durable snapshot .* nothing"
    ):
        snapshots(tmp_path).save(ALICE)


def test_a_broken_earlier_file_refuses_rather_than_passing_for_a_snapshot(tmp_path: Path) -> None:
    path = snapshots(tmp_path).save(ALICE)
    path.write_text("{")
    with pytest.raises(SnapshotRefused, match="move a broken file away"):
        snapshots(tmp_path).save(ALICE)
    with pytest.raises(SnapshotRefused, match="move a broken file away"):
        snapshots(tmp_path).recorded(ALICE, "mfa-device")
