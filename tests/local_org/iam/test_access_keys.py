# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime
import re
from typing import Any

import boto3
import pytest

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from tests.local_org.iam.conftest import ACCOUNT
from tests.local_org.refusals import refusal

USED = datetime.datetime(2025, 4, 5, 6, 7, 8, tzinfo=datetime.timezone.utc)


def test_a_key_as_it_is_created_and_listed(iam: Any) -> None:
    iam.create_user(UserName="ada")
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    assert re.fullmatch("AKIA[A-Z2-7]{16}", made["AccessKeyId"])
    assert re.fullmatch("[A-Za-z0-9+/]{40}", made.pop("SecretAccessKey"))
    assert made["Status"] == "Active"
    assert iam.list_access_keys(UserName="ada")["AccessKeyMetadata"] == [made]


def test_two_keys_a_user(iam: Any) -> None:
    iam.create_user(UserName="ada")
    first, _ = (iam.create_access_key(UserName="ada")["AccessKey"] for _ in range(2))
    assert refusal(iam.create_access_key, UserName="ada") == ("LimitExceeded", 409)
    iam.delete_access_key(UserName="ada", AccessKeyId=first["AccessKeyId"])
    assert refusal(iam.create_access_key, UserName="ada") is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Inactive", None), ("Active", None), ("Disabled", ("ValidationError", 400))],
)
def test_status(iam: Any, status: str, expected: tuple[str, int] | None) -> None:
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    change = {"UserName": "ada", "AccessKeyId": key, "Status": status}
    assert refusal(iam.update_access_key, **change) == expected
    shown = iam.list_access_keys(UserName="ada")["AccessKeyMetadata"][0]["Status"]
    assert shown == (status if expected is None else "Active")


@pytest.mark.parametrize("operation", ["update_access_key", "delete_access_key"])
def test_a_key_of_somebody_else(iam: Any, operation: str) -> None:
    iam.create_user(UserName="ada")
    iam.create_user(UserName="bob")
    key = iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"]
    options = {"Status": "Inactive"} if operation == "update_access_key" else {}
    call = getattr(iam, operation)
    assert refusal(call, UserName="ada", AccessKeyId=key, **options) == ("NoSuchEntity", 404)


def test_a_key_that_was_never_used(iam: Any) -> None:
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]["AccessKeyId"]
    used = iam.get_access_key_last_used(AccessKeyId=key)
    assert used["UserName"] == "ada"
    assert used["AccessKeyLastUsed"] == {"Region": "N/A", "ServiceName": "N/A"}


def test_a_seeded_last_use(iam: Any, account: Any) -> None:
    user = seeding.add_user(account, "ada")
    key = seeding.add_access_key(account, user, key_id="AKIAIOSFODNN7EXAMPLE", created=USED, active=False)
    seeding.set_access_key_last_used(key, USED, service="s3", region="eu-west-1")
    used = iam.get_access_key_last_used(AccessKeyId="AKIAIOSFODNN7EXAMPLE")["AccessKeyLastUsed"]
    assert used == {"LastUsedDate": USED, "Region": "eu-west-1", "ServiceName": "s3"}
    (listed,) = iam.list_access_keys(UserName="ada")["AccessKeyMetadata"]
    assert (listed["Status"], listed["CreateDate"]) == ("Inactive", USED)


def test_an_unknown_key(iam: Any) -> None:
    unknown = "AKIAIOSFODNN7EXAMPLE"
    assert refusal(iam.get_access_key_last_used, AccessKeyId=unknown) == ("AccessDenied", 403)


def test_a_user_acts_with_the_key_in_its_account(org: LocalOrg, iam: Any) -> None:
    iam.create_user(UserName="ada", Path="/eng/")
    made = iam.create_access_key(UserName="ada")["AccessKey"]
    session = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], region_name="us-east-1")
    sts = session.client("sts", endpoint_url=org.endpoint_url)
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/eng/ada"
    mine = session.client("iam", endpoint_url=org.endpoint_url)
    assert mine.get_user()["User"]["UserName"] == "ada"
    assert mine.list_access_keys()["AccessKeyMetadata"][0]["AccessKeyId"] == made["AccessKeyId"]
    used = iam.get_access_key_last_used(AccessKeyId=made["AccessKeyId"])["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("iam", "us-east-1")
    iam.update_access_key(UserName="ada", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert refusal(mine.get_user) == ("InvalidClientTokenId", 403)
