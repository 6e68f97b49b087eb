# SPDX-License-Identifier: Apache-2.0
"""Both stores keep the same contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.aws.bucket_store import BucketStore
from c7n_iamusers.aws.stores import DirectoryStore, Store
from c7n_iamusers.local_org import LocalOrg
from tests.aws.syncing import synced
from tests.fakes import ScriptedClient, client_error

ENCRYPTED = {"ServerSideEncryption": "AES256"}


@pytest.fixture
def s3(org: LocalOrg) -> Any:
    client = org.client("s3")
    client.create_bucket(Bucket="output")
    return client


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return DirectoryStore(tmp_path / "output")
    return BucketStore(request.getfixturevalue("s3"), "output", "here/", ENCRYPTED)


def test_what_is_created_can_be_read(store: Store) -> None:
    store.create("snapshots/alice.json", b"one")
    assert store.read("snapshots/alice.json") == b"one"


def test_what_is_not_there_is_none(store: Store) -> None:
    assert store.read("snapshots/alice.json") is None


def test_what_is_there_is_never_overwritten_by_a_creation(store: Store) -> None:
    store.create("a", b"one")
    with pytest.raises(FileExistsError):
        store.create("a", b"two")
    assert store.read("a") == b"one"


def test_replacing_takes_the_place(store: Store) -> None:
    store.replace("a", b"one")
    store.replace("a", b"two")
    assert store.read("a") == b"two"


def test_a_directory_keeps_no_drafts(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create("a", b"one")
    store.replace("b", b"one")
    with pytest.raises(FileExistsError):
        store.create("a", b"two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_new_directories_and_names_in_them_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with synced(monkeypatch, tmp_path) as places:
        DirectoryStore(tmp_path / "out").create("snapshots/a", b"one")
    assert places == [
        tmp_path,
        tmp_path / "out",
        tmp_path / "out" / "snapshots",
    ]
    with synced(monkeypatch, tmp_path) as places:
        DirectoryStore(tmp_path / "out").replace("snapshots/b", b"one")
    assert places == [tmp_path / "out" / "snapshots"]


def test_a_place_is_where_people_find_it(tmp_path: Path) -> None:
    assert DirectoryStore(tmp_path).place("a/b") == f"{tmp_path}/a/b"
    assert BucketStore(None, "output", "/here/", {}).place("a/b") == "s3://output/here/a/b"
    assert BucketStore(None, "output", "", {}).place("a/b") == "s3://output/a/b"


def test_objects_are_encrypted_as_told(s3: Any) -> None:
    BucketStore(s3, "output", "", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}).create("a", b"one")
    found = s3.head_object(Bucket="output", Key="a")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "k")


def test_a_put_whose_answer_was_lost_is_still_ours(s3: Any) -> None:
    store = BucketStore(s3, "output", "", {})
    store.create("a", b"one")
    store.create("a", b"one")
    assert store.read("a") == b"one"


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_what_s3_refuses_is_an_os_error_that_names_the_object(code: str) -> None:
    refusing = ScriptedClient(get_object=[client_error(code)], put_object=[client_error(code)] * 2)
    store = BucketStore(refusing, "output", "p", {})
    with pytest.raises(OSError, match=f"s3://output/p/a: .*{code}"):
        store.read("a")
    with pytest.raises(OSError, match=f"s3://output/p/a: .*{code}"):
        store.create("a", b"")
    with pytest.raises(OSError, match=f"s3://output/p/a: .*{code}"):
        store.replace("a", b"")
