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
from aws_local_org.sts import distrust
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


def user_session(org: LocalOrg, policy: dict[str, Any] | None = None) -> boto3.Session:
    """The session of a new user, ada, with her long-term key."""
    iam = org.client("iam", PAYMENTS)
    iam.create_user(UserName="ada")
    if policy:
        iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], org.token, region_name="us-east-1")


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
        pytest.param({"DurationSeconds": 3601}, ("ValidationError", 400), id="longer than a chained role's"),
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


@pytest.mark.parametrize(("seconds", "expected"), [(7200, None), (7201, ("ValidationError", 400))])
def test_a_user_gets_a_role_for_longer_than_an_hour(
    org: LocalOrg, seconds: int, expected: tuple[str, int] | None
) -> None:
    create_role(org, PAYMENTS, {"Effect": "Allow", "Principal": {"AWS": PAYMENTS}}, MaxSessionDuration=7200)
    sts = user_session(org).client("sts", endpoint_url=org.endpoint_url)
    wanted = {"RoleArn": arn(PAYMENTS, "app"), "RoleSessionName": "test", "DurationSeconds": seconds}
    assert refusal(sts.assume_role, **wanted) == expected


def test_a_session_ends(org: LocalOrg, sts: Any) -> None:
    issued = sts.assume_role(
        RoleArn=arn(PAYMENTS, "CloudCustodian"), RoleSessionName="test", DurationSeconds=900
    )
    left = issued["Credentials"]["Expiration"] - datetime.datetime.now(datetime.timezone.utc)
    assert 880 < left.total_seconds() <= 900
    iam = session_of(org, issued).client("iam", endpoint_url=org.endpoint_url)
    assert refusal(iam.list_users) is None
    key, token = issued["Credentials"]["AccessKeyId"], issued["Credentials"]["SessionToken"]
    principal = credentials.resolve(key, token)
    assert principal.expires is not None
    past = principal.expires - datetime.timedelta(seconds=901)
    credentials.issue(key, dataclasses.replace(principal, expires=past), token)
    assert refusal(iam.list_users) == ("ExpiredToken", 403)


@pytest.mark.parametrize("enforce", [False, True], ids=["open", "enforced"])
@pytest.mark.parametrize("whose", ["base", "session", "user"])
def test_every_request_shows_a_token_of_this_run(org: LocalOrg, sts: Any, whose: str, enforce: bool) -> None:
    """Signatures are not checked, and every process of this machine reaches the server."""
    issued = sts.assume_role(RoleArn=arn(PAYMENTS, "CloudCustodian"), RoleSessionName="test")
    sessions = {
        "base": org.session(),
        "session": session_of(org, issued),
        "user": user_session(org, ALLOW_ALL),
    }
    keys = sessions[whose].get_credentials()
    assert keys is not None
    assert keys.token
    org.configure(enforce=enforce)

    def answer(token: str | None) -> Any:
        found = boto3.Session(keys.access_key, keys.secret_key, token, region_name="us-east-1")
        return refusal(found.client("iam", endpoint_url=org.endpoint_url).list_users)

    assert answer(keys.token) is None
    for wrong in (
        None,
        "local-organization",
        keys.token[:-1],
        f"{keys.token}x",
        "\xe9",
        sts.meta.region_name,
    ):
        assert answer(wrong) == ("InvalidClientTokenId", 403), wrong


def test_the_token_of_another_run_opens_nothing(org: LocalOrg) -> None:
    other = LocalOrg().token
    client = boto3.client(
        "sqs",
        endpoint_url=org.endpoint_url,
        region_name=org.settings.region,
        aws_access_key_id=credentials.BASE_KEY_ID,
        aws_secret_access_key="x",
        aws_session_token=other,
    )
    assert refusal(client.list_queues) == ("UnrecognizedClientException", 403)


ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ALLOW_ALL = {"Version": "2012-10-17", "Statement": ALL}
MFA = {"SerialNumber": f"arn:aws:iam::{PAYMENTS}:mfa/ada", "TokenCode": "123456"}


def test_a_users_session_token_acts_as_the_user(org: LocalOrg) -> None:
    user = user_session(org, ALLOW_ALL)
    org.configure(enforce=True)
    issued = user.client("sts", endpoint_url=org.endpoint_url).get_session_token()
    session = session_of(org, issued)
    sts = session.client("sts", endpoint_url=org.endpoint_url)
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{PAYMENTS}:user/ada"
    # "You cannot call any IAM API operations unless MFA authentication information is included in the request"
    iam = session.client("iam", endpoint_url=org.endpoint_url)
    assert refusal(iam.list_users) == ("InvalidClientTokenId", 403)
    # "You cannot call any STS API except AssumeRole or GetCallerIdentity"
    assert refusal(sts.get_session_token) == DENIED
    assert refusal(sts.get_access_key_info, AccessKeyId="AKIA" + "A" * 16) == DENIED
    assert session.client("s3", endpoint_url=org.endpoint_url).list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(MFA, None, id="a code"),
        pytest.param({**MFA, "TokenCode": "1"}, DENIED, id="no code"),
        pytest.param({**MFA, "SerialNumber": f"{MFA['SerialNumber']}2"}, DENIED, id="another device"),
        pytest.param({"DurationSeconds": 899}, ("ValidationError", 400), id="too short"),
        pytest.param({"DurationSeconds": 129601}, ("ValidationError", 400), id="too long"),
    ],
)
def test_a_session_token_with_mfa(
    org: LocalOrg, given: dict[str, Any], expected: tuple[str, int] | None
) -> None:
    only: dict[str, Any] = {**ALL, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
    user = user_session(org, {"Version": "2012-10-17", "Statement": only})
    iam = org.client("iam", PAYMENTS)
    iam.create_virtual_mfa_device(VirtualMFADeviceName="ada")
    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "123457"}
    iam.enable_mfa_device(UserName="ada", SerialNumber=MFA["SerialNumber"], **codes)
    org.configure(enforce=True)
    assert refusal(user.client("iam", endpoint_url=org.endpoint_url).list_users) == DENIED
    sts = user.client("sts", endpoint_url=org.endpoint_url, config=AS_SENT)
    assert refusal(sts.get_session_token, **given) == expected
    if expected is None:
        session = session_of(org, sts.get_session_token(**given))
        assert refusal(session.client("iam", endpoint_url=org.endpoint_url).list_users) is None


READS = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"
LISTS = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:ListU*", "Resource": "*"}}


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        pytest.param({}, {"list_users", "list_groups", "create_group"}, id="no session policy"),
        pytest.param({"Policy": json.dumps(LISTS)}, {"list_users"}, id="inline"),
        pytest.param({"PolicyArns": [{"arn": READS}]}, {"list_users", "list_groups"}, id="managed"),
        pytest.param(
            {"Policy": json.dumps(LISTS), "PolicyArns": [{"arn": READS}]},
            {"list_users", "list_groups"},
            id="together",
        ),
        pytest.param(
            {"Policy": json.dumps(LISTS).replace("Allow", "Deny"), "PolicyArns": [{"arn": READS}]},
            {"list_groups"},
            id="denied",
        ),
    ],
)
def test_a_session_may_do_what_its_role_and_its_own_policies_allow(
    org: LocalOrg, sts: Any, given: dict[str, Any], allowed: set[str]
) -> None:
    org.configure(enforce=True)
    wanted = {"RoleArn": arn(PAYMENTS, "CloudCustodian"), "RoleSessionName": "test", **given}
    iam = session_of(org, sts.assume_role(**wanted)).client("iam", endpoint_url=org.endpoint_url)
    calls: dict[str, dict[str, str]] = {
        "list_users": {},
        "list_groups": {},
        "create_group": {"GroupName": "g"},
    }
    refused = {name: refusal(getattr(iam, name), **parameters) for name, parameters in calls.items()}
    assert {name for name, found in refused.items() if found is None} == allowed
    assert set(refused.values()) <= {None, DENIED}
    if given:
        assert message(iam.create_group, GroupName="g").endswith(
            "because no session policy allows the iam:CreateGroup action"
        )


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param({"Policy": "{"}, "MalformedPolicyDocument", id="no JSON"),
        pytest.param({"Policy": json.dumps({**LISTS, "Id": "x" * 2048})}, "ValidationError", id="too long"),
        pytest.param({"PolicyArns": [{"arn": READS}] * 11}, "ValidationError", id="too many"),
        pytest.param({"PolicyArns": [{"arn": f"{READS}2"}]}, "ValidationError", id="no such policy"),
    ],
)
def test_session_policies_that_are_refused(sts: Any, given: dict[str, Any], code: str) -> None:
    wanted = {"RoleArn": arn(PAYMENTS, "CloudCustodian"), "RoleSessionName": "test", **given}
    assert refusal(sts.assume_role, **wanted) == (code, 400)


def test_tags_and_a_source_identity_take_permissions_of_their_own_and_stay_in_a_chain(org: LocalOrg) -> None:
    create_role(org, PAYMENTS, {"Effect": "Allow", "Principal": {"AWS": [PAYMENTS, MANAGEMENT]}})
    wanted = {"RoleArn": arn(PAYMENTS, "app"), "RoleSessionName": "test"}
    tags: dict[str, Any] = {
        "Tags": [{"Key": "Team", "Value": "red"}, {"Key": "Size", "Value": "1"}],
        "TransitiveTagKeys": ["Team"],
    }
    first = org.client("sts")
    assert refusal(first.assume_role, **wanted, **tags) == DENIED
    assert refusal(first.assume_role, **wanted, SourceIdentity="ada") == DENIED
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    trust = {"Effect": "Allow", "Principal": {"AWS": [PAYMENTS, MANAGEMENT]}, "Action": actions}
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    org.client("iam", PAYMENTS).update_assume_role_policy(RoleName="app", PolicyDocument=document)
    issued = first.assume_role(**wanted, **tags, SourceIdentity="ada")
    assert issued["SourceIdentity"] == "ada"
    second = session_of(org, issued).client("sts", endpoint_url=org.endpoint_url)
    issued = second.assume_role(**wanted)["Credentials"]
    chained = credentials.resolve(issued["AccessKeyId"], issued["SessionToken"])
    assert (chained.session_tags, chained.source_identity) == ((("Team", "red"),), "ada")
    assert refusal(second.assume_role, **wanted, SourceIdentity="eve") == DENIED


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
    given = {"ExternalId": external_id} if external_id else {}
    return distrust(document, caller, {"RoleArn": ROLE, **given}) is None


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
            {"StringEquals": {"aws:SourceIdentity": "x"}}, None, False, id="a key that is not there"
        ),
        pytest.param({"StringEqualsIfExists": {"aws:SourceIdentity": "x"}}, None, True, id="if it is there"),
        pytest.param({"StringNotEquals": {"aws:SourceIdentity": "x"}}, None, True, id="not, and not there"),
        pytest.param({"Null": {"aws:SourceIdentity": "true"}}, None, True, id="it is not there"),
        pytest.param({"StringNotEquals": {"aws:SourceVpc": "x"}}, None, False, id="a key that is not known"),
        pytest.param(
            {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
            None,
            False,
            id="MFA, which this session has not",
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


#: What makes a Deny unreadable, or undecidable.
UNREADABLE: dict[str, dict[str, Any]] = {
    "a Deny with Action and NotAction": {"Action": "x:y", "NotAction": "iam:*"},
    "a Deny with an operator that is not understood": {
        "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    },
    "a Deny with a key that is not known": {"Condition": {"StringEquals": {"aws:SourceVpc": "v"}}},
    "a Deny with a key that is not documented": {"Condition": {"StringEquals": {"aws:x": "v"}}},
    "a Deny without MFA": {"Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}},
    "a Deny with a malformed condition": {"Condition": ["x"]},
    "a Deny with a malformed action": {"Action": {"x": "y"}},
    "a Deny of odd principals": {"Principal": {"AWS": f"{ROLE[:-1]}*"}},
    "a Deny of a principal of an unknown kind": {"Principal": {"aws": ACCOUNT}},
    "a Deny of malformed principals": {"Principal": [ROOT]},
    "a Deny of nobody named": {"Principal": {}},
    "an account as a number": {"Principal": {"AWS": int(ACCOUNT)}},
    "a Deny of all others": {"Principal": "*", "NotPrincipal": {"AWS": USER.arn}},
    "an unknown effect": {"Effect": "deny"},
}


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
        *(
            pytest.param([ALLOW_ROOT, {**ALLOW_ROOT, "Effect": "Deny", **deny}], False, id=name)
            for name, deny in UNREADABLE.items()
        ),
        pytest.param(
            [ALLOW_ROOT, {"Effect": "Deny", "Principal": {"AWS": ROOT}, "NotAction": "iam:*"}],
            False,
            id="a Deny by NotAction",
        ),
        pytest.param([ALLOW_ROOT, "Deny"], False, id="a statement that is none"),
        pytest.param("Allow", False, id="no statements"),
        pytest.param([ALLOW_ROOT, {**ALLOW_ROOT, "Action": {"x": "y"}}], True, id="a malformed Allow"),
    ],
)
def test_effects(statements: Any, expected: bool) -> None:
    assert asked(statements) is expected


def test_a_deny_on_what_is_not_known_is_named() -> None:
    deny = {**ALLOW_ROOT, "Effect": "Deny", "Condition": {"StringEquals": {"aws:SourceVpc": "v"}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [ALLOW_ROOT, deny]})
    found = distrust(document, SESSION, {"RoleArn": ROLE})
    assert found == " (unsupported condition key aws:sourcevpc in the local organization)"
    assert distrust("{", SESSION, {"RoleArn": ROLE}) == ""
