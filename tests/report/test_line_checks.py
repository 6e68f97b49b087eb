# SPDX-License-Identifier: Apache-2.0
"""What the lines of one output say of a user, one after the other: what runs leave contradicts nothing."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.report.line_checks import Lines, Restorations

pytestmark = pytest.mark.pure
WHO = {"user": "alice", "arn": "arn:aws:iam::111122223333:user/alice", "unique_id": "AIDA1"}
Line = dict[str, Any]


def line(hour: int, phase: str, **more: Any) -> Line:
    return {"time": f"2026-11-24T{hour:02}:00:00.000000+00:00", **WHO, "phase": phase, **more}


def call(hour: int, operation: str, result: str = "done", **more: Any) -> list[Line]:
    made = {"service": "iam", "operation": operation, "parameters": {"UserName": "alice"}}
    return [line(hour, "before", **made), line(hour, "after", result=result, **made, **more)]


def outcome(hour: int, status: str, calls: int, **more: Any) -> Line:
    return line(hour, "outcome", status=status, calls=calls, **more)


DECIDED, DELETION = line(1, "decision"), call(1, "DeleteUser")


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        pytest.param([DECIDED, *DELETION, outcome(1, "deleted", 1)], 0, id="deleted"),
        pytest.param([*DELETION, outcome(1, "deleted", 1)], 1, id="no-decision"),
        pytest.param([DECIDED, *DELETION, outcome(1, "deleted", 2)], 1, id="other-calls"),
        pytest.param([DECIDED, *call(1, "TagUser"), outcome(1, "deleted", 1)], 1, id="no-deletion"),
        pytest.param([DECIDED, *call(1, "DeleteUser", "failed"), outcome(1, "deleted", 1)], 1, id="refused"),
        pytest.param([DECIDED, *DELETION, outcome(1, "failed", 1)], 1, id="done-and-said-to-have-failed"),
        pytest.param([DECIDED, *DELETION, outcome(4, "deleted", 1)], 1, id="three-hours-later"),
        pytest.param(
            [DECIDED, *DELETION, outcome(4, "deleted", 1, code="DeletedByStoppedRun")], 0, id="by-a-later-run"
        ),
        # a run was killed before its first call, and somebody else deleted the user
        pytest.param(
            [DECIDED, *call(9, "DeleteVirtualMFADevice"), outcome(9, "skipped", 1)], 0, id="an-old-decision"
        ),
        pytest.param([DECIDED, *call(9, "DeleteUser"), outcome(9, "deleted", 1)], 1, id="is-none"),
        pytest.param([*call(1, "UntagUser"), outcome(1, "released", 1)], 0, id="released"),
        pytest.param([*call(1, "TagUser"), outcome(1, "released", 1)], 1, id="nothing-given-back"),
        pytest.param([outcome(1, "released", 0)], 0, id="released-by-somebody-else"),
        pytest.param([outcome(1, "deleted", 0)], 1, id="rests-on-nothing"),
        pytest.param([outcome(1, "deleted", 0, rests_on=DECIDED["time"])], 0, id="rests-on-a-line"),
        pytest.param([outcome(1, "quarantined", 0)], 1, id="no-quarantine-without-a-call"),
        pytest.param([*call(1, "TagUser"), outcome(1, "quarantined", 1)], 1, id="no-record"),
    ],
)
def test_what_an_outcome_says_its_lines_show(lines: list[Line], faults: int) -> None:
    checks = Lines()
    assert sum(bool(checks.fault(each)) for each in lines) == faults


CREATED = call(1, "CreateUser", saved={"created-user": "AIDA2"})


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        pytest.param([*CREATED, line(1, "outcome", status="restored", made=["AIDA2"])], 0, id="anew"),
        pytest.param([line(1, "outcome", status="restored", made=["AIDA1"])], 0, id="itself"),
        pytest.param([line(1, "outcome", status="restored", made=["AIDA3"])], 1, id="nobody-made-it"),
        pytest.param([*CREATED, line(1, "outcome", status="restored", made=["AIDA1"])], 1, id="it-lacks-one"),
        pytest.param(
            [CREATED[0], line(1, "outcome", status="restored", made=["AIDA3"])], 0, id="without-an-answer"
        ),
        pytest.param([*CREATED, line(4, "outcome", status="restored", made=["AIDA2"])], 1, id="hours-later"),
        pytest.param([line(1, "outcome", status="released", made=["AIDA1"])], 1, id="another-status"),
    ],
)
def test_what_a_restoration_says_its_calls_show(lines: list[Line], faults: int) -> None:
    checks = Restorations()
    assert sum(bool(checks.fault(each)) for each in lines) == faults
