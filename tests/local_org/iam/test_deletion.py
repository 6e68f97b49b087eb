# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aws_local_org.iam import seeding
from tests.local_org.iam.attachments import ATTACHMENTS, DOCUMENT, READ_ONLY, Attachment
from tests.local_org.refusals import message, refusal

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
