# SPDX-License-Identifier: Apache-2.0
"""The benchmark of first runs, and the memory that a run takes for a user: bytes, so no test depends on a machine."""

from __future__ import annotations

import gc
import json
import random
import tracemalloc
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as program
from benchmarks import first_run, identity_center
from benchmarks.first_run import FULL, HEADING, QUICK, FirstRun, Size
from benchmarks.identity_center import CALLER, account_details, leave, settings_of
from benchmarks.virtual_center import VirtualCenter
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import read_policy_source
from c7n_iamusers.iam.policy_documents import PolicyInterner
from c7n_iamusers.identity_center.fleet import TrustOptions, read_fleet
from c7n_iamusers.identity_center.provisioning import provision
from c7n_iamusers.identity_center.requests.member_accounts import LiveAccount
from tests.benchmarks.measurements import FIRST_RUNS, ran
from tests.desired import ABLE

#: Users of an account, and their different policies: two groups for three users, as in the benchmark.
USERS, POLICIES = 15, 10
FEW, MANY = 10, 40


@pytest.mark.parametrize("kind", ["derived", "three"])
def test_a_first_run_makes_every_change_once_and_keeps_to_the_quotas(kind: str) -> None:
    found = first_run.first_run(kind, 2, 10)
    assert (found.people, found.accounts) == (20, 2)
    assert found.changes >= 2 * found.people + 2 * found.groups
    assert found.calls > found.changes
    # A poll may show the end of an assignment some seconds late, and each batch of 15 waits for one.
    assert found.floor <= found.minutes <= 2 * found.floor + 1


def test_the_floor_is_the_slower_of_calls_and_assignments() -> None:
    calls, slots = FIRST_RUNS
    assert calls.floor == pytest.approx(12_000 / 20 / 60)
    assert slots.floor == pytest.approx(200 * 45 / 15 / 60)


def test_the_section_is_written_by_a_full_run_and_alone(
    report: Path, first_runs: list[Sequence[Size]]
) -> None:
    ran()
    whole = report.read_text(encoding="utf-8")
    assert whole.count(HEADING) == 1
    assert "| 5,000 | 10 | 3 an account | 30 | 14,000 | 12,000 | 11.0 | 10.0 | 9.5 | 101 | 120 |" in whole
    report.write_text(f"{whole}\n## Load\n\nkept\n", encoding="utf-8")
    for arguments in ((), ("--first-run",)):
        ran(*arguments)
        assert report.read_text(encoding="utf-8") == f"{whole}\n## Load\n\nkept\n"
    assert first_runs == [FULL] * 3


def test_a_quick_one_is_a_look(report: Path, first_runs: list[Sequence[Size]]) -> None:
    assert "A first run" in ran("--first-run", "--quick")
    assert (report.exists(), first_runs) == (False, [QUICK])


def test_too_much_memory_is_an_error(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = FirstRun("three", 400, 80_000, 1_200, 1, 1, 1.0, 1.0, 50.0, 600.0, 1_001.0)
    monkeypatch.setattr(first_run, "measured", lambda *_: [large])
    done = CliRunner().invoke(program.main, ["--first-run"])
    assert done.exit_code == 1
    assert "80,000 people take 1001 MB, at most 1000" in done.output


def policies_of(account: str, number: int, _: random.Random) -> dict[str, Any]:
    """A few sets and many groups, so that nearly all that grows is users, groups and assignments."""
    return identity_center.of_derivation(account, number, random.Random(number % POLICIES))


def read(account_ids: Iterable[str], _: Collection[str]) -> Iterator[tuple[str, LiveAccount | str]]:
    """Account by account, as ``MemberAccounts`` reads them, without clients: each takes more than a few users."""
    shared = PolicyInterner()
    for account in sorted(account_ids):
        details = {**account_details(account, USERS, policies_of), "IsTruncated": False}
        answer = partial(json.loads, json.dumps(details))
        client = SimpleNamespace(get_account_authorization_details=lambda answer=answer, **_: answer())
        source, users = read_policy_source(client, Backoff(), shared)
        yield account, LiveAccount(source, users, {key: replace(ABLE) for key in users})


def peaks(output: Path, accounts: int) -> list[int]:
    """The most bytes in memory: until all is derived, and until all is recorded."""
    leave(output, accounts, USERS, policies_of)
    center = VirtualCenter(CALLER, 45.0)
    gc.collect()
    tracemalloc.start()
    try:
        fleet = read_fleet(output, trust=TrustOptions(read=read, policy_settings=settings_of))
        derived = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert provision(fleet, center.connected(), lambda _: None, center.options()) == []
        return [derived, tracemalloc.get_traced_memory()[1]]
    finally:
        tracemalloc.stop()


@pytest.mark.soak
def test_memory_for_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """80,000 users stay below 500 MB until all is derived, and below 1 GB until all is recorded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    peaks(tmp_path / "first", 1)  # what is loaded and cached for good
    few, many = peaks(tmp_path / "few", FEW), peaks(tmp_path / "many", MANY)
    derived, recorded = ((more - less) / (MANY - FEW) / USERS for less, more in zip(few, many, strict=True))
    assert derived < 5_500
    assert recorded < 10_500
