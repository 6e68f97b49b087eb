# SPDX-License-Identifier: Apache-2.0
"""Rows of outcomes against the lines of their journal, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.outcomes import Outcome, merged_outcomes, rows_of
from c7n_iamusers.reasons import ALREADY_GONE
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.outcome_matching import Changes, Ends, told_elsewhere

pytestmark = pytest.mark.pure
ALICE = Subject("alice", "arn:aws:iam::111122223333:user/alice", "AIDA1")
Row = dict[str, Any]


def outcome(status: str, day: int, calls: int = 3, **more: Any) -> Outcome:
    return Outcome.of(ALICE, status, calls=calls, time=f"2026-11-{day:02}T10:00:00+00:00", **more)


def line(found: Outcome | None = None, phase: str = "outcome", **more: Any) -> Row:
    who = {"user": ALICE.name, "arn": ALICE.arn, "unique_id": ALICE.unique_id, "phase": phase}
    return {"previous": "", **who, **(found.as_data() if found else {}), **more}


def call(day: int, phase: str = "after", operation: str = "DeleteUser") -> Row:
    return line(phase=phase, operation=operation, time=f"2026-11-{day:02}T10:00:00+00:00")


def rows(*outcomes: Outcome) -> list[Row]:
    """As runs leave them one after the other."""
    content = b"[]"
    for each in outcomes:
        content = merged_outcomes(rows_of("outcomes.json", content), [each])
    return rows_of("outcomes.json", content)


PARKED, DELETED = outcome("quarantined", 1), outcome("deleted", 9)
SKIPPED = outcome("skipped", 9, calls=0)
LATER = outcome("skipped", 12, calls=0)
LINES = [call(1), line(PARKED), call(9), line(DELETED)]


def changed(row: Row, **more: Any) -> Row:
    return {**row, **more}


@pytest.mark.parametrize(
    ("lines", "left", "expected"),
    [
        pytest.param(LINES, rows(PARKED, DELETED), [], id="as-runs-leave-it"),
        pytest.param(LINES, rows(PARKED, DELETED, LATER), [], id="and-a-later-row-without-calls"),
        pytest.param(
            [line(PARKED), line(outcome("quarantined", 2))],
            rows(PARKED, outcome("quarantined", 2)),
            [],
            id="one-that-says-the-same",
        ),
        pytest.param(LINES, rows(PARKED), [ATTENTION], id="killed-before-its-row"),
        pytest.param(LINES, [], [ATTENTION], id="killed-before-the-first-row"),
        pytest.param(LINES[:3], rows(PARKED), [ATTENTION], id="killed-before-its-outcome"),
        pytest.param(LINES, rows(PARKED, SKIPPED), [BLOCKING, BLOCKING], id="deleted-becomes-skipped"),
        pytest.param(LINES, rows(PARKED, LATER), [BLOCKING], id="deleted-becomes-skipped-later"),
        pytest.param(LINES, rows(DELETED), [BLOCKING], id="an-earlier-outcome-is-taken-out"),
        pytest.param(
            LINES[:3], rows(PARKED, LATER), [BLOCKING], id="the-end-is-cut-off-and-the-row-is-another"
        ),
        pytest.param(LINES[:2], rows(PARKED, DELETED), [BLOCKING], id="a-row-without-a-line"),
        pytest.param(
            [], rows(outcome("quarantined", 1, calls=0)), [BLOCKING], id="a-quarantine-without-calls"
        ),
        pytest.param([], rows(outcome("browned-out", 1, calls=0)), [BLOCKING], id="a-brownout-without-calls"),
        pytest.param([], rows(outcome("provisioned", 1), outcome("failed", 2)), [], id="of-provisioning"),
        pytest.param(
            LINES, [changed(rows(PARKED, DELETED)[0], reason="by audit")], [BLOCKING], id="another-reason"
        ),
        pytest.param(LINES, [changed(rows(PARKED, DELETED)[0], calls=0)], [BLOCKING], id="no-calls"),
        pytest.param(
            LINES,
            [changed(rows(PARKED, DELETED)[0], arn="arn:aws:iam::111122223333:user/x/alice")],
            [ATTENTION, BLOCKING],
            id="another-path",
        ),
        pytest.param(LINES, rows(PARKED, DELETED) * 2, [BLOCKING], id="twice"),
    ],
)
def test_what_is_found(lines: Sequence[Row], left: Sequence[Mapping[str, Any]], expected: list[str]) -> None:
    ends = Ends()
    for each in lines:
        ends.read(each)
    assert sorted(level for level, _ in ends.faults(left)) == expected


@pytest.mark.parametrize(
    ("lines", "status", "expected"),
    [
        pytest.param([call(9)], "deleted", True, id="deleted-by-another-policy"),
        pytest.param([call(9, operation="TagUser")], "deleted", False, id="not-deleted"),
        pytest.param([], "deleted", False, id="no-line"),
        pytest.param([call(9, operation="TagUser")], "released", True, id="released"),
        pytest.param([], "released", False, id="never-changed"),
        pytest.param(
            [line(unique_id="AIDA0", status="restored", made=["AIDA1"])], "restored", True, id="made-anew"
        ),
        pytest.param([], "restored", False, id="never-made"),
    ],
)
def test_an_outcome_without_calls_has_those_of_a_journal(
    lines: Sequence[Row], status: str, expected: bool
) -> None:
    changes = Changes()
    for each in lines:
        changes.read(each)
    ((found, unique_id, told),) = told_elsewhere(rows(outcome(status, 9, calls=0)))
    assert (found, changes.has(found, unique_id)) == (status, expected)
    assert told.startswith(f"{status} of {ALICE.arn}")


def test_what_says_nothing_of_a_change_needs_no_line() -> None:
    gone = Outcome.of(ALICE, "skipped", ALREADY_GONE(), time="2026-11-01T10:00:00+00:00")
    assert [*told_elsewhere(rows(gone, PARKED)), *Ends().faults(rows(gone))] == []
