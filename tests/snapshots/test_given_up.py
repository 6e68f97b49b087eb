# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.execution.journal import GIVEN_UP, SNAPSHOT
from c7n_iamusers.snapshots.before_deny import given_up

pytestmark = pytest.mark.pure
NEVER = datetime.max.replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        pytest.param(
            {"time": "2026-12-01T12:00:00+00:00"}, datetime(2026, 12, 1, 12, tzinfo=timezone.utc), id="time"
        ),
        pytest.param({"time": "soon"}, NEVER, id="no-time"),
        pytest.param({}, NEVER, id="nothing"),
    ],
)
def test_a_lost_snapshot_is_of_when_it_was_written(written: dict[str, Any], time: datetime) -> None:
    lines = [{"phase": SNAPSHOT, "snapshot": "a", **written}, {"phase": GIVEN_UP, "snapshot": "a"}]
    assert given_up(lines) == {"a": time}
