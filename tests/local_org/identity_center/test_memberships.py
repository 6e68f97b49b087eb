# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.identity_center.center import Center, refusal

NOBODY = "0123456789-00000000-0000-4000-8000-000000000000"


def join(center: Center, group: str, user: str) -> Any:
    return center.store("create_group_membership", GroupId=group, MemberId={"UserId": user})


def test_joining_and_leaving(center: Center) -> None:
    group, user = center.group(), center.user()
    membership = join(center, group, user)["MembershipId"]
    found = center.store("describe_group_membership", MembershipId=membership)
    assert (found["GroupId"], found["MemberId"]) == (group, {"UserId": user})
    looked_up = center.store("get_group_membership_id", GroupId=group, MemberId={"UserId": user})
    assert looked_up["MembershipId"] == membership
    center.store("delete_group_membership", MembershipId=membership)
    for operation in ("describe_group_membership", "delete_group_membership"):
        error = refusal("ResourceNotFoundException", center.store, operation, MembershipId=membership)
        assert error["ResourceType"] == "GROUP_MEMBERSHIP"
    assert join(center, group, user)["MembershipId"] != membership


def test_joining_twice_is_a_conflict(center: Center) -> None:
    group, user = center.group(), center.user()
    join(center, group, user)
    error = refusal("ConflictException", join, center, group, user)
    assert error["Reason"] == "UNIQUENESS_CONSTRAINT_VIOLATION"
    assert len(center.store("list_group_memberships", GroupId=group)["GroupMemberships"]) == 1


@pytest.mark.parametrize("missing", ["USER", "GROUP"])
def test_both_sides_must_exist(center: Center, missing: str) -> None:
    group = NOBODY if missing == "GROUP" else center.group()
    user = NOBODY if missing == "USER" else center.user()
    error = refusal("ResourceNotFoundException", join, center, group, user)
    assert error["ResourceType"] == missing


def test_a_member_must_be_named(center: Center) -> None:
    parameters: dict[str, Any] = {"GroupId": center.group(), "MemberId": {}}
    refusal("ValidationException", center.store, "create_group_membership", **parameters)
    refusal(
        "ResourceNotFoundException",
        center.store,
        "get_group_membership_id",
        GroupId=NOBODY,
        MemberId={"UserId": NOBODY},
    )


def test_listing_from_both_sides(center: Center) -> None:
    groups = [center.group(f"group{number}") for number in range(3)]
    ann, ben = center.user("ann"), center.user("ben")
    for group in groups:
        join(center, group, ann)
    join(center, groups[0], ben)
    first = center.store("list_group_memberships", GroupId=groups[0], MaxResults=1)
    rest = center.store("list_group_memberships", GroupId=groups[0], NextToken=first["NextToken"])
    members = first["GroupMemberships"] + rest["GroupMemberships"]
    assert [each["MemberId"]["UserId"] for each in members] == [ann, ben]
    of_ann = center.store("list_group_memberships_for_member", MemberId={"UserId": ann}, MaxResults=2)
    assert [each["GroupId"] for each in of_ann["GroupMemberships"]] == groups[:2]
    assert of_ann["NextToken"]


def test_asking_for_memberships_in_bulk(center: Center) -> None:
    inside, outside, user = center.group("inside"), center.group("outside"), center.user()
    join(center, inside, user)
    results = center.store("is_member_in_groups", MemberId={"UserId": user}, GroupIds=[inside, outside])[
        "Results"
    ]
    assert {each["GroupId"]: each["MembershipExists"] for each in results} == {inside: True, outside: False}
    refusal(
        "ResourceNotFoundException",
        center.store,
        "is_member_in_groups",
        MemberId={"UserId": NOBODY},
        GroupIds=[inside],
    )
