# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.decisions.snapshot_choice import whole_snapshot
from c7n_iamusers.model.snapshot import Snapshot
from tests.records import user

ALICE = user()
JANUARY, JUNE, LATER = (
    Snapshot(ALICE, f"2026-{month:02}-01T12:00:00+00:00", "0" * 64) for month in (1, 6, 7)
)


def line(phase: str, time: str, operation: str = "DeleteAccessKey", **more: str) -> dict[str, Any]:
    entry = {"arn": ALICE.arn, "phase": phase, "time": f"2026-{time}:00+00:00", "operation": operation}
    return {**entry, "parameters": {"AccessKeyId": "AKIA1"}, **more}


def done(time: str, **more: str) -> list[dict[str, Any]]:
    return [line("before", time, **more), line("after", time, result="done", **more)]


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        pytest.param([], JANUARY, id="no-journal"),
        pytest.param(done("01-01T12:30"), JANUARY, id="removed-after-the-first"),
        pytest.param(done("06-01T12:30"), JUNE, id="untouched-until-the-second"),
        pytest.param(done("07-01T12:30"), LATER, id="untouched-until-the-last"),
        pytest.param(
            [
                line("before", "01-01T12:30"),
                line("after", "01-01T12:31", result="failed"),
                *done("06-01T12:30"),
            ],
            JUNE,
            id="the-first-try-failed",
        ),
        pytest.param(
            [line("before", "01-01T12:30"), *done("06-01T12:30", operation="DeleteUser")],
            JANUARY,
            id="killed",
        ),
        pytest.param(
            [
                line("before", "01-01T12:30"),
                line("before", "06-01T12:30"),
                line("after", "06-01T12:31", result="failed"),
                *done("06-01T12:32"),
            ],
            JANUARY,
            id="killed-and-the-next-try-failed",
        ),
        pytest.param(
            [*done("01-01T12:30", arn="arn:aws:iam::111122223333:user/bob"), *done("06-01T12:30")],
            JUNE,
            id="another-user",
        ),
        pytest.param(
            [*done("01-01T12:30", operation="PutUserPolicy"), *done("06-01T12:30")], JUNE, id="no-removal"
        ),
        pytest.param([{"phase": "outcome"}, {}], JANUARY, id="other-lines"),
    ],
)
def test_the_latest_that_was_taken_before_anything_was_removed(
    journal: list[dict[str, Any]], expected: Snapshot
) -> None:
    assert whole_snapshot([JUNE, LATER, JANUARY], journal) == expected
