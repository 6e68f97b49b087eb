# SPDX-License-Identifier: Apache-2.0
"""A run over the same world is done once; whatever a test changes or patches, it is run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from aws_local_org.identity_center import injected_faults
from aws_local_org.identity_center.state import Quotas
from c7n_iamusers.identity_center.writer import schedule
from tests.access_center import ACCOUNT, OTHER_ACCOUNT
from tests.desired import intents
from tests.identity_center import remembered_runs
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.remembered_runs import RememberedRuns
from tests.interference import on_call

pytestmark = pytest.mark.whole


@pytest.fixture(autouse=True)
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in remembered_runs.WHOLE:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def runs(fleet: FleetRehearsal) -> RememberedRuns:
    """Those of a test that has made a plan for Ann, which changes nothing."""
    fleet.leave(intents(ACCOUNT, "ann"))
    assert fleet.run(dry=True) == []
    assert fleet.remembered
    return fleet.remembered


def world(fleet: FleetRehearsal) -> tuple[object, ...]:
    calls = [(each.operation, each.parameters) for each in fleet.org.calls]
    files = {path.name for path in fleet.output.rglob("*")}
    return remembered_runs._content(remembered_runs._held()), files, calls, fleet.said


def test_what_is_done_again_leaves_what_the_run_left(fleet: FleetRehearsal, runs: RememberedRuns) -> None:
    fleet.provisioned(intents(ACCOUNT, "ann"))
    left = world(fleet)
    for place in runs.places:
        shutil.rmtree(place)
    remembered_runs._restore(remembered_runs._FIRST[0])
    assert fleet.members() == {}
    fleet.provisioned(intents(ACCOUNT, "ann"))
    assert (runs.replayed, world(fleet)) == (True, left)


EARLIER = datetime.now(timezone.utc) - timedelta(hours=2)
Change = Callable[[FleetRehearsal, pytest.MonkeyPatch], object]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda fleet, _: fleet.leave(intents(ACCOUNT, "ann", "bob")), id="intents"),
        pytest.param(lambda fleet, _: fleet.leave(intents(ACCOUNT, "ann", time=EARLIER)), id="older-intents"),
        pytest.param(lambda fleet, _: (fleet.output / "more").touch(), id="file"),
        pytest.param(lambda fleet, _: (fleet.output / ACCOUNT).chmod(0o777), id="mode"),
        pytest.param(lambda fleet, _: fleet.make_group("Theirs"), id="by-hand"),
        pytest.param(lambda fleet, _: fleet.org.client("iam", ACCOUNT).create_user(UserName="x"), id="iam"),
        pytest.param(
            lambda fleet, _: setattr(fleet.instance, "quotas", Quotas(tags_per_resource=1)), id="quota"
        ),
        pytest.param(lambda fleet, _: fleet.org.configure(assignment_seconds=1), id="time"),
        pytest.param(lambda fleet, _: fleet.org.configure(page_limit=1), id="setting"),
        pytest.param(lambda fleet, _: setattr(fleet, "day", 1), id="day"),
        pytest.param(lambda fleet, _: setattr(fleet, "new_records", True), id="option"),
        pytest.param(lambda *_: injected_faults.refuse_next("CreateUser", "ConflictException"), id="fault"),
        pytest.param(lambda _, patch: patch.setattr(schedule, "_SHORTEST_POLL", 0.1), id="patch"),
        pytest.param(lambda _, patch: on_call(patch, "ListGroups", lambda: None), id="race"),
    ],
)
def test_a_run_after_a_change_is_run(
    fleet: FleetRehearsal, runs: RememberedRuns, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    fleet.run(dry=True)
    assert runs.replayed
    change(fleet, monkeypatch)
    fleet.run(dry=True)
    assert not runs.replayed
    injected_faults.clear()


def test_a_run_after_another_was_killed_or_patched_for_a_while_is_run(
    fleet: FleetRehearsal, runs: RememberedRuns
) -> None:
    fleet.killed(1)
    fleet.run()
    assert not runs.replayed


def test_a_closed_account_is_another_world(
    fleet: FleetRehearsal, runs: RememberedRuns, closed: Callable[[str], None]
) -> None:
    for account, replayed in (("", True), (OTHER_ACCOUNT, False), ("", True)):
        closed(account)
        fleet.run(dry=True)
        assert runs.replayed is replayed
