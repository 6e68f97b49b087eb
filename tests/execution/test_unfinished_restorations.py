# SPDX-License-Identifier: Apache-2.0
"""Whom a restoration left half done, by its journal."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.execution.journal import CREATED
from c7n_iamusers.execution.outcomes import FAILED
from c7n_iamusers.execution.stopped_runs import unfinished_restorations

ARN = "arn:aws:iam::111122223333:user/alice"


def line(phase: str, minute: int, result: str = "", **more: Any) -> dict[str, Any]:
    time = f"2026-11-24T18:{minute:02}:05+00:00"
    given = {"phase": phase, "time": time, "arn": ARN, "unique_id": "AIDAOLD", "user": "alice", **more}
    return {**given, **({"result": result} if result else {})}


def call(minute: int, result: str = "done", **more: Any) -> list[dict[str, Any]]:
    return [line("before", minute), line("after", minute, result, **more)]


ANEW = call(1, saved={CREATED: "AIDANEW"})


@pytest.mark.parametrize(
    ("lines", "calls", "at"),
    [
        pytest.param([], None, "", id="nothing"),
        pytest.param([line("outcome", 1)], None, "", id="done-without-a-call"),
        pytest.param([line("snapshot", 1)], None, "", id="other-lines"),
        pytest.param(call(1), 1, "18:01:05", id="one-call"),
        pytest.param([*call(1), line("before", 2)], 2, "18:02:05", id="one-without-an-answer"),
        pytest.param([*call(1), *call(2, "unknown")], 2, "18:02:05", id="one-unknown"),
        pytest.param(call(1, "failed"), None, "", id="refused"),
        pytest.param([*call(1, "failed"), *call(2)], 1, "18:02:05", id="one-of-two-refused"),
        pytest.param([*call(1), line("outcome", 2)], None, "", id="done"),
        pytest.param([*call(1), line("outcome", 2), *call(3)], 1, "18:03:05", id="another-one-after-that"),
        pytest.param([line("outcome", 2), *call(1)], None, "", id="in-any-order"),
    ],
)
def test_who_has_only_a_part(lines: list[dict[str, Any]], calls: int | None, at: str) -> None:
    found = [each for _, each in unfinished_restorations(lines)]
    assert [(each.status, each.calls) for each in found] == ([(FAILED, calls)] if calls else [])
    assert all(
        f"stopped at 2026-11-24 {at} UTC, after {calls} calls: the user has only part" in each.reason.text
        for each in found
    )


def test_it_is_the_user_that_was_created_anew() -> None:
    for lines, unique_id in ((ANEW, "AIDANEW"), (call(1), "AIDAOLD")):
        ((former, found),) = unfinished_restorations(lines)
        assert (former, found.arn, found.unique_id) == ("AIDAOLD", ARN, unique_id)
    others = [{**each, "unique_id": "AIDABOB", "arn": ARN.replace("alice", "bob")} for each in call(2)]
    assert [each.unique_id for _, each in unfinished_restorations([*ANEW, *others])] == ["AIDANEW", "AIDABOB"]
