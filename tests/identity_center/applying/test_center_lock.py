# SPDX-License-Identifier: Apache-2.0
"""The lock in Identity Center, which runs on several machines share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ConnectionClosedError

from aws_local_org.identity_center import injected_faults
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.identity_center.applying import center_lock
from c7n_iamusers.identity_center.applying.center_lock import LOCK, LONGEST, CenterLock, LockUnavailable
from c7n_iamusers.identity_center.applying.run_lock import exclusive, lock_of_center
from tests.access_center import ACCOUNT
from tests.desired import intents
from tests.identity_center.applying.test_bucket_output import other_machine
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.planning.test_access_review import set_by_hand
from tests.interference import on_call


def description(fleet: FleetRehearsal) -> dict[str, Any] | None:
    """What the lock says; None if there is none."""
    found = [each for each in fleet.instance.permission_sets.values() if each.name == LOCK]
    content: dict[str, Any] | None = json.loads(found[0].description or "") if found else None
    return content


def left_behind(fleet: FleetRehearsal, lock_id: str = "ab12") -> None:
    """A lock of a killed run of another machine."""
    text = json.dumps(
        {
            "id": lock_id,
            "user": "root",
            "host": "runner-7",
            "process": 4711,
            "since": "2026-11-28T01:00:00+00:00",
            "output": "/out",
        }
    )
    fleet.org.client("sso-admin").create_permission_set(
        InstanceArn=fleet.instance.arn, Name=LOCK, Description=text
    )


def test_a_second_machine_is_told_who_writes(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    first = tmp_path / "first"
    with exclusive(first, fleet.center().instance, fleet.center()):
        held = description(fleet)
        assert held
        assert held["output"] == str(first)
        other_machine(monkeypatch, tmp_path)
        who = (
            rf"another run holds the lock of Identity Center: process {held['process']} of \S+.* on {held['host']}, "
            rf"since .* for {first}, lock {held['id']}: wait .*provision unlock {held['id']} --records [^ ]+$"
        )
        fleet.refuses(who, fleet.run)
        assert description(fleet) == held
    assert description(fleet) is None
    assert fleet.run() == []
    assert description(fleet) is None


def test_an_undo_meets_it_too(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fleet.provisioned(intents(ACCOUNT, "alice"))
    with exclusive(tmp_path / "first", fleet.center().instance, fleet.center()):
        other_machine(monkeypatch, tmp_path)
        with pytest.raises(IdentityCenterError, match="another run holds the lock of Identity Center"):
            fleet.undo(fleet.results()[0])
    assert fleet.undo(fleet.results()[0]) == []


def test_reading_takes_no_lock(fleet: FleetRehearsal) -> None:
    left_behind(fleet)
    fleet.leave(intents(ACCOUNT, "alice"))
    assert fleet.run(dry=True) == []
    assert fleet.audit()
    assert {each.operation for each in fleet.org.calls} & {"CreatePermissionSet"} == set()


def test_the_lock_of_a_killed_run_is_removed_by_the_next_on_its_machine(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    with monkeypatch.context() as patch:
        patch.setattr(CenterLock, "_release", lambda _: None)
        assert fleet.run() == []
    assert description(fleet)
    here = {name: str(tmp_path / name) for name in ("cache", "other-machine")}
    monkeypatch.setenv("XDG_CACHE_HOME", here["other-machine"])
    with pytest.raises(IdentityCenterError, match="another run holds the lock of Identity Center"):
        fleet.run()
    monkeypatch.setenv("XDG_CACHE_HOME", here["cache"])
    assert fleet.run() == []
    assert description(fleet) is None


def test_a_lock_that_was_left_is_removed_by_its_id_alone(fleet: FleetRehearsal) -> None:
    left_behind(fleet)
    center = fleet.center()
    with pytest.raises(
        IdentityCenterError,
        match="does not have the id cd34, so it was not removed: its holder is process 4711",
    ):
        center_lock.remove(center, "cd34")
    assert center_lock.remove(center, "ab12") == (
        "process 4711 of root on runner-7, since 2026-11-28T01:00:00+00:00, for /out, lock ab12"
    )
    assert center_lock.remove(center, "ab12") is None


def test_a_set_of_that_name_that_no_run_made_stays(fleet: FleetRehearsal) -> None:
    set_by_hand(fleet, LOCK, "arn:aws:iam::aws:policy/ReadOnlyAccess")
    fleet.leave(intents(ACCOUNT, "alice"))
    with pytest.raises(
        IdentityCenterError,
        match=f"unknown, as the lock has no holder: .*delete permission set {LOCK} of instance",
    ):
        fleet.run()
    assert len(fleet.instance.permission_sets) == 1


@pytest.mark.parametrize("error", [ConnectionClosedError(endpoint_url="https://lost"), KeyboardInterrupt()])
def test_an_answer_that_is_lost_leaves_no_lock(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The set is created, and nobody says so: the next try is refused, and the lock is found to be this run's."""
    original, lost = BaseClient._make_api_call, [error]  # type: ignore[attr-defined]

    def make_api_call(self: Any, name: str, parameters: dict[str, Any]) -> Any:
        response = original(self, name, parameters)
        if parameters.get("Name") == LOCK and lost:
            raise lost.pop()
        return response

    fleet.leave(intents(ACCOUNT, "alice"))
    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", make_api_call)
        if isinstance(error, KeyboardInterrupt):
            with pytest.raises(KeyboardInterrupt):
                fleet.run()
            assert not fleet.instance.permission_sets
        else:
            assert fleet.run() == []
            assert fleet.assigned()
    assert description(fleet) is None


def test_a_conflict_without_a_set_is_tried_again(fleet: FleetRehearsal) -> None:
    injected_faults.refuse_next("CreatePermissionSet", "ConflictException", times=2)
    with lock_of(fleet):
        assert description(fleet)
    injected_faults.refuse_next("CreatePermissionSet", "ConflictException", times=5)
    with (
        pytest.raises(IdentityCenterError, match="can't be created, and is not there either: run again"),
        lock_of(fleet),
    ):
        raise AssertionError("no lock is held")


def lock_of(fleet: FleetRehearsal, timeout: float = 0.0) -> Any:
    fleet.store.replace("present", b"")
    place = Path(fleet.output)
    place.mkdir(exist_ok=True)
    with exclusive(fleet.store, fleet.center().instance):
        pass  # it makes the directory of the local lock
    return lock_of_center(fleet.center(), fleet.store, timeout=timeout)


def test_who_may_not_create_it_writes_nothing(fleet: FleetRehearsal) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    injected_faults.refuse_next("CreatePermissionSet", "AccessDeniedException")
    with pytest.raises(LockUnavailable, match=r"allow sso:CreatePermissionSet, sso:DeletePermissionSet, "):
        fleet.run()
    assert fleet.mutations() == []


def test_a_lock_that_can_not_be_removed_is_told_and_hides_nothing(
    fleet: FleetRehearsal, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.leave(intents(ACCOUNT, "alice"))
    injected_faults.refuse_next("DeletePermissionSet", "AccessDeniedException")
    assert fleet.run() == []
    assert fleet.assigned()
    held = description(fleet)
    assert held
    assert f"provision unlock {held['id']} --records " in caplog.text
    injected_faults.refuse_next("DeletePermissionSet", "AccessDeniedException")
    with pytest.raises(
        LockUnavailable, match=r"a killed run has left in Identity Center, .* can't be removed"
    ):
        fleet.run()
    assert fleet.run() == []


def test_a_lock_that_was_taken_away_leaves_the_next_ones_alone(fleet: FleetRehearsal) -> None:
    with lock_of(fleet):
        held = description(fleet)
        assert held
        center_lock.remove(fleet.center(), held["id"])
        left_behind(fleet, "of-another-run")
    found = description(fleet)
    assert found
    assert found["id"] == "of-another-run"


def test_it_waits_for_a_holder_who_ends(fleet: FleetRehearsal) -> None:
    left_behind(fleet)
    seconds = iter(range(100))

    def sleep(_: float) -> None:
        if next(seconds) == 3:
            center_lock.remove(fleet.center(), "ab12")

    lock = CenterLock(
        fleet.center(), "cd34", '{"id": "cd34"}', str, timeout=60.0, clock=lambda: 0.0, sleep=sleep
    )
    with lock.held():
        assert description(fleet) == {"id": "cd34"}
    assert description(fleet) is None


def test_it_waits_no_longer_than_that(fleet: FleetRehearsal) -> None:
    left_behind(fleet)
    clock = iter(range(0, 1000, 20))
    lock = CenterLock(
        fleet.center(), "cd34", "{}", str, timeout=60.0, clock=lambda: next(clock), sleep=lambda _: None
    )
    with pytest.raises(IdentityCenterError, match="process 4711 of root on runner-7"), lock.held():
        raise AssertionError("another run holds it")
    assert next(clock) <= 120


def test_a_long_output_is_cut(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / ("d" * 200) / ("ü" * 100) / ("e" * 200)
    monkeypatch.setenv("USER", "u\x1b[2J")
    with exclusive(place, fleet.center().instance, fleet.center()):
        (found,) = fleet.instance.permission_sets.values()
        assert len(found.description or "") <= LONGEST
        held = description(fleet)
        assert held
        assert held["output"].startswith(str(tmp_path)[:20])
        assert "\x1b" not in (center_lock.find(fleet.center()) or pytest.fail("no lock")).holder


def test_the_store_is_scanned_in_pieces(fleet: FleetRehearsal) -> None:
    for number in range(40):
        set_by_hand(fleet, f"Theirs{number}", "arn:aws:iam::aws:policy/ReadOnlyAccess")
    left_behind(fleet)
    found = center_lock.find(fleet.center())
    assert found
    assert found.lock_id == "ab12"


@pytest.mark.parametrize("operation", ["ListTagsForResource", "ListAccountsForProvisionedPermissionSet"])
def test_a_lock_that_ends_while_others_read(
    fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """An audit and a dry run take no lock, and list the permission sets of the instance."""
    fleet.provisioned(intents(ACCOUNT, "alice"))
    for read in (fleet.audit, lambda: fleet.run(dry=True, prune=True)):
        left_behind(fleet)
        with monkeypatch.context() as patch:
            on_call(patch, operation, lambda: center_lock.remove(fleet.center(), "ab12"))
            assert read() == []
