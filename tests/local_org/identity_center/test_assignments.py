# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from tests.local_org.identity_center.center import (
    MANAGEMENT,
    PAYMENTS,
    PLATFORM,
    RESEARCH,
    SETTINGS,
    Center,
    refusal,
)

NOBODY = "0123456789-00000000-0000-4000-8000-000000000000"


def listed(center: Center, permission_set: str, account: str = PAYMENTS) -> list[Any]:
    found = center.admin("list_account_assignments", PermissionSetArn=permission_set, AccountId=account)
    return list(found["AccountAssignments"])


def unassign(center: Center, permission_set: str, group: str, account: str = PAYMENTS) -> Any:
    made = center.admin(
        "delete_account_assignment",
        PermissionSetArn=permission_set,
        PrincipalType="GROUP",
        PrincipalId=group,
        TargetType="AWS_ACCOUNT",
        TargetId=account,
    )
    return made["AccountAssignmentDeletionStatus"]


def deletion(center: Center, status: Any) -> Any:
    operation = "describe_account_assignment_deletion_status"
    found = center.admin(operation, AccountAssignmentDeletionRequestId=status["RequestId"])
    return found["AccountAssignmentDeletionStatus"]


def test_an_assignment_is_in_progress_and_then_there(center: Center) -> None:
    arn, group = center.permission_set(), center.group()
    status = center.assign(arn, group)
    assert status["Status"] == "IN_PROGRESS"
    assert (status["TargetId"], status["PrincipalId"], status["PermissionSetArn"]) == (PAYMENTS, group, arn)
    center.clock.advance(SETTINGS.assignment_seconds - 1)
    assert center.creation(status["RequestId"])["Status"] == "IN_PROGRESS"
    assert listed(center, arn) == []
    center.clock.advance(1)
    done = center.creation(status["RequestId"])
    assert done["Status"] == "SUCCEEDED"
    assert "FailureReason" not in done
    assert done["CreatedDate"] == status["CreatedDate"]
    assert listed(center, arn) == [
        {"AccountId": PAYMENTS, "PermissionSetArn": arn, "PrincipalType": "GROUP", "PrincipalId": group}
    ]
    assert listed(center, arn, RESEARCH) == []


@pytest.mark.parametrize(
    ("account", "changes", "reason"),
    [
        pytest.param(PAYMENTS, {"PrincipalId": NOBODY}, f"GROUP {NOBODY} not found", id="unknown-group"),
        pytest.param(PAYMENTS, {"PrincipalType": "USER"}, "USER .* not found", id="a-group-for-a-user"),
        pytest.param("999999999999", {}, "Account 999999999999 is not an active", id="unknown-account"),
    ],
)
def test_what_fails_only_later(center: Center, account: str, changes: dict[str, str], reason: str) -> None:
    arn = center.permission_set()
    status = center.assign(arn, center.group(), account, **changes)
    assert status["Status"] == "IN_PROGRESS"
    done = center.settled(status)
    assert done["Status"] == "FAILED"
    assert re.search(reason, done["FailureReason"])
    assert listed(center, arn, account) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"TargetType": "OU"}, "ValidationException", id="target-type"),
        pytest.param({"TargetId": "1234"}, "ValidationException", id="account-id"),
        pytest.param({"PrincipalType": "ROLE"}, "ValidationException", id="principal-type"),
        pytest.param({"PrincipalId": "auditors"}, "ValidationException", id="principal-by-name"),
        pytest.param({"PermissionSetArn": "ReadOnly"}, "ValidationException", id="permission-set-by-name"),
        pytest.param(
            {"PermissionSetArn": "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"},
            "ResourceNotFoundException",
            id="unknown-permission-set",
        ),
    ],
)
def test_what_is_refused_at_once(center: Center, changes: dict[str, str], code: str) -> None:
    refusal(code, center.assign, center.permission_set(), center.group(), **changes)
    assert center.admin("list_account_assignment_creation_status")["AccountAssignmentsCreationStatus"] == []


def test_assigning_what_is_assigned_succeeds_and_changes_nothing(center: Center) -> None:
    arn, group = center.permission_set(), center.group()
    center.assigned(arn, group)
    roles = center.reserved_roles()
    center.assigned(arn, group)
    assert len(listed(center, arn)) == 1
    assert center.reserved_roles() == roles


def test_a_second_request_for_the_same_assignment_conflicts_until_the_first_is_over(center: Center) -> None:
    arn, group = center.permission_set(), center.group()
    first = center.assign(arn, group)
    refusal("ConflictException", center.assign, arn, group)
    refusal("ConflictException", unassign, center, arn, group)
    other = center.assign(arn, group, RESEARCH)
    assert center.settled(first)["Status"] == center.creation(other["RequestId"])["Status"] == "SUCCEEDED"
    unassign(center, arn, group)
    refusal("ConflictException", center.assign, arn, group)


def test_fifteen_may_be_outstanding(center: Center) -> None:
    arn = center.permission_set()
    groups = [center.group(f"group{number}") for number in range(16)]
    running = [center.assign(arn, group) for group in groups[:15]]
    refusal("ThrottlingException", center.assign, arn, groups[15])
    assert center.settled(running[0])["Status"] == "SUCCEEDED"
    assert center.assign(arn, groups[15])["Status"] == "IN_PROGRESS"


@pytest.mark.parametrize(
    ("quota", "refused"),
    [
        pytest.param({"groups_per_set_and_account": 1}, ("First", "more"), id="groups"),
        pytest.param({"provisioned_sets_per_account": 1}, ("Second", "auditors"), id="sets"),
    ],
)
def test_quotas_of_an_account(center: Center, quota: dict[str, int], refused: tuple[str, str]) -> None:
    center.instance.quotas = dataclasses.replace(center.instance.quotas, **quota)
    sets = {name: center.permission_set(name) for name in ("First", "Second")}
    groups = {name: center.group(name) for name in ("auditors", "more")}
    center.assigned(sets["First"], groups["auditors"])
    wanted = (sets[refused[0]], groups[refused[1]])
    refusal("ServiceQuotaExceededException", center.assign, *wanted)
    center.assigned(*wanted, account=RESEARCH)
    center.assigned(sets["First"], groups["auditors"])


def test_deleting_is_asynchronous_too(center: Center) -> None:
    arn, group = center.permission_set(), center.group()
    center.assigned(arn, group)
    status = unassign(center, arn, group)
    assert status["Status"] == "IN_PROGRESS"
    assert len(listed(center, arn)) == 1
    center.clock.advance(SETTINGS.assignment_seconds)
    assert deletion(center, status)["Status"] == "SUCCEEDED"
    assert listed(center, arn) == []
    refusal("ResourceNotFoundException", unassign, center, arn, group)


def test_an_assignment_outlives_its_principal(center: Center) -> None:
    arn, group = center.permission_set(), center.group()
    center.assigned(arn, group)
    center.store("delete_group", GroupId=group)
    assert [each["PrincipalId"] for each in listed(center, arn)] == [group]
    center.clock.advance(SETTINGS.assignment_seconds)
    status = unassign(center, arn, group)
    center.clock.advance(SETTINGS.assignment_seconds)
    assert deletion(center, status)["Status"] == "SUCCEEDED"


def test_a_closed_account_takes_no_assignment(center: Center) -> None:
    center.client("organizations").close_account(AccountId=PLATFORM)
    done = center.settled(center.assign(center.permission_set(), center.group(), PLATFORM))
    assert done["Status"] == "FAILED"


def test_statuses_are_listed_by_state(center: Center) -> None:
    arn, group = center.permission_set(), center.group()
    good, bad = center.assign(arn, group), center.assign(arn, NOBODY)
    center.settled(good)
    running = center.assign(arn, group, MANAGEMENT)

    def requests(**parameters: Any) -> list[str]:
        found = center.admin("list_account_assignment_creation_status", **parameters)
        return [each["RequestId"] for each in found["AccountAssignmentsCreationStatus"]]

    assert requests() == [good["RequestId"], bad["RequestId"], running["RequestId"]]
    assert requests(MaxResults=2) == [good["RequestId"], bad["RequestId"]]
    for status, request in (("SUCCEEDED", good), ("FAILED", bad), ("IN_PROGRESS", running)):
        assert requests(Filter={"Status": status}) == [request["RequestId"]]
    assert center.admin("list_account_assignment_deletion_status")["AccountAssignmentsDeletionStatus"] == []


def test_a_request_is_of_one_kind(center: Center) -> None:
    status = center.assign(center.permission_set(), center.group())
    refusal("ResourceNotFoundException", deletion, center, status)
    refusal("ResourceNotFoundException", center.creation, "00000000-0000-4000-8000-000000000000")


def test_listing_for_a_principal(center: Center) -> None:
    arn, group, user = center.permission_set(), center.group(), center.user()
    center.store("create_group_membership", GroupId=group, MemberId={"UserId": user})
    center.assigned(arn, group, PAYMENTS)
    center.assigned(arn, user, RESEARCH, PrincipalType="USER")

    def accounts(kind: str, principal: str, **parameters: Any) -> list[tuple[str, str]]:
        found = center.admin(
            "list_account_assignments_for_principal", PrincipalType=kind, PrincipalId=principal, **parameters
        )
        return [(each["AccountId"], each["PrincipalType"]) for each in found["AccountAssignments"]]

    assert accounts("GROUP", group) == [(PAYMENTS, "GROUP")]
    assert accounts("USER", user) == [(PAYMENTS, "GROUP"), (RESEARCH, "USER")]
    assert accounts("USER", user, Filter={"AccountId": RESEARCH}) == [(RESEARCH, "USER")]
    assert accounts("GROUP", user) == []
