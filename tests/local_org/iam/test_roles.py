# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from aws_local_org import LocalOrg
from aws_local_org.credentials import Principal
from aws_local_org.sts import distrust
from tests.local_org.refusals import refusal

TRUST = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "x.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
NONE = "arn:aws:iam::111122223333:policy/none"


@pytest.mark.parametrize("name", ["app", "APP"])
def test_names_are_unique_whatever_their_case(iam: Any, name: str) -> None:
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    again = refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=TRUST)
    assert again == ("EntityAlreadyExists", 409)


def test_a_missing_boundary_is_refused(iam: Any) -> None:
    wanted = {"RoleName": "app", "AssumeRolePolicyDocument": TRUST}
    assert refusal(iam.create_role, **wanted, PermissionsBoundary=NONE) == ("NoSuchEntity", 404)
    iam.create_role(**wanted)
    refused = refusal(iam.put_role_permissions_boundary, RoleName="app", PermissionsBoundary=NONE)
    assert refused == ("NoSuchEntity", 404)


def test_a_missing_role(iam: Any) -> None:
    assert refusal(iam.get_role, RoleName="none") == ("NoSuchEntity", 404)


def test_dates_have_whole_seconds(iam: Any) -> None:
    made = iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)["Role"]["CreateDate"]
    assert made.microsecond == 0
    assert iam.get_role(RoleName="app")["Role"]["CreateDate"] == made


APP, ADA = "arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:user/ada"


def trusting(*principals: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": list(principals)}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trusted(iam: Any) -> list[str]:
    statements = iam.get_role(RoleName="target")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    return list(statements[0]["Principal"]["AWS"])


def test_a_trust_policy_keeps_who_it_names_not_the_name(org: LocalOrg, iam: Any) -> None:
    role = iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)["Role"]
    user = iam.create_user(UserName="ada")["User"]
    iam.create_role(RoleName="target", AssumeRolePolicyDocument=trusting(APP, ADA, "444455556666"))
    assert trusted(iam) == [APP, ADA, "444455556666"]
    iam.update_user(UserName="ada", NewUserName="eve", NewPath="/team/")
    assert trusted(iam)[1] == "arn:aws:iam::111122223333:user/team/eve"
    iam.delete_user(UserName="eve")
    iam.delete_role(RoleName="app")
    assert trusted(iam)[:2] == [role["RoleId"], user["UserId"]]
    new = iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)["Role"]
    assert trusted(iam)[:2] == [role["RoleId"], user["UserId"]]
    document = org.backend("iam", "111122223333").get_role("target").assume_role_policy_document
    old, now = (Principal("111122223333", f"{APP}/ci", f"{each['RoleId']}:ci", APP) for each in (role, new))
    assert distrust(document, now, {"RoleArn": APP}) is not None
    assert distrust(trusting(APP), now, {"RoleArn": APP}) is None
    assert distrust(trusting(APP), old, {"RoleArn": APP}) is not None


@pytest.mark.parametrize(
    ("principal", "refused"),
    [
        pytest.param(ADA, True, id="no such user"),
        pytest.param(APP, True, id="no such role"),
        pytest.param("AROAAAAAAAAAAAAAAAAAA", True, id="the id of a deleted role"),
        pytest.param("arn:aws:iam::111122223333:role/x/CloudCustodian", True, id="another path"),
        pytest.param("arn:aws:iam::111122223333:role/CloudCustodian", False, id="a role"),
        pytest.param("arn:aws:iam::999999999999:role/app", False, id="in an account elsewhere"),
        pytest.param("arn:aws:iam::111122223333:root", False, id="an account"),
    ],
)
def test_who_is_trusted_must_exist(iam: Any, principal: str, refused: bool) -> None:
    document = trusting(principal)
    expected = ("MalformedPolicyDocument", 400) if refused else None
    assert refusal(iam.create_role, RoleName="app2", AssumeRolePolicyDocument=document) == expected
    iam.create_role(RoleName="target", AssumeRolePolicyDocument=TRUST)
    changed = refusal(iam.update_assume_role_policy, RoleName="target", PolicyDocument=document)
    assert changed == expected
