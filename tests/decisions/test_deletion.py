# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from c7n_iamusers.decisions.deletion import is_denial, plan_deletion
from c7n_iamusers.decisions.deny_all import DENY_ALL_NAME, INLINE_QUOTA, deny_all_document
from c7n_iamusers.model.calls import ApiCall
from c7n_iamusers.model.iam_user import IamUser
from tests.records import ACCOUNT, EVERYTHING, groups, user

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def operations(planned: IamUser, by_boundary: bool = True) -> list[str]:
    return [call.operation for call in plan_deletion(planned, by_boundary=by_boundary).calls]


def test_everything_goes_credentials_first_policies_last() -> None:
    assert operations(user(**EVERYTHING)) == [
        "PutUserPermissionsBoundary",
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
        "RemoveUserFromGroup",
        "DetachUserPolicy",
        "DeleteUserPolicy",
        "DeleteUser",
    ]


@pytest.mark.parametrize("by_boundary", [True, False])
def test_the_boundary_is_never_taken_off(by_boundary: bool) -> None:
    assert "DeleteUserPermissionsBoundary" not in operations(user(**EVERYTHING), by_boundary)


def test_the_deny_all_is_the_boundary_and_goes_with_the_user() -> None:
    first, *others = plan_deletion(user(**EVERYTHING)).calls
    assert first.parameters == {"UserName": "alice", "PermissionsBoundary": DENY_ALL}
    assert not [call for call in others if is_denial(call)]


def test_where_boundaries_may_not_be_set_it_is_a_policy_and_lifted_last() -> None:
    calls = plan_deletion(user(**EVERYTHING), by_boundary=False).calls
    assert calls[0].parameters["PolicyName"] == DENY_ALL_NAME
    assert calls[-2].operation == "DeleteUserPolicy"
    assert calls[-2].parameters["PolicyName"] == DENY_ALL_NAME


def test_calls_carry_what_they_act_on() -> None:
    calls = plan_deletion(user(**EVERYTHING)).calls
    virtual = [call for call in calls if call.operation == "DeleteVirtualMFADevice"]
    assert [dict(call.parameters) for call in virtual] == [
        {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/alice"}
    ]
    keys = [dict(call.parameters) for call in calls if call.operation == "DeleteAccessKey"]
    assert keys == [
        {"UserName": "alice", "AccessKeyId": "AKIA1"},
        {"UserName": "alice", "AccessKeyId": "AKIA2"},
    ]


def test_removals_take_gone_for_done_and_the_deny_all_does_not() -> None:
    calls = plan_deletion(user(**EVERYTHING)).calls
    assert all(call.done_codes == {"NoSuchEntity"} for call in calls[1:])
    assert calls[0].done_codes == frozenset()


@pytest.mark.parametrize(
    ("by_boundary", "deny"), [(True, ["PutUserPermissionsBoundary"]), (False, [])], ids=["boundary", "none"]
)
def test_a_deny_all_that_stands_is_lifted_once_and_last(by_boundary: bool, deny: list[str]) -> None:
    document = json.loads(deny_all_document())
    left = (
        {"PolicyName": DENY_ALL_NAME, "PolicyDocument": document},
        {"PolicyName": "s3", "PolicyDocument": {}},
    )
    calls = plan_deletion(user(inline_policy=left), by_boundary=by_boundary).calls
    made = [call.operation for call in calls]
    assert made == [*deny, "DeleteUserPolicy", "DeleteUserPolicy", "DeleteUser"]
    deleted = [call.parameters["PolicyName"] for call in calls if call.operation == "DeleteUserPolicy"]
    assert deleted == ["s3", DENY_ALL_NAME]


def test_a_boundary_that_denies_all_is_not_set_again() -> None:
    bounded = user(permissions_boundary=({"PermissionsBoundaryArn": DENY_ALL},), group=groups("Developers"))
    assert operations(bounded) == ["RemoveUserFromGroup", "DeleteUser"]


@pytest.mark.parametrize(
    "held",
    [
        {
            "inline_policy": (
                {"PolicyName": DENY_ALL_NAME, "PolicyDocument": json.loads(deny_all_document())},
            )
        },
        {"attached_policy": ({"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL},)},
    ],
    ids=["inline", "attached"],
)
@pytest.mark.parametrize(
    ("bound", "first"),
    [
        pytest.param((), ["PutUserPermissionsBoundary"], id="unbound"),
        pytest.param(
            ({"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},),
            ["PutUserPermissionsBoundary"],
            id="bound-otherwise",
        ),
        pytest.param(({"PermissionsBoundaryArn": DENY_ALL},), [], id="bound-already"),
    ],
)
def test_a_deny_stays_on_the_user_until_it_is_gone(
    held: dict[str, Any], bound: tuple[dict[str, str], ...], first: list[str]
) -> None:
    made = operations(user(permissions_boundary=bound, **held))
    assert made[: len(first)] == first
    assert made.count("PutUserPermissionsBoundary") == len(first)
    assert "DeleteUserPermissionsBoundary" not in made


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
        ("DeleteUserPermissionsBoundary", {}, False),
        ("DeleteUser", {}, False),
    ],
)
def test_what_is_a_denial(operation: str, given: dict[str, str], denial: bool) -> None:
    assert is_denial(ApiCall("iam", operation, {"UserName": "alice", **given})) is denial


def _inline(characters: int) -> tuple[dict[str, object], ...]:
    return ({"PolicyName": "big", "PolicyDocument": {"Sid": "x" * characters}},)


def _attached(count: int) -> tuple[dict[str, str], ...]:
    return tuple({"PolicyName": f"p{n}", "PolicyArn": f"arn:aws:iam::aws:policy/p{n}"} for n in range(count))


@pytest.mark.parametrize(
    ("inline", "attached", "first", "last"),
    [
        pytest.param(0, 10, "PutUserPolicy", "DeleteUserPolicy", id="inline-has-room"),
        pytest.param(INLINE_QUOTA, 9, "AttachUserPolicy", "DetachUserPolicy", id="only-attached-has-room"),
        pytest.param(
            INLINE_QUOTA, 10, "PutUserPermissionsBoundary", "DeleteUserPolicy", id="neither-has-room"
        ),
    ],
)
def test_the_policy_goes_where_it_fits(inline: int, attached: int, first: str, last: str) -> None:
    given = user(inline_policy=_inline(inline), attached_policy=_attached(attached))
    calls = plan_deletion(given, by_boundary=False).calls
    assert (calls[0].operation, calls[-2].operation, calls[-1].operation) == (first, last, "DeleteUser")
    if first != "PutUserPolicy":
        assert DENY_ALL in calls[0].parameters.values()


def test_an_attached_deny_all_is_detached_last_where_it_serves() -> None:
    held = (*_attached(9), {"PolicyName": "AWSDenyAll", "PolicyArn": DENY_ALL})
    calls = plan_deletion(user(inline_policy=_inline(INLINE_QUOTA), attached_policy=held)).calls
    assert [call.operation for call in calls].count("DetachUserPolicy") == 10
    assert (calls[-2].operation, calls[-2].parameters["PolicyArn"]) == ("DetachUserPolicy", DENY_ALL)


def test_the_deny_all_is_of_the_users_partition() -> None:
    there = user(inline_policy=_inline(INLINE_QUOTA))
    china = replace(there, detail={**there.detail, "Arn": f"arn:aws-cn:iam::{ACCOUNT}:user/alice"})
    denial = "arn:aws-cn:iam::aws:policy/AWSDenyAll"
    assert plan_deletion(china).calls[0].parameters["PermissionsBoundary"] == denial
    assert plan_deletion(china, by_boundary=False).calls[0].parameters["PolicyArn"] == denial


def test_an_orphaned_device_is_deleted_and_not_deactivated() -> None:
    serial = f"arn:aws:iam::{ACCOUNT}:mfa/old"
    calls = plan_deletion(user(), [{"SerialNumber": serial}]).calls
    found = [(call.operation, dict(call.parameters)) for call in calls if "MFA" in call.operation]
    assert found == [("DeleteVirtualMFADevice", {"SerialNumber": serial})]


def test_partial_knowledge_plans_nothing() -> None:
    known = user(**EVERYTHING)
    partial = {kind: items for kind, items in known.attachments.items() if kind != "access-key"}
    with pytest.raises(KeyError, match="access-key"):
        plan_deletion(replace(known, attachments=partial))
