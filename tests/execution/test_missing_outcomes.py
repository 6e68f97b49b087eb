# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stopped_runs import missing_outcomes

pytestmark = pytest.mark.pure

ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
WHO = {"user": ALICE.name, "arn": ALICE.arn, "unique_id": ALICE.unique_id}


def line(second: int, phase: str, operation: str = "DeleteAccessKey", **more: Any) -> dict[str, Any]:
    time = f"2026-11-24T12:00:{second:02}.000000+00:00"
    return {"time": time, **WHO, "phase": phase, "operation": operation, **more}


def outcome(second: int, status: str, **more: Any) -> dict[str, Any]:
    return line(second, "outcome", status=status, reason="as it went", **more)


def row(second: int, **more: Any) -> dict[str, Any]:
    return {**WHO, "status": "failed", "time": f"2026-11-24T12:00:{second:02}.000+00:00", **more}


KEY = [line(1, "before"), line(2, "after", result="done")]
BEGUN = [*KEY, line(3, "before", "DeleteUser")]
UNSURE = [*BEGUN, line(4, "after", "DeleteUser", result="unknown")]
DONE = [*BEGUN, line(4, "after", "DeleteUser", result="done")]
STOPPED = "a run that began on it was stopped at 2026-11-24 12:00:0"
DELETED = "by a run that was stopped at 2026-11-24 12:00:0"
Expected = tuple[str, str, int] | None


@pytest.mark.parametrize(
    ("lines", "rows", "name", "expected", "asked"),
    [
        pytest.param([], [], None, None, False, id="nothing"),
        pytest.param([line(1, "snapshot")], [], None, None, False, id="only-a-snapshot"),
        pytest.param([line(1, "quarantine")], [], None, None, False, id="only-a-record"),
        pytest.param(KEY, [], "alice", ("failed", STOPPED + "2", 1), False, id="stopped-in-between"),
        pytest.param(KEY[:1], [], "alice", ("failed", STOPPED + "1", 1), False, id="stopped-in-a-call"),
        pytest.param(DONE, [], "alice", ("deleted", DELETED + "4", 2), False, id="deleted"),
        pytest.param(BEGUN, [], None, ("deleted", DELETED + "3", 2), True, id="no-answer-and-gone"),
        pytest.param(BEGUN, [], "alice", ("failed", STOPPED + "3", 2), True, id="no-answer-and-there"),
        pytest.param(BEGUN, [], "zoe", ("failed", STOPPED + "3", 2), True, id="no-answer-and-renamed"),
        pytest.param(
            [*BEGUN, line(4, "after", "DeleteUser", result="unknown")],
            [],
            None,
            ("deleted", DELETED + "4", 2),
            True,
            id="unknown-and-gone",
        ),
        pytest.param(
            [*BEGUN, line(4, "after", "DeleteUser", result="interrupted")],
            [],
            "alice",
            ("failed", STOPPED + "4", 2),
            True,
            id="interrupted-and-there",
        ),
        pytest.param(
            [*BEGUN, line(4, "after", "DeleteUser", result="failed")],
            [],
            None,
            ("failed", STOPPED + "4", 2),
            False,
            id="refused",
        ),
        pytest.param(
            [*BEGUN, line(4, "after", "DeleteUser", result="gone")],
            [],
            None,
            ("failed", STOPPED + "4", 2),
            False,
            id="gone-by-somebody-else-is-not-ours",
        ),
        pytest.param(
            [*DONE, outcome(5, "deleted", calls=2)],
            [],
            None,
            ("deleted", "as it went", 2),
            False,
            id="outcome-not-written",
        ),
        pytest.param(
            [*BEGUN, outcome(1, "failed", calls=9)],
            [],
            None,
            ("failed", "as it went", 9),
            False,
            id="outcome-not-written-and-the-clock-set-back",
        ),
        pytest.param(
            [*DONE, outcome(1, "deleted")],
            [{**outcome(1, "deleted"), **WHO}],
            None,
            None,
            False,
            id="row-of-a-clock-set-back",
        ),
        pytest.param(
            [*DONE, outcome(1, "deleted")],
            [row(2, history=[outcome(1, "deleted"), "no row"])],
            None,
            None,
            False,
            id="history-of-a-clock-set-back",
        ),
        pytest.param(DONE, [row(5)], None, None, False, id="row-since"),
        pytest.param(
            [*UNSURE, outcome(5, "failed", calls=2)],
            [row(5)],
            None,
            ("deleted", "DeleteUser was sent at 2026-11-24 12:00:04 UTC, no answer came", 0),
            True,
            id="said-to-have-failed-and-gone",
        ),
        pytest.param(
            [*UNSURE, outcome(5, "failed", calls=2)],
            [row(5)],
            "alice",
            None,
            True,
            id="said-to-have-failed-and-there",
        ),
        pytest.param(
            [*UNSURE, outcome(5, "deleted", calls=2)],
            [row(5, status="deleted")],
            None,
            None,
            False,
            id="said-to-be-deleted",
        ),
        pytest.param(
            [*BEGUN, line(4, "after", "DeleteUser", result="failed"), outcome(5, "failed")],
            [row(5)],
            None,
            None,
            False,
            id="refused-and-said-so",
        ),
        pytest.param(DONE, [row(3)], None, ("deleted", DELETED + "4", 2), False, id="row-of-before"),
        pytest.param(
            DONE, [row(9, unique_id="AIDA2")], None, ("deleted", DELETED + "4", 2), False, id="row-of-another"
        ),
    ],
)
def test_outcomes_that_are_missing_in_the_rows(
    lines: list[dict[str, Any]], rows: list[dict[str, Any]], name: str | None, expected: Expected, asked: bool
) -> None:
    asking: list[str] = []

    def name_of(unique_id: str) -> str | None:
        asking.append(unique_id)
        return name

    found = list(missing_outcomes(lines, rows, name_of))
    assert asking == [ALICE.unique_id] * asked
    if expected is None:
        assert found == []
        return
    ((subject, missing),) = found
    status, reason, calls = expected
    assert (subject, missing.user, missing.arn) == (ALICE, "alice", ALICE.arn)
    assert (missing.status, missing.calls) == (status, calls)
    assert reason in missing.reason.text


def test_two_users_with_one_name_have_separate_outcomes() -> None:
    later = [{**each, "unique_id": "AIDA2"} for each in KEY]
    found = list(missing_outcomes([*DONE, *later], [], lambda _: None))
    assert [(subject.unique_id, missing.status) for subject, missing in found] == [
        ("AIDA1", "deleted"),
        ("AIDA2", "failed"),
    ]


@pytest.mark.parametrize(("shown", "status"), [(True, "retired"), (False, "failed")])
def test_a_killed_run_is_settled_by_the_call_that_was_not_refused(shown: bool, status: str) -> None:
    key = ALICE.key("AKIAIOSFODNN7EXAMPLE")
    its = {"arn": key.arn, "unique_id": key.unique_id}
    lost = [line(1, "before"), line(2, "after", result="unknown")]
    refused = [line(3, "before"), line(4, "after", result="failed")]
    asked: list[str] = []

    def shows(_: Subject, call: Mapping[str, Any]) -> bool:
        asked.append(call["time"])
        return shown

    lines = [{**each, **its} for each in (*lost, *refused)]
    ((subject, found),) = missing_outcomes(lines, [], lambda _: None, shown=shows)
    assert (subject.is_key, found.status, asked) == (True, status, [lost[0]["time"]])
