# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime
from typing import Any

import pytest

from aws_local_org.errors import AwsError
from aws_local_org.iam import seeding
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from tests.local_org.iam.attachments import DOCUMENT, READ_ONLY

MADE = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


def test_a_user_with_chosen_id_and_date(iam: Any, account: Any) -> None:
    seeding.add_user(
        account,
        "ada",
        path="/eng/",
        user_id="AIDAIOSFODNN7EXAMPLE1",
        created=MADE,
        tags={"Team": "x"},
        boundary=READ_ONLY,
    )
    user = iam.get_user(UserName="ada")["User"]
    assert (user["UserId"], user["CreateDate"], user["Path"]) == ("AIDAIOSFODNN7EXAMPLE1", MADE, "/eng/")
    assert user["Tags"] == [{"Key": "Team", "Value": "x"}]
    assert user["PermissionsBoundary"]["PermissionsBoundaryArn"] == READ_ONLY
    with pytest.raises(AwsError, match="EntityAlreadyExists"):
        seeding.add_user(account, "ADA")


@pytest.mark.parametrize(
    "zone", [datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=5, minutes=30))], ids=str
)
def test_dates_of_any_zone(iam: Any, account: Any, zone: datetime.timezone) -> None:
    seeding.add_user(account, "ada", created=MADE.astimezone(zone))
    assert iam.get_user(UserName="ada")["User"]["CreateDate"] == MADE


def test_naive_dates_are_utc(iam: Any, account: Any) -> None:
    seeding.add_user(account, "ada", created=MADE.replace(tzinfo=None))
    assert iam.get_user(UserName="ada")["User"]["CreateDate"] == MADE


def test_keys_and_certificates(iam: Any, account: Any) -> None:
    user = seeding.add_user(account, "ada")
    seeding.add_signing_certificate(
        user, CERTIFICATES[0], certificate_id="CERTIFICATE".ljust(24, "X"), uploaded=MADE, active=False
    )
    seeding.add_ssh_public_key(
        user, SSH_PUBLIC_KEYS[0], key_id="APKAIOSFODNN7EXAMPLE", uploaded=MADE, active=False
    )
    (certificate,) = iam.list_signing_certificates(UserName="ada")["Certificates"]
    (key,) = iam.list_ssh_public_keys(UserName="ada")["SSHPublicKeys"]
    assert certificate["CertificateId"] == "CERTIFICATEXXXXXXXXXXXXX"
    assert key["SSHPublicKeyId"] == "APKAIOSFODNN7EXAMPLE"
    for shown in (certificate, key):
        assert (shown["Status"], shown["UploadDate"]) == ("Inactive", MADE)
    with pytest.raises(AwsError, match="InvalidPublicKey"):
        seeding.add_ssh_public_key(user, "not a key")


def test_a_service_credential(iam: Any, account: Any) -> None:
    user = seeding.add_user(account, "ada")
    seeding.add_service_credential(
        user, "codecommit.amazonaws.com", MADE, credential_id="ACCAIOSFODNN7EXAMPLE1", active=False
    )
    (shown,) = iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]
    assert shown["ServiceSpecificCredentialId"] == "ACCAIOSFODNN7EXAMPLE1"
    assert (shown["Status"], shown["CreateDate"]) == ("Inactive", MADE)


def test_devices_of_every_kind(iam: Any, account: Any) -> None:
    user = seeding.add_user(account, "ada")
    virtual = f"arn:aws:iam::{account.account_id}:mfa/ada"
    for serial in (virtual, "GAHT12345678"):
        seeding.add_mfa_device(account, user, serial, MADE)
    fido = seeding.add_fido_device(account, user, "yubikey", MADE).serial_number
    orphan = seeding.add_unassigned_mfa_device(account, "left-over").serial_number
    assert fido.startswith(f"arn:aws:iam::{account.account_id}:u2f/user/ada/yubikey-")
    devices = iam.list_mfa_devices(UserName="ada")["MFADevices"]
    assert {device["SerialNumber"] for device in devices} == {virtual, "GAHT12345678", fido}
    assert {device["EnableDate"] for device in devices} == {MADE}
    listed = iam.list_virtual_mfa_devices()["VirtualMFADevices"]
    assert {device["SerialNumber"] for device in listed} == {virtual, orphan}


def test_dates_of_groups_roles_and_policies(iam: Any, account: Any) -> None:
    seeding.set_create_date(account.create_group("people"), MADE)
    seeding.set_create_date(account.create_policy("", "/", DOCUMENT, "own", []), MADE)
    seeding.set_role_last_used(account.get_role("CloudCustodian"), MADE, "eu-west-1")
    assert iam.get_group(GroupName="people")["Group"]["CreateDate"] == MADE
    arn = f"arn:aws:iam::{account.account_id}:policy/own"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["CreateDate"] == MADE
    used = iam.get_role(RoleName="CloudCustodian")["Role"]["RoleLastUsed"]
    assert used == {"LastUsedDate": MADE, "Region": "eu-west-1"}


def test_more_users_than_a_page_holds_are_read(iam: Any, account: Any) -> None:
    for number in range(1200):
        user = seeding.add_user(account, f"user{number}", tags={"Email": f"user{number}@example.com"})
        user.policies["inline"] = DOCUMENT
        account.attach_user_policy(READ_ONLY, user.name)
    for operation in ("get_account_authorization_details", "list_users"):
        pages = iam.get_paginator(operation).paginate(PaginationConfig={"PageSize": 1000})
        members = ("UserDetailList", "Users")
        users = [entry["UserName"] for page in pages for name in members for entry in page.get(name, [])]
        assert len(set(users)) == 1200
