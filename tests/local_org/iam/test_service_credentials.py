# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import datetime
import re
from typing import Any

import pytest

from aws_local_org.iam import seeding
from tests.local_org.refusals import refusal

CODECOMMIT, KEYSPACES = "codecommit.amazonaws.com", "cassandra.amazonaws.com"
BEDROCK, LOGS = "bedrock.amazonaws.com", "logs.amazonaws.com"
SECRETS = {"ServicePassword", "ServiceCredentialSecret"}


def create(iam: Any, user: str, service: str, **options: Any) -> Any:
    made = iam.create_service_specific_credential(UserName=user, ServiceName=service, **options)
    return made["ServiceSpecificCredential"]


def listed(iam: Any, **options: Any) -> list[tuple[str, str]]:
    found = iam.list_service_specific_credentials(**options)["ServiceSpecificCredentials"]
    return [(credential["UserName"], credential["ServiceName"]) for credential in found]


@pytest.fixture(autouse=True)
def users(iam: Any) -> None:
    for name in ("ada", "bob"):
        iam.create_user(UserName=name)


@pytest.mark.parametrize("service", [CODECOMMIT, KEYSPACES])
def test_a_password_credential(iam: Any, service: str) -> None:
    made = create(iam, "ada", service)
    assert re.fullmatch("ACCA[A-Z2-7]{17}", made["ServiceSpecificCredentialId"])
    assert made["ServiceUserName"] == "ada-at-111122223333"
    assert len(made["ServicePassword"]) > 40
    assert made["Status"] == "Active"
    assert not {"ServiceCredentialAlias", "ServiceCredentialSecret", "ExpirationDate"} & set(made)


@pytest.mark.parametrize(("service", "prefix"), [(BEDROCK, "ABSK"), (LOGS, "ACWL")])
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
def test_creation_refused(iam: Any, options: dict[str, Any], expected: tuple[str, int] | None) -> None:
    wanted = {"UserName": "ada", "ServiceName": CODECOMMIT, **options}
    assert refusal(iam.create_service_specific_credential, **wanted) == expected


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
def test_listing_refused(iam: Any, options: dict[str, Any], expected: tuple[str, int]) -> None:
    assert refusal(iam.list_service_specific_credentials, **options) == expected


def test_a_listing_shows_no_secret(iam: Any) -> None:
    create(iam, "ada", CODECOMMIT)
    create(iam, "ada", BEDROCK)
    for credential in iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]:
        assert not SECRETS & set(credential)


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
def test_status(iam: Any, status: str, expected: tuple[str, int] | None) -> None:
    identity = create(iam, "ada", CODECOMMIT)["ServiceSpecificCredentialId"]
    change = {"UserName": "ada", "ServiceSpecificCredentialId": identity, "Status": status}
    assert refusal(iam.update_service_specific_credential, **change) == expected
    (shown,) = iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]
    assert shown["Status"] == (status if expected is None else "Active")


def test_an_expired_credential(iam: Any, account: Any) -> None:
    made = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
    user = account.get_user("ada")
    seeding.add_service_credential(user, BEDROCK, made, expires=made + datetime.timedelta(days=1))
    (shown,) = iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]
    assert (shown["Status"], shown["CreateDate"]) == ("Expired", made)


def test_resetting_gives_a_new_password(iam: Any) -> None:
    made = create(iam, "ada", CODECOMMIT)
    identity = {"UserName": "ada", "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    again = iam.reset_service_specific_credential(**identity)["ServiceSpecificCredential"]
    assert again["ServicePassword"] != made["ServicePassword"]
    assert {**again, "ServicePassword": made["ServicePassword"]} == made


@pytest.mark.parametrize("operation", ["update", "reset", "delete"])
def test_a_credential_of_somebody_else(iam: Any, operation: str) -> None:
    identity = create(iam, "bob", CODECOMMIT)["ServiceSpecificCredentialId"]
    call = getattr(iam, f"{operation}_service_specific_credential")
    options = {"Status": "Inactive"} if operation == "update" else {}
    refused = refusal(call, UserName="ada", ServiceSpecificCredentialId=identity, **options)
    assert refused == ("NoSuchEntity", 404)
