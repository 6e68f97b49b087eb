# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.policy_comparison.administrators import (
    ESCALATION_PATHS,
    admin_policies,
    escalating_actions,
    escalations,
    is_admin,
)
from c7n_iamusers.policy_comparison.aws_managed import AWS_MANAGED
from c7n_iamusers.text.wording import shown
from tests.policy_comparison.aws_managed import documents

MANAGED = "arn:aws:iam::aws:policy/"
OWN = "arn:aws:iam::111122223333:policy/own"


def document(action: Any = "*", resource: Any = "*", effect: str = "Allow", **rest: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": action, "Resource": resource, **rest}
    return {"Statement": {key: value for key, value in statement.items() if value is not None}}


@pytest.mark.parametrize(
    ("given", "admin"),
    [
        pytest.param(document(), True, id="everything"),
        pytest.param(document(["s3:Get*", "*"], ["arn:aws:s3:::x", "*"]), True, id="among-others"),
        pytest.param(document("*:*"), True, id="star-colon-star"),
        pytest.param(document("IAM:*"), True, id="all-of-iam-in-capitals"),
        pytest.param(document(["iam:C*", "iam:*"]), True, id="all-of-iam-among-others"),
        pytest.param(document(resource="arn:aws:*"), True, id="every-arn"),
        pytest.param(document(resource="arn:*:*:*:*:*"), True, id="every-arn-spelled-out"),
        pytest.param(
            document(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}), True, id="with-mfa"
        ),
        pytest.param(document(None, NotAction="s3:*"), True, id="all-but-s3"),
        pytest.param(document(None, NotAction=["iam:*", "organizations:*"]), False, id="all-but-iam"),
        pytest.param(document(None, NotAction="I*:Create*"), False, id="all-but-some-of-iam"),
        pytest.param(document(None, NotAction="*"), False, id="nothing"),
        pytest.param(document(effect="Deny"), False, id="deny"),
        pytest.param(document(effect="allow"), True, id="effect-in-lower-case"),
        pytest.param(document("s3:*"), False, id="one-service"),
        pytest.param(document("iam:Create*"), False, id="some-of-iam"),
        pytest.param(document("iam:CreateUser"), False, id="one-action"),
        pytest.param(document("iamx:*"), False, id="another-service"),
        pytest.param(document(resource="arn:aws:s3:::*"), False, id="every-bucket"),
        pytest.param(document(resource="arn:aws:iam::*:user/${aws:username}"), False, id="oneself"),
        pytest.param(document(resource=""), False, id="no-resource"),
        pytest.param(
            document(None, NotAction="s3:*", resource=None, NotResource="x"),
            True,
            id="all-but-s3-and-a-resource",
        ),
        pytest.param(
            document(resource=None, NotResource="arn:aws:s3:::logs/*"), True, id="all-but-some-resources"
        ),
        pytest.param(
            document(resource=None, NotResource="arn:aws:iam::*:*"), False, id="all-but-resources-of-iam"
        ),
        pytest.param(document(None, NotAction="iam:GetUser"), True, id="all-but-one-that-reads"),
        pytest.param(document("iam:*", "arn:aws:iam::111122223333:*"), True, id="all-of-iam-in-the-account"),
        pytest.param(
            document(
                "iam:*",
                [f"arn:aws:iam::111122223333:{each}/*" for each in ("user", "group", "role", "policy")],
            ),
            True,
            id="all-of-iam-by-type",
        ),
        pytest.param(document("iam:*", "arn:aws:iam::*:user/*"), False, id="all-of-iam-on-users"),
        pytest.param(document(["iam:?*", "iam:a*"]), True, id="all-of-iam-otherwise-spelled"),
        pytest.param({"Statement": []}, False, id="empty"),
        pytest.param(json.dumps(document()), True, id="text"),
        pytest.param(quote(json.dumps(document())), True, id="url-encoded"),
        pytest.param("rubbish", None, id="no-document"),
        pytest.param({"Statement": ["rubbish"]}, None, id="no-statement"),
        pytest.param(None, None, id="not-read"),
    ],
)
def test_documents(given: Any, admin: bool | None) -> None:
    assert is_admin(AppliedPolicy("own", OWN, document=given)) is admin


@pytest.mark.parametrize(
    ("arn", "admin"),
    [
        pytest.param(f"{MANAGED}AdministratorAccess", True, id="administrator"),
        pytest.param("arn:aws-cn:iam::aws:policy/AdministratorAccess", True, id="other-partition"),
        pytest.param(f"{MANAGED}IAMFullAccess", True, id="iam"),
        pytest.param(f"{MANAGED}PowerUserAccess", False, id="power-user"),
        pytest.param(f"{MANAGED}AdministratorAccess-Amplify", False, id="begins-alike"),
        pytest.param(f"{MANAGED}job-function/ViewOnlyAccess", False, id="under-a-path"),
        pytest.param("arn:aws:iam::111122223333:policy/AdministratorAccess", None, id="own-one-of-that-name"),
    ],
)
def test_managed_policies_by_name(arn: str, admin: bool | None) -> None:
    assert is_admin(AppliedPolicy(arn.rpartition("/")[2], arn)) is admin


READ, UNREAD = AppliedPolicy("read", OWN, document=document("s3:*")), AppliedPolicy("unread", OWN)
ADMIN = AppliedPolicy("AdministratorAccess", f"{MANAGED}AdministratorAccess", group="Admins")


@pytest.mark.parametrize(
    ("grants", "ways"),
    [
        pytest.param((READ,), (), id="none"),
        pytest.param((READ, ADMIN), ("AdministratorAccess through group Admins",), id="one"),
        pytest.param(
            (UNREAD, ADMIN), ("AdministratorAccess through group Admins",), id="one-whatever-the-other"
        ),
        pytest.param((READ, UNREAD), None, id="unknown"),
        pytest.param((), (), id="no-policies"),
        pytest.param(None, None, id="not-read"),
    ],
)
def test_ways(grants: tuple[AppliedPolicy, ...] | None, ways: tuple[str, ...] | None) -> None:
    assert admin_policies(grants) == ways


def way(path: str, *names: str) -> str:
    return f"{path} ({', '.join(names or ('own',))})"


ONESELF, ANYBODY = "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/*"
#: What one policy allows, and the beginnings of the ways that it is.
WAYS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing-of-the-kind": (document("s3:*"), []),
    "read-only": (document(["iam:Get*", "iam:List*", "ec2:Describe*"]), []),
    "all-of-s3-in-a-bucket": (document("*", "arn:aws:s3:::bucket/*"), []),
    "all-of-iam-on-users": (
        document("iam:*", [ANYBODY, "arn:aws:iam::*:policy/*"]),
        ["iam:CreatePolicyVersion", "iam:PutUserPolicy"],
    ),
    "one-action": (document("iam:PutUserPolicy", ANYBODY), ["iam:PutUserPolicy"]),
    "on-oneself": (document("iam:PutUserPolicy", ONESELF), ["iam:PutUserPolicy"]),
    "on-one-user": (document("iam:AttachUserPolicy", "arn:aws:iam::1:user/x"), ["iam:AttachUserPolicy"]),
    "own-keys": (document(["iam:CreateAccessKey", "iam:CreateLoginProfile"], ONESELF), []),
    "own-keys-below-a-path": (document("iam:CreateAccessKey", "arn:aws:iam::*:user/eng/${aws:username}"), []),
    "keys-of-others": (document("iam:CreateAccessKey", ANYBODY), ["iam:CreateAccessKey"]),
    "keys-of-names-that-begin-alike": (
        document("iam:CreateAccessKey", "arn:aws:iam::*:user/${aws:username}*"),
        ["iam:CreateAccessKey"],
    ),
    "with-a-condition": (
        document("iam:CreateAccessKey", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        ["iam:CreateAccessKey"],
    ),
    "beside-a-deny": (
        {"Statement": [document("iam:AddUserToGroup")["Statement"], document(effect="Deny")["Statement"]]},
        ["iam:AddUserToGroup"],
    ),
    "any-role": (document("sts:AssumeRole"), ["sts:AssumeRole"]),
    "roles-of-a-pattern": (document("sts:AssumeRole", "arn:aws:iam::*:role/app-*"), ["sts:AssumeRole"]),
    "one-role": (document("sts:AssumeRole", "arn:aws:iam::111122223333:role/reader"), []),
    "one-role-in-any-account": (document("sts:AssumeRole", "arn:aws:iam::*:role/reader"), []),
    "a-role-called-admin": (document("sts:AssumeRole", "arn:aws:iam::1:role/OrgAdmin"), ["sts:AssumeRole"]),
    "roles-but-one": (
        document("sts:AssumeRole", None, NotResource="arn:aws:iam::1:role/x"),
        ["sts:AssumeRole"],
    ),
    "pass-role-alone": (document("iam:PassRole"), []),
    "compute-alone": (document("ec2:RunInstances"), []),
    "pass-role-and-compute": (
        document(["iam:PassRole", "ec2:RunInstances"]),
        ["iam:PassRole with ec2:RunInstances"],
    ),
    "pass-one-role-to-compute": (
        {
            "Statement": [
                document("iam:PassRole", "arn:aws:iam::1:role/lambda")["Statement"],
                document("lambda:CreateFunction")["Statement"],
            ]
        },
        [],
    ),
    "code-of-any-function": (document("lambda:Update*"), ["lambda:UpdateFunctionCode"]),
    "code-of-one-function": (document("lambda:*", "arn:aws:lambda:eu-west-1:1:function:thumbs"), []),
    "all-but-iam": (document(None, NotAction="iam:*"), ["sts:AssumeRole", "ssm:SendCommand"]),
    "capitals": (document("IAM:putUSERpolicy"), ["iam:PutUserPolicy"]),
    "boundary": (document("iam:DeleteUserPermissionsBoundary"), ["iam:DeleteUserPermissionsBoundary"]),
    "too-complex": (
        document("iam:*", [f"arn:aws:iam::*:user/{'*a?' * 40}{number}" for number in range(60)]),
        ["iam:PutUserPolicy"],
    ),
}


@pytest.mark.parametrize(("given", "expected"), WAYS.values(), ids=WAYS)
def test_ways_to_administrator_rights(given: dict[str, Any], expected: list[str]) -> None:
    grants = (AppliedPolicy("own", OWN, document=given),)
    found, told = escalations(grants), admin_policies(grants)
    assert found is not None
    assert told is not None
    # who is an administrator needs no way
    if is_admin(grants[0]):
        assert told == ("own",)
        return
    assert {*map(way, expected)} <= set(found)
    assert bool(found) is bool(expected)
    assert told == ((f"a known way: {shown(found)}",) if found else ())


@pytest.mark.parametrize("path", ESCALATION_PATHS, ids=str)
def test_each_path_is_found_in_one_policy_and_across_policies(path: Any) -> None:
    assert path.source
    assert way(str(path)) in (
        escalations([AppliedPolicy("own", OWN, document=document(list(path.actions)))]) or ()
    )
    parts = [
        AppliedPolicy(f"part-{number}", OWN, document=document(action))
        for number, action in enumerate(path.actions)
    ]
    assert way(str(path), *(each.name for each in parts)) in (escalations(parts) or ())
    for action in path.actions:
        deny = document(action, effect="Deny")
        assert escalations([AppliedPolicy("own", OWN, document=deny)]) == ()


@pytest.mark.parametrize(
    ("grants", "found"),
    [
        pytest.param(None, None, id="not-read"),
        pytest.param((READ, UNREAD), None, id="one-not-read"),
        pytest.param((READ,), (), id="none"),
        pytest.param((ADMIN,), (), id="administrator"),
    ],
)
def test_ways_that_are_unknown(grants: Any, found: Any) -> None:
    assert escalations(grants) == found


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        pytest.param("PowerUserAccess", {"sts:AssumeRole", "lambda:UpdateFunctionCode"}, id="power-user"),
        pytest.param("AmazonSSMFullAccess", {"ssm:SendCommand"}, id="ssm"),
        pytest.param("AWSLambda_FullAccess", {"iam:PassRole with lambda:CreateFunction"}, id="lambda"),
        pytest.param("ReadOnlyAccess", set(), id="read-only"),
        pytest.param("AmazonS3FullAccess", set(), id="s3"),
        pytest.param("SecurityAudit", set(), id="audit"),
    ],
)
def test_aws_managed_policies_that_were_not_read(name: str, ways: set[str]) -> None:
    found = escalations([AppliedPolicy(name, f"{MANAGED}{name}")])
    assert found is not None
    assert {f"{each} ({name})" for each in ways} <= set(found)
    assert bool(found) is bool(ways)


def test_the_table_of_aws_managed_policies_is_what_their_documents_say() -> None:
    """``make renew`` writes it anew. A newer moto may differ in few."""
    found = {name: escalating_actions(each) for name, each in documents().items()}
    wrong = [name for name, actions in found.items() if AWS_MANAGED.get(name, actions) != actions]
    missing = [name for name, actions in found.items() if actions and name not in AWS_MANAGED]
    assert len(wrong) + len(missing) <= len(AWS_MANAGED) // 20, (wrong, missing)
