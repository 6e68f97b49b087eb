# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import validation
from benchmarks.results import BenchmarkError
from benchmarks.validation import Cost


@pytest.mark.parametrize(
    ("costs", "code"),
    [
        pytest.param([Cost("ec2", 400, 430), Cost("iam-user", 400, 620)], 0, id="plugins-where-needed"),
        pytest.param([Cost("ec2", 400, 431), Cost("iam-user", 400, 620)], 1, id="plugins-elsewhere"),
    ],
)
def test_the_cost_of_others_has_a_limit(
    monkeypatch: pytest.MonkeyPatch, costs: list[Cost], code: int
) -> None:
    asked: list[int] = []

    def measured(runs: int, _: object) -> list[Cost]:
        asked.append(runs)
        return costs

    monkeypatch.setattr(validation, "measured", measured)
    done = CliRunner().invoke(program.main, ["--validation"])
    assert (done.exit_code, asked) == (code, [validation.RUNS])
    assert f"{costs[0].more:.0f}" in done.output
    assert CliRunner().invoke(program.main, ["--validation", "--quick"]).exit_code == 0  # a look
    assert asked == [validation.RUNS, validation.QUICK_RUNS]


def test_a_policy_that_does_not_validate_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "RESOURCES", ("no-such-resource",))
    with pytest.raises(BenchmarkError, match=r"custodian validate .* ended with"):
        validation.measured(1, lambda _: None)


def test_each_run_is_measured_without_and_with(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"0": iter((300.0, 500.0, 400.0)), "1": iter((310.0, 900.0, 420.0))}
    monkeypatch.setattr(validation, "RESOURCES", ("ec2",))
    monkeypatch.setattr(validation, "_milliseconds", lambda _, autoload: next(times[autoload]))
    assert validation.measured(3, lambda _: None) == [Cost("ec2", 400.0, 420.0)]
