# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from benchmarks import first_run
from benchmarks.first_run import FirstRun, Size
from tests.benchmarks.measurements import FIRST_RUNS


@pytest.fixture(autouse=True)
def first_runs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Size]]:
    """The sizes that first runs were measured for, without measuring any."""
    asked: list[Sequence[Size]] = []

    def measured(sizes: Sequence[Size], _: Callable[[str], None]) -> list[FirstRun]:
        asked.append(sizes)
        return FIRST_RUNS

    monkeypatch.setattr(first_run, "measured", measured)
    return asked
