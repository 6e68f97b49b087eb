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
from c7n_iamusers.report.outcome_matching import Changes, Ends

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


def of_bob(row: Row) -> Row:
    return changed(row, user="bob", arn=ALICE.arn.replace("alice", "bob"))


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
            [ATTENTION, BLOCKING, BLOCKING],
            id="another-path",
        ),
        pytest.param(LINES, rows(PARKED, DELETED) * 2, [BLOCKING], id="twice"),
        pytest.param([], rows(outcome("released", 1, calls=0)), [BLOCKING], id="released-without-a-line"),
        pytest.param(
            LINES,
            [*rows(PARKED, DELETED), of_bob(rows(PARKED, DELETED)[0])],
            [BLOCKING, BLOCKING],
            id="another-user",
        ),
        pytest.param(
            LINES,
            [*rows(PARKED, DELETED), {**of_bob(LATER.as_data()), "history": rows(DELETED)}],
            [BLOCKING],
            id="the-history-of-another-user",
        ),
    ],
)
def test_what_is_found(lines: Sequence[Row], left: Sequence[Mapping[str, Any]], expected: list[str]) -> None:
    ends = Ends()
    for each in lines:
        ends.read(each)
    assert sorted(level for level, _ in ends.faults(left)) == expected


RESTORED = line(phase="outcome", status="restored", made=["AIDA1"], time="2026-11-09T10:00:00+00:00")
ON_THE_9TH = "2026-11-09T10:00:00+00:00"


def resting(status: str, on: str = ON_THE_9TH, day: int = 10) -> Row:
    return line(outcome(status, day, calls=0, rests_on=on))


@pytest.mark.parametrize(
    ("lines", "found", "expected"),
    [
        pytest.param([call(9)], resting("deleted"), [], id="deleted-by-another-run"),
        pytest.param([call(9, "before")], resting("deleted"), [], id="without-an-answer"),
        pytest.param([call(9)], resting("deleted", day=8), [BLOCKING], id="before-it-was"),
        pytest.param([call(8)], resting("deleted"), [BLOCKING], id="at-another-time"),
        pytest.param([changed(call(9), result="failed")], resting("deleted"), [BLOCKING], id="refused"),
        pytest.param(
            [call(9, "before"), changed(call(9), result="failed")], resting("deleted"), [BLOCKING], id="sent"
        ),
        pytest.param(
            [call(8, "before"), RESTORED], resting("restored"), [], id="a-deletion-that-was-not-done"
        ),
        pytest.param([call(9, operation="TagUser")], resting("deleted"), [BLOCKING], id="not-deleted"),
        pytest.param(
            [changed(call(9), unique_id="AIDA2")], resting("deleted"), [BLOCKING], id="another-user"
        ),
        pytest.param([RESTORED], resting("restored"), [], id="made-anew"),
        pytest.param([call(9)], resting("restored"), [BLOCKING], id="never-made"),
        pytest.param(
            [changed(call(8), result="done"), changed(RESTORED, made=["AIDA1", "AIDA2"])],
            resting("restored"),
            [],
            id="made-again-after-one-that-was-deleted",
        ),
        pytest.param(
            [changed(call(8), result="done"), RESTORED],
            resting("restored"),
            [BLOCKING],
            id="with-the-id-of-a-deleted-user",
        ),
        pytest.param([call(9)], resting("released"), [ATTENTION], id="released-by-what-the-run-saw"),
        pytest.param([], resting("quarantined"), [BLOCKING], id="no-quarantine-without-a-call"),
    ],
)
def test_an_outcome_without_calls_rests_on_a_line(
    lines: Sequence[Row], found: Row, expected: list[str]
) -> None:
    changes = Changes()
    for each in (*lines, found):
        changes.read("output/journal.jsonl", each)
    assert [level for _, level, _ in changes.faults()] == expected


def test_what_says_nothing_of_a_change_needs_no_line() -> None:
    gone = Outcome.of(ALICE, "skipped", ALREADY_GONE(), time="2026-11-01T10:00:00+00:00")
    assert [*Ends().faults(rows(gone))] == []
