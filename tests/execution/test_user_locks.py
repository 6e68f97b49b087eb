# SPDX-License-Identifier: Apache-2.0
"""Locks on users in a store: who excludes whom, for how long, and what whoever lost one may still do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.exceptions import JournalRefused, RunLockLost, UserInUse
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.execution.user_locks import LEASE, UserLocks

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDAEXAMPLE1")
NAME = "locks/AIDAEXAMPLE1.json"


class Clock:
    """Stands still, unless it is told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 29, 12, 0, tzinfo=timezone.utc)

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def locks(tmp_path: Path, clock: Clock, what: str, alone: bool = False) -> UserLocks:
    return UserLocks(DirectoryStore(tmp_path), what, alone, clock.now)


@pytest.mark.parametrize(
    ("first_alone", "second_alone", "later", "excluded"),
    [
        pytest.param(False, False, timedelta(), False, id="a-run-carries-on-what-a-killed-one-left"),
        pytest.param(False, True, timedelta(), True, id="restoration-during-run"),
        pytest.param(True, False, timedelta(), True, id="run-during-restoration"),
        pytest.param(True, True, timedelta(), True, id="two-restorations"),
        pytest.param(False, True, LEASE - timedelta(seconds=1), True, id="killed-lately"),
        pytest.param(False, True, LEASE, False, id="killed-long-ago"),
        pytest.param(True, False, LEASE, False, id="restoration-killed-long-ago"),
    ],
)
def test_who_excludes_whom(
    tmp_path: Path, clock: Clock, first_alone: bool, second_alone: bool, later: timedelta, excluded: bool
) -> None:
    first = locks(tmp_path, clock, "the first", first_alone)
    with first.held(ALICE):
        first.renew(ALICE)
        clock.time += later
        second = locks(tmp_path, clock, "the second", second_alone)
        if excluded:
            with (
                pytest.raises(
                    UserInUse, match=r"the first works on it: .* until 2026-11-29 12:15 UTC if it was killed"
                ),
                second.held(ALICE),
            ):
                second.renew(ALICE)
        else:
            with second.held(ALICE):
                second.renew(ALICE)
                assert json.loads((tmp_path / NAME).read_text())["holder"] == "the second"


def test_a_lock_is_free_once_its_holder_has_ended(tmp_path: Path, clock: Clock) -> None:
    for alone in (False, True, False):
        mine = locks(tmp_path, clock, "one", alone)
        with mine.held(ALICE):
            mine.renew(ALICE)
            assert json.loads((tmp_path / NAME).read_text())["until"]
        assert json.loads((tmp_path / NAME).read_text())["until"] == ""
        clock.time += timedelta(minutes=11)


def test_a_run_takes_no_lock_on_a_user_that_it_does_not_change(tmp_path: Path, clock: Clock) -> None:
    with locks(tmp_path, clock, "run").held(ALICE):
        pass
    assert not (tmp_path / "locks").exists()


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        pytest.param(timedelta(), True, id="meanwhile"),
        pytest.param(timedelta(minutes=9), True, id="just-before-by-another-clock"),
        pytest.param(timedelta(minutes=11), False, id="before"),
    ],
)
def test_who_was_given_back_since_the_run_looked_at_it_is_left_alone(
    tmp_path: Path, clock: Clock, before: timedelta, refused: bool
) -> None:
    run = locks(tmp_path, clock, "run")
    restoration = replace(locks(tmp_path, clock, "give-back", alone=True), process="another")
    if before:
        with restoration.held(ALICE):
            pass
        clock.time += before
    with run.held(ALICE):
        if not before:
            with restoration.held(ALICE):
                pass
        if refused:
            with pytest.raises(UserInUse, match=r"give-back gave it back at 12:00 UTC.*run again"):
                run.renew(ALICE)
        else:
            run.renew(ALICE)


def test_who_restores_a_user_may_release_it_at_once(tmp_path: Path, clock: Clock) -> None:
    """``user NAME --give-back`` does both, where the user was in quarantine."""
    with locks(tmp_path, clock, "give-back", alone=True).held(ALICE):
        pass
    release = locks(tmp_path, clock, "release")
    with release.held(ALICE):
        release.renew(ALICE)
        assert json.loads((tmp_path / NAME).read_text())["holder"] == "release"


def test_whoever_renews_in_time_keeps_it(tmp_path: Path, clock: Clock) -> None:
    mine, other = locks(tmp_path, clock, "mine"), locks(tmp_path, clock, "other", alone=True)
    with mine.held(ALICE):
        mine.renew(ALICE)
        for _ in range(4):
            clock.time += LEASE / 2
            mine.renew(ALICE)
        with pytest.raises(UserInUse), other.held(ALICE):
            raise AssertionError("two at once")


def _taken_over(tmp_path: Path, clock: Clock) -> None:
    with locks(tmp_path, clock, "other", alone=True).held(ALICE):
        pass


def _removed(tmp_path: Path, _: Clock) -> None:
    (tmp_path / NAME).unlink()


@pytest.mark.parametrize("happens", [_taken_over, _removed])
def test_whoever_lost_it_makes_no_further_call(tmp_path: Path, clock: Clock, happens: Any) -> None:
    mine = locks(tmp_path, clock, "mine")
    with mine.held(ALICE):
        mine.renew(ALICE)
        clock.time += LEASE
        happens(tmp_path, clock)
        left = (tmp_path / NAME).exists() and (tmp_path / NAME).read_bytes()
        with pytest.raises(RunLockLost, match="removed or taken over"):
            mine.renew(ALICE)
    assert ((tmp_path / NAME).exists() and (tmp_path / NAME).read_bytes()) == left


@pytest.mark.parametrize(
    ("until", "told"),
    [
        pytest.param(
            "2099-01-01T00:00:00+00:00",
            "it says 2099-01-01 00:00 UTC as its end, and no run",
            id="in-decades",
        ),
        pytest.param(
            "2026-11-29T12:26:00+00:00",
            "it says 2026-11-29 12:26 UTC as its end, and no run",
            id="beyond-a-skew",
        ),
        pytest.param(
            "2026-11-29T14:25:00+02:00",
            "wait until .* or until 2026-11-29 12:25 UTC",
            id="of-a-clock-that-is-fast",
        ),
        pytest.param(
            "soon", "it says no time as its end, and no run writes such a lock: find out", id="at-no-time"
        ),
    ],
)
def test_a_lock_says_its_day_and_whether_a_run_writes_such(
    tmp_path: Path, clock: Clock, until: str, told: str
) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / NAME).write_text(json.dumps({"id": "x", "holder": "A", "alone": True, "until": until}))
    with (
        pytest.raises(UserInUse, match=f"A works on it: {told}"),
        (mine := locks(tmp_path, clock, "m")).held(ALICE),
    ):
        mine.renew(ALICE)


@pytest.mark.parametrize("content", [b"", b"[", b"[1]", b"{}", b'{"until": 5, "alone": []}', b"\xff"])
@pytest.mark.parametrize("alone", [False, True])
def test_what_is_no_lock_of_a_run_is_not_overwritten(
    tmp_path: Path, clock: Clock, content: bytes, alone: bool
) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / NAME).write_bytes(content)
    with (
        pytest.raises(UserInUse, match=f"somebody works on it.*{tmp_path / NAME}"),
        (mine := locks(tmp_path, clock, "mine", alone)).held(ALICE),
    ):
        mine.renew(ALICE)
    assert (tmp_path / NAME).read_bytes() == content


def test_a_store_that_takes_no_lock_stops_it(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "locks").write_text("in the way")
    with (
        pytest.raises(JournalRefused, match=r"alice .* its lock can't be put"),
        (mine := locks(tmp_path, clock, "mine")).held(ALICE),
    ):
        mine.renew(ALICE)
