# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.local_org.iam.attachments import DOCUMENT, READ_ONLY

PREFIX = "arn:aws:iam::111122223333:policy"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture(autouse=True)
def policies(iam: Any) -> None:
    """own is attached to user x and bounds user y; spare is unused; the account's roles have AdministratorAccess."""
    for name, path in (("own", "/eng/"), ("spare", "/")):
        iam.create_policy(PolicyName=name, Path=path, PolicyDocument=DOCUMENT, Description=f"{name} one")
    iam.create_user(UserName="x", Path="/eng/")
    iam.create_user(UserName="y", PermissionsBoundary=f"{PREFIX}/eng/own")
    iam.create_group(GroupName="g")
    iam.attach_user_policy(UserName="x", PolicyArn=f"{PREFIX}/eng/own")
    iam.attach_group_policy(GroupName="g", PolicyArn=READ_ONLY)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"Scope": "Local"}, {f"{PREFIX}/eng/own", f"{PREFIX}/spare"}),
        ({"Scope": "Local", "PathPrefix": "/eng/"}, {f"{PREFIX}/eng/own"}),
        ({"Scope": "Local", "OnlyAttached": True}, {f"{PREFIX}/eng/own"}),
        ({"Scope": "AWS", "OnlyAttached": True}, {READ_ONLY, ADMINISTRATOR}),
        ({"OnlyAttached": True}, {READ_ONLY, ADMINISTRATOR, f"{PREFIX}/eng/own"}),
        ({"PolicyUsageFilter": "PermissionsBoundary"}, {f"{PREFIX}/eng/own"}),
    ],
    # a set prints in another order in each process
    ids=lambda value: " ".join(sorted(map(str, value))) or "none",
)
def test_which_policies(iam: Any, options: dict[str, Any], expected: set[str]) -> None:
    assert {policy["Arn"] for policy in iam.list_policies(**options)["Policies"]} == expected


def test_all_of_aws_and_the_accounts(iam: Any) -> None:
    pages = iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 1000})
    arns = [policy["Arn"] for page in pages for policy in page["Policies"]]
    assert len(arns) == len(set(arns)) > 1500
    assert {f"{PREFIX}/eng/own", READ_ONLY} < set(arns)


def test_a_listing_leaves_description_and_tags_out(iam: Any) -> None:
    listed = iam.list_policies(Scope="Local", PathPrefix="/eng/")["Policies"][0]
    whole = iam.get_policy(PolicyArn=listed["Arn"])["Policy"]
    assert whole == {**listed, "Description": "own one", "Tags": []}
    assert (listed["AttachmentCount"], listed["PermissionsBoundaryUsageCount"]) == (1, 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"x", "y"}),
        ({"PolicyUsageFilter": "PermissionsPolicy"}, {"x"}),
        ({"PolicyUsageFilter": "PermissionsBoundary"}, {"y"}),
        ({"PathPrefix": "/eng/"}, {"x"}),
        ({"EntityFilter": "User"}, {"x", "y"}),
        ({"EntityFilter": "Group"}, set()),
    ],
    # a set prints in another order in each process
    ids=lambda value: " ".join(sorted(map(str, value))) or "none",
)
def test_which_users_use_a_policy(iam: Any, options: dict[str, Any], expected: set[str]) -> None:
    found = iam.list_entities_for_policy(PolicyArn=f"{PREFIX}/eng/own", **options)
    assert {user["UserName"] for user in found["PolicyUsers"]} == expected
    assert (found["PolicyGroups"], found["PolicyRoles"]) == ([], [])


def test_which_groups_and_roles_use_a_policy(iam: Any) -> None:
    assert [
        group["GroupName"] for group in iam.list_entities_for_policy(PolicyArn=READ_ONLY)["PolicyGroups"]
    ] == ["g"]
    roles = iam.list_entities_for_policy(PolicyArn=ADMINISTRATOR)["PolicyRoles"]
    assert {role["RoleName"] for role in roles} == {"CloudCustodian", "OrganizationAccountAccessRole"}
