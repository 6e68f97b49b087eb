# SPDX-License-Identifier: Apache-2.0
"""What tests of fleets share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from aws_local_org import LocalOrg, organization
from aws_local_org.identity_center import state
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.identity_center import former_members
from c7n_iamusers.identity_center.writer import schedule
from tests.identity_center.fleet_rehearsal import NOW, FleetRehearsal
from tests.identity_center.remembered_runs import RememberedRuns
from tests.identity_center.writer.simulation import Clock


@pytest.fixture
def fleet(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> FleetRehearsal:
    """A fleet whose assignments take no time unless the test says otherwise."""
    output, cache = tmp_path / "output", tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    org.configure(assignment_seconds=0)
    remembered = RememberedRuns.of(org, (output, cache), monkeypatch, request.fixturenames)
    return FleetRehearsal(org, output, remembered=remembered)


@pytest.fixture
def slow_fleet(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch) -> Iterator[FleetRehearsal]:
    """A fleet on a simulated clock: assignments may take as long as the test configures."""
    monkeypatch.setattr(schedule, "_SHORTEST_POLL", 0.2)
    fleet.clock, start = Clock(), datetime.now(timezone.utc)
    clock = fleet.clock
    state.use_clock(lambda: start + timedelta(seconds=clock.now))
    yield fleet
    state.use_clock(None)


@pytest.fixture
def on_day(fleet: FleetRehearsal, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the day of audits and runs, which is that of the machine before."""
    monkeypatch.setattr(
        former_members, "utc_now", lambda: utc_now() if fleet.day is None else NOW + timedelta(days=fleet.day)
    )
    assert fleet.remembered
    fleet.remembered.accept_patches()

    def set_day(day: int) -> None:
        fleet.day = day

    return set_day


@pytest.fixture
def closed(org: LocalOrg) -> Callable[[str], None]:
    """Closes an account: all that is provisioned there fails, from now on. The one that was closed before is not."""

    def close(account: str) -> None:
        assert organization._backend
        for each in organization._backend.accounts:
            each.status = each.state = "SUSPENDED" if each.id == account else "ACTIVE"

    return close
