# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.identity_center.center import Center, refusal


def by(path: str, value: str) -> dict[str, Any]:
    return {"UniqueAttribute": {"AttributePath": path, "AttributeValue": value}}


def test_what_is_created_is_described_and_found(center: Center) -> None:
    made = center.store("create_group", DisplayName="auditors", Description="They read")
    found = center.store("describe_group", GroupId=made["GroupId"])
    assert (found["DisplayName"], found["Description"]) == ("auditors", "They read")
    assert found["GroupArn"] == made["GroupArn"] == f"arn:aws:identitystore:::group/{made['GroupId']}"
    assert (
        center.store("get_group_id", AlternateIdentifier=by("displayName", "auditors"))["GroupId"]
        == made["GroupId"]
    )


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        pytest.param({}, "ValidationException", id="nameless"),
        pytest.param({"DisplayName": "x" * 1025}, "ValidationException", id="too-long"),
        pytest.param({"DisplayName": "Administrator"}, "ValidationException", id="reserved"),
        pytest.param({"DisplayName": "auditors"}, "ConflictException", id="taken"),
        pytest.param({"DisplayName": "Auditors"}, "ConflictException", id="taken-in-other-case"),
    ],
)
def test_refused_groups(center: Center, parameters: dict[str, Any], code: str) -> None:
    center.group("auditors")
    error = refusal(code, center.store, "create_group", **parameters)
    if code == "ConflictException":
        assert error["Reason"] == "UNIQUENESS_CONSTRAINT_VIOLATION"
    assert len(center.store("list_groups")["Groups"]) == 1


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        pytest.param(by("displayName", "others"), "ResourceNotFoundException", id="unknown"),
        pytest.param(by("description", "x"), "ValidationException", id="not-unique"),
    ],
)
def test_looking_up_in_vain(center: Center, identifier: dict[str, Any], code: str) -> None:
    center.group("auditors")
    error = refusal(code, center.store, "get_group_id", AlternateIdentifier=identifier)
    assert error.get("ResourceType") == ("GROUP" if code.startswith("Resource") else None)


def test_updating(center: Center) -> None:
    group, _ = center.group("auditors"), center.group("others")
    operations = [
        {"AttributePath": "displayName", "AttributeValue": "reviewers"},
        {"AttributePath": "description", "AttributeValue": "They review"},
    ]
    center.store("update_group", GroupId=group, Operations=operations)
    found = center.store("describe_group", GroupId=group)
    assert (found["DisplayName"], found["Description"], found["Revision"]) == (
        "reviewers",
        "They review",
        "2",
    )
    taken = [{"AttributePath": "displayName", "AttributeValue": "others"}]
    refusal("ConflictException", center.store, "update_group", GroupId=group, Operations=taken)
    removed = [{"AttributePath": "displayName"}]
    refusal("ValidationException", center.store, "update_group", GroupId=group, Operations=removed)


def test_a_deleted_group_takes_its_memberships_along(center: Center) -> None:
    group, user = center.group("auditors"), center.user("ann")
    center.store("create_group_membership", GroupId=group, MemberId={"UserId": user})
    center.store("delete_group", GroupId=group)
    listed = center.store("list_group_memberships_for_member", MemberId={"UserId": user})
    assert listed["GroupMemberships"] == []
    for operation in ("describe_group", "delete_group", "list_group_memberships"):
        refusal("ResourceNotFoundException", center.store, operation, GroupId=group)


def test_listing_by_pages_and_by_name(center: Center) -> None:
    made = [center.group(f"group{number}") for number in range(3)]
    first = center.store("list_groups", MaxResults=2)
    rest = center.store("list_groups", MaxResults=2, NextToken=first["NextToken"])
    assert [each["GroupId"] for each in first["Groups"] + rest["Groups"]] == made
    assert "NextToken" not in rest
    wanted = [{"AttributePath": "DisplayName", "AttributeValue": "group1"}]
    assert [each["GroupId"] for each in center.store("list_groups", Filters=wanted)["Groups"]] == [made[1]]
