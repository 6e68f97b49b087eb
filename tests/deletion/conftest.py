# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits between attempts and calls."""
    monkeypatch.setattr("c7n_iamusers.execution.retries.time.sleep", lambda _: None)
    monkeypatch.setattr("c7n_iamusers.execution.interruption.time.sleep", lambda _: None)
