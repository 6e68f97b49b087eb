# SPDX-License-Identifier: Apache-2.0
"""``provision-identity-center`` with output in S3, and beside other writers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.identity_center.applying.run_lock import instance_lock
from c7n_iamusers.identity_center.model import Instance
from tests.access_center import ACCOUNT
from tests.plugins.provisioning_rehearsal import Rehearsal

PREFIX = f"here/{ACCOUNT}/under-test"


@pytest.fixture
def s3(rehearsal: Rehearsal) -> Any:
    client = rehearsal.org.client("s3")
    client.create_bucket(Bucket="outputs")
    rehearsal.url = "s3://outputs/here?region=us-east-1"
    return client


def content(s3: Any, name: str) -> Any:
    return json.loads(s3.get_object(Bucket="outputs", Key=f"{PREFIX}/{name}")["Body"].read())


def keys(s3: Any) -> list[str]:
    found = s3.list_objects_v2(Bucket="outputs", Prefix=f"{PREFIX}/").get("Contents", ())
    return [each["Key"].removeprefix(f"{PREFIX}/") for each in found]


def test_intents_are_put_where_every_run_of_the_policy_puts_them(rehearsal: Rehearsal, s3: Any) -> None:
    rehearsal.user("alice")
    rehearsal.run(mode="intent")
    found = content(s3, "identity-center-intents.json")
    assert [user["user"] for user in found["users"]] == ["alice"]
    assert content(s3, "outcomes.json")[0]["status"] == "intended"
    assert sorted(keys(s3)) == ["identity-center-intents.json", "outcomes.json"]
    head = s3.head_object(Bucket="outputs", Key=f"{PREFIX}/identity-center-intents.json")
    assert head["ServerSideEncryption"] == "AES256"


def test_what_is_applied_at_once_is_recorded_in_the_bucket_as_it_happens(
    rehearsal: Rehearsal, s3: Any
) -> None:
    rehearsal.user("alice")
    rehearsal.run()
    assert content(s3, "outcomes.json")[0]["status"] == "provisioned"
    assert rehearsal.members() == {"alice@example.com"}
    (result,) = [key for key in keys(s3) if key.endswith("result.json")]
    assert len(content(s3, result)["created"]) == 5
    assert any("/journal/" in key for key in keys(s3))
    rehearsal.run()
    assert rehearsal.mutations() == []


def instance(rehearsal: Rehearsal) -> Instance:
    found = rehearsal.instance
    return Instance(found.arn, found.store.id, "us-east-1", "")


def test_another_writer_fails_the_users_and_is_named(rehearsal: Rehearsal, tmp_path: Path) -> None:
    rehearsal.user("alice")
    writes = rf"another run holds the lock: process {os.getpid()} of .* for {tmp_path}/other"
    with (
        instance_lock(instance(rehearsal), DirectoryStore(tmp_path / "other")),
        pytest.raises(PolicyExecutionError, match=f"{writes}.*Nothing was touched"),
    ):
        rehearsal.run(timeout=1)
    assert rehearsal.mutations() == []
    assert rehearsal.outcomes()["alice"]["status"] == "failed"
    assert rehearsal.run()["alice"]["status"] == "provisioned"


def test_a_writer_that_stays_is_waited_for_as_long_as_was_asked(rehearsal: Rehearsal, tmp_path: Path) -> None:
    lock, store, seconds = instance(rehearsal), DirectoryStore(tmp_path), iter(range(1000))
    with (
        instance_lock(lock, store),
        pytest.raises(IdentityCenterError, match="another run holds the lock"),
        instance_lock(lock, store, 30.0, lambda: next(seconds), lambda _: None),
    ):
        pass
    assert next(seconds) >= 30


def test_each_writer_before_it_is_waited_for(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """c7n-org's processes stand in line: the time that all of them take is no sign of one that hangs."""
    clock = iter(range(0, 1000, 6))
    store, lock = DirectoryStore(tmp_path / "mine"), instance(rehearsal)
    others = [DirectoryStore(tmp_path / name) for name in "abc"]
    holding = instance_lock(lock, others.pop())
    holding.__enter__()

    def next_writer(_: float) -> None:
        nonlocal holding
        holding.__exit__(None, None, None)
        if others:
            holding = instance_lock(lock, others.pop())
            holding.__enter__()

    with instance_lock(lock, store, 10.0, lambda: next(clock), next_writer):
        pass
    assert next(clock) > 10


@pytest.mark.parametrize("cache", ["/dev/null", "/proc/nowhere"])
def test_without_a_place_for_a_lock_it_goes_on_and_says_so(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cache: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    for name in ("alice", "bob"):
        rehearsal.user(name)
    outcomes = rehearsal.run()
    assert {row["status"] for row in outcomes.values()} == {"provisioned"}
    assert caplog.text.count("no lock can be made there") == 1
    assert caplog.text.count("The run continues without a lock") == 1


def test_intents_take_no_lock(rehearsal: Rehearsal, tmp_path: Path) -> None:
    rehearsal.user("alice")
    with instance_lock(instance(rehearsal), DirectoryStore(tmp_path)):
        assert rehearsal.run(mode="intent")["alice"]["status"] == "intended"
