# SPDX-License-Identifier: Apache-2.0
"""What the lines of one output say of a user, one after the other: what runs leave contradicts nothing."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from c7n_iamusers.lockout.deny_all import deny_all_document
from c7n_iamusers.report.checks import ATTENTION, BLOCKING
from c7n_iamusers.report.derived_status import Denials
from c7n_iamusers.report.line_checks import Lines, Restorations

pytestmark = [pytest.mark.pure, pytest.mark.whole]
WHO = {"user": "alice", "arn": "arn:aws:iam::111122223333:user/alice", "unique_id": "AIDA1"}
Line = dict[str, Any]


def line(hour: int, phase: str, **more: Any) -> Line:
    return {"time": f"2026-11-24T{hour:02}:00:00.000000+00:00", **WHO, "phase": phase, **more}


def call(hour: int, operation: str, result: str = "done", **more: Any) -> list[Line]:
    made = {"service": "iam", "operation": operation, "parameters": {"UserName": "alice"}}
    return [line(hour, "before", **made), line(hour, "after", result=result, **made, **more)]


def shows(lines: list[Line], before: list[Line] = ()) -> str:  # type: ignore[assignment]
    """What shows of the ``lines`` of one output. ``before``: those of another one."""
    checks, denials, levels = Lines(), Denials(), set[str]()
    for place, its in (("other", before), ("output", lines)):
        for each in its:
            denials.read(place, each)
            if place == "output":
                levels |= {BLOCKING} if checks.fault(each) else {ATTENTION} if checks.doubt else set()
    levels |= {level for _, level, _ in denials.faults(("output", each) for each in checks.asked)}
    return "wrong" if BLOCKING in levels else "to look at" if levels else "nothing"


def outcome(hour: int, status: str, calls: int, **more: Any) -> Line:
    return line(hour, "outcome", status=status, calls=calls, **more)


DECIDED, DELETION = line(1, "decision"), call(1, "DeleteUser")


@pytest.mark.parametrize(
    ("lines", "faults"),
    [
        pytest.param([DECIDED, *DELETION, outcome(1, "deleted", 1)], 0, id="deleted"),
        pytest.param([*DELETION, outcome(1, "deleted", 1)], 2, id="no-decision"),
        pytest.param([DECIDED, *DELETION, outcome(1, "deleted", 2)], 1, id="other-calls"),
        pytest.param([DECIDED, *call(1, "TagUser"), outcome(1, "deleted", 1)], 2, id="no-deletion"),
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
        pytest.param([DECIDED, *call(9, "DeleteUser"), outcome(9, "deleted", 1)], 2, id="is-none"),
        pytest.param([*call(1, "UntagUser"), outcome(1, "released", 1)], 0, id="released"),
        pytest.param([*call(1, "TagUser"), outcome(1, "released", 1)], 2, id="nothing-given-back"),
        pytest.param([outcome(1, "released", 0)], 0, id="released-by-somebody-else"),
        pytest.param([outcome(1, "deleted", 0)], 1, id="rests-on-nothing"),
        pytest.param([outcome(1, "deleted", 0, rests_on=DECIDED["time"])], 0, id="rests-on-a-line"),
        pytest.param([outcome(1, "quarantined", 0)], 1, id="no-quarantine-without-a-call"),
        pytest.param([*call(1, "TagUser"), outcome(1, "quarantined", 1)], 2, id="no-record"),
    ],
)
def test_what_an_outcome_says_its_lines_show(lines: list[Line], faults: int) -> None:
    checks = Lines()
    assert sum(bool(checks.fault(each)) for each in lines) == faults


SINCE = "2026-11-24T01:00:00+00:00"


def parked(form: str = "inline") -> Line:
    record = {"since": SINCE, "deactivated": [], "policy": "p", "reason": "r", "deny": form}
    return line(1, "quarantine", record=record)


def parked_with(key: str, form: str = "inline") -> Line:
    found = parked(form)
    return {**found, "record": {**found["record"], "deactivated": [key]}}


def deny(result: str = "done", operation: str = "PutUserPolicy", **more: str) -> list[Line]:
    given = more or {"PolicyName": "c7n-iamusers-deny-all"}
    return [{**each, "parameters": {"UserName": "alice", **given}} for each in call(1, operation, result)]


def denied_with(sid: str) -> list[Line]:
    return deny(PolicyName="c7n-iamusers-deny-all", PolicyDocument=deny_all_document(sid))


ATTACHED = deny(operation="AttachUserPolicy", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll")
BROWNED, LIFTED = deny(PolicyName="c7n-iamusers-brownout"), deny(operation="DeleteUserPolicy")
REFUSED = deny("failed")
TAG, OFF = call(1, "UntagUser"), deny(operation="UpdateAccessKey", AccessKeyId="AKIA1", Status="Inactive")
ON = deny(operation="UpdateAccessKey", AccessKeyId="AKIA1", Status="Active")
#: A quarantine of which each call was done, and one of which AWS refused each form of the Deny-all.
WHOLE = [parked_with("AKIA1"), *deny(), *OFF]
FREE = [parked_with("AKIA1"), *REFUSED, parked_with("AKIA1", "none"), *OFF]
CHANGED = {"quarantined", "browned-out", "released", "deleted"}


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        pytest.param([parked(), *deny()], {"quarantined"}, id="quarantined"),
        pytest.param([parked("own"), *call(1, "TagUser")], {"quarantined"}, id="under-a-deny-of-its-own"),
        pytest.param([parked("none"), *call(1, "TagUser")], set(), id="no-deny-fits"),
        pytest.param([parked(), *REFUSED], set(), id="a-deny-that-was-refused"),
        pytest.param([parked(), *REFUSED, parked("attached"), *ATTACHED], {"quarantined"}, id="another-form"),
        pytest.param([parked(), *REFUSED, parked(), *call(1, "TagUser")], set(), id="under-no-deny"),
        pytest.param([parked(), *deny(), *call(1, "TagUser", "failed")], set(), id="the-tag-was-refused"),
        pytest.param(BROWNED, {"browned-out"}, id="browned-out"),
        pytest.param(deny("failed", PolicyName="c7n-iamusers-brownout"), set(), id="a-brownout-refused"),
        pytest.param([*LIFTED, *TAG], {"released"}, id="released"),
        pytest.param([*LIFTED, *call(1, "UntagUser", "failed")], set(), id="a-release-refused"),
        pytest.param([DECIDED, *LIFTED, *deny()], set(), id="put-on-again"),
        pytest.param([DECIDED, *LIFTED, *call(1, "DeleteAccessKey")], set(), id="a-deletion-half-way"),
        pytest.param([DECIDED, *LIFTED, *call(1, "DeleteUser", "failed"), *deny()], set(), id="not-deleted"),
    ],
)
def test_the_calls_since_the_outcome_before_allow_a_status(lines: list[Line], allowed: set[str]) -> None:
    count = sum(each["phase"] == "before" for each in lines)

    def is_fault(status: str, **more: str) -> bool:
        return shows([*lines, outcome(1, status, count, **more)]) == "wrong"

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


@pytest.mark.parametrize(
    ("before", "lines", "status", "expected"),
    [
        # AWS refused it: a line after that says otherwise, with no call, with what was done, or with less
        pytest.param([], [*FREE, parked()], "quarantined", "wrong", id="a-line-and-no-call"),
        pytest.param([], [*FREE[:-2], parked_with("AKIA1"), *OFF], "quarantined", "wrong", id="no-deny-on"),
        pytest.param([], [*WHOLE, parked()], "quarantined", "wrong", id="a-line-that-says-less"),
        pytest.param([], [parked("off"), *OFF], "quarantined", "wrong", id="no-form"),
        pytest.param([], [parked("attached"), *deny()], "quarantined", "wrong", id="another-form"),
        pytest.param(
            [*WHOLE, *LIFTED], FREE[:-3] + WHOLE[:1] + OFF, "quarantined", "wrong", id="lifted-since"
        ),
        pytest.param(
            WHOLE, [parked(), *REFUSED, WHOLE[0], *OFF], "quarantined", "nothing", id="on-by-another-output"
        ),
        pytest.param([], [parked("own")], "quarantined", "wrong", id="own-and-no-call"),
        pytest.param(
            [], [parked_with("AKIA1", "own"), *OFF], "quarantined", "to look at", id="own-and-no-tag"
        ),
        # a deletion that went half-way
        pytest.param(
            [],
            [parked(), *deny(), *call(1, "DeleteAccessKey")],
            "quarantined",
            "wrong",
            id="more-than-parked",
        ),
        pytest.param(
            [],
            [parked(), *denied_with("Deletion20261124T010000Z"), *call(1, "TagUser")],
            "quarantined",
            "wrong",
            id="the-deny-of-a-deletion",
        ),
        # the lines of a refused lift are cut out
        pytest.param(WHOLE, ON, "released", "wrong", id="only-activated"),
        pytest.param([], ON, "released", "to look at", id="only-activated-and-nothing-known"),
        pytest.param([parked_with("AKIA1", "none"), *OFF], ON, "released", "nothing", id="no-deny-to-lift"),
        pytest.param(WHOLE, TAG, "released", "to look at", id="lifted-by-nobody"),
        pytest.param(WHOLE, [*ON, *LIFTED, *TAG], "released", "nothing", id="lifted"),
        pytest.param([*WHOLE, *ATTACHED], [*ON, *LIFTED], "released", "to look at", id="one-form-lifted"),
        pytest.param(
            [], [*ON, *deny("failed", "DeleteUserPolicy"), *TAG], "released", "wrong", id="a-refusal"
        ),
        # other words for what was done
        *(
            pytest.param([], WHOLE, f"{status} {code}", expected, id=f"{status}-{code}")
            for status, code, expected in [
                ("skipped", "AlreadyGone", "wrong"),
                ("skipped", "ChangedSinceEvent", "wrong"),
                ("skipped", "zzz", "wrong"),
                ("skipped", "GoneMeanwhile", "to look at"),
                ("unchanged", "InQuarantineAlready", "wrong"),
                ("failed", "zzz", "wrong"),
                ("failed", "InterruptedRun", "wrong"),
                ("failed", "AwsUnreachable", "to look at"),
                ("failed", "QuarantineNotShown", "to look at"),
                ("quarantined", "AwsUnreachable", "wrong"),
                ("quarantined", "CredentialsKept", "nothing"),
            ]
        ),
        pytest.param([], WHOLE[:3], "failed AwsUnreachable", "to look at", id="all-but-the-keys"),
        pytest.param(
            [], [*WHOLE[:3], *call(1, "TagUser", "unknown")], "failed AwsError", "nothing", id="unknown"
        ),
        pytest.param(
            [], call(1, "DeleteVirtualMFADevice"), "skipped AlreadyGone", "to look at", id="orphans"
        ),
    ],
)
def test_a_status_is_that_of_the_calls_and_of_what_denies_the_user(
    before: list[Line], lines: list[Line], status: str, expected: str
) -> None:
    count, (said, _, code) = sum(each["phase"] == "before" for each in lines), status.partition(" ")
    assert shows([*lines, outcome(1, said, count, code=code)], before) == expected


#: A deletion of which each call was done, or what it was to remove was gone; and two runs, of which the first failed.
GONE_KEY = [DECIDED, *deny(), *call(1, "DeleteAccessKey", "gone"), *LIFTED, *DELETION]
TWO_RUNS = [DECIDED, *call(1, "DeleteAccessKey", "failed"), *GONE_KEY]
HALF_WAY = [DECIDED, *deny(), *call(1, "DeleteAccessKey")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # each is of calls that were done, and its outcome says that they failed
        pytest.param([DECIDED, *deny(), *DELETION], "wrong", id="deleted"),
        pytest.param([*deny(), *DELETION], "wrong", id="deleted-by-no-decision"),
        pytest.param(DELETION, "wrong", id="deleted-alone"),
        pytest.param(TWO_RUNS, "wrong", id="deleted-by-a-later-run"),
        pytest.param([*DELETION, *call(1, "DeleteAccessKey", "failed")], "wrong", id="deleted-before-that"),
        pytest.param(WHOLE[1:], "wrong", id="quarantined-by-no-line"),
        pytest.param([*WHOLE[1:], WHOLE[0]], "wrong", id="quarantined-by-a-later-line"),
        pytest.param([DECIDED, *WHOLE[1:]], "wrong", id="quarantined-by-a-decision"),
        pytest.param([DECIDED, *denied_with("Quarantined20261124T010000Z")], "wrong", id="denied-by-it"),
        pytest.param([*WHOLE, WHOLE[0]], "to look at", id="quarantined-and-a-line-more"),
        pytest.param([DECIDED, *WHOLE], "to look at", id="quarantined-and-decided"),
        pytest.param([*LIFTED, *TAG, parked()], "to look at", id="released-and-a-line-more"),
        pytest.param([*LIFTED[:1], *LIFTED, *TAG], "to look at", id="released"),
        pytest.param(
            [*deny("failed", "DeleteUserPolicy"), *LIFTED], "to look at", id="released-by-a-later-run"
        ),
        # lines of a form that AWS refused first, and of a call that a later run has made, are put at the end
        pytest.param(
            [*WHOLE, WHOLE[0], *REFUSED, WHOLE[0], *REFUSED], "to look at", id="another-form-was-on"
        ),
        pytest.param(
            [*LIFTED, *TAG, *call(1, "UntagUser", "failed")], "to look at", id="made-by-a-later-run"
        ),
        pytest.param(HALF_WAY[1:], "wrong", id="half-way-by-no-decision"),
        # as runs write it
        pytest.param(HALF_WAY, "nothing", id="half-way"),
        pytest.param([*HALF_WAY, *call(1, "DeleteUser", "failed"), *deny()], "nothing", id="put-back"),
        pytest.param([*HALF_WAY, *call(1, "DeleteUser", "unknown")], "nothing", id="unknown"),
        pytest.param([*HALF_WAY, *call(1, "DeleteUser", "gone")], "to look at", id="by-somebody-else"),
        pytest.param([*WHOLE, *call(1, "TagUser", "failed")], "nothing", id="the-tag-was-refused"),
        pytest.param([*WHOLE, call(1, "TagUser")[0]], "nothing", id="killed"),
        pytest.param([*LIFTED, *call(1, "UntagUser", "failed")], "nothing", id="a-release-refused"),
    ],
)
def test_a_failure_is_that_of_the_calls(lines: list[Line], expected: str) -> None:
    count = sum(each["phase"] == "before" for each in lines)
    assert shows([*lines, outcome(1, "failed", count, code="AwsUnreachable")]) == expected


@pytest.mark.parametrize("code", ["GoneMeanwhile", "ChangedSinceEvent"])
def test_who_is_deleted_is_not_left_alone(code: str) -> None:
    assert shows([DECIDED, *DELETION, outcome(1, "skipped", 1, code=code)]) == "wrong"


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


def test_the_deny_of_a_restoration_is_on_the_user_that_it_created() -> None:
    of_new = {"unique_id": "AIDA2"}
    mine = [
        {**each, **of_new}
        for each in (parked(), *REFUSED, WHOLE[0], *OFF, outcome(1, "quarantined", 2, code=""))
    ]
    assert shows(mine, [*CREATED, *deny()]) == "nothing"
    assert shows(mine, deny()) == "wrong"


def test_a_line_takes_no_more_memory_than_it_has_itself() -> None:
    checks, used = Restorations(), list[int]()
    for number in range(2_000):
        checks.fault(line(1, "outcome", status="restored", made=[f"AIDA{number}"]))
    again = line(1, "outcome", status="restored", made=["AIDA1"])
    tracemalloc.start()
    try:
        for _ in range(2):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            checks.fault(again)
            used.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    # a copy of what earlier lines say would have some 100,000 bytes
    assert max(used) < 20_000


def test_a_restoration_without_a_call_is_to_be_looked_at_once() -> None:
    checks, told = Restorations(), list[bool]()
    again = [line(1, "outcome", status="restored", made=["AIDA1"])] * 2
    for each in (*call(1, "TagUser"), *again, line(2, "outcome", status="restored", made=["AIDA1", "AIDA2"])):
        checks.fault(each)
        told += [bool(checks.doubt)] if each["phase"] == "outcome" else []
    assert told == [False, False, True]
