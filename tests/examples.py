# SPDX-License-Identifier: Apache-2.0
"""How many examples Hypothesis tries: half with every change, by ``make soak`` ten times as many."""

from __future__ import annotations

import os


def examples(number: int) -> int:
    """Half of ``number``, or by ``make soak`` ten times."""
    return number * 10 if "SOAK_PAIRS" in os.environ else number // 2
