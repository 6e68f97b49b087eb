# SPDX-License-Identifier: Apache-2.0
"""The benchmark of access keys, on accounts of a few users. Nothing is asserted of times: they are the machine's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from benchmarks import __main__ as program
from benchmarks import access_keys, key_questions
from benchmarks.access_keys import (
    ACCESS_KEY,
    CHANGES,
    CREDENTIAL,
    FULL,
    HEADING,
    OURS,
    QUICK,
    STOCK,
    KeyResults,
    change_floor,
    finding_floor,
    measured,
)
from benchmarks.key_questions import Answer, section
from benchmarks.results import BenchmarkError, Plan
from benchmarks.suite import Run
from benchmarks.workload import account_with_keys, running_organization
from tests.benchmarks.measurements import keys, ran

PLAN = Plan((20, 40), (60,), (0,), deleted=2, deletion_latency=0, repeats=1)
#: From the measurements of the tests: extrapolated, and of one action.
ROWS = [
    "| `credential` | 5,000 | 50 | ≈ 5,000 | 502 | ≈ 10.0x | ≈ 500.0 | 50.0 | ≈ 10x | - | 130 | - |",
    "| `access-key` | 5,000 | 50 | ≈ 5,500 | 502 | ≈ 11x | ≈ 500.0 | 50.0 | ≈ 10x | - | 130 | - |",
    "| retire | 10 | 5.00 | 4.00 | 1.25 | 3.00 | 130 |",
]


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def found(told: list[str]) -> KeyResults:
    return measured(PLAN, told.append, lambda *_: ())


@pytest.mark.soak
def test_stock_asks_for_each_user_and_ours_for_those_with_an_unused_key(found: KeyResults) -> None:
    for users in PLAN.both:
        assert found.at(CREDENTIAL, users, 0).calls["GetUser"] == users
        assert "ListAccessKeys" not in found.at(CREDENTIAL, users, 0).calls
        assert found.at(ACCESS_KEY, users, 0).calls["ListAccessKeys"] == users // 10
    for users in PLAN.sizes:
        calls = found.at(OURS, users, 0).calls
        assert "GetUser" not in calls
        assert finding_floor(users).items() <= calls.items()


@pytest.mark.soak
def test_each_change_is_made_and_none_is_below_the_floor(found: KeyResults) -> None:
    assert list(found.changed) == ["deactivate", "retire"]
    for action, run in found.changed.items():
        assert (run.users, run.calls[CHANGES[action]]) == (2, 2)
        assert all(run.calls[name] >= calls for name, calls in change_floor(action, 2).items())


@pytest.mark.soak
def test_progress_tells_what_is_measured(found: KeyResults, told: list[str]) -> None:
    assert told == [
        *(f"find the unused keys of {users} users at 0 ms" for users in PLAN.sizes),
        "make 2 keys inactive, and delete them",
        "ask about 2 keys",
    ]


@pytest.mark.soak
def test_each_question_costs_its_calls_and_no_others() -> None:
    with running_organization() as organization:
        managed, radius, where = key_questions.measured(organization, 2, 1, 0)
    # for the key, and for its user
    assert managed.calls == {"DescribeStackResources": 4}
    assert {name for name in radius.calls if name.startswith("Get")} >= {"GetBucketPolicy", "GetKeyPolicy"}
    assert radius.calls["GetBucketPolicy"] == where.calls["ListFunctions"] == 1
    changing = ("Create", "Put", "Update", "Delete")
    assert not any(name.startswith(changing) for name in {**radius.calls, **where.calls})


def test_questions_are_told_with_what_they_cost() -> None:
    answers = [Answer("`where`", "2 keys", {"A": 1, "ListFunctions": 12}, 1.5)]
    assert "| `where` | 2 keys | ListFunctions 12, A 1 | 13 | 1.50 |" in section(answers, 50)


def test_one_key_of_every_tenth_user_is_unused_and_all_are_active() -> None:
    users, before = account_with_keys(100).users, datetime.now(timezone.utc) - timedelta(days=90)
    held = [key for user in users for key in user.access_keys]
    assert (len(held), all(key.active for key in held)) == (200, True)
    unused = [
        sum(key.last_use is None or key.last_use.date < before for key in user.access_keys) for user in users
    ]
    assert unused == [1, *[0] * 9] * 10


def test_the_section_is_written_by_a_full_run_and_alone(report: Path, key_plans: list[Plan]) -> None:
    ran()
    whole = report.read_text(encoding="utf-8")
    assert whole.count(HEADING) == 1
    assert [row for row in ROWS if row not in whole] == []
    report.write_text(f"{whole}\n## Load\n\nkept\n", encoding="utf-8")
    for arguments in ((), ("--keys",), ("--first-run",)):
        ran(*arguments)
        assert report.read_text(encoding="utf-8") == f"{whole}\n## Load\n\nkept\n"
    assert key_plans == [FULL] * 3


@pytest.mark.parametrize("there", [(1, 2), (2,), ()], ids=["no keys", "load alone", "nothing"])
def test_a_section_that_is_not_there_gets_its_place(report: Path, there: Sequence[int]) -> None:
    parts = [f"\n{program.PARTS[each]}\n\nkept\n" for each in there]
    report.write_text("".join(["# Benchmarks\n", *parts]), encoding="utf-8")
    ran("--keys")
    text = report.read_text(encoding="utf-8")
    assert text.startswith(f"# Benchmarks\n\n{HEADING}\n")
    assert text.endswith("".join(parts))


def test_a_quick_one_is_a_look(report: Path, key_plans: list[Plan]) -> None:
    output = ran("--keys", "--quick")
    assert "Finding unused access keys" in output
    assert "Calls by operation, changes" in output
    assert (report.exists(), key_plans) == (False, [QUICK])


def test_what_does_not_find_each_key_is_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    (run, *_) = keys().found[STOCK[0].name]
    monkeypatch.setattr(access_keys, "measure", lambda *_: Run(replace(run, users=1), []))
    with pytest.raises(BenchmarkError, match="c7n_iamusers found 1 of 2 keys"):
        measured(replace(PLAN, both=(20, 40)), lambda _: None)
