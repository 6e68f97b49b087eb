# SPDX-License-Identifier: Apache-2.0
"""What tests of plugins share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from aws_local_org import LocalOrg
from aws_local_org.identity_center import state
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.instance import connect
from tests.plugins.provisioning_rehearsal import Rehearsal, SteppingClock


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy without an output directory writes into the working directory; what a command leaves lies here."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rehearsal(org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """Runs of a provisioning policy that never sleep."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    impatient = partial(Backoff, base=0.01, cap=0.05, budget=2.0, sleep=lambda seconds: None)
    monkeypatch.setattr("c7n_iamusers.plugins.provision_identity_center.Backoff", impatient)
    # AWS's rate of 20 calls a second is for AWS.
    monkeypatch.setattr(
        "c7n_iamusers.plugins.provision_identity_center.connect", partial(connect, per_second=1000)
    )
    return Rehearsal(org, tmp_path)


@pytest.fixture
def stepping() -> Iterator[SteppingClock]:
    """Identity Center's clock, standing still until the test lets it step."""
    stepping = SteppingClock()
    state.use_clock(stepping)
    yield stepping
    state.use_clock(None)
