# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from aws_local_org.identity_center import directory
from tests.local_org.identity_center.center import Center, refusal

ANN: dict[str, Any] = {
    "UserName": "ann@example.com",
    "Name": {"GivenName": "Ann", "FamilyName": "Lee"},
    "DisplayName": "Ann Lee",
    "Emails": [{"Value": "ann@example.com", "Type": "work", "Primary": True}],
}


def by(path: str, value: str) -> dict[str, Any]:
    return {"UniqueAttribute": {"AttributePath": path, "AttributeValue": value}}


def change(path: str, value: Any = None) -> list[dict[str, Any]]:
    return [{"AttributePath": path, "AttributeValue": value}]


def test_what_is_created_is_described_and_listed(center: Center) -> None:
    made = center.store("create_user", **ANN, Title="Auditor")
    assert made["UserId"].startswith(center.instance.store.id.removeprefix("d-") + "-")
    assert made["UserArn"] == f"arn:aws:identitystore:::user/{made['UserId']}"
    found = center.store("describe_user", UserId=made["UserId"])
    assert {name: found[name] for name in ANN} == ANN
    assert (found["Title"], found["UserStatus"], found["CreatedAt"]) == (
        "Auditor",
        "ENABLED",
        center.clock.time,
    )
    (listed,) = center.store("list_users")["Users"]
    assert listed["UserId"] == made["UserId"]
    assert center.store("describe_user", UserId=made["UserArn"])["UserId"] == made["UserId"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"UserName": None}, id="no-user-name"),
        pytest.param({"UserName": ""}, id="empty-user-name"),
        pytest.param({"UserName": "ann lee"}, id="space-in-user-name"),
        pytest.param({"UserName": "ann\n"}, id="newline-in-user-name"),
        pytest.param({"UserName": "a" * 129}, id="long-user-name"),
        pytest.param({"UserName": "Administrator"}, id="reserved"),
        pytest.param({"UserName": "AWSAdministrators"}, id="reserved-for-groups-too"),
        pytest.param({"Name": None}, id="no-name"),
        pytest.param({"Name": {"GivenName": "Ann"}}, id="no-family-name"),
        pytest.param({"Name": {"FamilyName": "Lee"}}, id="no-given-name"),
        pytest.param({"DisplayName": None}, id="no-display-name"),
        pytest.param({"Emails": ANN["Emails"] * 2}, id="two-addresses"),
        pytest.param({"Emails": []}, id="an-empty-list-of-addresses"),
    ],
)
def test_illegal_users_are_not_created(center: Center, changes: dict[str, Any]) -> None:
    given = {name: value for name, value in {**ANN, **changes}.items() if value is not None}
    refusal("ValidationException", center.store, "create_user", **given)
    assert center.store("list_users")["Users"] == []


@pytest.mark.parametrize("name", ["a", "a" * 128, "J\u00fcrgen.M\u00fcller", "role/ann+x=y,z@[1]"])
def test_legal_user_names(center: Center, name: str) -> None:
    assert center.user(name)


def test_a_missing_attribute_is_named(center: Center) -> None:
    error = refusal(
        "ValidationException", center.store, "create_user", UserName="ann", Name={"GivenName": "A"}
    )
    assert "displayname" in error["Error"]["Message"]
    assert "familyname" in error["Error"]["Message"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"Emails": [{"Value": "other@example.com"}]}, id="same-name"),
        pytest.param(
            {"UserName": "ANN@example.com", "Emails": [{"Value": "other@example.com"}]}, id="name-in-capitals"
        ),
        pytest.param({"UserName": "other"}, id="same-address"),
        pytest.param(
            {"UserName": "other", "Emails": [{"Value": "Ann@Example.com"}]}, id="address-in-capitals"
        ),
    ],
)
def test_names_and_addresses_are_unique(center: Center, changes: dict[str, Any]) -> None:
    center.store("create_user", **ANN)
    error = refusal("ConflictException", center.store, "create_user", **{**ANN, **changes})
    assert error["Reason"] == "UNIQUENESS_CONSTRAINT_VIOLATION"
    assert len(center.store("list_users")["Users"]) == 1


def test_users_without_an_address_do_not_collide(center: Center) -> None:
    assert center.user("ann") != center.user("ben")


@pytest.mark.parametrize(
    "identifier",
    [
        pytest.param(by("userName", "ann@example.com"), id="user-name"),
        pytest.param(by("UserName", "ANN@EXAMPLE.COM"), id="user-name-in-capitals"),
        pytest.param(by("emails.value", "ann@example.com"), id="address"),
        pytest.param({"ExternalId": {"Issuer": "https://idp", "Id": "42"}}, id="external-id"),
    ],
)
def test_looking_up(center: Center, identifier: dict[str, Any]) -> None:
    center.user("ben")
    made = center.store("create_user", **ANN)["UserId"]
    directory.link_external_id(center.instance.store, made, "https://idp", "42")
    assert center.store("get_user_id", AlternateIdentifier=identifier)["UserId"] == made
    assert center.store("describe_user", UserId=made)["ExternalIds"] == [
        {"Issuer": "https://idp", "Id": "42"}
    ]


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        pytest.param(by("userName", "ben"), "ResourceNotFoundException", id="unknown-name"),
        pytest.param(
            by("emails.value", "ben@example.com"), "ResourceNotFoundException", id="unknown-address"
        ),
        pytest.param(
            {"ExternalId": {"Issuer": "x", "Id": "1"}}, "ResourceNotFoundException", id="unknown-id"
        ),
        pytest.param(by("displayName", "Ann Lee"), "ValidationException", id="not-unique"),
        pytest.param({}, "ValidationException", id="nothing"),
    ],
)
def test_looking_up_in_vain(center: Center, identifier: dict[str, Any], code: str) -> None:
    center.store("create_user", **ANN)
    refusal(code, center.store, "get_user_id", AlternateIdentifier=identifier)


@pytest.mark.parametrize(
    ("operations", "attribute", "value"),
    [
        pytest.param(change("displayName", "Ann Smith"), "DisplayName", "Ann Smith", id="display-name"),
        pytest.param(change("title", "Auditor"), "Title", "Auditor", id="new-attribute"),
        pytest.param(
            change("name.familyName", "Smith"),
            "Name",
            {"GivenName": "Ann", "FamilyName": "Smith"},
            id="nested",
        ),
        pytest.param(
            change("emails", [{"value": "a@example.com", "primary": True}]),
            "Emails",
            [{"Value": "a@example.com", "Primary": True}],
            id="list",
        ),
        pytest.param(change("emails"), "Emails", None, id="removed"),
        pytest.param(
            change("userName", "Ann@example.com"), "UserName", "Ann@example.com", id="own-name-recased"
        ),
        pytest.param(
            change("title", "x") + change("title", "Lead"), "Title", "Lead", id="operations-in-their-order"
        ),
    ],
)
def test_updating(center: Center, operations: list[Any], attribute: str, value: Any) -> None:
    made = center.store("create_user", **ANN)
    changed = center.store("update_user", UserId=made["UserId"], Operations=operations)
    found = center.store("describe_user", UserId=made["UserId"])
    assert found.get(attribute) == value
    assert found["Revision"] == changed["Revision"] != made["Revision"]


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        pytest.param(change("nonsense", "x"), "ValidationException", id="unknown-attribute"),
        pytest.param(change("displayName.x", "x"), "ValidationException", id="path-too-deep"),
        pytest.param(change("identityStoreId", "x"), "ValidationException", id="the-store"),
        pytest.param(change("displayName"), "ValidationException", id="removing-what-is-required"),
        pytest.param(change("userName", "two words"), "ValidationException", id="illegal-value"),
        pytest.param(change("emails", [{"value": ""}]), "ValidationException", id="illegal-nested-value"),
        pytest.param(change("title", 7), "ValidationException", id="wrong-type"),
        pytest.param(change("userName", "BEN"), "ConflictException", id="name-of-another"),
        pytest.param([], "ValidationException", id="nothing-to-do"),
        pytest.param(change("title", "x") + change("userName", "ben"), "ConflictException", id="half-good"),
    ],
)
def test_refused_updates_change_nothing(center: Center, operations: list[Any], code: str) -> None:
    center.user("ben")
    made = center.store("create_user", **ANN)["UserId"]
    before = center.store("describe_user", UserId=made)
    refusal(code, center.store, "update_user", UserId=made, Operations=operations)
    after = center.store("describe_user", UserId=made)
    assert {**after, "ResponseMetadata": None} == {**before, "ResponseMetadata": None}


def test_a_revision_makes_an_update_conditional(center: Center) -> None:
    made = center.store("create_user", **ANN)
    later = center.store("update_user", UserId=made["UserId"], Operations=change("title", "x"), Revision="1")
    stale = {"UserId": made["UserId"], "Revision": made["Revision"]}
    error = refusal(
        "ConflictException", center.store, "update_user", **stale, Operations=change("title", "y")
    )
    assert error["Reason"] == "CONCURRENT_MODIFICATION"
    refusal("ConflictException", center.store, "delete_user", **stale)
    center.store("delete_user", UserId=made["UserId"], Revision=later["Revision"])


def test_a_deleted_user_leaves_the_groups_and_frees_the_name(center: Center) -> None:
    group, user = center.group(), center.user("ann")
    center.store("create_group_membership", GroupId=group, MemberId={"UserId": user})
    center.store("delete_user", UserId=user)
    assert center.store("list_group_memberships", GroupId=group)["GroupMemberships"] == []
    error = refusal("ResourceNotFoundException", center.store, "describe_user", UserId=user)
    assert (error["ResourceType"], error["ResourceId"]) == ("USER", user)
    refusal("ResourceNotFoundException", center.store, "delete_user", UserId=user)
    assert center.user("ann") != user


def test_listing_by_pages_and_by_name(center: Center) -> None:
    made = [center.user(f"user{number}") for number in range(5)]
    pages = (
        center.client("identitystore")
        .get_paginator("list_users")
        .paginate(IdentityStoreId=center.instance.store.id, PaginationConfig={"PageSize": 2})
    )
    sizes = [[each["UserId"] for each in page["Users"]] for page in pages]
    assert sizes == [made[:2], made[2:4], made[4:]]
    wanted = [{"AttributePath": "UserName", "AttributeValue": "user3"}]
    assert [each["UserId"] for each in center.store("list_users", Filters=wanted)["Users"]] == [made[3]]
    other = [{"AttributePath": "Title", "AttributeValue": "x"}]
    refusal("ValidationException", center.store, "list_users", Filters=other)


def test_extensions_are_given_on_request(center: Center) -> None:
    name, value = "aws:identitystore:enterprise", {"employeeNumber": "7"}
    user = center.user("ann", Extensions={name: value})
    assert "Extensions" not in center.store("describe_user", UserId=user)
    assert center.store("describe_user", UserId=user, Extensions=[name])["Extensions"] == {name: value}


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
def test_looking_up_a_group_in_vain(center: Center, identifier: dict[str, Any], code: str) -> None:
    center.group("auditors")
    error = refusal(code, center.store, "get_group_id", AlternateIdentifier=identifier)
    assert error.get("ResourceType") == ("GROUP" if code.startswith("Resource") else None)


def test_updating_a_group(center: Center) -> None:
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


def test_listing_groups_by_pages_and_by_name(center: Center) -> None:
    made = [center.group(f"group{number}") for number in range(3)]
    first = center.store("list_groups", MaxResults=2)
    rest = center.store("list_groups", MaxResults=2, NextToken=first["NextToken"])
    assert [each["GroupId"] for each in first["Groups"] + rest["Groups"]] == made
    assert "NextToken" not in rest
    wanted = [{"AttributePath": "DisplayName", "AttributeValue": "group1"}]
    assert [each["GroupId"] for each in center.store("list_groups", Filters=wanted)["Groups"]] == [made[1]]


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
