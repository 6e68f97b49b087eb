# SPDX-License-Identifier: Apache-2.0
"""How much is tried with every change, and how much by ``make soak``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def examples(number: int) -> int:
    """A quarter of ``number``, or by ``make soak`` ten times."""
    return number * 10 if "SOAK_PAIRS" in os.environ else number // 4


def share(items: Sequence[T], number: int) -> Sequence[T]:
    """A fifth of ``items``, another one for the next ``number``; all by ``make soak``."""
    return items if "SOAK_PAIRS" in os.environ else items[number % 5 :: 5]
