# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_local_org import LocalOrg
from aws_local_org.errors import LocalOrgError
from aws_local_org.load import load
from tests.local_org.sample_account import (
    ANA,
    BOT,
    DETAILS,
    OTHER,
    SOURCE,
    TARGET,
    details_of,
    policy,
    report,
)


def test_users_come_with_all_they_have(org: LocalOrg) -> None:
    load(org, TARGET, DETAILS)
    users = details_of(org)["UserDetailList"]
    assert set(users) == {"ana", "bot"}
    ana = users["ana"]
    assert ana["Arn"] == f"arn:aws:iam::{TARGET}:user/staff/ana"
    assert ana["UserId"] == "AIDAQWERTYUIOPASDFGHJ"
    assert ana["CreateDate"] == datetime(2019, 5, 1, 8, tzinfo=timezone.utc)
    assert ana["GroupList"] == ["Developers"]
    assert ana["Tags"] == [{"Key": "Email", "Value": "ana@example.com"}]
    assert ana["UserPolicyList"] == [{"PolicyName": "Own", "PolicyDocument": policy()}]
    assert {attached["PolicyArn"] for attached in ana["AttachedManagedPolicies"]} == {
        f"arn:aws:iam::{TARGET}:policy/ci/Deploy",
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
    }
    assert ana["PermissionsBoundary"]["PermissionsBoundaryArn"] == f"arn:aws:iam::{TARGET}:policy/ci/Deploy"


def test_groups_roles_and_policies_come_along(org: LocalOrg) -> None:
    load(org, TARGET, DETAILS)
    found = details_of(org)
    assert found["GroupDetailList"]["Developers"]["GroupPolicyList"][0]["PolicyName"] == "Sandbox"
    role = found["RoleDetailList"]["deploy"]
    principal = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
    assert principal == {"AWS": f"arn:aws:iam::{TARGET}:user/bot"}
    assert role["RoleLastUsed"]["Region"] == "eu-west-1"
    assert [profile["InstanceProfileName"] for profile in role["InstanceProfileList"]] == ["deploy"]
    deploy = found["Policies"]["Deploy"]
    assert (deploy["DefaultVersionId"], deploy["AttachmentCount"]) == ("v2", 1)
    default = next(version for version in deploy["PolicyVersionList"] if version["IsDefaultVersion"])
    assert default["Document"]["Statement"][0]["Resource"] == f"arn:aws:iam::{TARGET}:role/deploy"
    assert {version["VersionId"] for version in deploy["PolicyVersionList"]} == {"v1", "v2"}


def test_the_summary_tells_what_the_document_has_and_what_was_made(org: LocalOrg) -> None:
    summary = load(org, TARGET, DETAILS)
    assert summary["account"] == TARGET
    assert summary["document_account"] == SOURCE
    assert summary["entries"] == {
        "UserDetailList": 2,
        "GroupDetailList": 1,
        "RoleDetailList": 1,
        "Policies": 1,
    }
    wanted = {
        "users": 2,
        "groups": 1,
        "roles": 1,
        "policies": 1,
        "inline_policies": 1,
        "boundaries": 1,
        "tags": 1,
    }
    assert wanted.items() <= summary["counts"].items()
    assert summary["warnings"] == []
    assert json.loads(json.dumps(summary)) == summary


def test_what_was_loaded_can_be_saved_and_loaded_again(org: LocalOrg) -> None:
    load(org, TARGET, DETAILS)
    saved = org.client("iam", TARGET).get_account_authorization_details()
    summary = load(org, OTHER, json.loads(json.dumps(saved, default=str)))
    assert summary["document_account"] == TARGET
    assert set(details_of(org, OTHER)["UserDetailList"]) == {"ana", "bot"}
    # The roles that every account of the local organization has of its own.
    assert [line.partition(":")[0] for line in summary["warnings"]] == [
        "role has the name of one of the local organization's own, which was kept"
    ]


def test_pages_are_put_together(org: LocalOrg) -> None:
    ana, bot = DETAILS["UserDetailList"]
    pages = [
        {**DETAILS, "UserDetailList": [ana], "IsTruncated": True, "Marker": "m"},
        {"UserDetailList": [bot], "IsTruncated": False},
    ]
    assert load(org, TARGET, pages)["warnings"] == []
    assert set(details_of(org)["UserDetailList"]) == {"ana", "bot"}


@pytest.mark.parametrize(
    ("account_id", "document", "message"),
    [
        pytest.param(
            "999999999999", DETAILS, "has no account '999999999999'; it has 123456789012", id="account"
        ),
        pytest.param(TARGET, {}, "not authorization details", id="empty"),
        pytest.param(
            TARGET, {"Users": []}, "not authorization details: none of UserDetailList", id="list-users"
        ),
        pytest.param(TARGET, ["x"], "authorization details must be objects, not a string", id="no object"),
        pytest.param(TARGET, [], "not authorization details", id="no page"),
    ],
)
def test_what_cannot_be_loaded_is_refused(
    org: LocalOrg, account_id: str, document: Any, message: str
) -> None:
    with pytest.raises(LocalOrgError, match=message):
        load(org, account_id, document)


def test_a_report_that_cannot_be_read_leaves_the_account_empty(org: LocalOrg) -> None:
    with pytest.raises(LocalOrgError, match="no `user` column"):
        load(org, TARGET, DETAILS, "name,arn\nana,x")
    assert details_of(org)["UserDetailList"] == {}


def test_a_filled_account_is_refused(org: LocalOrg) -> None:
    load(org, TARGET, DETAILS)
    with pytest.raises(LocalOrgError, match=f"account {TARGET} is filled already"):
        load(org, TARGET, DETAILS)


def test_loaded_users_are_deleted_by_the_rules(org: LocalOrg) -> None:
    load(org, TARGET, DETAILS, report(ANA, BOT))
    iam = org.client("iam", TARGET)
    iam.delete_user(UserName="bot")
    with pytest.raises(ClientError, match="DeleteConflict"):
        iam.delete_user(UserName="ana")
    assert set(details_of(org)["UserDetailList"]) == {"ana"}
