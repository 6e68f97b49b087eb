# SPDX-License-Identifier: Apache-2.0
"""Times in UTC: read from text, and written as text."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from dateutil.parser import isoparse

#: Days are added to times and taken from them, and a datetime has the years 1 to 9999. AWS began after FIRST_YEAR.
FIRST_YEAR, LAST_YEAR = 2000, 8999
#: How far the clock of a machine may be from AWS's, which refuses a request that is further off (RequestExpired).
CLOCK_SKEW = timedelta(minutes=5)
#: How far the clocks of two such machines may be apart.
CLOCKS_APART = 2 * CLOCK_SKEW


def moment(value: Any) -> datetime | None:
    """``value`` (a datetime or ISO 8601 text, UTC if it has no zone) as a datetime in UTC; None for anything else.

    Also None before FIRST_YEAR and after LAST_YEAR: only an attacker writes such a time.
    """
    if isinstance(value, str):
        try:
            value = isoparse(value.strip())
        except (ValueError, OverflowError):
            return None
    if not isinstance(value, datetime) or not FIRST_YEAR <= value.year <= LAST_YEAR:
        return None
    return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)


def as_text(value: datetime | None) -> str | None:
    """``value`` in ISO 8601 to the second, such as 2026-01-31T12:00:00+00:00; None for None."""
    return value.isoformat(timespec="seconds") if value else None
