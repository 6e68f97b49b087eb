# SPDX-License-Identifier: Apache-2.0
"""What is known of a key by journals, and what of it a reading contradicts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from c7n_iamusers.key_retirement.key_history import KeyHistory, Parking, contradiction

pytestmark = pytest.mark.pure

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def parked(minutes: float, seen: datetime | None = None) -> KeyHistory:
    parking = Parking(NOW - timedelta(minutes=minutes), "park", "unused", None, True, seen)
    return KeyHistory(parking, parking.since, True)


@pytest.mark.parametrize(
    ("known", "active", "contradicts"),
    [
        pytest.param(parked(16), True, True, id="parked-long-ago"),
        pytest.param(parked(15), True, True, id="parked-a-quarter-of-an-hour-ago"),
        pytest.param(parked(14.9), True, False, id="reads-may-be-older"),
        pytest.param(parked(16), False, False, id="inactive"),
        pytest.param(parked(16, NOW), True, False, id="on-record"),
        pytest.param(KeyHistory(), True, False, id="never-parked"),
    ],
)
def test_an_active_key_contradicts_its_parking(known: KeyHistory, active: bool, contradicts: bool) -> None:
    assert contradiction(known, "AKIA", active, NOW) == ({"active": ["AKIA"]} if contradicts else {})
