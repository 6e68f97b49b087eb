# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import access_keys, first_run, key_callers
from benchmarks.access_keys import KeyResults
from benchmarks.first_run import FirstRun, Size
from benchmarks.results import Plan
from tests.benchmarks.measurements import FIRST_RUNS, USAGE, deletion, keys, results


@pytest.fixture(autouse=True)
def first_runs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Size]]:
    """The sizes that first runs were measured for, without measuring any."""
    asked: list[Sequence[Size]] = []

    def measured(sizes: Sequence[Size], _: Callable[[str], None]) -> list[FirstRun]:
        asked.append(sizes)
        return FIRST_RUNS

    monkeypatch.setattr(first_run, "measured", measured)
    return asked


@pytest.fixture(autouse=True)
def key_plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What was to be measured of access keys, without measuring anything."""
    asked: list[Plan] = []

    def measured(plan: Plan, _: Callable[[str], None]) -> KeyResults:
        asked.append(plan)
        return keys()

    monkeypatch.setattr(access_keys, "measured", measured)
    return asked


@pytest.fixture(autouse=True)
def _callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked who calls with access keys."""
    monkeypatch.setattr(key_callers, "measured", lambda *_: [USAGE])


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program writes its page, with the figures of one deletion."""
    monkeypatch.setattr(program, "REPORT", tmp_path / "benchmarks.md")
    monkeypatch.setattr(program, "_run", lambda _: results(deletion(calls=30, seconds=12.0)))
    return tmp_path / "benchmarks.md"
