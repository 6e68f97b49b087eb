# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from aws_local_org import LocalOrg
from tests.local_org.test_control import call

ACCOUNT = "111122223333"
DENY = {"Effect": "Deny", "Action": "*", "Resource": "*"}


@pytest.fixture
def key(org: LocalOrg) -> str:
    iam = org.client("iam", ACCOUNT)
    iam.create_user(UserName="ada")
    found: str = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    return found


def deny(org: LocalOrg, condition: dict[str, Any] | None = None) -> None:
    statement = {**DENY, **({"Condition": condition} if condition else {})}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    org.client("iam", ACCOUNT).put_user_policy(UserName="ada", PolicyName="d", PolicyDocument=document)


def attempted(org: LocalOrg, **more: Any) -> Any:
    status, found = call(org, "POST", "attempt", {"account_id": ACCOUNT, "user": "ada", **more})
    assert status == 200, found
    return found


def events(org: LocalOrg, region: str = "us-east-1") -> list[dict[str, Any]]:
    client = org.session(ACCOUNT).client("cloudtrail", region_name=region)
    attributes = [{"AttributeKey": "Username", "AttributeValue": "ada"}]
    return [
        json.loads(each["CloudTrailEvent"])
        for each in client.lookup_events(LookupAttributes=attributes)["Events"]
    ]


@pytest.mark.parametrize(
    ("condition", "denied"),
    [
        pytest.param(None, True, id="deny"),
        pytest.param({"DateLessThan": {"aws:CurrentTime": "2999-01-01T00:00:00Z"}}, True, id="until-later"),
        pytest.param({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False, id="over"),
        pytest.param({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, False, id="another-condition"),
    ],
)
def test_an_attempt_is_denied_where_a_policy_denies_everything(
    org: LocalOrg, key: str, condition: dict[str, Any] | None, denied: bool
) -> None:
    deny(org, condition)
    code = attempted(org, action="ec2:RunInstances", region="eu-west-1")["errorCode"]
    assert code == ("AccessDenied" if denied else None)
    assert events(org) == []
    (event,) = events(org, "eu-west-1")
    assert (event["eventSource"], event["eventName"]) == ("ec2.amazonaws.com", "RunInstances")
    assert event["userIdentity"]["accessKeyId"] == key
    used = org.client("iam", ACCOUNT).get_access_key_last_used(AccessKeyId=key)["AccessKeyLastUsed"]
    assert used["ServiceName"] == ("N/A" if denied else "ec2")


def test_boundary_and_attached_deny(org: LocalOrg, key: str) -> None:
    iam, arn = org.client("iam", ACCOUNT), "arn:aws:iam::aws:policy/AWSDenyAll"
    iam.put_user_permissions_boundary(UserName="ada", PermissionsBoundary=arn)
    assert attempted(org, action="iam:ListUsers")["errorCode"] == "AccessDenied"
    iam.delete_user_permissions_boundary(UserName="ada")
    iam.attach_user_policy(UserName="ada", PolicyArn=arn)
    assert attempted(org, action="iam:ListUsers")["errorCode"] == "AccessDenied"


def test_what_leaves_no_event(org: LocalOrg, key: str) -> None:
    assert "data events" in attempted(org, action="s3:GetObject")["reason"]
    org.client("iam", ACCOUNT).update_access_key(UserName="ada", AccessKeyId=key, Status="Inactive")
    assert "inactive" in attempted(org, action="ec2:RunInstances")["reason"]
    assert events(org) == []


def test_times_are_given(org: LocalOrg, key: str) -> None:
    attempted(org, action="iam:ListUsers", time="2020-01-01T00:00:00Z")  # older than 90 days
    assert events(org) == []


def test_a_sign_in_is_in_the_account_of_identity_center(org: LocalOrg) -> None:
    center = org.client("sso-admin").list_instances()["Instances"][0]
    name = {"GivenName": "Ada", "FamilyName": "L"}
    user = org.client("identitystore").create_user(
        IdentityStoreId=center["IdentityStoreId"], UserName="ada@example.com", Name=name, DisplayName="Ada"
    )
    given = {"username": "ada@example.com", "account_id": ACCOUNT, "permission_set": "ReadOnly"}
    assert call(org, "POST", "sign-in", given)[1]["userId"] == user["UserId"]
    attribute = {"AttributeKey": "EventName", "AttributeValue": "Federate"}
    (found,) = org.client("cloudtrail").lookup_events(LookupAttributes=[attribute])["Events"]
    record = json.loads(found["CloudTrailEvent"])
    assert record["userIdentity"]["onBehalfOf"]["userId"] == user["UserId"]
    assert record["serviceEventDetails"] == {"role_name": "ReadOnly", "account_id": ACCOUNT}


@pytest.mark.parametrize(
    ("route", "arguments", "error"),
    [
        pytest.param("attempt", {"user": "eve", "action": "iam:ListUsers"}, "has no IAM user eve", id="user"),
        pytest.param("attempt", {"user": "ada", "action": "ListUsers"}, "names no action", id="action"),
        pytest.param(
            "attempt", {"user": "ada", "action": "iam:ListUsers", "time": "soon"}, "is not a time", id="time"
        ),
        pytest.param("sign-in", {"username": "eve", "permission_set": "P"}, "has no user eve", id="person"),
    ],
)
def test_what_is_refused(org: LocalOrg, key: str, route: str, arguments: dict[str, Any], error: str) -> None:
    status, answer = call(org, "POST", route, {"account_id": ACCOUNT, **arguments})
    assert status == 400
    assert error in answer["error"]
