# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from c7n_iamusers.deletion.plan import plan_deletion
from c7n_iamusers.exceptions import DenyRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, DENIED, ApiCall, Plan
from c7n_iamusers.iam.policy_documents import PolicyVersion
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import (
    ATTACHED,
    BOUNDARY,
    DENY_ALL_NAME,
    INLINE,
    INLINE_QUOTA,
    deny_all_document,
    deny_form,
    is_denial,
)
from c7n_iamusers.lockout.lockout_state import deletion_begun, deny_record_of
from c7n_iamusers.lockout.quarantine_record import DenyRecord, QuarantineRecord
from c7n_iamusers.snapshots.snapshot import Snapshot
from tests.records import ACCOUNT, EVERYTHING, groups, user

pytestmark = pytest.mark.pure

NOW = datetime(2026, 11, 24, 18, 0, 5, 123, tzinfo=timezone.utc)
BEGUN = NOW.replace(microsecond=0)
SID = "Deletion20261124T180005Z"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
QUARANTINED = QuarantineRecord(
    datetime(2026, 11, 1, tzinfo=timezone.utc), "park", "unused", ("AKIA1", "CERT1")
)


def plan(
    planned: IamUser,
    refused: Collection[str] = (),
    quarantine: QuarantineRecord | None = None,
    now: datetime = NOW,
) -> Plan:
    return plan_deletion(planned, now, quarantine=quarantine, refused=dict.fromkeys(refused, "AccessDenied"))


def operations(planned: IamUser, refused: Collection[str] = ()) -> list[str]:
    return [call.operation for call in plan(planned, refused).calls]


def our_deny(sid: str = "") -> dict[str, Any]:
    return {"PolicyName": DENY_ALL_NAME, "PolicyDocument": json.loads(deny_all_document(sid))}


def _inline(characters: int) -> tuple[dict[str, object], ...]:
    return ({"PolicyName": "big", "PolicyDocument": {"Sid": "x" * characters}},)


def _attached(count: int) -> tuple[dict[str, str], ...]:
    return tuple({"PolicyName": f"p{n}", "PolicyArn": f"arn:aws:iam::aws:policy/p{n}"} for n in range(count))


def test_the_order_is_credentials_first_policies_last() -> None:
    assert operations(user(**EVERYTHING)) == [
        "PutUserPolicy",
        "DeleteLoginProfile",
        "DeleteAccessKey",
        "DeleteAccessKey",
        "DeleteSigningCertificate",
        "DeleteSSHPublicKey",
        "DeleteServiceSpecificCredential",
        "DeactivateMFADevice",
        "DeleteVirtualMFADevice",
        "DeactivateMFADevice",
        "DeactivateMFADevice",
        "DeleteUserPolicy",  # it has no statement, and the others are not known here
        "RemoveUserFromGroup",
        "DetachUserPolicy",
        "PutUserPermissionsBoundary",
        "DeleteUserPolicy",
        "DeleteUser",
    ]


ALLOWS, DENIES = ({"Effect": effect, "Action": "s3:*", "Resource": "*"} for effect in ("Allow", "Deny"))
#: What alice has of each kind -> its statements; None: they are not known.
HOLDS: dict[str, list[Any] | None] = {
    "denies": [DENIES],
    "mixed": [ALLOWS, DENIES],
    "allows": [ALLOWS],
    "unknown": None,
    "empty": [],
}


def test_what_allows_goes_first_and_what_may_deny_last_only_under_the_deny() -> None:
    documents = {name: {"Statement": found} for name, found in HOLDS.items() if found is not None}
    arns = {name: f"arn:aws:iam::{ACCOUNT}:policy/{name}" for name in HOLDS}
    holder = user(
        group=groups(*HOLDS),
        attached_policy=tuple({"PolicyName": name, "PolicyArn": arn} for name, arn in arns.items()),
        inline_policy=tuple(
            {"PolicyName": name, "PolicyDocument": documents.get(name, "{")} for name in HOLDS
        ),
    )
    known = Snapshot(
        holder,
        NOW,
        "",
        groups=tuple(
            {"GroupName": name, "GroupPolicyList": [{"PolicyName": "own", "PolicyDocument": document}]}
            for name, document in documents.items()
        ),
        policies=tuple(PolicyVersion.of(arns[name], "v1", document) for name, document in documents.items()),
    )
    calls = plan_deletion(holder, NOW, snapshot=known).calls[1:-3]
    removed = [
        (str([*call.parameters.values()][-1]).rpartition("/")[2], DENIED in call.checked) for call in calls
    ]
    plain = [("allows", False), ("empty", False)]
    assert removed == [*plain * 3, *[("mixed", True), ("unknown", True)] * 3, *[("denies", True)] * 3]


REFUSED = [
    pytest.param((), "PutUserPolicy", "DeleteUserPolicy", id="inline"),
    pytest.param((INLINE,), "AttachUserPolicy", "DetachUserPolicy", id="attached"),
    pytest.param((INLINE, ATTACHED), "PutUserPermissionsBoundary", None, id="boundary"),
    pytest.param((BOUNDARY,), "PutUserPolicy", "DeleteUserPolicy", id="no-boundary"),
    pytest.param((ATTACHED,), "PutUserPolicy", "DeleteUserPolicy", id="no-attached"),
]


@pytest.mark.parametrize(("refused", "put", "lift"), REFUSED)
def test_the_deny_all_is_put_first_and_removed_last(
    refused: tuple[str, ...], put: str, lift: str | None
) -> None:
    first, *others, end = plan(user(**EVERYTHING), refused).calls
    assert (first.operation, end.operation) == (put, "DeleteUser")
    assert is_denial(first)
    bound = [] if BOUNDARY in refused or not lift else ["PutUserPermissionsBoundary"]
    expected = [*bound, lift] if lift else []
    assert [call.operation for call in others if is_denial(call)] == expected
    assert others[len(others) - len(expected) :] == [call for call in others if is_denial(call)]


@pytest.mark.parametrize(("refused", "put", "lift"), REFUSED)
def test_the_boundary_is_never_taken_off(refused: tuple[str, ...], put: str, lift: str | None) -> None:
    assert "DeleteUserPermissionsBoundary" not in operations(user(**EVERYTHING), refused)


def test_the_deny_all_is_an_inline_policy_with_its_time() -> None:
    first, *_ = plan(user(**EVERYTHING)).calls
    assert first.parameters["PolicyName"] == DENY_ALL_NAME
    assert json.loads(first.parameters["PolicyDocument"]) == {
        "Version": "2012-10-17",
        "Statement": [{"Sid": SID, "Effect": "Deny", "Action": "*", "Resource": "*"}],
    }


def test_the_time_in_the_deny_all_is_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    assert plan(user(**EVERYTHING), now=elsewhere) == plan(user(**EVERYTHING))


def test_a_deny_all_as_the_boundary_is_deleted_with_the_user() -> None:
    first, *others = plan(user(**EVERYTHING), (INLINE, ATTACHED)).calls
    assert first.parameters == {"UserName": "alice", "PermissionsBoundary": DENY_ALL}
    assert not [call for call in others if is_denial(call)]


@pytest.mark.parametrize(
    ("bound", "former"),
    [
        pytest.param((), "", id="none"),
        pytest.param(({"PermissionsBoundaryArn": READ_ONLY},), READ_ONLY, id="another"),
    ],
)
def test_what_the_boundary_replaces_is_noted(bound: tuple[dict[str, str], ...], former: str) -> None:
    given = user(permissions_boundary=bound, group=groups("Developers"))
    for refused in ((INLINE, ATTACHED), (INLINE,), ()):
        (call,) = (each for each in plan(given, refused).calls if "PermissionsBoundary" in each.parameters)
        assert call.notes == {"for": "deletion", "former-boundary": former}


def test_calls_that_could_hit_another_user_are_checked() -> None:
    for refused, checked in (
        ((), {AFTER}),
        ((INLINE,), {AFTER}),
        ((INLINE, ATTACHED), {BEFORE, AFTER}),
    ):
        first, *others, end = plan(user(**EVERYTHING), refused).calls
        assert (set(first.checked), set(end.checked)) == (checked, {BEFORE})
        assert first.notes["for"] == "deletion"
        # what takes our Deny off could take a stranger's, which has AWSDenyAll as its boundary by then
        denials = [call for call in others if is_denial(call)]
        assert [call for call in others if BEFORE in call.checked] == denials[:1]
        assert {frozenset({BEFORE}), frozenset({DENIED})} >= {call.checked for call in others if call.checked}
    *_, lift, _end = plan(user(**EVERYTHING), (BOUNDARY,)).calls
    assert (is_denial(lift), set(lift.checked)) == (True, {BEFORE})


def test_calls_carry_what_they_act_on() -> None:
    calls = plan(user(**EVERYTHING)).calls
    virtual = [call for call in calls if call.operation == "DeleteVirtualMFADevice"]
    assert [dict(call.parameters) for call in virtual] == [
        {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/alice"}
    ]
    keys = [dict(call.parameters) for call in calls if call.operation == "DeleteAccessKey"]
    assert keys == [
        {"UserName": "alice", "AccessKeyId": "AKIA1"},
        {"UserName": "alice", "AccessKeyId": "AKIA2"},
    ]


@pytest.mark.parametrize(("refused", "put", "lift"), REFUSED)
def test_removals_take_gone_for_done_and_the_deny_all_does_not(
    refused: tuple[str, ...], put: str, lift: str | None
) -> None:
    calls = plan(user(**EVERYTHING), refused).calls
    puts = [call for call in calls if deny_form(call)]
    assert calls[0] in puts
    assert [call.done_codes for call in puts] == [frozenset()] * len(puts)
    assert all(call.done_codes == {"NoSuchEntity"} for call in calls if call not in puts)


@pytest.mark.parametrize(
    ("sid", "quarantine", "put", "says"),
    [
        pytest.param(SID, None, None, DenyRecord(None, BEGUN), id="of-a-deletion-that-was-stopped"),
        pytest.param("Deletion20260101T000000Z", None, None, None, id="of-an-older-one"),
        pytest.param(
            f"{QUARANTINED.sids[0]}{SID}", QUARANTINED, None, None, id="of-a-deletion-from-quarantine"
        ),
        pytest.param("", None, SID, DenyRecord(None, BEGUN), id="of-the-version-before"),
        pytest.param("SomeoneElse", None, SID, DenyRecord(None, BEGUN), id="of-somebody"),
        pytest.param(
            QUARANTINED.sids[0],
            QUARANTINED,
            f"{QUARANTINED.sids[0]}{SID}",
            DenyRecord(QuarantineRecord(QUARANTINED.since, "", "", QUARANTINED.deactivated), BEGUN),
            id="of-a-quarantine",
        ),
        pytest.param(
            QUARANTINED.sids[1],
            replace(QUARANTINED, known=False),
            f"{QUARANTINED.sids[1]}{SID}",
            DenyRecord(QuarantineRecord(QUARANTINED.since, "", "", known=False), BEGUN),
            id="of-a-quarantine-in-the-journal",
        ),
    ],
)
def test_an_existing_deny_all_is_replaced_only_for_more_details(
    sid: str, quarantine: QuarantineRecord | None, put: str | None, says: DenyRecord | None
) -> None:
    held = user(inline_policy=(our_deny(sid), {"PolicyName": "s3", "PolicyDocument": {}}))
    calls = plan(held, quarantine=quarantine).calls
    first = ["PutUserPolicy"] if put else []
    last = ["PutUserPermissionsBoundary", "DeleteUserPolicy", "DeleteUser"]
    assert [c.operation for c in calls] == [*first, "DeleteUserPolicy", *last]
    deleted = [call.parameters["PolicyName"] for call in calls if call.operation == "DeleteUserPolicy"]
    assert deleted == ["s3", DENY_ALL_NAME]
    if put:
        document = json.loads(calls[0].parameters["PolicyDocument"])
        assert document["Statement"][0]["Sid"] == put
        renewed = user(inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": document},))
        assert deny_record_of(renewed) == says
        assert deletion_begun(renewed) == "on 2026-11-24 18:00 UTC"


def test_a_policy_of_our_name_that_denies_only_a_part_is_not_replaced() -> None:
    partial = {"Statement": [{"Sid": SID, "Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
    held = user(inline_policy=({"PolicyName": DENY_ALL_NAME, "PolicyDocument": partial},))
    assert operations(held) == [
        "AttachUserPolicy",
        "DeleteUserPolicy",
        "PutUserPermissionsBoundary",
        "DetachUserPolicy",
        "DeleteUser",
    ]


def test_a_record_for_which_there_is_no_room_stays_in_the_journal() -> None:
    many = replace(QUARANTINED, deactivated=tuple(f"AKIA{n:016d}" for n in range(17)))
    room = INLINE_QUOTA - len(deny_all_document(many.sids[1] + SID)) - len('{"Sid":""}')
    calls = plan(user(inline_policy=_inline(room)), quarantine=many).calls
    assert json.loads(calls[0].parameters["PolicyDocument"])["Statement"][0]["Sid"] == many.sids[1] + SID
    less = plan(user(inline_policy=_inline(room + 1)), quarantine=many).calls
    assert less[0].operation == "AttachUserPolicy"


def test_a_boundary_that_denies_all_is_not_set_again() -> None:
    bounded = user(permissions_boundary=({"PermissionsBoundaryArn": DENY_ALL},), group=groups("Developers"))
    assert operations(bounded, (INLINE, ATTACHED)) == ["RemoveUserFromGroup", "DeleteUser"]
    assert operations(bounded, (INLINE, ATTACHED, BOUNDARY)) == ["RemoveUserFromGroup", "DeleteUser"]


@pytest.mark.parametrize(
    "bound",
    [
        pytest.param((), id="unbound"),
        pytest.param(({"PermissionsBoundaryArn": READ_ONLY},), id="bound-otherwise"),
        pytest.param(({"PermissionsBoundaryArn": DENY_ALL},), id="bound-already"),
    ],
)
@pytest.mark.parametrize(
    ("held", "first"),
    [
        pytest.param({"inline_policy": (our_deny(SID),)}, [], id="inline"),
        pytest.param({"inline_policy": (our_deny(),)}, ["PutUserPolicy"], id="inline-that-says-nothing"),
        pytest.param(
            {"attached_policy": ({"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL},)},
            ["PutUserPolicy"],
            id="attached-by-anybody",
        ),
    ],
)
def test_a_deny_stays_on_the_user_until_it_is_gone(
    held: dict[str, Any], first: list[str], bound: tuple[dict[str, str], ...]
) -> None:
    calls = plan(user(permissions_boundary=bound, login_profile=({"UserName": "alice"},), **held)).calls
    made = [call.operation for call in calls]
    assert made[: len(first) + 1] == [*first, "DeleteLoginProfile"]
    assert made.count("PutUserPolicy") == len(first)
    assert made[-2:] == ["DeleteUserPolicy", "DeleteUser"]
    assert calls[-2].parameters["PolicyName"] == DENY_ALL_NAME
    # DeleteUser does not mind a boundary: AWSDenyAll is there before the policy goes, and stays
    bounds = [number for number, operation in enumerate(made) if "Boundary" in operation]
    assert bounds == ([] if bound == ({"PermissionsBoundaryArn": DENY_ALL},) else [len(made) - 3])
    assert all(calls[number].parameters["PermissionsBoundary"] == DENY_ALL for number in bounds)


def test_a_bare_user_needs_no_deny_all() -> None:
    assert operations(user(tags={"Team": "a"})) == ["DeleteUser"]


@pytest.mark.parametrize(
    ("operation", "given", "denial"),
    [
        ("PutUserPolicy", {"PolicyName": DENY_ALL_NAME, "PolicyDocument": deny_all_document()}, True),
        ("PutUserPolicy", {"PolicyName": DENY_ALL_NAME, "PolicyDocument": "{}"}, False),
        ("PutUserPolicy", {"PolicyName": "other", "PolicyDocument": deny_all_document()}, False),
        ("DeleteUserPolicy", {"PolicyName": DENY_ALL_NAME}, True),
        ("DeleteUserPolicy", {"PolicyName": "other"}, False),
        ("AttachUserPolicy", {"PolicyArn": DENY_ALL}, True),
        ("AttachUserPolicy", {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, False),
        ("AttachUserPolicy", {"PolicyArn": "arn:aws:iam::111122223333:policy/AWSDenyAll"}, False),
        ("PutUserPermissionsBoundary", {"PermissionsBoundary": DENY_ALL}, True),
        ("PutUserPermissionsBoundary", {"PermissionsBoundary": READ_ONLY}, False),
        ("DetachUserPolicy", {"PolicyArn": DENY_ALL}, True),
        ("DetachUserPolicy", {"PolicyArn": READ_ONLY}, False),
        ("DeleteUserPermissionsBoundary", {}, False),
        ("DeleteUser", {}, False),
    ],
)
def test_what_is_a_denial(operation: str, given: dict[str, str], denial: bool) -> None:
    call = ApiCall("iam", operation, {"UserName": "alice", **given})
    assert is_denial(call) is denial
    forms = {"PutUserPolicy": INLINE, "AttachUserPolicy": ATTACHED, "PutUserPermissionsBoundary": BOUNDARY}
    assert deny_form(call) == (forms.get(operation, "") if denial else "")


@pytest.mark.parametrize(
    ("inline", "attached", "refused", "first", "last"),
    [
        pytest.param(0, 10, (), "PutUserPolicy", "DeleteUserPolicy", id="inline-has-room"),
        pytest.param(INLINE_QUOTA, 9, (), "AttachUserPolicy", "DetachUserPolicy", id="attached-has-room"),
        pytest.param(
            INLINE_QUOTA, 10, (), "PutUserPermissionsBoundary", "DeleteUserPolicy", id="neither-has-room"
        ),
        pytest.param(
            INLINE_QUOTA, 10, (INLINE, ATTACHED), "PutUserPermissionsBoundary", "DeleteUserPolicy", id="both"
        ),
        pytest.param(
            INLINE_QUOTA, 9, (ATTACHED,), "PutUserPermissionsBoundary", "DeleteUserPolicy", id="half-of-each"
        ),
        pytest.param(
            0, 10, (INLINE,), "PutUserPermissionsBoundary", "DeleteUserPolicy", id="the-other-half-of-each"
        ),
    ],
)
def test_the_deny_takes_the_first_form_that_fits_and_is_allowed(
    inline: int, attached: int, refused: tuple[str, ...], first: str, last: str
) -> None:
    given = user(inline_policy=_inline(inline), attached_policy=_attached(attached))
    calls = plan(given, refused).calls
    assert (calls[0].operation, calls[-2].operation, calls[-1].operation) == (first, last, "DeleteUser")
    assert is_denial(calls[0])
    assert is_denial(calls[-2]) is (first != "PutUserPermissionsBoundary")
    if first != "PutUserPolicy":
        assert DENY_ALL in calls[0].parameters.values()


@pytest.mark.parametrize(
    ("held", "refused", "cause"),
    [
        pytest.param(
            {"group": groups("Developers")},
            (INLINE, ATTACHED, BOUNDARY),
            "AccessDenied: iam:PutUserPolicy, iam:AttachUserPolicy, iam:PutUserPermissionsBoundary. What to do: use a "
            "role that changes users, or allow this one these actions",
            id="none-is-allowed",
        ),
        pytest.param(
            {"inline_policy": _inline(INLINE_QUOTA), "attached_policy": _attached(10)},
            (BOUNDARY,),
            f"AccessDenied: iam:PutUserPermissionsBoundary; its inline policies use their quota of {INLINE_QUOTA} "
            "characters; 10 managed policies are attached to it. What to do: use a role that changes users, or allow "
            "this one these actions, or make room",
            id="no-room-and-no-boundary",
        ),
        pytest.param(
            {"inline_policy": _inline(INLINE_QUOTA)},
            (ATTACHED, BOUNDARY),
            "AccessDenied: iam:AttachUserPolicy, iam:PutUserPermissionsBoundary; its inline policies use",
            id="no-room-and-none-allowed",
        ),
    ],
)
def test_without_a_deny_all_nothing_is_planned(
    held: dict[str, Any], refused: tuple[str, ...], cause: str
) -> None:
    told = f"user alice of account {ACCOUNT}: no Deny-all can be put on it, and nothing is removed without one: {cause}"
    with pytest.raises(DenyRefused, match=re.escape(told)):
        plan(user(**held), refused)


@pytest.mark.parametrize(
    "held",
    [
        pytest.param({"inline_policy": (our_deny(),)}, id="inline"),
        pytest.param(
            {"attached_policy": ({"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL},)}, id="attached"
        ),
        pytest.param(
            {
                "permissions_boundary": ({"PermissionsBoundaryArn": DENY_ALL},),
                "access_key": EVERYTHING["access_key"],
            },
            id="boundary",
        ),
        pytest.param({"tags": {"Team": "a"}}, id="nothing-to-hold"),
    ],
)
def test_an_existing_deny_is_enough_if_no_form_is_allowed(held: dict[str, Any]) -> None:
    made = operations(user(**held), (INLINE, ATTACHED, BOUNDARY))
    assert made[-1] == "DeleteUser"
    assert not [operation for operation in made if operation.startswith(("Put", "Attach"))]


#: A quarantine's Deny, which may be all that another machine knows, beside a key.
IN_QUARANTINE = {"inline_policy": (our_deny(QUARANTINED.sids[0]),), "access_key": EVERYTHING["access_key"]}


@pytest.mark.parametrize(
    ("refused", "first", "last"),
    [
        ((), "PutUserPolicy", ["PutUserPermissionsBoundary", "DeleteUserPolicy", "DeleteUser"]),
        (
            (INLINE,),
            "AttachUserPolicy",
            ["PutUserPermissionsBoundary", "DetachUserPolicy", "DeleteUserPolicy", "DeleteUser"],
        ),
        ((INLINE, ATTACHED), "PutUserPermissionsBoundary", ["DeleteUserPolicy", "DeleteUser"]),
        ((INLINE, BOUNDARY), "AttachUserPolicy", ["DetachUserPolicy", "DeleteUserPolicy", "DeleteUser"]),
    ],
    ids=str,
)
def test_a_deletion_shows_beside_or_in_the_inline_deny_of_a_quarantine(
    refused: tuple[str, ...], first: str, last: list[str]
) -> None:
    made = operations(user(**IN_QUARANTINE), refused)
    assert made == [first, "DeleteAccessKey", "DeleteAccessKey", *last]


def test_a_deletion_that_nothing_would_show_is_refused() -> None:
    with pytest.raises(DenyRefused):
        plan(user(**IN_QUARANTINE), (INLINE, ATTACHED, BOUNDARY))


def test_an_attached_deny_all_is_detached_last_where_it_serves() -> None:
    held = (*_attached(9), {"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL})
    calls = plan(user(inline_policy=_inline(INLINE_QUOTA), attached_policy=held)).calls
    assert [call.operation for call in calls].count("DetachUserPolicy") == 10
    assert (calls[-2].operation, calls[-2].parameters["PolicyArn"]) == ("DetachUserPolicy", DENY_ALL)


def test_the_deny_all_is_of_the_users_partition() -> None:
    there = user(inline_policy=_inline(INLINE_QUOTA))
    china = replace(there, detail={**there.detail, "Arn": f"arn:aws-cn:iam::{ACCOUNT}:user/alice"})
    denial = "arn:aws-cn:iam::aws:policy/AWSDenyAll"
    assert plan(china).calls[0].parameters["PolicyArn"] == denial
    assert plan(china, (ATTACHED,)).calls[0].parameters["PermissionsBoundary"] == denial


def test_an_orphaned_device_is_deleted_and_not_deactivated() -> None:
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/old"
    calls = plan_deletion(user(), NOW, [{"SerialNumber": serial}]).calls
    found = [(call.operation, dict(call.parameters)) for call in calls if "MFA" in call.operation]
    assert found == [("DeleteVirtualMFADevice", {"SerialNumber": serial})]


def test_partial_knowledge_plans_nothing() -> None:
    known = user(**EVERYTHING)
    partial = {kind: items for kind, items in known.attachments.items() if kind != "access-key"}
    with pytest.raises(KeyError, match="access-key"):
        plan(replace(known, attachments=partial))
