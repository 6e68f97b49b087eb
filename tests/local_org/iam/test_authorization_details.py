# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from aws_local_org.iam import seeding
from tests.local_org.iam.attachments import DOCUMENT, READ_ONLY
from tests.local_org.refusals import refusal

OWN = "arn:aws:iam::111122223333:policy/own"
BOUNDARY = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": OWN}
ATTACHED = [{"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY}]
INLINE = [{"PolicyName": "inline", "PolicyDocument": json.loads(DOCUMENT)}]
LISTS = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


@pytest.fixture(autouse=True)
def contents(iam: Any) -> None:
    """A user, a group and a role with all that their details show; a user with nothing; a policy."""
    iam.create_policy(PolicyName="own", PolicyDocument=DOCUMENT)
    tags = [{"Key": "Team", "Value": "x"}]
    iam.create_user(UserName="ada", Path="/eng/", Tags=tags, PermissionsBoundary=OWN)
    iam.create_user(UserName="bob")
    iam.create_group(GroupName="people")
    iam.add_user_to_group(GroupName="people", UserName="ada")
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/eng/ada"}}
    statement = json.dumps({"Statement": [{**trust, "Action": "sts:AssumeRole"}]})
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=statement, Tags=tags, PermissionsBoundary=OWN)
    iam.create_instance_profile(InstanceProfileName="app")
    iam.add_role_to_instance_profile(InstanceProfileName="app", RoleName="app")
    for kind, name in (("user", "ada"), ("group", "people"), ("role", "app")):
        owner = {f"{kind.capitalize()}Name": name}
        getattr(iam, f"attach_{kind}_policy")(**owner, PolicyArn=READ_ONLY)
        getattr(iam, f"put_{kind}_policy")(**owner, PolicyName="inline", PolicyDocument=DOCUMENT)


def details(iam: Any, *kinds: str) -> dict[str, Any]:
    options = {"Filter": list(kinds)} if kinds else {}
    answer = iam.get_account_authorization_details(**options)
    return {name: answer[name] for name in LISTS}


def test_users(iam: Any) -> None:
    ada, bob = details(iam, "User")["UserDetailList"]
    known = iam.get_user(UserName="ada")["User"]
    assert ada == {
        **{name: known[name] for name in ("Path", "UserName", "UserId", "Arn", "CreateDate", "Tags")},
        "UserPolicyList": INLINE,
        "GroupList": ["people"],
        "AttachedManagedPolicies": ATTACHED,
        "PermissionsBoundary": BOUNDARY,
    }
    assert {name for name, value in bob.items() if value == []} == {
        "GroupList",
        "AttachedManagedPolicies",
        "Tags",
    }
    assert not {"UserPolicyList", "PermissionsBoundary", "PasswordLastUsed"} & set(bob)


def test_groups(iam: Any) -> None:
    (group,) = details(iam, "Group")["GroupDetailList"]
    known = iam.get_group(GroupName="people")["Group"]
    assert group == {**known, "GroupPolicyList": INLINE, "AttachedManagedPolicies": ATTACHED}


def test_roles(iam: Any, account: Any) -> None:
    seeding.set_role_last_used(account.get_role("app"), account.created, "eu-west-1")
    role = next(role for role in details(iam, "Role")["RoleDetailList"] if role["RoleName"] == "app")
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRole"
    assert role["RolePolicyList"] == INLINE
    assert role["AttachedManagedPolicies"] == ATTACHED
    assert role["PermissionsBoundary"] == BOUNDARY
    assert role["Tags"] == [{"Key": "Team", "Value": "x"}]
    assert role["RoleLastUsed"]["Region"] == "eu-west-1"
    (profile,) = role["InstanceProfileList"]
    assert [inner["RoleName"] for inner in profile["Roles"]] == ["app"]


def test_policies(iam: Any) -> None:
    iam.create_policy_version(PolicyArn=OWN, PolicyDocument=DOCUMENT)
    (own,) = details(iam, "LocalManagedPolicy")["Policies"]
    assert (own["Arn"], own["AttachmentCount"], own["PermissionsBoundaryUsageCount"]) == (OWN, 0, 2)
    versions = {version["VersionId"]: version["IsDefaultVersion"] for version in own["PolicyVersionList"]}
    assert versions == {"v1": True, "v2": False}
    assert own["PolicyVersionList"][0]["Document"] == json.loads(DOCUMENT)


def test_of_aws_only_the_policies_in_use(iam: Any) -> None:
    found = {policy["PolicyName"]: policy for policy in details(iam, "AWSManagedPolicy")["Policies"]}
    assert set(found) == {"AdministratorAccess", "ReadOnlyAccess"}
    assert found["ReadOnlyAccess"]["AttachmentCount"] == 3


@pytest.mark.parametrize(
    ("kinds", "sizes"),
    [
        ((), (2, 1, 3, 3)),
        (("User",), (2, 0, 0, 0)),
        (("Group",), (0, 1, 0, 0)),
        (("Role",), (0, 0, 3, 0)),
        (("LocalManagedPolicy",), (0, 0, 0, 1)),
        (("AWSManagedPolicy",), (0, 0, 0, 2)),
        (("User", "LocalManagedPolicy"), (2, 0, 0, 1)),
    ],
    ids=str,
)
def test_filters(iam: Any, kinds: tuple[str, ...], sizes: tuple[int, ...]) -> None:
    assert tuple(len(entries) for entries in details(iam, *kinds).values()) == sizes


def test_an_unknown_filter(iam: Any) -> None:
    refused = refusal(iam.get_account_authorization_details, Filter=["Users"])
    assert refused == ("ValidationError", 400)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 9, 1000])
def test_pages_run_through_the_lists_one_after_another(iam: Any, size: int) -> None:
    pages = list(
        iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": size})
    )
    together = {name: [entry for page in pages for entry in page[name]] for name in LISTS}
    assert together == details(iam)
    sizes = [sum(len(page[name]) for name in LISTS) for page in pages]
    assert sizes == [min(size, 9 - at) for at in range(0, 9, size)]
    assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
