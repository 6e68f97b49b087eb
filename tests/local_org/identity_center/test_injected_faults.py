# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aws_local_org import identity_center
from aws_local_org.identity_center import injected_faults
from tests.local_org.identity_center.center import PAYMENTS, SETTINGS, Center, refusal


def _create(center: Center) -> Any:
    return center.settled(center.assign(center.permission_set("A"), center.group("a")))


def _delete(center: Center) -> Any:
    arn, group = center.permission_set("B"), center.group("b")
    center.assigned(arn, group)
    request = {"PermissionSetArn": arn, "PrincipalType": "GROUP", "PrincipalId": group}
    target = {"TargetType": "AWS_ACCOUNT", "TargetId": PAYMENTS}
    made = center.admin("delete_account_assignment", **request, **target)["AccountAssignmentDeletionStatus"]
    center.clock.advance(SETTINGS.assignment_seconds)
    operation = "describe_account_assignment_deletion_status"
    done = center.admin(operation, AccountAssignmentDeletionRequestId=made["RequestId"])
    return done["AccountAssignmentDeletionStatus"]


def _provision(center: Center) -> Any:
    target = {"TargetType": "AWS_ACCOUNT", "TargetId": PAYMENTS}
    request = {"PermissionSetArn": center.permission_set("C"), **target}
    made = center.admin("provision_permission_set", **request)["PermissionSetProvisioningStatus"]
    center.clock.advance(SETTINGS.assignment_seconds)
    operation = "describe_permission_set_provisioning_status"
    done = center.admin(operation, ProvisionPermissionSetRequestId=made["RequestId"])
    return done["PermissionSetProvisioningStatus"]


@pytest.mark.parametrize(
    ("order", "act", "others"),
    [
        pytest.param(injected_faults.fail_next_assignment, _create, [_provision], id="creation"),
        pytest.param(injected_faults.fail_next_deletion, _delete, [_create, _provision], id="deletion"),
        pytest.param(
            injected_faults.fail_next_provisioning, _provision, [_create, _delete], id="provisioning"
        ),
    ],
)
def test_the_next_request_of_its_kind_fails(
    center: Center,
    order: Callable[[str], None],
    act: Callable[[Center], Any],
    others: list[Callable[[Center], Any]],
) -> None:
    order("Out of paper")
    assert [other(center)["Status"] for other in others] == ["SUCCEEDED"] * len(others)
    done = act(center)
    assert (done["Status"], done["FailureReason"]) == ("FAILED", "Out of paper")


def test_a_failed_creation_leaves_nothing_and_can_be_tried_again(center: Center) -> None:
    injected_faults.fail_next_assignment()
    arn, group = center.permission_set(), center.group()
    assert center.settled(center.assign(arn, group))["FailureReason"] == injected_faults.INTERNAL
    assert center.reserved_roles() == []
    center.assigned(arn, group)
    assert len(center.reserved_roles()) == 1


def test_calls_can_be_refused_on_order(center: Center) -> None:
    injected_faults.refuse_next("CreateGroup", "ThrottlingException", times=2, RetryAfterSeconds=3)
    for _ in range(2):
        error = refusal("ThrottlingException", center.store, "create_group", DisplayName="auditors")
        assert error["RetryAfterSeconds"] == 3
    injected_faults.refuse_next("ListPermissionSets", "ConflictException", "Not yet")
    assert center.group("auditors")
    error = refusal("ConflictException", center.admin, "list_permission_sets")
    assert error["Error"]["Message"] == "Not yet"
    assert center.admin("list_permission_sets")["PermissionSets"] == []


def test_a_fresh_start_forgets_what_was_ordered(center: Center) -> None:
    injected_faults.fail_next_assignment()
    injected_faults.refuse_next("CreateGroup", "ThrottlingException")
    identity_center.populate(SETTINGS)
    fresh = Center(center.org, center.clock, center.clients)
    fresh.assigned(fresh.permission_set(), fresh.group())
