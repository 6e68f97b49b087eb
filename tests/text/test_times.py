# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.lockout.quarantine_record import sid_time
from c7n_iamusers.text.times import as_text, moment

pytestmark = pytest.mark.pure

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(NOON, NOON, id="datetime"),
        pytest.param(NOON.replace(tzinfo=None), NOON, id="without-zone"),
        pytest.param(NOON.astimezone(timezone(timedelta(hours=5))), NOON, id="other-zone"),
        pytest.param("2026-01-31T12:00:00+00:00", NOON, id="text"),
        pytest.param("2026-01-31T12:00:00Z", NOON, id="text-z"),
        pytest.param(" 2026-01-31T14:00:00+02:00 ", NOON, id="text-other-zone"),
        pytest.param("2026-01-31", NOON.replace(hour=0), id="day"),
        pytest.param("N/A", None, id="none"),
        pytest.param("", None, id="empty"),
        pytest.param("2026-02-30T00:00:00Z", None, id="no-such-day"),
        pytest.param("0001-01-01T00:00:00+23:00", None, id="before-the-calendar"),
        pytest.param("0001-01-01T00:00:00Z", None, id="first-datetime"),
        pytest.param("1999-12-31T23:59:59Z", None, id="before-aws"),
        pytest.param("2000-01-01", datetime(2000, 1, 1, tzinfo=timezone.utc), id="early"),
        pytest.param("9999-12-31T23:59:59Z", None, id="end-of-the-calendar"),
        pytest.param(datetime.max.replace(tzinfo=timezone.utc), None, id="last-datetime"),
        pytest.param("8999-12-31", datetime(8999, 12, 31, tzinfo=timezone.utc), id="far"),
        pytest.param(20260131, None, id="number"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_moments_are_utc(value: Any, expected: datetime | None) -> None:
    assert moment(value) == expected


def test_text_leads_back() -> None:
    assert as_text(None) is None
    assert moment(as_text(NOON)) == NOON


def test_days_can_be_added_to_whatever_a_time_says() -> None:
    for found in (moment("8999-12-31T23:59:59Z"), sid_time("89991231T235959Z")):
        assert found
        assert found + timedelta(days=36_500) > NOON
    assert sid_time("99991231T235959Z") is None
    assert sid_time("00010101T000000Z") is None
