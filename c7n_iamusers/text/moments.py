# SPDX-License-Identifier: Apache-2.0
"""Moments as AWS and its documents write them, always in UTC."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from dateutil.parser import isoparse


def moment(value: Any) -> datetime | None:
    """A datetime with a zone, from one or from ISO 8601 text (without a zone: UTC); None for anything else."""
    if isinstance(value, str):
        try:
            value = isoparse(value.strip())
        except (ValueError, OverflowError):
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)
    except OverflowError:  # the years 1 and 9999, near which another zone lies outside the calendar
        return None


def as_text(value: datetime | None) -> str | None:
    """ISO 8601 to the second, such as 2026-01-31T12:00:00+00:00; None for none."""
    return value.isoformat(timespec="seconds") if value else None
