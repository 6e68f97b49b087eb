# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import load
from benchmarks.load import Sizes, Step
from benchmarks.results import BenchmarkError
from tests.benchmarks.measurements import deletion, results

STEPS = [
    Step("flag", 20, 200, 30.0, 12.5, 160, 101.4),
    Step("flag", 200, 200, 300.0, 125.0, 1600, 101.6),
]
ROWS = [
    "| flag | 20 | 4,000 | 30.0 | 12.5 | 0.62 | 160 | 8.00 | 101 |",
    "| flag | 200 | 40,000 | 300.0 | 125.0 | 0.62 | 1,600 | 8.00 | 102 |",
]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Sizes]:
    """The sizes that ``--load`` measures, without measuring anything."""
    asked: list[Sizes] = []

    def measured(sizes: Sizes, _: object) -> list[Step]:
        asked.append(sizes)
        return STEPS

    monkeypatch.setattr(load, "measured", measured)
    monkeypatch.setattr(program, "_run", lambda _: results(deletion(calls=30, seconds=12.0)))
    done = CliRunner().invoke(program.main, arguments)
    assert done.exit_code == 0, done.output
    return asked


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(program, "REPORT", tmp_path / "benchmarks.md")
    return tmp_path / "benchmarks.md"


def test_each_run_writes_its_own_part(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch)
    alone = report.read_text(encoding="utf-8")
    assert run(monkeypatch, "--load") == [load.FULL]
    both = report.read_text(encoding="utf-8")
    assert both.startswith(f"{alone}\n{load.HEADING}\n")
    assert [line for line in both.splitlines() if line.startswith("| flag")] == ROWS
    for arguments in ((), ("--load",)):
        run(monkeypatch, *arguments)
        assert report.read_text(encoding="utf-8") == both


def test_a_quick_run_is_a_look(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--load", "--quick") == [load.QUICK]
    assert not report.exists()


def test_a_step_that_fails_is_said_and_nothing_written(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise BenchmarkError("report ended with 1")

    monkeypatch.setattr(load, "measured", failing)
    done = CliRunner().invoke(program.main, ["--load"])
    assert (done.exit_code, report.exists()) == (1, False)
    assert "Error: report ended with 1" in done.output
