# SPDX-License-Identifier: Apache-2.0
"""What tests of fleets share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from aws_local_org import LocalOrg, organization
from aws_local_org.identity_center import state
from c7n_iamusers.identity_center.writer import schedule
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.identity_center.writer.simulation import Clock


@pytest.fixture
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetRehearsal:
    """A fleet whose assignments take no time unless the test says otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    org.configure(assignment_seconds=0)
    return FleetRehearsal(org, tmp_path / "output")


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
def closed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The account is closed: all that is provisioned there fails, from now on."""

    def close(account: str) -> None:
        monkeypatch.setattr(organization, "has_active_account", lambda asked: asked != account)

    return close
