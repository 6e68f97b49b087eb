# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import datetime
import re
from typing import Any

import boto3
import pytest

from aws_local_org import LocalOrg
from aws_local_org.iam import seeding
from tests.local_org.iam.conftest import ACCOUNT
from tests.local_org.refusals import refusal

PASSWORD = "correct horse battery"


def test_a_password_lives_and_dies(iam: Any) -> None:
    iam.create_user(UserName="ada")
    assert refusal(iam.get_login_profile, UserName="ada") == ("NoSuchEntity", 404)
    made = iam.create_login_profile(UserName="ada", Password=PASSWORD, PasswordResetRequired=True)
    assert made["LoginProfile"]["PasswordResetRequired"] is True
    iam.update_login_profile(UserName="ada", PasswordResetRequired=False)
    shown = iam.get_login_profile(UserName="ada")["LoginProfile"]
    assert shown == {**made["LoginProfile"], "PasswordResetRequired": False}
    iam.delete_login_profile(UserName="ada")
    assert refusal(iam.get_login_profile, UserName="ada") == ("NoSuchEntity", 404)


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
@pytest.mark.parametrize("user", ["ada", "nobody"])
def test_without_a_password(iam: Any, operation: str, user: str) -> None:
    iam.create_user(UserName="ada")
    assert refusal(getattr(iam, f"{operation}_login_profile"), UserName=user) == ("NoSuchEntity", 404)


def test_a_second_password_is_refused(iam: Any) -> None:
    iam.create_user(UserName="ada")
    iam.create_login_profile(UserName="ada", Password=PASSWORD)
    refused = refusal(iam.create_login_profile, UserName="ada", Password=PASSWORD)
    assert refused == ("EntityAlreadyExists", 409)


def test_a_password_too_long_is_not_repeated_in_the_error(iam: Any) -> None:
    iam.create_user(UserName="ada")
    with pytest.raises(iam.exceptions.ClientError) as refused:
        iam.create_login_profile(UserName="ada", Password="secret" * 30)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert "secret" not in str(refused.value)


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
def test_status_of_a_key(iam: Any, status: str, expected: tuple[str, int] | None) -> None:
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
    session = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], org.token, region_name="us-east-1")
    sts = session.client("sts", endpoint_url=org.endpoint_url)
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/eng/ada"
    mine = session.client("iam", endpoint_url=org.endpoint_url)
    assert mine.get_user()["User"]["UserName"] == "ada"
    assert mine.list_access_keys()["AccessKeyMetadata"][0]["AccessKeyId"] == made["AccessKeyId"]
    used = iam.get_access_key_last_used(AccessKeyId=made["AccessKeyId"])["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("iam", "us-east-1")
    iam.update_access_key(UserName="ada", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert refusal(mine.get_user) == ("InvalidClientTokenId", 403)


CODECOMMIT, KEYSPACES = "codecommit.amazonaws.com", "cassandra.amazonaws.com"
BEDROCK, LOGS = "bedrock.amazonaws.com", "logs.amazonaws.com"
SECRETS = {"ServicePassword", "ServiceCredentialSecret"}


def create(iam: Any, user: str, service: str, **options: Any) -> Any:
    made = iam.create_service_specific_credential(UserName=user, ServiceName=service, **options)
    return made["ServiceSpecificCredential"]


def listed(iam: Any, **options: Any) -> list[tuple[str, str]]:
    found = iam.list_service_specific_credentials(**options)["ServiceSpecificCredentials"]
    return [(credential["UserName"], credential["ServiceName"]) for credential in found]


@pytest.fixture
def users(iam: Any) -> None:
    for name in ("ada", "bob"):
        iam.create_user(UserName=name)


@pytest.mark.parametrize("service", [CODECOMMIT, KEYSPACES])
@pytest.mark.usefixtures("users")
def test_a_password_credential(iam: Any, service: str) -> None:
    made = create(iam, "ada", service)
    assert re.fullmatch("ACCA[A-Z2-7]{17}", made["ServiceSpecificCredentialId"])
    assert made["ServiceUserName"] == "ada-at-111122223333"
    assert len(made["ServicePassword"]) > 40
    assert made["Status"] == "Active"
    assert not {"ServiceCredentialAlias", "ServiceCredentialSecret", "ExpirationDate"} & set(made)


@pytest.mark.parametrize(("service", "prefix"), [(BEDROCK, "ABSK"), (LOGS, "ACWL")])
@pytest.mark.usefixtures("users")
def test_an_api_key(iam: Any, service: str, prefix: str) -> None:
    made = create(iam, "ada", service, CredentialAgeDays=30)
    assert made["ServiceCredentialAlias"] == "ada-at-111122223333"
    assert made["ServiceCredentialSecret"].startswith(prefix)
    alias = base64.b64decode(made["ServiceCredentialSecret"].removeprefix(prefix)).decode().partition(":")[0]
    assert alias == made["ServiceCredentialAlias"]
    assert made["ExpirationDate"] - made["CreateDate"] == datetime.timedelta(days=30)
    assert not {"ServiceUserName", "ServicePassword"} & set(made)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"ServiceName": "s3.amazonaws.com"}, ("NoSuchEntity", 404), id="unsupported service"),
        pytest.param({"UserName": "nobody"}, ("NoSuchEntity", 404), id="no such user"),
        pytest.param({"CredentialAgeDays": 1}, ("ValidationError", 400), id="an age for a password"),
        pytest.param(
            {"ServiceName": BEDROCK, "CredentialAgeDays": 36601}, ("ValidationError", 400), id="too old"
        ),
        pytest.param({"ServiceName": BEDROCK, "CredentialAgeDays": 0}, ("ValidationError", 400), id="no age"),
        pytest.param({"ServiceName": BEDROCK, "CredentialAgeDays": 36600}, None, id="the greatest age"),
    ],
)
@pytest.mark.usefixtures("users")
def test_creation_refused(iam: Any, options: dict[str, Any], expected: tuple[str, int] | None) -> None:
    wanted = {"UserName": "ada", "ServiceName": CODECOMMIT, **options}
    assert refusal(iam.create_service_specific_credential, **wanted) == expected


@pytest.mark.usefixtures("users")
def test_two_a_service_and_user(iam: Any) -> None:
    first, second = create(iam, "ada", CODECOMMIT), create(iam, "ada", CODECOMMIT)
    assert first["ServiceUserName"] != second["ServiceUserName"]
    third = {"UserName": "ada", "ServiceName": CODECOMMIT}
    assert refusal(iam.create_service_specific_credential, **third) == ("LimitExceeded", 409)
    assert create(iam, "ada", KEYSPACES)
    assert create(iam, "bob", CODECOMMIT)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"UserName": "ada"}, [("ada", CODECOMMIT), ("ada", BEDROCK)]),
        ({"UserName": "ada", "ServiceName": BEDROCK}, [("ada", BEDROCK)]),
        ({"UserName": "bob", "ServiceName": CODECOMMIT}, []),
        ({"AllUsers": True}, [("ada", CODECOMMIT), ("ada", BEDROCK), ("bob", BEDROCK)]),
        ({"AllUsers": True, "ServiceName": BEDROCK}, [("ada", BEDROCK), ("bob", BEDROCK)]),
    ],
    ids=str,
)
@pytest.mark.usefixtures("users")
def test_listing(iam: Any, options: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    for user, service in (("ada", CODECOMMIT), ("ada", BEDROCK), ("bob", BEDROCK)):
        create(iam, user, service)
    assert listed(iam, **options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"UserName": "ada", "AllUsers": True}, ("ValidationError", 400)),
        ({}, ("ValidationError", 400)),
        ({"UserName": "nobody"}, ("NoSuchEntity", 404)),
        ({"UserName": "ada", "ServiceName": "s3.amazonaws.com"}, ("NoSuchEntity", 404)),
    ],
    ids=str,
)
@pytest.mark.usefixtures("users")
def test_listing_refused(iam: Any, options: dict[str, Any], expected: tuple[str, int]) -> None:
    assert refusal(iam.list_service_specific_credentials, **options) == expected


@pytest.mark.usefixtures("users")
def test_a_listing_shows_no_secret(iam: Any) -> None:
    create(iam, "ada", CODECOMMIT)
    create(iam, "ada", BEDROCK)
    for credential in iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]:
        assert not SECRETS & set(credential)


@pytest.mark.usefixtures("users")
def test_listing_by_pages(iam: Any) -> None:
    for service in (CODECOMMIT, KEYSPACES, BEDROCK):
        create(iam, "ada", service)
    first = iam.list_service_specific_credentials(AllUsers=True, MaxItems=2)
    assert (len(first["ServiceSpecificCredentials"]), first["IsTruncated"]) == (2, True)
    last = iam.list_service_specific_credentials(AllUsers=True, MaxItems=2, Marker=first["Marker"])
    assert [credential["ServiceName"] for credential in last["ServiceSpecificCredentials"]] == [BEDROCK]
    assert last["IsTruncated"] is False


@pytest.mark.parametrize(
    ("status", "expected"),
    [("Inactive", None), ("Active", None), ("Expired", ("ValidationError", 400))],
)
@pytest.mark.usefixtures("users")
def test_status_of_a_credential(iam: Any, status: str, expected: tuple[str, int] | None) -> None:
    identity = create(iam, "ada", CODECOMMIT)["ServiceSpecificCredentialId"]
    change = {"UserName": "ada", "ServiceSpecificCredentialId": identity, "Status": status}
    assert refusal(iam.update_service_specific_credential, **change) == expected
    (shown,) = iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]
    assert shown["Status"] == (status if expected is None else "Active")


@pytest.mark.usefixtures("users")
def test_an_expired_credential(iam: Any, account: Any) -> None:
    made = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
    user = account.get_user("ada")
    seeding.add_service_credential(user, BEDROCK, made, expires=made + datetime.timedelta(days=1))
    (shown,) = iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]
    assert (shown["Status"], shown["CreateDate"]) == ("Expired", made)


@pytest.mark.usefixtures("users")
def test_resetting_gives_a_new_password(iam: Any) -> None:
    made = create(iam, "ada", CODECOMMIT)
    identity = {"UserName": "ada", "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    again = iam.reset_service_specific_credential(**identity)["ServiceSpecificCredential"]
    assert again["ServicePassword"] != made["ServicePassword"]
    assert {**again, "ServicePassword": made["ServicePassword"]} == made


@pytest.mark.parametrize("operation", ["update", "reset", "delete"])
@pytest.mark.usefixtures("users")
def test_a_credential_of_somebody_else(iam: Any, operation: str) -> None:
    identity = create(iam, "bob", CODECOMMIT)["ServiceSpecificCredentialId"]
    call = getattr(iam, f"{operation}_service_specific_credential")
    options = {"Status": "Inactive"} if operation == "update" else {}
    refused = refusal(call, UserName="ada", ServiceSpecificCredentialId=identity, **options)
    assert refused == ("NoSuchEntity", 404)
