# SPDX-License-Identifier: Apache-2.0
"""A whole benchmark, on accounts of a few users. Nothing is asserted of times: they are the machine's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.contestants import OURS, STOCK
from benchmarks.results import BenchmarkError, Plan, Results, deletion_floor, evidence_floor
from benchmarks.suite import Suite, measure
from benchmarks.workload import Organization, running_organization

PLAN = Plan(
    (10, 20),
    (),
    (0,),
    deleted=4,
    deletion_latency=0,
    repeats=1,
    derived=(2, 10),
    planned=((1, 10), (2, 10)),
    unchanged=(2, 6),
)


@pytest.fixture(scope="module")
def organization() -> Iterator[Organization]:
    with running_organization() as found:
        yield found


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def results(organization: Organization, told: list[str]) -> Results:
    return Suite(PLAN, organization, told.append).run()


def test_progress_tells_every_step(results: Results, told: list[str]) -> None:
    assert len(told) == PLAN.steps == 10


def test_stock_calls_grow_with_users_and_ours_do_not(results: Results) -> None:
    stock = [results.stock_at(users, 0) for users in PLAN.both]
    ours = [results.ours_at(users, 0) for users in PLAN.both]
    assert [each.users for each in (*stock, *ours)] == [10, 20, 10, 20]
    assert stock[1].total_calls - stock[0].total_calls >= 5 * 10
    assert ours[0].calls == ours[1].calls


def test_no_measurement_is_below_the_floor(results: Results) -> None:
    for name, calls in evidence_floor(results.contents[20]).items():
        assert results.ours_at(20, 0).calls[name] >= calls
    for name, calls in deletion_floor(results.deletion.contents).items():
        assert results.deletion.ours.calls[name] >= calls


def test_identity_center_is_measured_beside_its_floor(results: Results) -> None:
    derived, unchanged = results.center.derived, results.center.unchanged
    assert derived.users == 20
    assert 0 < derived.floor < derived.seconds
    planned = results.center.planned
    assert [each.users for each in planned] == [10, 20]
    assert all(each.floor > 0 for each in planned)
    assert list(planned[0].seconds) == ["intents", "accounts", "derivation", "report", "plan", "results"]
    assert (unchanged.groups, unchanged.floor) == (6, 14)
    assert unchanged.floor <= unchanged.calls


def test_deletions_removed_every_item(results: Results) -> None:
    for run in (results.deletion.stock, results.deletion.ours):
        assert run.calls["DeleteUser"] == 4
        assert run.calls["DeleteAccessKey"] == 8


def test_time_and_memory_are_measured(results: Results) -> None:
    for run in (*results.stock, *results.ours, results.deletion.stock, results.deletion.ours):
        assert run.process_seconds is not None
        assert 0 < run.seconds < run.process_seconds
        assert run.loaded_mib is not None
        assert run.peak_mib is not None
        assert 20 < run.loaded_mib < run.peak_mib


def test_latency_is_injected(organization: Organization) -> None:
    organization.fill("to-flag", 1)
    run = measure(organization, OURS, OURS.flagging, 300)
    assert run.measurement.seconds > 0.3


def test_a_run_that_fails_is_no_measurement(organization: Organization) -> None:
    with pytest.raises(BenchmarkError, match=r"policy ours-flag ended with 1:[\s\S]*Invalid filter type"):
        measure(organization, STOCK, OURS.flagging, 0)
