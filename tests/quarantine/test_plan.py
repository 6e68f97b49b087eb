# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.execution.calls import AFTER, BEFORE, ApiCall, Plan
from c7n_iamusers.execution.calls import ApiCall as _Call
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import KeyUse
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import (
    ATTACHED,
    BOUNDARY,
    BROWNOUT_NAME,
    DENY_ALL_NAME,
    INLINE,
    INLINE_QUOTA,
    LONGEST_BROWNOUT,
    Brownout,
    brownout_in,
    deny_all_document,
    is_brownout,
    is_denial,
)
from c7n_iamusers.lockout.deny_all import (
    BROWNOUT_NAME as _BROWNOUT,
)
from c7n_iamusers.lockout.left_inactive import left_inactive
from c7n_iamusers.lockout.lockout_state import (
    NOTHING_KNOWN,
    broken_quarantine,
    contradictions,
    deletion_begun,
    lapses,
    quarantine_of,
)
from c7n_iamusers.lockout.quarantine_record import QUARANTINE_TAG, QuarantineRecord
from c7n_iamusers.quarantine.plan import QuarantinePlan, plan_quarantine
from c7n_iamusers.quarantine.release_plan import (
    ReleasePlan,
    plan_release,
    record_to_release,
    still_denying,
    used_under_aws_deny_all,
)
from tests.records import text_of, user

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 24, 18, 0, 5, 123, tzinfo=timezone.utc)
SINCE = NOW.replace(microsecond=0)
LATER, LATEST = datetime(2026, 12, 1, tzinfo=timezone.utc), datetime(2026, 12, 2, tzinfo=timezone.utc)
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
DENY_ALL = {"PolicyName": "AWSDenyAll", "PolicyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}


def credential(identifier: str, name: str, status: str = "Active") -> Mapping[str, str]:
    return {identifier: name, "Status": status}


CREDENTIALS: dict[str, Any] = {
    "login_profile": ({"UserName": "alice"},),
    "access_key": (credential("AccessKeyId", "AKIA1"), credential("AccessKeyId", "AKIA2", "Inactive")),
    "signing_certificate": (credential("CertificateId", "CERT1"),),
    "ssh_public_key": (credential("SSHPublicKeyId", "APKA1"),),
    "service_specific_credential": (
        credential("ServiceSpecificCredentialId", "ACCA1"),
        credential("ServiceSpecificCredentialId", "ACCA2", "Expired"),
    ),
}
FULL_INLINE = ({"PolicyName": "big", "PolicyDocument": {"Sid": "x" * (INLINE_QUOTA - 100)}},)
FULL_TAGS = {f"t{n}": "v" for n in range(50)}


def attached(count: int) -> tuple[dict[str, str], ...]:
    return tuple({"PolicyName": f"p{n}", "PolicyArn": f"arn:aws:iam::aws:policy/p{n}"} for n in range(count))


def apply(to: IamUser, plan: Plan) -> IamUser:
    """The user as the calls leave it."""
    for call in plan.calls:
        to = _apply(to, call)
    return to


_STATUS_OF = {
    "UpdateAccessKey": ("access-key", "AccessKeyId"),
    "UpdateSigningCertificate": ("signing-certificate", "CertificateId"),
    "UpdateSSHPublicKey": ("ssh-public-key", "SSHPublicKeyId"),
    "UpdateServiceSpecificCredential": ("service-specific-credential", "ServiceSpecificCredentialId"),
}


def _apply(to: IamUser, call: ApiCall) -> IamUser:
    held, given = {kind: list(items) for kind, items in to.attachments.items()}, call.parameters
    assert given["UserName"] == to.name
    match call.operation:
        case "PutUserPolicy":
            name, document = given["PolicyName"], json.loads(given["PolicyDocument"])
            others = [item for item in held["inline-policy"] if item["PolicyName"] != name]
            held["inline-policy"] = [*others, {"PolicyName": name, "PolicyDocument": document}]
        case "DeleteUserPolicy":
            held["inline-policy"] = [
                i for i in held["inline-policy"] if i["PolicyName"] != given["PolicyName"]
            ]
        case "AttachUserPolicy":
            held["attached-policy"].append({"PolicyName": "AWSDenyAll", "PolicyArn": given["PolicyArn"]})
        case "DetachUserPolicy":
            held["attached-policy"] = [
                i for i in held["attached-policy"] if i["PolicyArn"] != given["PolicyArn"]
            ]
        case "PutUserPermissionsBoundary" | "DeleteUserPermissionsBoundary":
            arns = [given["PermissionsBoundary"]] if call.operation.startswith("Put") else []
            held["permissions-boundary"] = [{"PermissionsBoundaryArn": arn} for arn in arns]
        case "TagUser":
            tags = {**{tag["Key"]: tag for tag in held["tag"]}, **{tag["Key"]: tag for tag in given["Tags"]}}
            held["tag"] = list(tags.values())
        case "UntagUser":
            held["tag"] = [tag for tag in held["tag"] if tag["Key"] not in given["TagKeys"]]
        case operation:
            kind, identifier = _STATUS_OF[operation]
            held[kind] = [
                {**item, "Status": given["Status"]} if item[identifier] == given[identifier] else item
                for item in held[kind]
            ]
    attachments = {kind: tuple(items) for kind, items in held.items()}
    return replace(to, detail={**to.detail, "Tags": list(attachments["tag"])}, attachments=attachments)


def quarantine(
    to: IamUser, now: datetime = NOW, history: CallHistory = NOTHING_KNOWN, refused: Collection[str] = ()
) -> QuarantinePlan:
    codes = dict.fromkeys(refused, "AccessDenied")
    return plan_quarantine(to, now, "park", "unused for 90 days", history, codes)


def journal(
    calls: Iterable[ApiCall],
    record: QuarantineRecord,
    now: datetime = NOW,
    before: CallHistory = NOTHING_KNOWN,
) -> CallHistory:
    """What the journal tells once ``calls`` are made, after the line with ``record``, and the snapshot before these."""
    active = before.active_before | {*record.deactivated}
    made = before.with_calls([(call, "done") for call in calls], now)
    return replace(made, record=record, active_before=active)


def in_quarantine(before: IamUser, refused: Collection[str] = ()) -> tuple[IamUser, CallHistory]:
    planned = quarantine(before, refused=refused)
    return apply(before, planned.plan), journal(planned.plan.calls, planned.record)


def release(held: IamUser, record: QuarantineRecord, history: CallHistory, before: IamUser) -> ReleasePlan:
    """The release, where a snapshot of ``before`` tells what the journal does not: a boundary not of ours."""
    recorded = history.former_boundary() if history.boundary_deny() else None
    former: tuple[Item, ...] = before.attachments["permissions-boundary"]
    if recorded is not None:
        former = ({"PermissionsBoundaryArn": recorded},) if recorded else ()
    planned = plan_release(held, record, history, former)
    assert planned.problem is None
    return planned


def bound(arn: str) -> dict[str, Any]:
    return {"permissions_boundary": ({"PermissionsBoundaryArn": arn},)}


NO_ROOM: dict[str, Any] = {"inline_policy": FULL_INLINE, "attached_policy": attached(10)}
#: A user for each form but the inline one, and how a release names that one.
FORMS = [
    (user(inline_policy=FULL_INLINE, **CREDENTIALS), "still attached"),
    (user(**NO_ROOM, **CREDENTIALS), "still its permissions boundary"),
]
SHAPES = [
    pytest.param(user(**CREDENTIALS), "inline", id="inline"),
    pytest.param(user(tags=FULL_TAGS, **CREDENTIALS), "inline", id="inline-50-tags"),
    pytest.param(
        user(tags=dict.fromkeys(list(FULL_TAGS)[:49], "v"), **CREDENTIALS), "inline", id="inline-49-tags"
    ),
    pytest.param(
        user(attached_policy=(DENY_ALL,), **CREDENTIALS), "inline", id="inline-though-parked-before"
    ),
    pytest.param(
        user(**bound(DENY_ALL["PolicyArn"]), **CREDENTIALS), "inline", id="inline-though-bounded-before"
    ),
    pytest.param(user(inline_policy=FULL_INLINE, **CREDENTIALS), "attached", id="attached"),
    pytest.param(
        user(inline_policy=FULL_INLINE, tags=FULL_TAGS, **CREDENTIALS), "attached", id="attached-50-tags"
    ),
    pytest.param(user(**NO_ROOM, **CREDENTIALS), "boundary", id="boundary"),
    pytest.param(user(**NO_ROOM, **bound(READ_ONLY), **CREDENTIALS), "boundary", id="boundary-for-another"),
    pytest.param(
        user(inline_policy=FULL_INLINE, attached_policy=(DENY_ALL,), **CREDENTIALS), "own", id="parked-before"
    ),
    pytest.param(user(**NO_ROOM, **bound(DENY_ALL["PolicyArn"]), **CREDENTIALS), "own", id="bounded-before"),
    pytest.param(user(tags={"Team": "a"}), "inline", id="no-credentials"),
]


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_quarantine_stops_everything_and_release_restores_it_exactly(before: IamUser, deny: str) -> None:
    held, history = in_quarantine(before)
    record = quarantine_of(held, history)
    assert record is not None
    assert (record.deny, record.since) == (deny, SINCE)
    assert lapses(held, record) == []
    released = release(held, record, history, before)
    assert released.notes == ()
    assert apply(held, released.plan).attachments == before.attachments


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_a_released_user_is_in_no_quarantine(before: IamUser, deny: str) -> None:
    held, history = in_quarantine(before)
    record = quarantine_of(held, history)
    assert record is not None
    calls = release(held, record, history, before).plan.calls
    after = apply(held, Plan(before.subject, calls))
    assert quarantine_of(after, journal(calls, record, LATER, history)) is None


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_a_quarantine_that_was_stopped_anywhere_can_be_completed_and_undone(
    before: IamUser, deny: str
) -> None:
    planned = quarantine(before)
    for made in range(len(planned.plan.calls)):
        calls = planned.plan.calls[:made]
        held, history = (
            apply(before, Plan(before.subject, calls)),
            journal(calls, planned.record),
        )
        again = quarantine(held, LATER, history)
        completed = apply(held, again.plan)
        history = journal(again.plan.calls, again.record, LATER, history)
        record = quarantine_of(completed, history)
        assert record is not None
        assert (record.deny, lapses(completed, record)) == (deny, [])
        assert record.deactivated == planned.record.deactivated
        assert apply(completed, release(completed, record, history, before).plan).attachments == (
            before.attachments
        )


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_a_release_that_was_stopped_anywhere_can_be_completed(before: IamUser, deny: str) -> None:
    held, history = in_quarantine(before)
    record = quarantine_of(held, history)
    assert record is not None
    calls = release(held, record, history, before).plan.calls
    for made in range(len(calls)):
        midway = apply(held, Plan(held.subject, calls[:made]))
        known = journal(calls[:made], record, LATER, history)
        left = quarantine_of(midway, known) or (record if QUARANTINE_TAG in midway.tags else None)
        after = apply(midway, release(midway, left, known, before).plan) if left else midway
        assert after.attachments == before.attachments


@pytest.mark.parametrize("applied", [False, True], ids=["not-applied", "applied"])
@pytest.mark.parametrize("again", [False, True], ids=["release", "quarantine-and-release"])
@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_a_release_of_which_any_call_got_no_answer_can_be_completed(
    before: IamUser, deny: str, again: bool, applied: bool
) -> None:
    held, history = in_quarantine(before)
    record = quarantine_of(held, history)
    assert record is not None
    calls = release(held, record, history, before).plan.calls
    for made in range(len(calls)):
        midway = apply(held, Plan(held.subject, calls[: made + applied]))
        known = journal(calls[:made], record, LATER, history).with_calls([(calls[made], "unknown")], LATER)
        if again:
            planned = quarantine(midway, LATEST, known)
            midway = apply(midway, planned.plan)
            known = journal(planned.plan.calls, planned.record, LATEST, known)
        left = record_to_release(midway, known, LATEST)
        after = apply(midway, release(midway, left, known, before).plan) if left else midway
        assert after.attachments == before.attachments


@pytest.mark.parametrize(
    ("effect", "left"),
    [
        pytest.param("Allow", "", id="allow"),
        pytest.param("Deny", "which somebody else wrote or changed, still denies", id="deny"),
    ],
)
@pytest.mark.parametrize("room", [{}, {"attached_policy": attached(10)}], ids=[ATTACHED, BOUNDARY])
def test_a_policy_of_our_name_that_is_not_ours_is_neither_replaced_nor_removed(
    room: dict[str, Any], effect: str, left: str
) -> None:
    statement = {"Effect": effect, "Action": "s3:*", "Resource": "*"}
    foreign = {"PolicyName": DENY_ALL_NAME, "PolicyDocument": {"Statement": [statement]}}
    before = user(inline_policy=(foreign,), **room, **CREDENTIALS)
    held, history = in_quarantine(before)
    record = quarantine_of(held, history)
    assert record is not None
    released = release(held, record, history, before)
    after = apply(held, released.plan)
    assert after.attachments == before.attachments
    denying = still_denying(after)
    assert (left in denying, bool(denying)) == (True, bool(left))
    assert "it stays" in text_of(released.notes[0])


def with_keys(held: IamUser, **statuses: str) -> IamUser:
    keys = tuple(credential("AccessKeyId", name, status) for name, status in statuses.items())
    return replace(held, attachments={**held.attachments, "access-key": keys})


@pytest.mark.parametrize(
    "before", [user(**CREDENTIALS), *(each for each, _ in FORMS)], ids=[INLINE, ATTACHED, BOUNDARY]
)
@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        pytest.param({"AKIA1": "Inactive", "AKIANEW": "Active"}, "access key AKIANEW: active", id="created"),
        pytest.param({"AKIA1": "Inactive", "AKIA2": "Active"}, "access key AKIA2: active", id="activated"),
        pytest.param({"AKIA1": "Active", "AKIA2": "Inactive"}, "", id="was-active-before"),
        pytest.param({"AKIA1": "Inactive", "AKIANEW": "Inactive"}, "", id="created-and-inactive"),
    ],
)
def test_a_release_gives_nobody_a_credential_that_came_under_the_deny(
    before: IamUser, keys: dict[str, str], refused: str
) -> None:
    held, history = in_quarantine(before)
    found = with_keys(held, **keys)
    record = record_to_release(found, history, LATER)
    assert record is not None
    planned = plan_release(found, record, history, ())
    assert (refused in text_of(planned.problem), bool(planned.problem), bool(planned.plan.calls)) == (
        True,
        bool(refused),
        not refused,
    )


@pytest.mark.parametrize("keep", [False, True], ids=["deactivated", "kept"])
@pytest.mark.parametrize(
    ("kind", "item", "named"),
    [
        pytest.param(
            "access-key", {"AccessKeyId": "AKIANEW", "Status": "Active"}, "access key AKIANEW", id="key"
        ),
        pytest.param("login-profile", {"UserName": "alice"}, "console password", id="password"),
    ],
)
@pytest.mark.parametrize("later", [False, True], ids=["before", "since"])
def test_what_was_created_under_the_deny_is_known_by_its_date(
    keep: bool, kind: str, item: dict[str, Any], named: str, later: bool
) -> None:
    before = user(**CREDENTIALS)
    planned = plan_quarantine(before, NOW, "park", "unused", keep=keep)
    held, history = apply(before, planned.plan), journal(planned.plan.calls, planned.record)
    created = {**item, "CreateDate": LATER if later else NOW - timedelta(days=1)}
    others = [each for each in held.attachments[kind] if each.get("UserName") != "alice"]
    found = replace(held, attachments={**held.attachments, kind: (*others, created)})
    record = record_to_release(found, history, LATEST)
    assert record is not None
    refused = later or (kind == "access-key" and not keep)
    problem = text_of(plan_release(found, record, history, ()).problem)
    assert (f"{named}: active" in problem) is refused


@pytest.mark.parametrize(
    "before", [user(**CREDENTIALS), *(each for each, _ in FORMS)], ids=[INLINE, ATTACHED, BOUNDARY]
)
@pytest.mark.parametrize("seen", [False, True], ids=["", "and-seen-active-again"])
def test_a_later_quarantine_takes_nothing_that_others_gave_for_active_before(
    before: IamUser, seen: bool
) -> None:
    held, history = in_quarantine(before)
    planted = with_keys(held, AKIA1="Inactive", AKIANEW="Active")
    again = quarantine(planted, LATER, history)
    assert (again.record.given, "AKIANEW" in again.record.deactivated) == (("AKIANEW",), False)
    assert "access key AKIANEW: not on record as active before" in "".join(map(text_of, again.notes))
    assert QuarantineRecord.from_data(again.record.as_data()) == again.record
    off, known = apply(planted, again.plan), journal(again.plan.calls, again.record, LATER, history)
    record = record_to_release(off, known, LATEST)
    assert record is not None
    released = plan_release(off, record, known, ())
    assert [
        call.parameters["AccessKeyId"] for call in released.plan.calls if call.operation == "UpdateAccessKey"
    ] == ["AKIA1"]
    assert "somebody else created or activated these under the quarantine" in "".join(
        map(text_of, released.notes)
    )
    active = with_keys(off, AKIA1="Inactive", AKIANEW="Active")
    known = lapsed(known, LATEST, active=["AKIANEW"]) if seen else known
    found = record_to_release(active, known, LATEST)
    assert found is not None
    problem = text_of(plan_release(active, found, known, ()).problem)
    assert problem.startswith("access key AKIANEW: active")


@pytest.mark.parametrize(
    "before", [user(**CREDENTIALS), *(each for each, _ in FORMS)], ids=[INLINE, ATTACHED, BOUNDARY]
)
def test_what_others_activate_is_known_where_credentials_are_kept(before: IamUser) -> None:
    planned = plan_quarantine(before, NOW, "park", "unused", keep=True)
    assert planned.record.inactive == ("AKIA2",)
    held, history = apply(before, planned.plan), journal(planned.plan.calls, planned.record)
    found = with_keys(held, AKIA1="Active", AKIA2="Active")
    again = plan_quarantine(found, LATER, "park", "unused", history, keep=True)
    assert again.plan.calls == ()
    assert "access key AKIA2: not on record as active before" in text_of(again.notes[0])
    record = record_to_release(found, history, LATER)
    assert record is not None
    problem = text_of(plan_release(found, record, history, ()).problem)
    assert problem.startswith("access key AKIA2: active")
    deepened = quarantine(found, LATER, history)
    assert (deepened.record.since, deepened.record.given) == (SINCE, ("AKIA2",))
    assert deepened.record.deactivated == ("ACCA1", "AKIA1", "APKA1", "CERT1")


def test_a_call_without_an_answer_does_not_show_who_deactivated_a_key() -> None:
    before = user(**CREDENTIALS)
    planned = quarantine(before)
    made = [
        (call, "unknown" if call.operation == "UpdateAccessKey" else "done") for call in planned.plan.calls
    ]
    held = apply(before, planned.plan)
    history = replace(NOTHING_KNOWN.with_calls(made, NOW), record=planned.record)
    record = record_to_release(held, history, LATER)
    assert record is not None
    assert (record.deactivated, record.dropped) == (("ACCA1", "APKA1", "CERT1"), ("AKIA1",))


@pytest.mark.parametrize(
    ("kept", "since"),
    [
        pytest.param(False, LATER, id="later"),
        pytest.param(False, SINCE, id="of-the-same-time"),
        pytest.param(True, SINCE, id="of-credentials-that-were-kept"),
        pytest.param(True, LATER, id="of-credentials-that-were-kept-later"),
    ],
)
def test_a_journal_adds_no_credential_to_what_the_deny_names(kept: bool, since: datetime) -> None:
    """AKIA2 was inactive before. Whoever can write to the outputs writes that this tool deactivated it."""
    planned = plan_quarantine(user(**CREDENTIALS), NOW, "park", "unused", keep=kept)
    held, history = apply(user(**CREDENTIALS), planned.plan), journal(planned.plan.calls, planned.record)
    given = {"UserName": "alice", "AccessKeyId": "AKIA2", "Status": "Inactive"}
    forged = QuarantineRecord(since, "park", "unused", ("AKIA2",))
    known = journal([ApiCall("iam", "UpdateAccessKey", given)], forged, since, history)
    record = record_to_release(held, known, LATEST)
    assert record is not None
    assert "AKIA2" not in record.deactivated
    released = plan_release(held, record, known, ())
    assert bool(released.problem) is kept  # by that journal, those that are active are others' work
    assert "AKIA2" not in {call.parameters.get("AccessKeyId") for call in released.plan.calls}
    again = quarantine(held, LATEST, known)
    assert "AKIA2" not in again.record.deactivated
    (note,) = [each for each in left_inactive(held, record, known) if "access key AKIA2" in each.text]
    assert note.code == ("DeactivatedEarlier" if since == SINCE and not kept else "OnlyInAJournal")


def test_a_release_that_was_stopped_knows_what_it_activated() -> None:
    held, history = in_quarantine(user(**CREDENTIALS))
    record = quarantine_of(held, history)
    assert record is not None
    switch = next(
        call for call in plan_release(held, record, history, ()).plan.calls if call.parameters.get("Status")
    )
    stopped = history.with_calls([(switch, "done")], LATER)
    found = apply(held, Plan(held.subject, (switch,)))
    again = record_to_release(found, stopped, LATEST)
    assert again is not None
    assert plan_release(found, again, stopped, ()).problem is None


EVERYTHING = {"Effect": "Deny", "Action": "*", "Resource": "*"}
HOME = {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}


@pytest.mark.parametrize(
    ("statements", "left"),
    [
        pytest.param([{**EVERYTHING, "Condition": HOME}], True, id="condition"),
        pytest.param([EVERYTHING, {**EVERYTHING, "Condition": HOME}], True, id="a-further-deny"),
        pytest.param([EVERYTHING, {**EVERYTHING, "Effect": "Allow"}], True, id="a-further-allow"),
        pytest.param([{"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}], True, id="another-deny"),
        pytest.param([], True, id="what-nobody-can-read"),
        pytest.param([{**EVERYTHING, "Effect": "Allow"}], False, id="allow"),
    ],
)
@pytest.mark.parametrize("name", [DENY_ALL_NAME, BROWNOUT_NAME])
def test_a_deny_of_our_name_that_is_not_exactly_ours_stays_and_is_told(
    statements: list[Any], left: bool, name: str
) -> None:
    sid = SEALED.sids[0]
    foreign = {
        "PolicyName": name,
        "PolicyDocument": {"Statement": [{"Sid": sid, **each} for each in statements]},
    }
    held = user(inline_policy=(foreign,), **CREDENTIALS)
    assert quarantine_of(held) is None
    assert (f"its inline policy {name}" in still_denying(held)) is left


@pytest.mark.parametrize("further", [{**EVERYTHING, "Condition": HOME}, {**EVERYTHING, "Effect": "Allow"}])
def test_a_release_keeps_its_hands_off_a_deny_of_ours_that_somebody_added_to(further: Any) -> None:
    held, history = in_quarantine(user(**CREDENTIALS))
    (policy,) = held.attachments["inline-policy"]
    statements = [*policy["PolicyDocument"]["Statement"], further]
    changed = {**policy, "PolicyDocument": {**policy["PolicyDocument"], "Statement": statements}}
    found = replace(held, attachments={**held.attachments, "inline-policy": (changed,)})
    record = record_to_release(found, history, LATER)
    assert record is not None
    planned = plan_release(found, record, history, ())
    assert planned.plan.calls == ()
    assert "which somebody else wrote or changed, still denies" in text_of(planned.problem)


def test_a_deletion_that_removes_somebody_elses_deny_of_our_name_ends_no_quarantine_and_restores_it() -> None:
    conditional = {
        "PolicyName": DENY_ALL_NAME,
        "PolicyDocument": {"Statement": [{**EVERYTHING, "Condition": HOME}]},
    }
    held, history = in_quarantine(user(inline_policy=(conditional,), **CREDENTIALS))
    record = quarantine_of(held, history)
    assert record is not None
    calls = plan_deletion(held, LATER, quarantine=record).calls
    removal = next(call for call in calls if call.operation == "DeleteUserPolicy")
    begun = history.with_calls([(removal, "done")], LATER)
    assert begun.quarantine == history.quarantine
    assert set(begun.removed()) == {("inline-policy", DENY_ALL_NAME)}


@pytest.mark.parametrize("before", [before for before, form in FORMS], ids=[ATTACHED, BOUNDARY])
def test_a_deletion_that_began_is_known_by_what_the_journal_shows(before: IamUser) -> None:
    held, history = in_quarantine(before)
    assert deletion_begun(held, history) is None
    removal = ApiCall("iam", "DeleteAccessKey", {"UserName": "alice", "AccessKeyId": "AKIA1"})
    begun = history.with_calls([(removal, "done")], LATER)
    assert deletion_begun(held, begun) == "on 2026-12-01 00:00 UTC"
    assert deletion_begun(before, begun) is None
    assert deletion_begun(held, replace(begun, restored_at=LATEST)) is None


LIFT = ApiCall("iam", "DeleteUserPolicy", {"UserName": "alice", "PolicyName": DENY_ALL_NAME})
UNTAG = ApiCall("iam", "UntagUser", {"UserName": "alice", "TagKeys": [QUARANTINE_TAG]})


@pytest.mark.parametrize(
    ("calls", "lifted", "counts"),
    [
        pytest.param([], LATER, True, id="never-lifted"),
        pytest.param([(LIFT, "done")], LATER, False, id="lifted-later"),
        pytest.param([(UNTAG, "done")], LATER, False, id="untagged-later"),
        pytest.param([(LIFT, "gone")], LATER, False, id="found-gone-later"),
        pytest.param([(LIFT, "unknown")], LATER, True, id="nobody-knows-whether-lifted"),
        pytest.param([(LIFT, "done")], SINCE - timedelta(days=1), True, id="lifted-before"),
        pytest.param([(LIFT, "done")], NOW, True, id="lifted-in-that-second"),
    ],
)
@pytest.mark.parametrize("again", [False, True], ids=["", "and-put-on-again-by-us"])
def test_a_deny_counts_no_days_from_before_we_lifted_it(
    calls: list[tuple[ApiCall, str]], lifted: datetime, counts: bool, again: bool
) -> None:
    put = quarantine(user(**CREDENTIALS)).plan.calls[0]
    held = apply(user(**CREDENTIALS), Plan(user().subject, (put,)))
    history = NOTHING_KNOWN.with_calls([(put, "done")], SINCE - timedelta(days=2)).with_calls(calls, lifted)
    if again:
        history = history.with_calls([(put, "done")], LATEST)
    assert (quarantine_of(held, history) is not None) is (counts or again)


@pytest.mark.parametrize(("before", "left"), FORMS, ids=[ATTACHED, BOUNDARY])
def test_a_release_says_what_another_output_put_on_and_lifts_it_with_that_record(
    before: IamUser, left: str
) -> None:
    held, first = in_quarantine(before)
    planned = quarantine(held, LATER)  # without the journal of the first
    assert planned.record.deny == "own"
    held = apply(held, planned.plan)
    record, alone = planned.record, journal(planned.plan.calls, planned.record, LATER)
    released = plan_release(held, record, alone, held.attachments["permissions-boundary"])
    held = apply(held, released.plan)
    assert left in still_denying(held)
    made = [(call, "done") for call in (*planned.plan.calls, *released.plan.calls)]
    both = replace(first.with_calls(made, LATER), record=record)
    found = record_to_release(held, both, LATEST)
    assert found is not None
    again = release(held, found, both, before)
    after = apply(held, again.plan)
    assert (still_denying(after), after.attachments) == ("", before.attachments)


@pytest.mark.parametrize(("before", "left"), FORMS, ids=[ATTACHED, BOUNDARY])
def test_a_release_with_the_records_of_both_outputs_is_exact(before: IamUser, left: str) -> None:
    held, first = in_quarantine(before)
    planned = quarantine(held, LATER)  # without the journal of the first
    held = apply(held, planned.plan)
    both = journal(planned.plan.calls, planned.record, LATER, first)
    found = record_to_release(held, both, LATEST)
    assert found is not None
    released = release(held, found, both, before)
    after = apply(held, released.plan)
    assert (released.notes, still_denying(after)) == ((), "")
    assert after.attachments == before.attachments


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_a_quarantine_that_holds_is_not_changed(before: IamUser, deny: str) -> None:
    held, history = in_quarantine(before)
    again = quarantine(held, LATER, history)
    assert again.plan.calls == ()
    assert (again.record.since, again.notes, again.problem) == (SINCE, (), None)


@pytest.mark.parametrize(("before", "deny"), SHAPES)
def test_the_deny_comes_first_and_the_tag_last(before: IamUser, deny: str) -> None:
    made = [call.operation for call in quarantine(before).plan.calls]
    first = {
        "inline": "PutUserPolicy",
        "attached": "AttachUserPolicy",
        "boundary": "PutUserPermissionsBoundary",
    }
    denials = [call.operation for call in quarantine(before).plan.calls if is_denial(call)]
    assert denials == ([first[deny]] if deny in first else [])
    assert made[: len(denials)] == denials
    assert made[len(denials) :][-1:] == (["TagUser"] if len(before.tags) < 50 else made[-1:])
    assert made.count("TagUser") == (len(before.tags) < 50)


@pytest.mark.parametrize(
    ("refused", "form", "checked"),
    [
        pytest.param((), INLINE, {BEFORE, AFTER}, id="inline"),
        pytest.param((ATTACHED, BOUNDARY), INLINE, {BEFORE, AFTER}, id="nothing-but-inline"),
        pytest.param((INLINE,), ATTACHED, {AFTER}, id="attached"),
        pytest.param((INLINE, BOUNDARY), ATTACHED, {AFTER}, id="nothing-but-attached"),
        pytest.param((INLINE, ATTACHED), BOUNDARY, {BEFORE, AFTER}, id="nothing-but-boundary"),
    ],
)
def test_the_form_is_the_first_that_the_role_may_use(
    refused: tuple[str, ...], form: str, checked: set[str]
) -> None:
    before = user(**bound(READ_ONLY), **CREDENTIALS)
    planned = quarantine(before, refused=refused)
    first, *others = planned.plan.calls
    assert (planned.record.deny, set(first.checked), planned.problem) == (form, checked, None)
    assert first.notes["for"] == "quarantine"
    assert first.notes.get("former-boundary") == (READ_ONLY if form == BOUNDARY else None)
    assert not [call for call in others if is_denial(call)]
    held, history = in_quarantine(before, refused)
    record = quarantine_of(held, history)
    assert record is not None
    assert apply(held, release(held, record, history, before).plan).attachments == before.attachments


def test_only_active_credentials_are_switched_off() -> None:
    planned = quarantine(user(**CREDENTIALS))
    switched = [call.parameters for call in planned.plan.calls if "Status" in call.parameters]
    ids = [value for each in switched for key, value in each.items() if key not in ("UserName", "Status")]
    assert ids == ["AKIA1", "CERT1", "APKA1", "ACCA1"]
    assert {each["Status"] for each in switched} == {"Inactive"}
    assert planned.record.deactivated == tuple(sorted(ids))


def test_a_lapsed_quarantine_counts_anew_and_still_restores_the_first_state() -> None:
    before = user(**CREDENTIALS)
    held, history = in_quarantine(before)
    keys = [{**item, "Status": "Active"} for item in held.attachments["access-key"]]
    disturbed = replace(held, attachments={**held.attachments, "access-key": tuple(keys)})
    record = quarantine_of(disturbed, history)
    assert record is not None
    assert lapses(disturbed, record) == ["access key AKIA1 is active", "access key AKIA2 is active"]
    again = quarantine(disturbed, LATER, history)
    renewed = quarantine_of(apply(disturbed, again.plan), history)
    assert renewed is not None
    assert renewed.since == LATER
    # AKIA2 was inactive before, so it was somebody else who activated it
    assert set(renewed.deactivated) == {"AKIA1", "CERT1", "APKA1", "ACCA1"}
    assert again.record.deactivated == renewed.deactivated
    (note,) = again.notes
    assert note.text.startswith("access key AKIA2: not on record as active before the quarantine began")


DENIED = pytest.mark.parametrize(
    ("before", "denies", "found"),
    [
        pytest.param(user(**CREDENTIALS), "inline-policy", "inline", id="inline"),
        pytest.param(
            user(inline_policy=FULL_INLINE, **CREDENTIALS), "attached-policy", "attached", id="attached"
        ),
        pytest.param(user(**NO_ROOM, **CREDENTIALS), "permissions-boundary", "boundary", id="boundary"),
    ],
)


@DENIED
def test_without_its_deny_nothing_is_activated(before: IamUser, denies: str, found: str) -> None:
    held, history = in_quarantine(before)
    bare = replace(held, attachments={**held.attachments, denies: before.attachments[denies]})
    record = history.quarantine
    assert record is not None
    assert quarantine_of(bare, history) is None
    assert lapses(bare, record) == ["its Deny-all is gone or was changed"]
    planned = release(bare, record, history, before)
    released = apply(bare, planned.plan)
    assert released.attachments["access-key"] == held.attachments["access-key"]
    assert [call.operation for call in planned.plan.calls] == ["UntagUser"]
    (note,) = left_inactive(bare, record)
    assert planned.notes == (note,)
    assert "access key AKIA1, signing certificate CERT1, SSH public key APKA1" in note.text
    assert "was removed or changed by somebody else" in note.text
    assert left_inactive(held, record, history) == []
    again = quarantine(bare, LATER, history)
    assert (again.record.deny, again.record.deactivated, again.notes) == (found, (), (note,))


@DENIED
def test_a_release_names_what_an_earlier_quarantine_deactivated_whose_deny_somebody_removed(
    before: IamUser, denies: str, found: str
) -> None:
    held, history = in_quarantine(before)
    bare = replace(held, attachments={**held.attachments, denies: before.attachments[denies]})
    again = quarantine(bare, LATER, history)
    renewed = apply(bare, again.plan)
    known = journal(again.plan.calls, again.record, LATER, history)
    anew = quarantine_of(renewed, known)
    assert anew is not None
    assert (anew.since, anew.deny, anew.deactivated) == (LATER, found, ())
    last = release(renewed, anew, known, before)
    after = apply(renewed, last.plan)
    assert (after.attachments["access-key"], after.tags) == (held.attachments["access-key"], {})
    assert after.attachments[denies] == before.attachments[denies]
    (note,) = last.notes
    assert note.text.startswith(
        "this tool deactivated these under an earlier quarantine, before that of 2026-12-01"
    )
    assert "stay inactive: access key AKIA1, signing certificate CERT1, SSH public key APKA1" in note.text
    assert "AKIA2" not in note.text


def lapsed(history: CallHistory, time: datetime, **seen: list[str]) -> CallHistory:
    """``history`` with what a run saw at ``time``."""
    gone, active = (dict.fromkeys(seen.get(name, ()), time) for name in ("gone", "active"))
    return replace(history, gone=gone, active=active)


SOON = NOW + timedelta(minutes=14)
IN_FORM = [user(**CREDENTIALS), *(each for each, _ in FORMS), SHAPES[9].values[0], SHAPES[10].values[0]]


@pytest.mark.parametrize(
    ("before", "form"), [*zip(IN_FORM, (INLINE, ATTACHED, BOUNDARY, "own", "own"), strict=True)]
)
@pytest.mark.parametrize(
    ("undone", "now", "seen"),
    [
        pytest.param("nothing", LATER, {}, id="nothing"),
        pytest.param("deny", LATER, {"gone"}, id="its-deny"),
        pytest.param("deny", SOON, set(), id="its-deny-so-lately-that-a-read-may-be-old"),
        pytest.param("key", LATER, {"active"}, id="a-key"),
        pytest.param("key", SOON, set(), id="a-key-so-lately"),
        pytest.param("other-key", LATER, {}, id="a-key-that-was-off-before"),
    ],
)
def test_what_contradicts_the_journal_is_seen_once(
    before: IamUser, form: str, undone: str, now: datetime, seen: set[str]
) -> None:
    held, history = in_quarantine(before)
    found = {
        "nothing": held,
        "deny": replace(held, attachments=user().attachments),
        "key": with_keys(held, AKIA1="Active", AKIA2="Inactive"),
        "other-key": with_keys(held, AKIA1="Inactive", AKIA2="Active"),
    }[undone]
    named = {"gone": [form], "active": ["AKIA1"]}
    # the inline Deny has its record in itself
    expected = {name: named[name] for name in seen if (name, form) != ("gone", INLINE)}
    assert contradictions(found, history, now) == expected
    assert contradictions(found, lapsed(history, now, **expected), now) == {}


@pytest.mark.parametrize("before", IN_FORM[1:], ids=[ATTACHED, BOUNDARY, "parked", "bounded"])
def test_a_deny_that_a_run_saw_gone_is_ours_no_more(before: IamUser) -> None:
    held, history = in_quarantine(before)
    form = history.record.deny if history.record else ""
    known = lapsed(history, LATER, gone=[form])
    assert quarantine_of(held, history) is not None
    assert quarantine_of(held, known) is None
    broken = broken_quarantine(held, known)
    assert broken is not None
    assert lapses(held, broken)
    record = record_to_release(held, known, LATEST)
    assert record is not None
    assert not {"UpdateAccessKey", "DetachUserPolicy", "DeleteUserPermissionsBoundary"} & {
        call.operation for call in plan_release(held, record, known, None).plan.calls
    }
    # one that is put on later is ours again
    again = known.with_calls([(call, "done") for call in quarantine(before).plan.calls], LATEST)
    again = replace(again, record=replace(history.record, since=LATEST)) if history.record else again
    assert quarantine_of(held, again) is not None


@pytest.mark.parametrize("before", IN_FORM[:3], ids=[INLINE, ATTACHED, BOUNDARY])
def test_a_key_that_a_run_saw_active_and_somebody_deactivated_stays_inactive(before: IamUser) -> None:
    held, history = in_quarantine(before)
    known = lapsed(history, LATER, active=["AKIA1"])
    record = record_to_release(held, known, LATEST)
    assert record is not None
    released = release(held, record, known, before)
    assert "AKIA1" not in {call.parameters.get("AccessKeyId") for call in released.plan.calls}
    assert "access key AKIA1" in " ".join(map(text_of, released.notes))


@pytest.mark.parametrize(
    ("before", "used", "refused"),
    [
        pytest.param(IN_FORM[1], LATER, True, id="attached"),
        pytest.param(IN_FORM[2], LATER, True, id="boundary"),
        pytest.param(IN_FORM[3], LATER, True, id="own"),
        pytest.param(IN_FORM[0], LATER, False, id="inline"),
        pytest.param(IN_FORM[1], SOON, False, id="while-aws-applied-it"),
        pytest.param(IN_FORM[1], None, False, id="never"),
    ],
)
def test_no_aws_deny_all_is_ours_for_certain_once_a_key_was_used_that_we_deactivated(
    before: IamUser, used: datetime | None, refused: bool
) -> None:
    held, history = in_quarantine(before)
    record = record_to_release(held, history, LATEST)
    assert record is not None
    keys = [KeyUse("AKIA1", used), KeyUse("AKIA2", LATER)]
    found = text_of(used_under_aws_deny_all(record, history, keys))
    assert (("access key AKIA1" in found), "AKIA2" in found) == (refused, False)


def test_a_release_names_no_key_that_we_activated_since_or_that_is_gone() -> None:
    before = user(**CREDENTIALS)
    held, history = in_quarantine(before)
    key = ApiCall("iam", "UpdateAccessKey", {"UserName": "alice", "AccessKeyId": "AKIA1", "Status": "Active"})
    rest = dict.fromkeys(("signing-certificate", "ssh-public-key", "service-specific-credential"), ())
    bare = replace(held, attachments={**held.attachments, "inline-policy": (), **rest})
    record = QuarantineRecord(LATEST, "park", "unused")
    assert len(left_inactive(bare, record, history)) == 1
    assert left_inactive(bare, record, history.with_calls([(key, "done")], LATER)) == []


@pytest.mark.parametrize(
    ("result", "again", "status"),
    [
        pytest.param("done", False, "Inactive", id="activated"),
        pytest.param("done", True, "Inactive", id="activated-and-quarantined-again"),
        pytest.param("unknown", False, "Active", id="nobody-knows-whether-activated"),
        pytest.param("failed", False, "Active", id="not-activated"),
    ],
)
@pytest.mark.parametrize("before", [user(**CREDENTIALS), *(each for each, _ in FORMS)])
def test_a_key_that_somebody_deactivated_after_a_stopped_release_had_activated_it_stays_inactive(
    before: IamUser, result: str, again: bool, status: str
) -> None:
    held, history = in_quarantine(before)
    record = quarantine_of(held, history)
    assert record is not None
    key, *_ = release(held, record, history, before).plan.calls
    assert key.parameters["AccessKeyId"] == "AKIA1"
    known = history.with_calls([(key, result)], LATER)
    planned = QuarantinePlan(Plan(before.subject, ()), record)
    if again:
        active = (credential("SSHPublicKeyId", "APKA1"),)
        held = replace(held, attachments={**held.attachments, "ssh-public-key": active})
        planned = quarantine(held, LATEST, known)
        held, known = (
            apply(held, planned.plan),
            journal(planned.plan.calls, planned.record, LATEST, known),
        )
    found = record_to_release(held, known, LATEST)
    assert found is not None
    released = release(held, found, known, before)
    told = [
        any("somebody else" in note.text and "access key AKIA1;" in note.text for note in notes)
        for notes in ((planned.notes, released.notes) if again else (released.notes,))
    ]
    assert told == [status == "Inactive"] * len(told)
    after = apply(held, released.plan).attachments
    assert [each["Status"] for each in after["access-key"]] == [status, "Inactive"]
    assert {**after, "access-key": ()} == {**before.attachments, "access-key": ()}


def test_a_stopped_release_activates_no_certificate_that_a_restoration_gave_back_inactive() -> None:
    before = user(inline_policy=FULL_INLINE, **CREDENTIALS)
    held, history = in_quarantine(before)
    given = {"UserName": "alice", "CertificateId": "CERT2", "Status": "Inactive"}
    restored = ApiCall("iam", "UpdateSigningCertificate", given, notes={"for": "restoration"})
    certificates = (
        *held.attachments["signing-certificate"],
        credential("CertificateId", "CERT2", "Inactive"),
    )
    held = replace(held, attachments={**held.attachments, "signing-certificate": certificates})
    known = history.with_calls([(restored, "done"), (DETACHING, "unknown")], LATER)
    record = record_to_release(held, known, LATEST)
    assert record is not None
    assert (record.deny, record.deactivated) == (ATTACHED, ("ACCA1", "AKIA1", "APKA1", "CERT1"))


def test_a_boundary_that_somebody_set_does_not_stand_for_our_attached_deny() -> None:
    before = user(inline_policy=FULL_INLINE, **CREDENTIALS)
    held, history = in_quarantine(before)
    boundary = ({"PermissionsBoundaryArn": DENY_ALL["PolicyArn"]},)
    bare = replace(
        held, attachments={**held.attachments, "attached-policy": (), "permissions-boundary": boundary}
    )
    record = record_to_release(bare, history, LATER)
    assert record is not None
    assert lapses(bare, record) == ["its Deny-all is gone or was changed"]
    released = plan_release(bare, record, history, boundary)
    assert [call.operation for call in released.plan.calls] == ["UntagUser"]


MANY = tuple(credential("AccessKeyId", f"AKIA{number:016d}") for number in range(17))


def test_ids_that_the_deny_has_no_room_for_are_in_the_journal_alone() -> None:
    policy = {"PolicyName": "big", "PolicyDocument": {"Sid": "x" * (INLINE_QUOTA - 200)}}
    before = user(inline_policy=(policy,), access_key=MANY)
    planned = quarantine(before)
    document = json.loads(planned.plan.calls[0].parameters["PolicyDocument"])
    assert document["Statement"][0]["Sid"] == "Quarantined20261124T180005ZJournaled"
    held, history = in_quarantine(before)
    record = quarantine_of(held, history)
    assert record == planned.record
    assert record.known
    assert apply(held, release(held, record, history, before).plan).attachments == before.attachments

    unknown = quarantine_of(held)
    assert unknown == QuarantineRecord(SINCE, "", "", known=False)
    assert lapses(held, unknown) == []
    planned_release = release(held, unknown, NOTHING_KNOWN, before)
    assert [call.operation for call in planned_release.plan.calls] == ["DeleteUserPolicy", "UntagUser"]
    (note,) = planned_release.notes
    assert "journal of the quarantine of 2026-11-24 18:00 UTC is missing" in note.text
    assert all(key["AccessKeyId"] in note.text for key in MANY)


SEALED = QuarantineRecord(SINCE, "", "", ("AKIA1",))
TOLD = QuarantineRecord(SINCE, "park", "unused", ("AKIA1", "AKIA2"))
JOURNALED = QuarantineRecord(SINCE, "", "", known=False)
DAY = timedelta(days=1)


def denied(sid: str, **attachments: Any) -> IamUser:
    document = json.loads(deny_all_document(sid))
    return user(inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": document},), **attachments)


PARKED = user(attached_policy=(DENY_ALL,))
BOUNDED = user(**bound(DENY_ALL["PolicyArn"]))
ATTACHING = ApiCall("iam", "AttachUserPolicy", {"UserName": "alice", "PolicyArn": DENY_ALL["PolicyArn"]})
BINDING = ApiCall(
    "iam",
    "PutUserPermissionsBoundary",
    {"UserName": "alice", "PermissionsBoundary": DENY_ALL["PolicyArn"]},
    notes={"former-boundary": ""},
)
DETACHING = replace(ATTACHING, operation="DetachUserPolicy")


@pytest.mark.parametrize(
    ("given", "recorded", "expected"),
    [
        pytest.param(denied(SEALED.sids[0]), None, SEALED, id="the-deny-says-all"),
        pytest.param(denied(SEALED.sids[0]), TOLD, SEALED, id="the-deny-says-all-and-the-journal-too"),
        pytest.param(denied(SEALED.sids[1]), None, JOURNALED, id="the-journal-is-not-at-hand"),
        pytest.param(denied(SEALED.sids[1]), TOLD, TOLD, id="the-journal-is"),
        pytest.param(
            denied(SEALED.sids[1]),
            replace(TOLD, since=SINCE - DAY),
            JOURNALED,
            id="the-journal-is-of-another",
        ),
        pytest.param(
            denied(SEALED.sids[0]),
            replace(TOLD, since=SINCE - DAY),
            SEALED,
            id="the-journal-is-of-an-earlier",
        ),
        pytest.param(
            denied(SEALED.sids[0]),
            replace(TOLD, since=SINCE + DAY),
            replace(TOLD, since=SINCE + DAY),
            id="the-journal-is-of-a-later",
        ),
        pytest.param(
            denied(SEALED.sids[0] + "Deletion20261201T000000Z"), None, SEALED, id="a-deletion-is-under-way"
        ),
        pytest.param(denied("Deletion20261201T000000Z"), None, None, id="a-deletion-alone"),
        pytest.param(denied("Deletion20261201T000000Z"), TOLD, None, id="a-deletion-after-a-release"),
        pytest.param(denied(""), None, None, id="a-deny-that-says-nothing"),
        pytest.param(denied("SomeoneElse"), None, None, id="a-deny-that-says-something-else"),
        pytest.param(user(), TOLD, None, id="the-deny-is-gone"),
        pytest.param(PARKED, TOLD, None, id="another-deny-stands"),
        pytest.param(PARKED, None, None, id="attached-by-anybody"),
        pytest.param(BOUNDED, None, None, id="bounded-by-anybody"),
        pytest.param(BOUNDED, replace(TOLD, deny="boundary"), replace(TOLD, deny="boundary"), id="bounded"),
        pytest.param(PARKED, replace(TOLD, deny="boundary"), None, id="no-longer-bounded"),
        pytest.param(user(), replace(TOLD, deny="attached"), None, id="no-longer-attached"),
        pytest.param(user(), replace(TOLD, deny="own"), None, id="no-longer-parked"),
    ],
)
def test_a_quarantine_is_what_deny_and_journal_tell(
    given: IamUser, recorded: QuarantineRecord | None, expected: QuarantineRecord | None
) -> None:
    history = CallHistory(record=recorded)
    if recorded and recorded.deny == "boundary":
        history = journal([BINDING], recorded)
    assert quarantine_of(given, history) == expected


def test_an_attached_deny_of_somebody_else_revives_no_quarantine_that_was_released() -> None:
    record = replace(TOLD, deny="attached")
    standing = journal([ATTACHING], record)
    assert quarantine_of(PARKED, standing) == record
    assert quarantine_of(PARKED, journal([DETACHING], record, LATER, standing)) is None


@pytest.mark.parametrize(
    ("sid", "begun"),
    [
        pytest.param("Deletion20261201T063000Z", "on 2026-12-01 06:30 UTC", id="deletion"),
        pytest.param(
            SEALED.sids[0] + "Deletion20261201T063000Z", "on 2026-12-01 06:30 UTC", id="from-quarantine"
        ),
        pytest.param("", "at an unknown time", id="of-the-version-before"),
        pytest.param("SomeoneElse", "at an unknown time", id="unknown"),
        pytest.param(SEALED.sids[0], None, id="quarantine"),
        pytest.param(SEALED.sids[1], None, id="quarantine-in-the-journal"),
    ],
)
def test_the_deny_records_a_deletion_in_progress(sid: str, begun: str | None) -> None:
    assert deletion_begun(denied(sid)) == begun
    assert deletion_begun(user()) is None
    assert deletion_begun(PARKED) is None
    assert deletion_begun(BOUNDED) is None


def test_a_deletion_keeps_what_a_release_needs() -> None:
    before = user(**CREDENTIALS)
    held, _ = in_quarantine(before)
    record = quarantine_of(held)
    put, *_ = plan_deletion(held, LATER, quarantine=record).calls
    begun = apply(held, Plan(held.subject, (put,)))
    assert quarantine_of(begun) == record
    assert deletion_begun(begun) == "on 2026-12-01 00:00 UTC"


@pytest.mark.parametrize(
    ("document", "held"),
    [
        pytest.param({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}, False, id="allow"),
        pytest.param(
            {"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {}}}},
            False,
            id="conditional",
        ),
        pytest.param(
            {"Statement": [{"Effect": "Deny", "Action": ["s3:*"], "Resource": "*"}]}, False, id="part"
        ),
        pytest.param({"Statement": {"Effect": "Deny", "Action": ["*"], "Resource": "*"}}, True, id="whole"),
    ],
)
def test_a_policy_of_our_name_counts_only_if_it_denies_everything(document: Any, held: bool) -> None:
    ours = user(inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": document},))
    planned = quarantine(ours)
    operations = [call.operation for call in planned.plan.calls]
    assert operations == ["PutUserPolicy" if held else "AttachUserPolicy", "TagUser"]
    assert (lapses(ours, planned.record) == []) is held
    statements = document["Statement"]
    (statement,) = statements if isinstance(statements, list) else [statements]
    signed = {"Statement": [{**statement, "Sid": SEALED.sids[0]}]}
    claims = user(inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": signed},))
    assert quarantine_of(claims) == (SEALED if held else None)


@pytest.mark.parametrize(
    ("further", "refused"),
    [
        pytest.param({}, (INLINE, ATTACHED, BOUNDARY), id="none-is-allowed"),
        pytest.param(NO_ROOM, (BOUNDARY,), id="no-room-and-no-boundary"),
        pytest.param({"inline_policy": FULL_INLINE}, (ATTACHED, BOUNDARY), id="no-room-and-none-allowed"),
    ],
)
def test_without_a_possible_deny_credentials_are_deactivated(
    further: dict[str, Any], refused: tuple[str, ...]
) -> None:
    given = user(**CREDENTIALS, **further)
    planned = quarantine(given, refused=refused)
    assert "user alice of account 111122223333: no Deny-all can be put on it" in text_of(planned.problem)
    assert not [call for call in planned.plan.calls if is_denial(call)]
    assert (planned.record.deny, planned.record.deactivated) == ("none", ("ACCA1", "AKIA1", "APKA1", "CERT1"))
    held = apply(given, planned.plan)
    history = journal(planned.plan.calls, planned.record)
    assert quarantine_of(held, history) is None
    assert lapses(held, planned.record) == ["its Deny-all is gone or was changed"]


def test_an_existing_deny_is_enough_if_no_form_is_allowed() -> None:
    everything = (INLINE, ATTACHED, BOUNDARY)
    for given in (PARKED, BOUNDED, denied("")):
        planned = quarantine(given, refused=everything)
        assert planned.problem is None
        assert [call.operation for call in planned.plan.calls] == ["TagUser"]


def test_as_aws_deny_all_no_inline_deny_counts_that_anybody_may_have_made_up() -> None:
    forged = denied(SEALED.sids[0])
    assert quarantine(forged).plan.calls == ()
    planned = plan_quarantine(forged, NOW, "park", "unused for 90 days", aws_deny_all=True)
    assert [call.operation for call in planned.plan.calls] == ["AttachUserPolicy"]
    assert (planned.record.deny, planned.record.since) == ("attached", NOW.replace(microsecond=0))


@pytest.mark.parametrize(
    ("tags", "tagged"),
    [
        pytest.param({}, True, id="none"),
        pytest.param(dict.fromkeys(list(FULL_TAGS)[:49], "v"), True, id="room-for-one"),
        pytest.param(FULL_TAGS, False, id="no-room"),
        pytest.param(
            {**dict.fromkeys(list(FULL_TAGS)[:49], "v"), QUARANTINE_TAG: "old"}, True, id="in-place-of-ours"
        ),
    ],
)
def test_a_tag_is_added_if_there_is_room(tags: dict[str, str], tagged: bool) -> None:
    planned = quarantine(user(tags=tags, **CREDENTIALS))
    made = [call.parameters for call in planned.plan.calls if call.operation == "TagUser"]
    assert made == ([{"UserName": "alice", "Tags": [planned.record.tag()]}] if tagged else [])
    assert (planned.notes, planned.problem) == ((), None)


def tagged(of: IamUser, value: str = "2020-01-01T00:00:00Z deny=attached by me: I said so") -> IamUser:
    claims = {**of.tags, QUARANTINE_TAG: value}
    tags = tuple({"Key": key, "Value": value} for key, value in claims.items())
    return replace(of, detail={**of.detail, "Tags": tags}, attachments={**of.attachments, "tag": tags})


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(user(**CREDENTIALS), id="free"),
        pytest.param(user(attached_policy=(DENY_ALL,), **CREDENTIALS), id="parked"),
        pytest.param(user(**bound(DENY_ALL["PolicyArn"]), **CREDENTIALS), id="bounded"),
        pytest.param(denied("", **CREDENTIALS), id="in-deletion"),
    ],
)
def test_a_tag_alone_makes_no_quarantine(given: IamUser) -> None:
    liar = tagged(given)
    assert quarantine_of(liar) is None
    planned = quarantine(liar)
    assert planned.record == quarantine(given).record
    assert [c.operation for c in planned.plan.calls] == [c.operation for c in quarantine(given).plan.calls]


def test_a_forged_tag_does_not_outrank_the_deny() -> None:
    before = user(**CREDENTIALS)
    held, history = in_quarantine(before)
    liar = tagged(held)
    assert quarantine_of(liar, history) == quarantine_of(held, history)
    record = quarantine_of(liar, history)
    assert record is not None
    assert apply(liar, release(liar, record, history, before).plan).attachments == before.attachments


@pytest.mark.parametrize(
    "tags", [{}, {"c7n-iamusers-quarantine": "2020-01-01T00:00:00Z deny=inline by me: so"}]
)
def test_without_journal_a_tag_of_that_quarantine_shows_that_it_ended(tags: dict[str, str]) -> None:
    held, _ = in_quarantine(user(**CREDENTIALS))
    ended = quarantine_of(held)
    assert ended is not None
    assert (ended.deactivated, ended.dropped) == (("ACCA1", "AKIA1", "APKA1", "CERT1"), ())
    bare = {**held.attachments, "tag": ()}
    unproven = replace(held, detail={**held.detail, "Tags": _as_tags(tags)}, attachments=bare)
    record = quarantine_of(unproven)
    assert record is not None
    assert (record.deactivated, record.dropped) == ((), ended.deactivated)
    planned = plan_release(unproven, record, NOTHING_KNOWN, ())
    assert not [call for call in planned.plan.calls if "Status" in call.parameters]
    assert "no journal here shows that this tool deactivated them" in text_of(planned.notes[0])


def test_without_journal_a_release_names_what_the_record_does_not() -> None:
    held, history = in_quarantine(user(access_key=({"AccessKeyId": "AKIA1", "Status": "Active"},)))
    keys = (*held.attachments["access-key"], {"AccessKeyId": "AKIA2", "Status": "Inactive"})
    two = replace(held, attachments={**held.attachments, "access-key": keys})
    for known, named in ((NOTHING_KNOWN, 1), (history, 0)):
        record = quarantine_of(two, known)
        assert record is not None
        notes = plan_release(two, record, known, ()).notes
        told = [each.text for each in notes]
        unknown = [each for each in told if "unknown whether these were active before it" in each]
        assert [each.endswith("AKIA2; activate by hand the ones that are needed") for each in unknown] == [
            True
        ] * named


def _as_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def test_a_release_takes_off_only_a_deny_that_is_ours() -> None:
    held, history = in_quarantine(user(attached_policy=(DENY_ALL,), **CREDENTIALS))
    record = quarantine_of(held, history)
    assert record is not None
    lifts = [call for call in plan_release(held, record, history, ()).plan.calls if is_denial(call)]
    assert [call.operation for call in lifts] == ["DeleteUserPolicy"]
    ours = journal([ATTACHING], record, NOW, history)
    lifts = [call for call in plan_release(held, record, ours, ()).plan.calls if is_denial(call)]
    assert [call.operation for call in lifts] == ["DeleteUserPolicy", "DetachUserPolicy"]


@pytest.mark.parametrize(
    ("former", "calls"),
    [
        pytest.param((), ["DeleteUserPermissionsBoundary"], id="none"),
        pytest.param(({"PermissionsBoundaryArn": READ_ONLY},), ["PutUserPermissionsBoundary"], id="another"),
        pytest.param(({"PermissionsBoundaryArn": DENY_ALL["PolicyArn"]},), [], id="the-same"),
        pytest.param(None, None, id="unknown"),
    ],
)
def test_a_boundary_is_restored_or_nothing_is_done(
    former: tuple[Item, ...] | None, calls: list[str] | None
) -> None:
    held, history = in_quarantine(user(**NO_ROOM, **CREDENTIALS))
    record = quarantine_of(held, history)
    assert record is not None
    planned = plan_release(held, record, history, former)
    made = [call for call in planned.plan.calls if "Boundary" in call.operation]
    if calls is None:
        assert planned.plan.calls == ()
        assert "name that output in record-from" in text_of(planned.problem)
        return
    assert [call.operation for call in made] == calls
    assert [call.parameters.get("PermissionsBoundary") for call in made] == (
        [READ_ONLY] if calls == ["PutUserPermissionsBoundary"] else [None] * len(calls)
    )
    assert planned.problem is None


def test_an_attached_deny_that_the_journal_does_not_know_stays() -> None:
    held, record = user(attached_policy=(DENY_ALL,)), QuarantineRecord(SINCE, "park", "unused", deny=ATTACHED)
    assert plan_release(held, record, NOTHING_KNOWN, ()).plan.calls == ()


def test_a_quarantine_whose_deny_is_gone_is_put_on_anew_and_takes_nothing_over() -> None:
    before = user(**CREDENTIALS)
    held, history = in_quarantine(before)
    gone = replace(
        held, attachments={**held.attachments, "inline-policy": before.attachments["inline-policy"]}
    )
    for keep in (True, False):
        again = plan_quarantine(gone, LATER, "park", "unused", history, keep=keep)
        assert [call.operation for call in again.plan.calls][:1] == ["PutUserPolicy"], keep
        assert (again.record.since, again.record.deactivated) == (LATER.replace(microsecond=0), ())


@pytest.mark.parametrize(
    ("days", "ours"),
    [
        pytest.param(-9, True, id="of-before-so-put-beside-it"),
        pytest.param(0, False, id="of-its-own-time"),
        pytest.param(9, False, id="of-a-later-quarantine"),
    ],
)
def test_an_inline_deny_beside_our_aws_deny_all_does_not_say_since_when(days: float, ours: bool) -> None:
    """A quarantine that began later would have met it."""
    before = user(**CREDENTIALS)
    planned = plan_quarantine(before, NOW, "park", "unused", aws_deny_all=True)
    held, history = apply(before, planned.plan), journal(planned.plan.calls, planned.record)
    sid = QuarantineRecord(SINCE + timedelta(days=days), "", "").sids[0]
    inline = {"PolicyName": DENY_ALL_NAME, "PolicyDocument": deny_all_document(sid)}
    beside = replace(held, attachments={**held.attachments, "inline-policy": (inline,)})
    found = quarantine_of(beside, history)
    assert found is not None
    assert (found.deny != "inline") is ours
    assert found.since == SINCE + timedelta(days=0 if ours else days)


@pytest.mark.parametrize(
    ("lasts", "is_ours"),
    [
        (timedelta(), False),
        (timedelta(seconds=1), True),
        (LONGEST_BROWNOUT, True),
        (LONGEST_BROWNOUT + timedelta(seconds=1), False),
    ],
)
def test_a_brownout_lasts_as_long_as_one_may(lasts: timedelta, is_ours: bool) -> None:
    brownout = Brownout(NOW, NOW + lasts)
    policy = {"PolicyName": _BROWNOUT, "PolicyDocument": brownout.document}
    assert (brownout_in(policy) is not None) is is_ours


@pytest.mark.parametrize(("begin", "end"), [("20269911", "20261112"), ("20261111", "20269912")])
def test_a_brownout_without_a_time_is_none_of_ours(begin: str, end: str) -> None:
    statement = {"Sid": f"Brownout{begin}T000000ZUntil{end}T000000Z", "Effect": "Deny"}
    policy = {"PolicyName": _BROWNOUT, "PolicyDocument": {"Statement": [statement]}}
    assert brownout_in(policy) is None


@pytest.mark.parametrize(
    ("operation", "name", "changes"),
    [
        ("PutUserPolicy", _BROWNOUT, True),
        ("DeleteUserPolicy", _BROWNOUT, True),
        ("GetUserPolicy", _BROWNOUT, False),
        ("PutUserPolicy", "x", False),
    ],
)
def test_which_call_changes_a_brownout(operation: str, name: str, changes: bool) -> None:
    assert is_brownout(_Call("iam", operation, {"PolicyName": name})) is changes
