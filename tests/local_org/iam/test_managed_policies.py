# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from aws_local_org import LocalOrg
from tests.local_org.iam.attachments import DOCUMENT, READ_ONLY
from tests.local_org.refusals import message, refusal

TRUST = json.dumps(
    {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]
    }
)
OWNERS = ("user", "group", "role")


@pytest.fixture
def policy(iam: Any) -> str:
    """A policy of the account, beside a user, a group and a role named x."""
    iam.create_user(UserName="x")
    iam.create_group(GroupName="x")
    iam.create_role(RoleName="x", AssumeRolePolicyDocument=TRUST)
    return str(iam.create_policy(PolicyName="own", Path="/eng/", PolicyDocument=DOCUMENT)["Policy"]["Arn"])


def call(iam: Any, verb: str, owner: str) -> Callable[..., Any]:
    operation = getattr(iam, f"{verb}_{owner}_policy")
    return lambda **options: operation(**{f"{owner.capitalize()}Name": "x"}, **options)


@pytest.mark.parametrize("owner", OWNERS)
def test_attaching_and_detaching(iam: Any, policy: str, owner: str) -> None:
    listing = getattr(iam, f"list_attached_{owner}_policies")
    for _ in range(2):  # attaching again changes nothing
        call(iam, "attach", owner)(PolicyArn=policy)
    attached = listing(**{f"{owner.capitalize()}Name": "x"})["AttachedPolicies"]
    assert attached == [{"PolicyName": "own", "PolicyArn": policy}]
    assert iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"] == 1
    call(iam, "detach", owner)(PolicyArn=policy)
    assert iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"] == 0
    assert refusal(call(iam, "detach", owner), PolicyArn=policy) == ("NoSuchEntity", 404)


@pytest.mark.parametrize("owner", OWNERS)
def test_ten_policies_an_entity(iam: Any, policy: str, owner: str) -> None:
    arns = [entry["Arn"] for entry in iam.list_policies(Scope="AWS", MaxItems=11)["Policies"]]
    for arn in arns[:10]:
        call(iam, "attach", owner)(PolicyArn=arn)
    assert refusal(call(iam, "attach", owner), PolicyArn=arns[10]) == ("LimitExceeded", 409)
    assert refusal(call(iam, "attach", owner), PolicyArn=arns[0]) is None


@pytest.mark.parametrize("owner", OWNERS)
def test_attaching_what_does_not_exist(iam: Any, policy: str, owner: str) -> None:
    assert refusal(call(iam, "attach", owner), PolicyArn=f"{policy}2") == ("NoSuchEntity", 404)


@pytest.mark.parametrize("owner", OWNERS)
def test_an_attached_policy_is_not_deleted(iam: Any, policy: str, owner: str) -> None:
    call(iam, "attach", owner)(PolicyArn=policy)
    assert refusal(iam.delete_policy, PolicyArn=policy) == ("DeleteConflict", 409)
    assert message(iam.delete_policy, PolicyArn=policy) == "Cannot delete a policy attached to entities."
    call(iam, "detach", owner)(PolicyArn=policy)
    assert refusal(iam.delete_policy, PolicyArn=policy) is None
    assert refusal(iam.get_policy, PolicyArn=policy) == ("NoSuchEntity", 404)


@pytest.mark.parametrize("owner", ["user", "role"])
def test_a_boundary_is_not_deleted(iam: Any, policy: str, owner: str) -> None:
    named = {f"{owner.capitalize()}Name": "x"}
    getattr(iam, f"put_{owner}_permissions_boundary")(**named, PermissionsBoundary=policy)
    shown = iam.get_policy(PolicyArn=policy)["Policy"]
    assert (shown["PermissionsBoundaryUsageCount"], shown["AttachmentCount"]) == (1, 0)
    assert refusal(iam.delete_policy, PolicyArn=policy) == ("DeleteConflict", 409)
    getattr(iam, f"delete_{owner}_permissions_boundary")(**named)
    assert refusal(iam.delete_policy, PolicyArn=policy) is None


def test_a_policy_with_versions_is_not_deleted(iam: Any, policy: str) -> None:
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=DOCUMENT, SetAsDefault=True)
    assert refusal(iam.delete_policy, PolicyArn=policy) == ("DeleteConflict", 409)
    default = refusal(iam.delete_policy_version, PolicyArn=policy, VersionId="v2")
    assert default == ("DeleteConflict", 409)
    iam.delete_policy_version(PolicyArn=policy, VersionId="v1")
    assert refusal(iam.delete_policy, PolicyArn=policy) is None


def test_aws_managed_policies_exist_in_every_account(org: LocalOrg) -> None:
    for account_id in org.settings.account_ids:
        iam = org.client("iam", account_id)
        shown = iam.get_policy(PolicyArn=READ_ONLY)["Policy"]
        assert re.fullmatch("ANPA[A-Z2-7]{17}", shown["PolicyId"])
        version = iam.get_policy_version(PolicyArn=READ_ONLY, VersionId=shown["DefaultVersionId"])
        assert version["PolicyVersion"]["Document"]["Statement"]


def test_aws_managed_policies_are_attached_in_one_account_only(org: LocalOrg) -> None:
    payments, research = (org.client("iam", account_id) for account_id in ("111122223333", "444455556666"))
    payments.create_user(UserName="x")
    payments.attach_user_policy(UserName="x", PolicyArn=READ_ONLY)
    counts = [
        iam.get_policy(PolicyArn=READ_ONLY)["Policy"]["AttachmentCount"] for iam in (payments, research)
    ]
    assert counts == [1, 0]


def test_a_reset_keeps_aws_managed_policies(org: LocalOrg, iam: Any) -> None:
    org.reset()
    assert iam.get_policy(PolicyArn=READ_ONLY)["Policy"]["AttachmentCount"] == 0
    assert refusal(iam.get_user, UserName="x") == ("NoSuchEntity", 404)


@pytest.mark.parametrize(
    ("operation", "options"),
    [
        ("delete_policy", {}),
        ("create_policy_version", {"PolicyDocument": DOCUMENT}),
        ("delete_policy_version", {"VersionId": "v1"}),
        ("set_default_policy_version", {"VersionId": "v1"}),
        ("tag_policy", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ],
)
def test_aws_managed_policies_are_not_the_accounts_to_change(
    iam: Any, operation: str, options: dict[str, Any]
) -> None:
    refused = refusal(getattr(iam, operation), PolicyArn=READ_ONLY, **options)
    assert refused == ("InvalidInput", 400)


def padded(characters: int) -> str:
    """A policy of so many characters, beside white space."""
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::"}
    short = json.dumps({"Version": "2012-10-17", "Statement": statement}, separators=(",", ":"))
    statement["Resource"] += "b" * (characters - len(short))
    return json.dumps({"Version": "2012-10-17", "Statement": statement}, indent=4)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(padded(6144), None, id="as long as it may be"),
        pytest.param(padded(6145), ("LimitExceeded", 409), id="too long"),
        pytest.param("{", ("MalformedPolicyDocument", 400), id="no JSON"),
        pytest.param(TRUST, ("MalformedPolicyDocument", 400), id="a trust policy"),
    ],
)
def test_documents(iam: Any, policy: str, document: str, expected: tuple[str, int] | None) -> None:
    assert refusal(iam.create_policy, PolicyName="new", PolicyDocument=document) == expected
    assert refusal(iam.create_policy_version, PolicyArn=policy, PolicyDocument=document) == expected
    if expected == ("LimitExceeded", 409):
        said = message(iam.create_policy, PolicyName="new", PolicyDocument=document)
        assert said == "Cannot exceed quota for PolicySize: 6144"
