# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import datetime
import json
import re
from typing import Any

import boto3
import pytest

from aws_local_org import LocalOrg, credentials
from aws_local_org.credentials import Principal
from aws_local_org.sts import TrustRequest, trusts
from tests.local_org.refusals import AS_SENT, message, refusal

MANAGEMENT, PAYMENTS, RESEARCH = "123456789012", "111122223333", "444455556666"
DENIED = ("AccessDenied", 403)


def arn(account: str, role: str) -> str:
    return f"arn:aws:iam::{account}:role/{role}"


@pytest.fixture
def sts(org: LocalOrg) -> Any:
    """STS as the management account calls it."""
    return org.client("sts", config=AS_SENT)


def session_of(org: LocalOrg, issued: dict[str, Any]) -> boto3.Session:
    keys = issued["Credentials"]
    return boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name="us-east-1"
    )


def create_role(org: LocalOrg, account: str, statement: dict[str, Any], **options: Any) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Action": "sts:AssumeRole"}]})
    org.client("iam", account).create_role(RoleName="app", AssumeRolePolicyDocument=document, **options)


def test_a_session_acts_in_the_account_of_its_role(org: LocalOrg, sts: Any) -> None:
    issued = sts.assume_role(RoleArn=arn(PAYMENTS, "CloudCustodian"), RoleSessionName="ada@example.com")
    assert re.fullmatch("ASIA[A-Z2-7]{16}", issued["Credentials"]["AccessKeyId"])
    role = org.client("iam", PAYMENTS).get_role(RoleName="CloudCustodian")["Role"]
    expected = {
        "UserId": f"{role['RoleId']}:ada@example.com",
        "Account": PAYMENTS,
        "Arn": f"arn:aws:sts::{PAYMENTS}:assumed-role/CloudCustodian/ada@example.com",
    }
    session = session_of(org, issued)
    identity = session.client("sts", endpoint_url=org.endpoint_url).get_caller_identity()
    assert {name: identity[name] for name in expected} == expected
    assert issued["AssumedRoleUser"] == {"AssumedRoleId": expected["UserId"], "Arn": expected["Arn"]}
    session.client("iam", endpoint_url=org.endpoint_url).create_user(UserName="ada")
    assert list(org.backend("iam", PAYMENTS).users) == ["ada"]
    assert list(org.backend("iam", MANAGEMENT).users) == []


@pytest.mark.parametrize(
    ("account", "role"),
    [
        (MANAGEMENT, "CloudCustodian"),
        (MANAGEMENT, "IdentityCenterProvisioner"),
        (PAYMENTS, "CloudCustodian"),
        (PAYMENTS, "OrganizationAccountAccessRole"),
        (RESEARCH, "CloudCustodian"),
        ("777788889999", "OrganizationAccountAccessRole"),
    ],
)
@pytest.mark.parametrize("when", ["at start", "after a reset"])
def test_roles_that_are_always_there(org: LocalOrg, sts: Any, account: str, role: str, when: str) -> None:
    if when == "after a reset":
        org.reset()
    assert refusal(sts.assume_role, RoleArn=arn(account, role), RoleSessionName="test") is None


@pytest.mark.parametrize(
    "role_arn",
    [
        pytest.param(arn("999999999999", "CloudCustodian"), id="no such account"),
        pytest.param(arn(PAYMENTS, "none"), id="no such role"),
        pytest.param(arn(PAYMENTS, "path/CloudCustodian"), id="another path"),
        pytest.param(arn(MANAGEMENT, "OrganizationAccountAccessRole"), id="not in the management account"),
        pytest.param(arn(PAYMENTS, "app"), id="trusts somebody else"),
    ],
)
def test_roles_that_cannot_be_assumed(org: LocalOrg, sts: Any, role_arn: str) -> None:
    create_role(org, PAYMENTS, {"Effect": "Allow", "Principal": {"AWS": arn(RESEARCH, "CloudCustodian")}})
    wanted = {"RoleArn": role_arn, "RoleSessionName": "test"}
    assert refusal(sts.assume_role, **wanted) == DENIED
    assert message(sts.assume_role, **wanted) == (
        f"User: arn:aws:sts::{MANAGEMENT}:assumed-role/LocalOrgOperator/operator is not authorized to perform: "
        f"sts:AssumeRole on resource: {role_arn}"
    )


def test_members_reach_the_provisioner_and_not_each_other(org: LocalOrg) -> None:
    member = org.client("sts", PAYMENTS)
    provisioner = {"RoleArn": arn(MANAGEMENT, "IdentityCenterProvisioner"), "RoleSessionName": "test"}
    issued = member.assume_role(**provisioner)
    sso = session_of(org, issued).client("sso-admin", endpoint_url=org.endpoint_url)
    assert sso.list_instances()["Instances"][0]["OwnerAccountId"] == MANAGEMENT
    for account in (RESEARCH, MANAGEMENT):
        refused = refusal(member.assume_role, RoleArn=arn(account, "CloudCustodian"), RoleSessionName="test")
        assert refused == DENIED


@pytest.mark.parametrize(("external_id", "expected"), [("x", None), ("y", DENIED), (None, DENIED)])
def test_an_external_id(
    org: LocalOrg, sts: Any, external_id: str | None, expected: tuple[str, int] | None
) -> None:
    trusted = {"Effect": "Allow", "Principal": {"AWS": MANAGEMENT}}
    create_role(org, PAYMENTS, {**trusted, "Condition": {"StringEquals": {"sts:ExternalId": "xx"}}})
    given = {"ExternalId": external_id * 2} if external_id else {}
    refused = refusal(sts.assume_role, RoleArn=arn(PAYMENTS, "app"), RoleSessionName="test", **given)
    assert refused == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, None, id="an hour"),
        pytest.param({"DurationSeconds": 900}, None, id="the shortest"),
        pytest.param({"DurationSeconds": 7200}, None, id="the role's longest"),
        pytest.param({"DurationSeconds": 7201}, ("ValidationError", 400), id="longer than the role allows"),
        pytest.param({"DurationSeconds": 899}, ("ValidationError", 400), id="too short"),
        pytest.param({"DurationSeconds": 43201}, ("ValidationError", 400), id="too long for any role"),
        pytest.param(
            {"RoleSessionName": "a b"}, ("ValidationError", 400), id="a space in the session's name"
        ),
        pytest.param({"RoleSessionName": "a" * 65}, ("ValidationError", 400), id="a name too long"),
        pytest.param({"RoleArn": "CloudCustodian"}, ("ValidationError", 400), id="no ARN"),
    ],
)
def test_parameters(
    org: LocalOrg, sts: Any, options: dict[str, Any], expected: tuple[str, int] | None
) -> None:
    create_role(org, PAYMENTS, {"Effect": "Allow", "Principal": {"AWS": MANAGEMENT}}, MaxSessionDuration=7200)
    wanted = {"RoleArn": arn(PAYMENTS, "app"), "RoleSessionName": "test", **options}
    assert refusal(sts.assume_role, **wanted) == expected


def test_a_session_ends(org: LocalOrg, sts: Any) -> None:
    issued = sts.assume_role(
        RoleArn=arn(PAYMENTS, "CloudCustodian"), RoleSessionName="test", DurationSeconds=900
    )
    left = issued["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert 880 < left.total_seconds() <= 900
    iam = session_of(org, issued).client("iam", endpoint_url=org.endpoint_url)
    assert refusal(iam.list_users) is None
    key = issued["Credentials"]["AccessKeyId"]
    principal = credentials.resolve(key)
    assert principal.expires is not None
    past = principal.expires - datetime.timedelta(seconds=901)
    credentials.issue(key, dataclasses.replace(principal, expires=past))
    assert refusal(iam.list_users) == ("ExpiredToken", 403)


def test_a_users_session_token_acts_as_the_user(org: LocalOrg) -> None:
    iam = org.client("iam", PAYMENTS)
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    user = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
    issued = user.client("sts", endpoint_url=org.endpoint_url).get_session_token()
    session = session_of(org, issued).client("sts", endpoint_url=org.endpoint_url)
    assert session.get_caller_identity()["Arn"] == f"arn:aws:iam::{PAYMENTS}:user/ada"


def test_a_role_has_no_session_token_to_ask_for(sts: Any) -> None:
    assert refusal(sts.get_session_token) == DENIED


ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/eng/app"
SESSION = Principal(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/app/ada", "AROAX:ada", role_arn=ROLE)
USER = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ada", "AIDAX", user_name="ada")
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALLOW_ROOT = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}


def asked(statements: Any, caller: Principal = SESSION, external_id: str | None = None) -> bool:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return trusts(document, TrustRequest(caller, external_id))


@pytest.mark.parametrize(
    ("principal", "caller", "expected"),
    [
        pytest.param({"AWS": ROOT}, SESSION, True, id="the account's root, for a session"),
        pytest.param({"AWS": ROOT}, USER, True, id="the account's root, for a user"),
        pytest.param({"AWS": ACCOUNT}, USER, True, id="the account's number"),
        pytest.param({"AWS": ROLE}, SESSION, True, id="the role"),
        pytest.param({"AWS": SESSION.arn}, SESSION, True, id="the session"),
        pytest.param({"AWS": [USER.arn, "arn:aws:iam::1:root"]}, USER, True, id="one of several"),
        pytest.param("*", USER, True, id="everybody"),
        pytest.param({"AWS": "*"}, USER, True, id="every AWS principal"),
        pytest.param({"AWS": ROLE}, USER, False, id="the role, for a user"),
        pytest.param({"AWS": "arn:aws:iam::444455556666:root"}, SESSION, False, id="another account"),
        pytest.param({"AWS": f"{ROLE}2"}, SESSION, False, id="another role"),
        pytest.param({"Service": "ec2.amazonaws.com"}, SESSION, False, id="a service"),
        pytest.param({"Federated": "*"}, SESSION, False, id="an identity provider"),
        pytest.param({}, SESSION, False, id="nobody"),
    ],
)
def test_principals(principal: Any, caller: Principal, expected: bool) -> None:
    assert asked({**ALLOW_ROOT, "Principal": principal}, caller) is expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("sts:AssumeRole", True),
        ("STS:assumerole", True),
        (["sts:TagSession", "sts:Assume*"], True),
        ("*", True),
        ("sts:AssumeRoleWithSAML", False),
        ("iam:*", False),
    ],
    ids=str,
)
def test_actions(action: Any, expected: bool) -> None:
    assert asked([{**ALLOW_ROOT, "Action": action}]) is expected


@pytest.mark.parametrize(
    ("condition", "external_id", "expected"),
    [
        pytest.param({"StringEquals": {"sts:ExternalId": "x"}}, "x", True, id="the external id"),
        pytest.param({"StringEquals": {"sts:ExternalId": "x"}}, "y", False, id="another external id"),
        pytest.param({"StringEquals": {"sts:ExternalId": "x"}}, None, False, id="no external id"),
        pytest.param({"StringEquals": {"STS:externalid": ["w", "x"]}}, "x", True, id="one of several"),
        pytest.param({"StringLike": {"sts:ExternalId": "x-*"}}, "x-1", True, id="a pattern"),
        pytest.param(
            {"StringEquals": {"sts:ExternalId": "x-*"}}, "x-1", False, id="a pattern taken literally"
        ),
        pytest.param({"StringNotEquals": {"sts:ExternalId": "x"}}, "y", True, id="not"),
        pytest.param({"StringNotEquals": {"sts:ExternalId": "x"}}, "x", False, id="not, but it is"),
        pytest.param(
            {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/eng/*"}}, None, True, id="ARN"
        ),
        pytest.param({"ArnNotLike": {"aws:PrincipalArn": ROLE}}, None, False, id="not this ARN"),
        pytest.param({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, None, True, id="account"),
        pytest.param(
            {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, None, False, id="a key that is not there"
        ),
        pytest.param(
            {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}, None, True, id="if it is there"
        ),
        pytest.param(
            {"Bool": {"aws:MultiFactorAuthPresent": "true"}}, None, False, id="MFA, which nobody has"
        ),
        pytest.param(
            {"IpAddress": {"sts:ExternalId": "x"}}, "x", False, id="an operator that is not understood"
        ),
        pytest.param(
            {"StringEquals": {"sts:ExternalId": "x"}, "ArnLike": {"aws:PrincipalArn": "nobody"}},
            "x",
            False,
            id="all must hold",
        ),
    ],
)
def test_conditions(condition: dict[str, Any], external_id: str | None, expected: bool) -> None:
    assert asked({**ALLOW_ROOT, "Condition": condition}, SESSION, external_id) is expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([], False, id="nothing said"),
        pytest.param([ALLOW_ROOT, {**ALLOW_ROOT, "Effect": "Deny"}], False, id="a Deny wins"),
        pytest.param(
            [ALLOW_ROOT, {**ALLOW_ROOT, "Effect": "Deny", "Principal": {"AWS": USER.arn}}],
            True,
            id="a Deny of somebody else",
        ),
        pytest.param([{**ALLOW_ROOT, "Effect": "Deny"}], False, id="a Deny alone"),
    ],
)
def test_effects(statements: list[dict[str, Any]], expected: bool) -> None:
    assert asked(statements) is expected
