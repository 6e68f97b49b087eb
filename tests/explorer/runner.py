# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with the machine that a run is on: a row each, by the name that traces have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FAULTS: dict[str, Callable[[Any], object]] = {}


def excuses(_what: str) -> bool:
    """Whether a run need not reach its goal after that."""
    return False


def mend() -> None:
    """All is well with the machine again."""
