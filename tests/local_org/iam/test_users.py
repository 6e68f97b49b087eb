# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest

from aws_local_org.iam import seeding
from tests.local_org.iam.attachments import ATTACHMENTS, DOCUMENT, READ_ONLY, Attachment
from tests.local_org.refusals import message, refusal

USED = datetime.datetime(2025, 4, 5, 6, 7, 8, tzinfo=datetime.timezone.utc)
INVALID = ("ValidationError", 400)


def test_a_user_as_it_is_created(iam: Any) -> None:
    tags = [{"Key": "Email", "Value": "ada@example.com"}]
    made = iam.create_user(UserName="ada", Path="/eng/", Tags=tags, PermissionsBoundary=READ_ONLY)["User"]
    boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READ_ONLY}
    assert re.fullmatch("AIDA[A-Z2-7]{17}", made.pop("UserId"))
    assert made.pop("CreateDate").microsecond == 0
    assert made == {
        "Path": "/eng/",
        "UserName": "ada",
        "Arn": "arn:aws:iam::111122223333:user/eng/ada",
        "PermissionsBoundary": boundary,
        "Tags": tags,
    }


def test_get_user_tells_all_and_list_users_a_part(iam: Any, account: Any) -> None:
    iam.create_user(UserName="ada", Tags=[{"Key": "a", "Value": "b"}], PermissionsBoundary=READ_ONLY)
    iam.create_user(UserName="bob")
    seeding.set_password_last_used(account.get_user("ada"), USED)
    ada, bob = iam.list_users()["Users"]
    known = {"Path", "UserName", "UserId", "Arn", "CreateDate"}
    assert set(ada) == known | {"PasswordLastUsed"}
    assert set(bob) == known
    assert ada["PasswordLastUsed"] == USED
    assert set(iam.get_user(UserName="ada")["User"]) == set(ada) | {"Tags", "PermissionsBoundary"}
    assert set(iam.get_user(UserName="bob")["User"]) == known


def test_list_users_by_path(iam: Any) -> None:
    for name, path in (("ada", "/eng/"), ("bob", "/eng/x/"), ("eve", "/"), ("mia", "/england/")):
        iam.create_user(UserName=name, Path=path)
    listed = iam.list_users(PathPrefix="/eng/")["Users"]
    assert [user["UserName"] for user in listed] == ["ada", "bob"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("a", None, id="one character"),
        pytest.param("a" * 64, None, id="64 characters"),
        pytest.param("BedrockAPIKey-x1z_9+=,.@-", None, id="every special character"),
        pytest.param("a" * 65, INVALID, id="65 characters"),
        pytest.param("", INVALID, id="empty"),
        pytest.param("a b", INVALID, id="space"),
        pytest.param("a/b", INVALID, id="slash"),
        pytest.param("zoë", INVALID, id="a letter beyond ASCII"),
        pytest.param("a\n", INVALID, id="line feed"),
    ],
)
def test_user_names(iam: Any, name: str, expected: tuple[str, int] | None) -> None:
    assert refusal(iam.create_user, UserName=name) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/", None, id="root"),
        pytest.param("/a/b/", None, id="nested"),
        pytest.param("/a!~/", None, id="punctuation"),
        pytest.param("a/", INVALID, id="no leading slash"),
        pytest.param("/a", INVALID, id="no trailing slash"),
        pytest.param("/a b/", INVALID, id="space"),
        pytest.param("/" + "a" * 511 + "/", INVALID, id="513 characters"),
    ],
)
def test_paths(iam: Any, path: str, expected: tuple[str, int] | None) -> None:
    assert refusal(iam.create_user, UserName="ada", Path=path) == expected


@pytest.mark.parametrize("name", ["ada", "ADA", "Ada"])
def test_names_are_unique_whatever_their_case(iam: Any, name: str) -> None:
    iam.create_user(UserName="ada")
    assert refusal(iam.create_user, UserName=name, Path="/elsewhere/") == ("EntityAlreadyExists", 409)
    assert message(iam.create_user, UserName=name) == f"User with name {name} already exists."


def test_a_missing_boundary_is_refused(iam: Any) -> None:
    missing = "arn:aws:iam::111122223333:policy/none"
    assert refusal(iam.create_user, UserName="ada", PermissionsBoundary=missing) == ("NoSuchEntity", 404)
    iam.create_user(UserName="ada")
    boundary = {"UserName": "ada", "PermissionsBoundary": missing}
    assert refusal(iam.put_user_permissions_boundary, **boundary) == ("NoSuchEntity", 404)


def test_a_boundary_is_put_replaced_and_removed(iam: Any) -> None:
    iam.create_user(UserName="ada")
    for name in ("ReadOnlyAccess", "PowerUserAccess"):
        arn = f"arn:aws:iam::aws:policy/{name}"
        iam.put_user_permissions_boundary(UserName="ada", PermissionsBoundary=arn)
        shown = iam.get_user(UserName="ada")["User"]["PermissionsBoundary"]
        assert shown["PermissionsBoundaryArn"] == arn
    iam.delete_user_permissions_boundary(UserName="ada")
    assert "PermissionsBoundary" not in iam.get_user(UserName="ada")["User"]
    assert refusal(iam.delete_user_permissions_boundary, UserName="ada") == ("NoSuchEntity", 404)


def test_renaming_takes_everything_along(iam: Any) -> None:
    iam.create_user(UserName="ada", Tags=[{"Key": "a", "Value": "b"}])
    iam.create_group(GroupName="people")
    iam.add_user_to_group(GroupName="people", UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    iam.update_user(UserName="ada", NewUserName="lovelace", NewPath="/math/")
    assert refusal(iam.get_user, UserName="ada") == ("NoSuchEntity", 404)
    user = iam.get_user(UserName="lovelace")["User"]
    assert (user["Arn"], user["Tags"]) == (
        "arn:aws:iam::111122223333:user/math/lovelace",
        [{"Key": "a", "Value": "b"}],
    )
    assert [user["UserName"] for user in iam.get_group(GroupName="people")["Users"]] == ["lovelace"]
    assert iam.get_access_key_last_used(AccessKeyId=key)["UserName"] == "lovelace"
    assert iam.list_access_keys(UserName="lovelace")["AccessKeyMetadata"][0]["UserName"] == "lovelace"
    assert refusal(iam.create_user, UserName="ADA") is None


@pytest.mark.parametrize(
    ("new_name", "expected"),
    [
        ("bob", ("EntityAlreadyExists", 409)),
        ("BOB", ("EntityAlreadyExists", 409)),
        ("ADA", None),
        ("ada", None),
    ],
)
def test_renaming_to_a_name_in_use(iam: Any, new_name: str, expected: tuple[str, int] | None) -> None:
    iam.create_user(UserName="ada")
    iam.create_user(UserName="bob")
    assert refusal(iam.update_user, UserName="ada", NewUserName=new_name) == expected


def test_a_session_of_a_role_must_name_the_user(iam: Any) -> None:
    assert refusal(iam.get_user) == INVALID
    assert message(iam.get_user) == "Must specify userName when calling with non-User credentials"


def test_an_account_holds_five_thousand_users(iam: Any, account: Any) -> None:
    for number in range(5000):
        seeding.add_user(account, f"user{number}")
    assert refusal(iam.create_user, UserName="one.more") == ("LimitExceeded", 409)


def tags_of(iam: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in iam.list_user_tags(UserName="ada")["Tags"]}


def test_tags_are_added_replaced_and_removed(iam: Any) -> None:
    iam.create_user(UserName="ada", Tags=[{"Key": "Team", "Value": "x"}])
    iam.tag_user(UserName="ada", Tags=[{"Key": "Email", "Value": "a@example.com"}])
    iam.tag_user(UserName="ada", Tags=[{"Key": "team", "Value": "y"}])
    assert tags_of(iam) == {"team": "y", "Email": "a@example.com"}
    iam.untag_user(UserName="ada", TagKeys=["TEAM", "absent"])
    assert tags_of(iam) == {"Email": "a@example.com"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("Cost Center", "a b_.:/=+-@1", None, id="every allowed character"),
        pytest.param("größe", "Zoë Ökonom", None, id="letters of any script"),
        pytest.param("k", "", None, id="empty value"),
        pytest.param("k" * 128, "v" * 256, None, id="longest"),
        pytest.param("k" * 129, "v", INVALID, id="key too long"),
        pytest.param("k", "v" * 257, INVALID, id="value too long"),
        pytest.param("", "v", INVALID, id="empty key"),
        pytest.param("k", "a,b", INVALID, id="comma in value"),
        pytest.param("k", '{"a": 1}', INVALID, id="JSON in value"),
        pytest.param("k", "a\tb", INVALID, id="tab in value"),
        pytest.param("a*", "v", INVALID, id="star in key"),
    ],
)
def test_characters_and_lengths(iam: Any, key: str, value: str, expected: tuple[str, int] | None) -> None:
    iam.create_user(UserName="ada")
    assert refusal(iam.tag_user, UserName="ada", Tags=[{"Key": key, "Value": value}]) == expected


def test_one_key_twice_is_refused(iam: Any) -> None:
    tags = [{"Key": "Team", "Value": "x"}, {"Key": "team", "Value": "y"}]
    assert refusal(iam.create_user, UserName="ada", Tags=tags) == ("InvalidInput", 400)


def test_fifty_tags_and_no_more(iam: Any) -> None:
    fifty = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    iam.create_user(UserName="ada", Tags=fifty)
    assert refusal(iam.tag_user, UserName="ada", Tags=[{"Key": "k0", "Value": "other"}]) is None
    one_more = [{"Key": "k50", "Value": "v"}]
    assert refusal(iam.tag_user, UserName="ada", Tags=one_more) == ("LimitExceeded", 409)
    assert refusal(iam.create_user, UserName="bob", Tags=fifty + one_more) == INVALID


CONFLICT = ("DeleteConflict", 409)


@pytest.mark.parametrize("attachment", ATTACHMENTS, ids=lambda attachment: attachment.kind)
def test_a_user_with_anything_attached_is_not_deleted(iam: Any, attachment: Attachment) -> None:
    iam.create_user(UserName="ada")
    detach = attachment.attach(iam, "ada")
    assert refusal(iam.delete_user, UserName="ada") == CONFLICT
    assert message(iam.delete_user, UserName="ada") == attachment.conflict
    detach()
    assert refusal(iam.delete_user, UserName="ada") is None
    assert refusal(iam.get_user, UserName="ada") == ("NoSuchEntity", 404)


def test_a_fido_device_stands_in_the_way(iam: Any, account: Any) -> None:
    iam.create_user(UserName="ada")
    user = account.get_user("ada")
    device = seeding.add_fido_device(account, user, "yubikey", user.create_date)
    assert refusal(iam.delete_user, UserName="ada") == CONFLICT
    iam.deactivate_mfa_device(UserName="ada", SerialNumber=device.serial_number)
    assert refusal(iam.delete_user, UserName="ada") is None


@pytest.mark.parametrize("what", ["boundary", "tags", "used password"])
def test_what_does_not_stand_in_the_way(iam: Any, account: Any, what: str) -> None:
    iam.create_user(UserName="ada", Tags=[{"Key": "Team", "Value": "x"}])
    if what == "boundary":
        iam.put_user_permissions_boundary(UserName="ada", PermissionsBoundary=READ_ONLY)
    if what == "used password":
        user = account.get_user("ada")
        seeding.set_password_last_used(user, user.create_date)
    assert refusal(iam.delete_user, UserName="ada") is None


def test_a_deleted_user_leaves_nothing(iam: Any, account: Any) -> None:
    iam.create_user(UserName="ada", Tags=[{"Key": "Team", "Value": "x"}], PermissionsBoundary=READ_ONLY)
    for attachment in ATTACHMENTS:
        attachment.attach(iam, "ada")()
    iam.delete_user(UserName="ada")
    iam.create_user(UserName="ada")
    again = iam.get_user(UserName="ada")["User"]
    assert "Tags" not in again
    assert "PermissionsBoundary" not in again
    assert iam.get_group(GroupName="people")["Users"] == []
    assert account.access_keys == {}
    assert iam.list_entities_for_policy(PolicyArn=READ_ONLY)["PolicyUsers"] == []


def _member(iam: Any) -> None:
    iam.create_user(UserName="ada")
    iam.add_user_to_group(GroupName="people", UserName="ada")


GROUP_OBSTACLES: dict[str, Callable[[Any], object]] = {
    "member": _member,
    "attached policy": lambda iam: iam.attach_group_policy(GroupName="people", PolicyArn=READ_ONLY),
    "inline policy": lambda iam: iam.put_group_policy(
        GroupName="people", PolicyName="inline", PolicyDocument=DOCUMENT
    ),
}


@pytest.mark.parametrize("obstacle", GROUP_OBSTACLES)
def test_a_group_in_use_is_not_deleted(iam: Any, obstacle: str) -> None:
    iam.create_group(GroupName="people")
    GROUP_OBSTACLES[obstacle](iam)
    assert refusal(iam.delete_group, GroupName="people") == CONFLICT


def test_an_unused_group_is_deleted(iam: Any) -> None:
    iam.create_group(GroupName="people")
    assert refusal(iam.delete_group, GroupName="people") is None
    assert refusal(iam.get_group, GroupName="people") == ("NoSuchEntity", 404)


ROLE_OBSTACLES: dict[str, Callable[[Any], object]] = {
    "attached policy": lambda iam: iam.attach_role_policy(RoleName="app", PolicyArn=READ_ONLY),
    "inline policy": lambda iam: iam.put_role_policy(
        RoleName="app", PolicyName="inline", PolicyDocument=DOCUMENT
    ),
    "instance profile": lambda iam: (
        iam.create_instance_profile(InstanceProfileName="app"),
        iam.add_role_to_instance_profile(InstanceProfileName="app", RoleName="app"),
    ),
}


@pytest.mark.parametrize("obstacle", ROLE_OBSTACLES)
def test_a_role_in_use_is_not_deleted(iam: Any, obstacle: str) -> None:
    trust = DOCUMENT.replace('"Resource": "*"', '"Principal": {"Service": "ec2.amazonaws.com"}')
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=trust.replace("s3:Get*", "sts:AssumeRole"))
    ROLE_OBSTACLES[obstacle](iam)
    assert refusal(iam.delete_role, RoleName="app") == CONFLICT


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
def test_group_names_are_unique_whatever_their_case(iam: Any, name: str) -> None:
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
