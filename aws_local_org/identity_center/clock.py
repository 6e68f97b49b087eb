# SPDX-License-Identifier: Apache-2.0
"""The clock of Identity Center, which tests can set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone


def _wall_clock() -> datetime:
    return datetime.now(timezone.utc)


_source: Callable[[], datetime] = _wall_clock


def now() -> datetime:
    """The time, aware and in UTC."""
    return _source()


def use(source: Callable[[], datetime] | None) -> None:
    """Read the time from source from now on; None returns to the wall clock."""
    global _source
    _source = source or _wall_clock
