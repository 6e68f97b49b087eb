# SPDX-License-Identifier: Apache-2.0
"""What the lines of one output say of a user, one after the other: what runs leave contradicts nothing."""

from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.report.line_checks import Lines, Restorations

pytestmark = [pytest.mark.pure, pytest.mark.whole]
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
            [
                DECIDED,
                *call(9, "DeleteVirtualMFADevice"),
                outcome(9, "skipped", 1, code="GoneMeanwhile"),
            ],
            0,
            id="an-old-decision",
        ),
        pytest.param(
            [*call(9, "DeleteVirtualMFADevice"), outcome(9, "skipped", 1)], 1, id="skipped-and-changed"
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


SINCE = "2026-11-24T01:00:00+00:00"


def parked(form: str = "inline") -> Line:
    record = {"since": SINCE, "deactivated": [], "policy": "p", "reason": "r", "deny": form}
    return line(1, "quarantine", record=record)


def deny(result: str = "done", operation: str = "PutUserPolicy", **more: str) -> list[Line]:
    given = more or {"PolicyName": "c7n-iamusers-deny-all"}
    return [{**each, "parameters": {"UserName": "alice", **given}} for each in call(1, operation, result)]


ATTACHED = deny(operation="AttachUserPolicy", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
BROWNED, LIFTED = deny(PolicyName="c7n-iamusers-brownout"), deny(operation="DeleteUserPolicy")
REFUSED = deny("failed")
TAG = call(1, "UntagUser")
CHANGED = {"quarantined", "browned-out", "released", "deleted"}


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        pytest.param([parked(), *deny()], {"quarantined"}, id="quarantined"),
        pytest.param([parked("own"), *call(1, "TagUser")], {"quarantined"}, id="under-a-deny-of-its-own"),
        pytest.param([parked("none"), *call(1, "TagUser")], set(), id="no-deny-fits"),
        pytest.param([parked(), *REFUSED], set(), id="a-deny-that-was-refused"),
        pytest.param([parked(), *REFUSED, parked("attached"), *ATTACHED], {"quarantined"}, id="another-form"),
        pytest.param([parked(), *REFUSED, parked()], {"quarantined"}, id="under-the-deny-of-another-run"),
        pytest.param([parked(), *deny(), *call(1, "TagUser", "failed")], set(), id="the-tag-was-refused"),
        pytest.param(BROWNED, {"browned-out"}, id="browned-out"),
        pytest.param(deny("failed", PolicyName="c7n-iamusers-brownout"), set(), id="a-brownout-refused"),
        pytest.param([*LIFTED, *TAG], {"released"}, id="released"),
        pytest.param([*LIFTED, *call(1, "UntagUser", "failed")], set(), id="a-release-refused"),
        pytest.param([*LIFTED, *deny()], set(), id="put-on-again"),
        pytest.param([*LIFTED, *call(1, "DeleteAccessKey")], set(), id="a-deletion-half-way"),
        pytest.param([DECIDED, *LIFTED, *call(1, "DeleteUser", "failed"), *deny()], set(), id="not-deleted"),
    ],
)
def test_the_calls_since_the_outcome_before_allow_a_status(lines: list[Line], allowed: set[str]) -> None:
    count = sum(each["phase"] == "before" for each in lines)

    def is_fault(status: str, **more: str) -> bool:
        checks = Lines()
        return any(bool(checks.fault(each)) for each in (*lines, outcome(1, status, count, **more)))

    assert {status for status in CHANGED if not is_fault(status)} == allowed
    refused = all(each["result"] == "failed" for each in lines if each["phase"] == "after")
    for status in ("skipped", "unchanged"):
        assert is_fault(status) is not refused
    # a failure says why: by a call that was not done, or by a code that no change has
    assert is_fault("failed", code="InQuarantine")
    assert is_fault("failed", code="CallFailed", call="iam:DeleteGroup")
    assert not is_fault("failed", code="QuarantineNotShown")
    assert is_fault("planned")
    assert is_fault("provisioned")
    assert is_fault("Failed")


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


def test_a_restoration_without_a_call_is_to_be_looked_at_once() -> None:
    checks, told = Restorations(), list[bool]()
    again = [line(1, "outcome", status="restored", made=["AIDA1"])] * 2
    for each in (*call(1, "TagUser"), *again, line(2, "outcome", status="restored", made=["AIDA1", "AIDA2"])):
        checks.fault(each)
        told += [bool(checks.doubt)] if each["phase"] == "outcome" else []
    assert told == [False, False, True]
