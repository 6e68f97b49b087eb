# SPDX-License-Identifier: Apache-2.0
"""What tests of fleets share."""

from __future__ import annotations

from pathlib import Path

import pytest

from aws_local_org import LocalOrg
from tests.identity_center.fleet_rehearsal import FleetRehearsal


@pytest.fixture
def fleet(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetRehearsal:
    """A fleet whose assignments take no time unless the test says otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    org.configure(assignment_seconds=0)
    return FleetRehearsal(org, tmp_path / "output")
