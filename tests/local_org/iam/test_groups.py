# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from typing import Any

import pytest

from tests.local_org.refusals import refusal


def groups_of(iam: Any, user: str) -> list[str]:
    return [group["GroupName"] for group in iam.list_groups_for_user(UserName=user)["Groups"]]


def members_of(iam: Any, group: str) -> list[str]:
    return [user["UserName"] for user in iam.get_group(GroupName=group)["Users"]]


def test_a_membership_shows_on_both_sides(iam: Any) -> None:
    made = iam.create_group(GroupName="people", Path="/eng/")["Group"]
    assert re.fullmatch("AGPA[A-Z2-7]{17}", made["GroupId"])
    for name in ("ada", "bob"):
        iam.create_user(UserName=name)
    for _ in range(2):  # adding a member again changes nothing
        iam.add_user_to_group(GroupName="people", UserName="ada")
    assert (groups_of(iam, "ada"), groups_of(iam, "bob")) == (["people"], [])
    assert members_of(iam, "people") == ["ada"]
    assert iam.list_groups(PathPrefix="/eng/")["Groups"] == [made]
    assert iam.list_groups(PathPrefix="/ops/")["Groups"] == []
    iam.remove_user_from_group(GroupName="people", UserName="ada")
    assert (groups_of(iam, "ada"), members_of(iam, "people")) == ([], [])


@pytest.mark.parametrize("name", ["people", "PEOPLE"])
def test_names_are_unique_whatever_their_case(iam: Any, name: str) -> None:
    iam.create_group(GroupName="people")
    assert refusal(iam.create_group, GroupName=name) == ("EntityAlreadyExists", 409)


@pytest.mark.parametrize("operation", ["add_user_to_group", "remove_user_from_group"])
@pytest.mark.parametrize(("group", "user"), [("people", "nobody"), ("nothing", "ada")])
def test_what_is_missing(iam: Any, operation: str, group: str, user: str) -> None:
    iam.create_group(GroupName="people")
    iam.create_user(UserName="ada")
    refused = refusal(getattr(iam, operation), GroupName=group, UserName=user)
    assert refused == ("NoSuchEntity", 404)


def test_ten_groups_a_user(iam: Any) -> None:
    iam.create_user(UserName="ada")
    for number in range(11):
        iam.create_group(GroupName=f"group{number}")
    for number in range(10):
        iam.add_user_to_group(GroupName=f"group{number}", UserName="ada")
    eleventh = {"GroupName": "group10", "UserName": "ada"}
    assert refusal(iam.add_user_to_group, **eleventh) == ("LimitExceeded", 409)
