# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.applied_calls import AppliedCall, CallHistory
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, deny_all_document
from c7n_iamusers.lockout.journal_lines import history_of, last_deletion
from c7n_iamusers.lockout.lockout_state import deletion_begun, given_by_others
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord
from tests.records import user

pytestmark = pytest.mark.pure

ALICE = user()
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
OTHER_ARN = "arn:aws:iam::111122223333:user/bob"
KEY = {"AccessKeyId": "AKIA1"}


def at(hour: int) -> datetime:
    return datetime(2026, 11, 24, hour, tzinfo=timezone.utc)


def line(phase: str, hour: int, operation: str = "DeleteAccessKey", **more: Any) -> dict[str, Any]:
    who = {"arn": ALICE.arn, "unique_id": ALICE.unique_id, "time": at(hour).isoformat()}
    return {**who, "phase": phase, "operation": operation, "parameters": {"UserName": "alice", **KEY}, **more}


def call(hour: int, operation: str, given: dict[str, str], result: str = "done", **more: Any) -> list[Any]:
    entry = {"operation": operation, "parameters": {"UserName": "alice", **given}, **more}
    return [line("before", hour, **entry), line("after", hour, result=result, **entry)]


def pair(result: str) -> list[dict[str, Any]]:
    return [line("before", 1), line("after", 2, result=result)]


BOB = {"unique_id": "AIDABOB"}


@pytest.mark.parametrize(
    ("lines", "hours"),
    [
        pytest.param([], [], id="no-line"),
        pytest.param(pair("done"), [1], id="done"),
        pytest.param(pair("failed"), [], id="failed"),
        pytest.param(pair("gone"), [], id="gone"),
        pytest.param(pair("unknown"), [1], id="unknown"),
        pytest.param(pair("interrupted"), [1], id="interrupted"),
        pytest.param(pair("adopted"), [1], id="adopted"),
        pytest.param([line("before", 1)], [1], id="unanswered"),
        pytest.param([line("after", 1, result="done")], [], id="never-begun"),
        pytest.param([line("before", 1), *pair("failed")], [1], id="unanswered-and-the-next-failed"),
        pytest.param([*pair("failed"), line("before", 3)], [3], id="failed-and-the-next-unanswered"),
        pytest.param([*pair("done"), line("before", 3), line("after", 4, result="gone")], [1], id="once"),
        pytest.param([line("before", 5), line("before", 3)], [3, 5], id="in-the-order-of-time"),
        pytest.param(
            [line("before", 1), line("after", 2, result="failed", parameters={"AccessKeyId": "AKIA2"})],
            [1],
            id="another-call-failed",
        ),
        pytest.param(
            [line("before", 1), line("after", 2, "UpdateAccessKey", result="failed")],
            [1],
            id="another-operation-failed",
        ),
        pytest.param(
            [line("before", 1), line("after", 2, result="failed", **BOB)], [1], id="another-users-failed"
        ),
        pytest.param([line("before", 1, **BOB)], [], id="of-another-user-of-that-name"),
        pytest.param([line("before", 1, arn=OTHER_ARN)], [1], id="of-the-same-user-renamed"),
        pytest.param([line("before", 1, unique_id="")], [], id="of-no-unique-id"),
        pytest.param([line("before", 1, time="soon")], [None], id="without-a-time"),
        pytest.param([line("before", 1, parameters=None)], [], id="without-parameters"),
        pytest.param(
            [line("outcome", 1), line("snapshot", 1), {}, {"phase": "before"}], [], id="other-lines"
        ),
    ],
)
def test_a_call_counts_unless_it_is_known_to_have_changed_nothing(
    lines: list[dict[str, Any]], hours: list[int | None]
) -> None:
    times = [call.time for call in history_of(ALICE.subject, lines).calls if call.effective]
    earliest = datetime.min.replace(tzinfo=timezone.utc)
    assert times == [earliest if hour is None else at(hour) for hour in hours]


def test_no_other_call_is_taken_for_the_deny_all_of_a_restoration() -> None:
    notes = {"for": "restoration", "until-the-end": True}
    forged = call(2, "DeleteAccessKey", KEY, notes=notes)
    assert history_of(ALICE.subject, forged).restoring_under() == ""
    put = call(1, "AttachUserPolicy", {"PolicyArn": DENY_ALL}, notes=notes)
    assert history_of(ALICE.subject, [*put, *forged]).restoring_under() == "attached"


@pytest.mark.parametrize(
    ("restored", "unfinished"), [((), True), ((ALICE.unique_id,), False)], ids=["stopped", "restored-since"]
)
def test_a_deletion_whose_lift_got_no_answer_ends_when_the_user_is_restored(
    restored: tuple[str, ...], unfinished: bool
) -> None:
    notes = {"for": "deletion"}
    lines = [*call(1, *ATTACH, notes=notes), call(2, *DETACH, notes=notes)[0]]
    outcome = [line("outcome", 3, status="restored", made=list(restored))]
    history = history_of(ALICE.subject, [*lines, *outcome])
    assert history.deletes_under("AttachUserPolicy", at(1)) is unfinished
    assert history.began_deletion() is unfinished


@pytest.mark.parametrize(
    ("calls", "restored", "lifted"),
    [
        pytest.param([], None, False, id="nothing"),
        pytest.param([("Attach", 1, "deletion")], None, False, id="denied"),
        pytest.param([("Attach", 1, "deletion"), ("Detach", 2, "deletion")], None, True, id="lifted"),
        pytest.param([("Attach", 1, "deletion"), ("Detach", 2, "release")], None, False, id="released"),
        pytest.param([("Detach", 2, "deletion"), ("Attach", 3, "deletion")], None, False, id="put-back"),
        pytest.param(
            [("Detach", 2, "deletion"), ("Attach", 3, "unanswered")], None, True, id="maybe-put-back"
        ),
        pytest.param(
            [("Detach", 2, "deletion"), ("Tag", 3, "deletion")], None, True, id="another-call-since"
        ),
        pytest.param([("Detach", 2, "deletion")], 1, True, id="after-a-restoration"),
        pytest.param([("Detach", 2, "deletion")], 2, False, id="no-later-than-a-restoration"),
        pytest.param([("Detach", 2, "deletion")], 3, False, id="restored-since"),
    ],
)
def test_whether_a_deletion_has_lifted_its_deny(
    calls: list[tuple[str, int, str]], restored: int | None, lifted: bool
) -> None:
    applied = tuple(
        AppliedCall(
            at(hour),
            f"{verb}UserPolicy",
            {"UserName": "alice", "PolicyArn": DENY_ALL},
            {"for": why},
            answered=why != "unanswered",
        )
        for verb, hour, why in calls
    )
    history = CallHistory(applied, restored_at=at(restored) if restored else None)
    assert history.lifted_for_deletion() is lifted


def test_notes_come_with_the_call() -> None:
    (deed,) = history_of(ALICE.subject, [line("before", 1, notes={"for": "deletion"})]).calls
    assert deed == AppliedCall(
        at(1), "DeleteAccessKey", {"UserName": "alice", **KEY}, {"for": "deletion"}, answered=False
    )
    (bare,) = history_of(ALICE.subject, [line("before", 1, notes="torn")]).calls
    assert bare.notes == {}


SERIAL = "arn:aws:iam::111122223333:mfa/alice"


@pytest.mark.parametrize(
    ("operation", "given", "removed"),
    [
        ("DeleteLoginProfile", {}, ("login-profile", "alice")),
        ("DeleteAccessKey", KEY, ("access-key", "AKIA1")),
        ("DeleteSigningCertificate", {"CertificateId": "C1"}, ("signing-certificate", "C1")),
        ("DeleteSSHPublicKey", {"SSHPublicKeyId": "APKA1"}, ("ssh-public-key", "APKA1")),
        (
            "DeleteServiceSpecificCredential",
            {"ServiceSpecificCredentialId": "ACCA1"},
            ("service-specific-credential", "ACCA1"),
        ),
        ("DeactivateMFADevice", {"SerialNumber": SERIAL}, ("mfa-device", SERIAL)),
        ("DeleteVirtualMFADevice", {"SerialNumber": SERIAL}, ("mfa-device", SERIAL)),
        ("RemoveUserFromGroup", {"GroupName": "Developers"}, ("group", "Developers")),
        ("DetachUserPolicy", {"PolicyArn": READ_ONLY}, ("attached-policy", READ_ONLY)),
        ("DeleteUserPolicy", {"PolicyName": "s3"}, ("inline-policy", "s3")),
        ("DeleteUser", {}, None),
        ("DeleteUserPermissionsBoundary", {}, None),
        ("PutUserPolicy", {"PolicyName": "s3"}, None),
        ("UpdateAccessKey", {**KEY, "Status": "Inactive"}, None),
        ("UntagUser", {"TagKeys": "Team"}, None),
    ],
)
def test_what_a_call_removed(operation: str, given: dict[str, str], removed: tuple[str, str] | None) -> None:
    history = history_of(ALICE.subject, call(3, operation, given))
    assert history.removed() == ({removed: at(3)} if removed else {})
    assert history.removed(at(3)) == history.removed()
    assert history.removed(at(2)) == {}


def test_of_what_was_removed_twice_the_last_time_counts() -> None:
    twice = [*call(1, "DeleteAccessKey", KEY), *call(5, "DeleteAccessKey", KEY)]
    history = history_of(ALICE.subject, reversed_pairs(twice))
    assert history.removed() == {("access-key", "AKIA1"): at(5)}
    assert history.removed(at(4)) == {("access-key", "AKIA1"): at(1)}


def reversed_pairs(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As if the journal of the later run was read first."""
    return [*lines[2:], *lines[:2]]


ATTACH, DETACH = ("AttachUserPolicy", {"PolicyArn": DENY_ALL}), ("DetachUserPolicy", {"PolicyArn": DENY_ALL})
CHINA = "arn:aws-cn:iam::aws:policy/AWSDenyAll"
FALSE = "arn:aws:iam::111122223333:policy/AWSDenyAll"


@pytest.mark.parametrize(
    ("lines", "since"),
    [
        pytest.param([], None, id="never"),
        pytest.param(call(1, *ATTACH), at(1), id="attached"),
        pytest.param(call(1, "AttachUserPolicy", {"PolicyArn": CHINA}), at(1), id="in-another-partition"),
        pytest.param(call(1, "AttachUserPolicy", {"PolicyArn": FALSE}), None, id="homonym"),
        pytest.param(call(1, "AttachUserPolicy", {"PolicyArn": READ_ONLY}), None, id="another-policy"),
        pytest.param(call(1, *ATTACH, "failed"), None, id="failed"),
        pytest.param(call(1, *ATTACH, "unknown"), at(1), id="nobody-knows"),
        pytest.param([*call(1, *ATTACH), *call(2, *DETACH)], None, id="detached"),
        pytest.param([*call(1, *ATTACH), *call(2, *DETACH, "failed")], at(1), id="not-detached"),
        pytest.param([*call(1, *ATTACH), *call(2, *DETACH, "unknown")], at(1), id="detached-nobody-knows"),
        pytest.param([*call(1, *ATTACH), call(2, *DETACH)[0]], at(1), id="detaching-was-stopped"),
        pytest.param(
            [*call(1, *ATTACH), *call(2, "DetachUserPolicy", {"PolicyArn": READ_ONLY})],
            at(1),
            id="another-detached",
        ),
        pytest.param([*call(1, *ATTACH), *call(2, *DETACH), *call(3, *ATTACH)], at(3), id="again"),
        pytest.param(call(1, *DETACH), None, id="only-detached"),
        pytest.param(
            call(1, "PutUserPermissionsBoundary", {"PermissionsBoundary": DENY_ALL}), None, id="boundary"
        ),
    ],
)
def test_since_when_aws_deny_all_is_attached_by_us(
    lines: list[dict[str, Any]], since: datetime | None
) -> None:
    assert history_of(ALICE.subject, lines).attached_deny() == since


def bound(hour: int, arn: str = DENY_ALL, result: str = "done", **notes: str) -> list[Any]:
    given = {"notes": {name.replace("_", "-"): value for name, value in notes.items()}} if notes else {}
    return call(hour, "PutUserPermissionsBoundary", {"PermissionsBoundary": arn}, result, **given)


UNBIND = ("DeleteUserPermissionsBoundary", dict[str, str]())


@pytest.mark.parametrize(
    ("lines", "since", "former"),
    [
        pytest.param([], None, None, id="never"),
        pytest.param(bound(1, former_boundary=READ_ONLY), at(1), READ_ONLY, id="for-another"),
        pytest.param(bound(1, former_boundary=""), at(1), "", id="for-none"),
        pytest.param(bound(1), at(1), None, id="version-before"),
        pytest.param(bound(1, result="failed", former_boundary=READ_ONLY), None, None, id="failed"),
        pytest.param(bound(1, result="unknown", former_boundary=READ_ONLY), at(1), READ_ONLY, id="unknown"),
        pytest.param(bound(1, FALSE, former_boundary=READ_ONLY), None, None, id="homonym"),
        pytest.param(
            [*bound(1, former_boundary=READ_ONLY), *bound(2, READ_ONLY)], None, READ_ONLY, id="put-back"
        ),
        pytest.param([*bound(1, former_boundary=""), *call(2, *UNBIND)], None, "", id="taken-off"),
        pytest.param(
            [*bound(1, former_boundary=""), *call(2, *UNBIND, "failed")], at(1), "", id="not-taken-off"
        ),
        pytest.param(
            [*bound(1, former_boundary=""), *call(2, *UNBIND, "gone")], None, "", id="taken-off-by-others"
        ),
        pytest.param(
            [*bound(1, former_boundary=""), *call(2, *UNBIND, "unknown")], at(1), "", id="taken-off-unknown"
        ),
        pytest.param(
            [*bound(1, former_boundary=READ_ONLY), bound(2, READ_ONLY)[0]],
            at(1),
            READ_ONLY,
            id="putting-back-was-stopped",
        ),
        pytest.param(
            [*bound(1, former_boundary=""), *bound(2, READ_ONLY), *bound(3, former_boundary=READ_ONLY)],
            at(3),
            READ_ONLY,
            id="again",
        ),
        pytest.param(call(1, *ATTACH), None, None, id="attached"),
    ],
)
def test_since_when_it_is_the_boundary_by_us_and_for_what(
    lines: list[dict[str, Any]], since: datetime | None, former: str | None
) -> None:
    history = history_of(ALICE.subject, lines)
    assert (history.boundary_deny(), history.former_boundary()) == (since, former)


@pytest.mark.parametrize(
    ("operation", "name", "result", "denied"),
    [
        pytest.param("PutUserPolicy", DENY_ALL_NAME, "done", True, id="put"),
        pytest.param("PutUserPolicy", DENY_ALL_NAME, "unknown", True, id="nobody-knows"),
        pytest.param("PutUserPolicy", DENY_ALL_NAME, "failed", False, id="failed"),
        pytest.param("PutUserPolicy", "s3", "done", False, id="another-policy"),
        pytest.param("DeleteUserPolicy", DENY_ALL_NAME, "done", False, id="only-taken-off"),
    ],
)
def test_whether_the_inline_deny_is_our_work(operation: str, name: str, result: str, denied: bool) -> None:
    lines = call(1, operation, {"PolicyName": name}, result)
    assert bool(history_of(ALICE.subject, lines).inline_denies()) is denied


def switch(
    hour: int, status: str, key: str = "AKIA1", result: str = "done", **more: Any
) -> list[dict[str, Any]]:
    return call(hour, "UpdateAccessKey", {"AccessKeyId": key, "Status": status}, result, **more)


@pytest.mark.parametrize(
    ("lines", "off"),
    [
        pytest.param([], (), id="none"),
        pytest.param([*switch(1, "Inactive", "AKIA2"), *switch(2, "Inactive")], ("AKIA1", "AKIA2"), id="two"),
        pytest.param([*switch(1, "Inactive"), *switch(2, "Active")], (), id="on-again"),
        pytest.param(
            [*switch(1, "Inactive"), *switch(2, "Active", result="failed")], ("AKIA1",), id="not-on"
        ),
        pytest.param(
            [*switch(1, "Inactive"), *switch(2, "Active"), *switch(3, "Inactive")], ("AKIA1",), id="off-again"
        ),
        pytest.param(switch(1, "Inactive", result="gone"), (), id="gone"),
        pytest.param(switch(1, "Inactive", result="unknown"), ("AKIA1",), id="nobody-knows"),
        pytest.param(
            [
                *call(1, "UpdateSigningCertificate", {"CertificateId": "C1", "Status": "Inactive"}),
                *call(1, "UpdateSSHPublicKey", {"SSHPublicKeyId": "APKA1", "Status": "Inactive"}),
                *call(
                    1,
                    "UpdateServiceSpecificCredential",
                    {"ServiceSpecificCredentialId": "ACCA1", "Status": "Inactive"},
                ),
            ],
            ("ACCA1", "APKA1", "C1"),
            id="of-every-kind",
        ),
        pytest.param(call(1, "DeleteAccessKey", KEY), (), id="deleted"),
        pytest.param(switch(1, "Inactive", notes={"for": "restoration"}), (), id="given-back-inactive"),
    ],
)
def test_what_we_switched_off(lines: list[dict[str, Any]], off: tuple[str, ...]) -> None:
    assert history_of(ALICE.subject, lines).deactivated_ids() == off
    assert history_of(ALICE.subject, lines).deactivated_ids(at(4)) == ()


INLINE_DENY = {"PolicyName": DENY_ALL_NAME}


@pytest.mark.parametrize(
    ("lines", "proven"),
    [
        pytest.param(call(2, "DeleteUserPolicy", INLINE_DENY, notes={"for": "release"}), False, id="inline"),
        pytest.param(
            call(2, "DetachUserPolicy", {"PolicyArn": DENY_ALL}, notes={"for": "release"}),
            False,
            id="attached",
        ),
        pytest.param(
            [
                *call(1, "PutUserPermissionsBoundary", {"PermissionsBoundary": DENY_ALL}),
                *call(2, "DeleteUserPermissionsBoundary", {}),
            ],
            False,
            id="boundary",
        ),
        pytest.param([], True, id="not-released"),
        pytest.param(
            call(2, "DeleteUserPolicy", INLINE_DENY, notes={"for": "deletion"}), True, id="by-a-deletion"
        ),
        pytest.param(
            call(2, "DeleteUserPolicy", INLINE_DENY, "failed", notes={"for": "release"}), True, id="refused"
        ),
        pytest.param(
            call(5, "DeleteUserPolicy", INLINE_DENY, notes={"for": "release"}),
            True,
            id="the-latest-is-ending",
        ),
    ],
)
def test_what_an_earlier_quarantine_switched_off_proves_nothing_after_its_release(
    lines: list[dict[str, Any]], proven: bool
) -> None:
    record = QuarantineRecord(at(3), "park", "unused", ("AKIA1",), "attached")
    lines = [
        *switch(1, "Inactive"),
        *lines,
        line("quarantine", 3, record=record.as_data()),
        *call(4, "AttachUserPolicy", {"PolicyArn": DENY_ALL}, notes={"for": "quarantine"}),
    ]
    assert history_of(ALICE.subject, lines).proven_off() == (frozenset({"AKIA1"}) if proven else frozenset())


@pytest.mark.parametrize(
    ("later", "given"),
    [
        pytest.param([], True, id="active"),
        pytest.param(
            call(3, "UpdateSSHPublicKey", {"SSHPublicKeyId": "APKA9", "Status": "Inactive"}),
            False,
            id="inactive",
        ),
    ],
)
def test_a_credential_that_a_restoration_gave_under_a_quarantine_is_nobody_elses(
    later: list[dict[str, Any]], given: bool
) -> None:
    upload: dict[str, Any] = {"operation": "UploadSSHPublicKey", "parameters": {"UserName": "alice"}}
    lines = [
        line("before", 2, **upload),
        line("after", 2, result="done", saved={"new-id-of-APKA1": "APKA9"}, **upload),
        *later,
    ]
    history = history_of(ALICE.subject, lines)
    record = QuarantineRecord(at(1), "listen", "unused", deny="inline", kept=True)
    key = {"SSHPublicKeyId": "APKA9", "Status": "Active", "UploadDate": at(2)}
    assert bool(given_by_others(user(ssh_public_key=(key,)), record, history)) is not given
    assert history.given_active(at(1)) == (frozenset({"APKA9"}) if given else frozenset())
    assert history.given_active(at(4)) == frozenset()


RECORD = QuarantineRecord(at(1), "park", "unused", ("AKIA1",), "attached")
LATER = QuarantineRecord(at(5), "park", "unused", ("AKIA1", "AKIA2"), "boundary")


def recorded(record: QuarantineRecord, hour: int, **more: Any) -> dict[str, Any]:
    return line("quarantine", hour, record=record.as_data(), **more)


def denied(hour: int) -> list[dict[str, Any]]:
    """The Deny of a quarantine."""
    return call(hour, *ATTACH, notes={"for": "quarantine"})


OLD = QuarantineRecord(at(1), "", "", ("AKIA1",), "attached")


def by(why: str, **more: Any) -> dict[str, Any]:
    return {"notes": {"for": why, **more}}


#: A deletion of who is in that quarantine lifts its Deny at 2, and puts it back at 3.
BACK = by("quarantine", **{"put-back": True})
LIFTED = [recorded(RECORD, 1), *denied(1), *call(2, *DETACH, **by("deletion"))]
PUT_BACK = [*LIFTED, *call(3, *ATTACH, **BACK)]
BOUND = bound(4, **{"for": "deletion"})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param([recorded(RECORD, 1), *denied(1)], RECORD, id="one"),
        pytest.param(
            [recorded(RECORD, 1), *denied(1), recorded(LATER, 5), *denied(5)], LATER, id="the-latest"
        ),
        pytest.param(
            [recorded(LATER, 5), *denied(5), recorded(RECORD, 1)], LATER, id="the-latest-in-any-order"
        ),
        pytest.param(
            [recorded(LATER, 5, **BOB), recorded(RECORD, 1), *denied(6)], RECORD, id="of-another-user"
        ),
        # another run was faster, which this one saw right before its first call
        pytest.param([recorded(RECORD, 1), *denied(1), recorded(LATER, 5)], RECORD, id="never-begun"),
        pytest.param(
            [recorded(RECORD, 1), *denied(1), recorded(LATER, 5), *switch(6, "Active")],
            RECORD,
            id="never-begun-then-released-in-part",
        ),
        pytest.param([recorded(RECORD, 1), *switch(2, "Inactive")], RECORD, id="no-deny-but-inactive"),
        pytest.param([recorded(RECORD, 1)], None, id="stopped-before-its-first-call"),
        pytest.param(LIFTED, None, id="lifted-by-a-deletion"),
        pytest.param(PUT_BACK, RECORD, id="put-back-by-the-deletion"),
        pytest.param([*PUT_BACK, recorded(LATER, 2)], RECORD, id="put-back-begins-no-other"),
        pytest.param([*PUT_BACK, *call(4, *DETACH, **by("deletion"))], None, id="and-lifted-again"),
        pytest.param([*PUT_BACK, *call(4, *DETACH, **by("release"))], None, id="and-released"),
        pytest.param(
            [
                *LIFTED,
                *call(4, *ATTACH, **by("deletion")),
                *call(5, *DETACH, **by("deletion")),
                *call(6, *ATTACH, **by("deletion", **{"put-back": True})),
            ],
            None,
            id="another-deletion-put-back-its-own",
        ),
        # a restoration sets the boundary again that the deletion had replaced
        pytest.param([*PUT_BACK, *BOUND, *call(5, *UNBIND)], RECORD, id="boundary-of-its-deletion-undone"),
        pytest.param([*PUT_BACK, *BOUND, *bound(5, READ_ONLY)], RECORD, id="boundary-before-it-set-again"),
        pytest.param(
            [recorded(LATER, 5), *bound(5, **{"for": "quarantine"}), *call(6, *UNBIND)],
            None,
            id="its-boundary-lifted",
        ),
        pytest.param([line("quarantine", 1, record={"since": "x"})], None, id="torn"),
        pytest.param([line("quarantine", 1)], None, id="empty"),
        pytest.param([*call(1, *ATTACH), *switch(2, "Inactive")], None, id="no-record"),
        pytest.param(
            [recorded(RECORD, 1), *call(2, *ATTACH), *switch(3, "Inactive", "AKIA9")], RECORD, id="both"
        ),
        pytest.param(call(1, *ATTACH), None, id="a-deny-alone-is-a-deletion's"),
        pytest.param(switch(1, "Inactive"), None, id="no-deny"),
        pytest.param(
            [
                *call(1, *ATTACH),
                *switch(2, "Inactive"),
                *switch(3, "Active"),
                *call(3, *DETACH, **by("release")),
            ],
            None,
            id="no-record-and-released",
        ),
    ],
)
def test_the_record_of_the_latest_quarantine(
    lines: list[dict[str, Any]], expected: QuarantineRecord | None
) -> None:
    assert history_of(ALICE.subject, lines).quarantine == expected


#: A user with AWSDenyAll attached, one with a policy of its own, one with nothing.
HELD = user(attached_policy=({"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL},))
OWN, BARE = user(attached_policy=({"PolicyName": "s3", "PolicyArn": READ_ONLY},)), user()
REMOVAL, OTHER = ("DetachUserPolicy", {"PolicyArn": READ_ONLY}), ("DeleteAccessKey", KEY)


#: A user under somebody else's AWSDenyAll that still has its policy, and the call that a run did not make any more.
BOTH = user(attached_policy=(*HELD.attachments["attached-policy"], *OWN.attachments["attached-policy"]))
STOPPED: dict[str, Any] = {"operation": REMOVAL[0], "parameters": {"UserName": "alice", **REMOVAL[1]}}


def inline(sid: str) -> tuple[Any, Any]:
    """A user with an inline Deny of this statement id, and the call that put it on."""
    document = deny_all_document(sid)
    held = user(inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": json.loads(document)},))
    return held, ("PutUserPolicy", {"PolicyName": DENY_ALL_NAME, "PolicyDocument": document})


PARKED, PARK = inline("Quarantined20261124T010000ZJournaled")
DOOMED, DOOM = inline("Quarantined20261124T010000ZJournaledDeletion20261124T020000Z")


@pytest.mark.parametrize(
    ("now", "lines", "begun"),
    [
        pytest.param(HELD, call(1, *ATTACH, **by("deletion")), True, id="its-deny-is-on"),
        pytest.param(HELD, denied(1), False, id="a-quarantine's-deny-is-on"),
        pytest.param(HELD, [*denied(1), *call(2, *REMOVAL)], True, id="removed-under-that"),
        pytest.param(HELD, [*call(1, *REMOVAL), *denied(2)], False, id="removed-before-that"),
        pytest.param(HELD, [*call(1, *OTHER), *PUT_BACK[1:]], True, id="its-deny-was-put-back"),
        pytest.param(OWN, call(1, *OTHER), False, id="somebody-took-the-deny-off"),
        pytest.param(BARE, call(1, *OTHER), True, id="somebody-took-the-deny-off-and-gave-nothing-back"),
        pytest.param(BARE, [], False, id="never-had-anything"),
        pytest.param(
            OWN,
            [*call(1, *OTHER), *call(2, *DETACH, **by("deletion"))],
            True,
            id="lifted-and-something-new-attached",
        ),
        pytest.param(
            OWN, [*call(1, *REMOVAL), *call(2, *DETACH, **by("deletion"))], False, id="lifted-and-given-back"
        ),
        pytest.param(BOTH, [*call(1, *OTHER), line("before", 2, **STOPPED)], True, id="killed-under-theirs"),
        pytest.param(BOTH, [*call(1, *OTHER), *call(2, *REMOVAL)], False, id="given-back-under-theirs"),
        pytest.param(BOTH, [line("before", 2, **STOPPED)], False, id="nothing-removed-under-theirs"),
        pytest.param(DOOMED, [], True, id="no-journal-and-the-deny-says-so"),
        pytest.param(PARKED, [], False, id="no-journal-and-a-quarantine's-deny"),
        pytest.param(PARKED, [*call(1, *PARK), *call(2, *REMOVAL)], True, id="removed-under-its-inline-deny"),
        pytest.param(
            PARKED, [*call(1, *REMOVAL), *call(2, *PARK)], False, id="removed-before-its-inline-deny"
        ),
        pytest.param(
            PARKED,
            [*call(1, *PARK), *call(2, *DOOM, **by("deletion")), *call(3, *REMOVAL)],
            False,
            id="restored-elsewhere-to-its-inline-deny",
        ),
    ],
)
def test_a_deletion_is_unfinished_as_long_as_the_user_is_as_it_left_it(
    now: IamUser, lines: list[dict[str, Any]], begun: bool
) -> None:
    history = history_of(ALICE.subject, lines)
    assert (deletion_begun(now, history) is not None) is begun
    if now is not DOOMED:
        ended = line("outcome", 9, status="restored", made=[ALICE.unique_id])
        restored = [*lines, *call(8, *DETACH, **by("restoration")), ended]
        assert deletion_begun(now, history_of(ALICE.subject, restored)) is None


def test_a_line_that_says_restored_gives_nothing_back_alone() -> None:
    """Somebody wrote it: what a deletion removed would be lost without a word."""
    ended = line("outcome", 9, status="restored", made=[ALICE.unique_id])
    removed = call(1, *REMOVAL)
    assert history_of(ALICE.subject, [*removed, ended]).removed()
    early = [*call(0, *DETACH, **by("restoration")), *removed, ended]
    assert history_of(ALICE.subject, early).removed()
    assert not history_of(ALICE.subject, [*removed, *call(8, *DETACH, **by("restoration")), ended]).removed()
    assert history_of(ALICE.subject, [ended]).restored_at


def test_what_the_run_in_hand_did_comes_after() -> None:
    earlier = history_of(ALICE.subject, [recorded(RECORD, 1), *denied(1)])
    gone = ApiCall("iam", "DeleteUserPolicy", {"UserName": "alice", "PolicyName": "s3"})
    results = ["done", "failed", "gone", "unknown", "interrupted"]
    found = earlier.with_calls([(gone, result) for result in results], at(9))
    assert [(each.time, each.effective) for each in found.calls] == [
        (at(1), True),
        (at(9), True),
        (at(9), False),
        (at(9), True),
        (at(9), True),
    ]
    assert found.quarantine == RECORD
    assert found.removed() == {("inline-policy", "s3"): at(9)}
    off = ApiCall("iam", *DETACH)
    assert earlier.with_calls([(off, "failed")], at(9)).attached_deny() == at(1)
    assert earlier.with_calls([(off, "done")], at(9)).attached_deny() is None
    told = ApiCall(
        "iam",
        "PutUserPermissionsBoundary",
        {"UserName": "alice", "PermissionsBoundary": DENY_ALL},
        notes={"former-boundary": READ_ONLY},
    )
    assert CallHistory().with_calls([(told, "done")], at(9)).former_boundary() == READ_ONLY


@pytest.mark.parametrize(
    ("lines", "hour"),
    [
        pytest.param([], None, id="none"),
        pytest.param(call(1, "DeleteUser", {}), 1, id="call"),
        pytest.param([line("outcome", 2, status="deleted"), *call(1, "DeleteUser", {})], 2, id="outcome"),
        pytest.param(call(1, "DeleteUser", {}, "failed"), None, id="failed"),
        pytest.param(call(1, "DeleteUserPolicy", {}), None, id="another-call"),
        pytest.param([line("outcome", 2, status="failed")], None, id="another-outcome"),
    ],
)
def test_when_a_user_was_deleted(lines: list[dict[str, Any]], hour: int | None) -> None:
    assert last_deletion(lines) == (at(hour) if hour else None)


@pytest.mark.parametrize(("purpose", "removed"), [("restoration", True), ("quarantine", False)])
def test_a_deny_that_a_restoration_put_on_is_the_users_own(purpose: str, removed: bool) -> None:
    given = {"PolicyArn": DENY_ALL}
    lines = [
        *call(1, "AttachUserPolicy", given, notes={"for": purpose}),
        *call(2, "DetachUserPolicy", given),
    ]
    found = history_of(ALICE.subject, lines)
    assert [found.deleted_between(at(2), at(3))] == [removed]
