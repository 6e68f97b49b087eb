# SPDX-License-Identifier: Apache-2.0
"""Times in AWS's responses and in files of this package, always in UTC."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from dateutil.parser import isoparse


def moment(value: Any) -> datetime | None:
    """``value`` (a datetime or ISO 8601 text, UTC if it has no zone) as a datetime in UTC; None for anything else."""
    if isinstance(value, str):
        try:
            value = isoparse(value.strip())
        except (ValueError, OverflowError):
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)
    except OverflowError:  # in the years 1 and 9999, conversion to UTC may leave the range of datetime
        return None


def as_text(value: datetime | None) -> str | None:
    """``value`` in ISO 8601 to the second, such as 2026-01-31T12:00:00+00:00; None for None."""
    return value.isoformat(timespec="seconds") if value else None
