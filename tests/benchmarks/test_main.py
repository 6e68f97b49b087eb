# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks.results import FULL, QUICK, BenchmarkError, Plan, Results
from tests.benchmarks.measurements import deletion, results

MET, MISSED = deletion(calls=30, seconds=12.0), deletion(calls=42, seconds=12.0)


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a full run writes in these tests."""
    monkeypatch.setattr(program, "REPORT", tmp_path / "benchmarks.md")
    return tmp_path / "benchmarks.md"


def ran(monkeypatch: pytest.MonkeyPatch, found: Results) -> list[Plan]:
    plans: list[Plan] = []

    def run(plan: Plan) -> Results:
        plans.append(plan)
        return found

    monkeypatch.setattr(program, "_run", run)
    return plans


def test_a_full_run_is_shown_and_written(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = ran(monkeypatch, results(MET))
    done = CliRunner().invoke(program.main, [])
    assert (done.exit_code, plans) == (0, [FULL])
    assert "Flagging with equal evidence" in done.stdout
    assert report.read_text(encoding="utf-8").startswith("# Benchmarks\n")


def test_a_missed_goal_of_a_full_run_is_an_error(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(monkeypatch, results(MISSED))
    done = CliRunner().invoke(program.main, [])
    assert done.exit_code == 1
    assert "goals missed: calls of a deletion by its floor" in done.output
    assert report.exists()


def test_a_quick_run_is_a_look(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = ran(monkeypatch, results(MISSED))
    done = CliRunner().invoke(program.main, ["--quick"])
    assert (done.exit_code, plans) == (0, [QUICK])
    assert not report.exists()


def test_a_quick_run_can_be_kept(report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(monkeypatch, results(MET))
    done = CliRunner().invoke(program.main, ["--quick", "--output", str(tmp_path / "look.md")])
    assert done.exit_code == 0
    assert (tmp_path / "look.md").exists()
    assert not report.exists()


def test_what_fails_is_said_and_nothing_written(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise BenchmarkError("policy stock-flag ended with 1")

    monkeypatch.setattr(program, "running_organization", failing)
    done = CliRunner().invoke(program.main, [])
    assert done.exit_code == 1
    assert "Error: policy stock-flag ended with 1" in done.output
    assert not report.exists()
