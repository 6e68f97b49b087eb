# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime
import re
from typing import Any

import pytest

from aws_local_org.iam import seeding
from tests.local_org.iam.attachments import READ_ONLY
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
