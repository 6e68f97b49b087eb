# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from typing import Any

import pytest

from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from tests.local_org.refusals import refusal


@pytest.fixture(autouse=True)
def ada(iam: Any) -> None:
    iam.create_user(UserName="ada")


def upload_certificate(iam: Any, number: int) -> Any:
    return iam.upload_signing_certificate(UserName="ada", CertificateBody=CERTIFICATES[number])["Certificate"]


def upload_key(iam: Any, body: str) -> Any:
    return iam.upload_ssh_public_key(UserName="ada", SSHPublicKeyBody=body)["SSHPublicKey"]


def test_a_certificate_lives_and_dies(iam: Any) -> None:
    made = upload_certificate(iam, 0)
    assert made["CertificateBody"].strip() == CERTIFICATES[0].strip()
    identity = {"UserName": "ada", "CertificateId": made["CertificateId"]}
    iam.update_signing_certificate(**identity, Status="Inactive")
    (shown,) = iam.list_signing_certificates(UserName="ada")["Certificates"]
    assert shown == {**made, "Status": "Inactive"}
    iam.delete_signing_certificate(**identity)
    assert iam.list_signing_certificates(UserName="ada")["Certificates"] == []
    assert refusal(iam.delete_signing_certificate, **identity) == ("NoSuchEntity", 404)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, ("DuplicateCertificate", 409)), (2, ("LimitExceeded", 409))],
    ids=["duplicate", "a third"],
)
def test_certificates_refused(iam: Any, number: int, expected: tuple[str, int]) -> None:
    upload_certificate(iam, 0)
    upload_certificate(iam, 1)
    body = CERTIFICATES[number]
    assert refusal(iam.upload_signing_certificate, UserName="ada", CertificateBody=body) == expected


def test_a_certificate_that_is_none(iam: Any) -> None:
    refused = refusal(iam.upload_signing_certificate, UserName="ada", CertificateBody="not PEM")
    assert refused == ("MalformedCertificate", 400)


def test_an_ssh_key_lives_and_dies(iam: Any) -> None:
    made = upload_key(iam, SSH_PUBLIC_KEYS[0])
    assert re.fullmatch("APKA[A-Z2-7]{16}", made["SSHPublicKeyId"])
    assert re.fullmatch("([0-9a-f]{2}:){15}[0-9a-f]{2}", made["Fingerprint"])
    identity = {"UserName": "ada", "SSHPublicKeyId": made["SSHPublicKeyId"]}
    iam.update_ssh_public_key(**identity, Status="Inactive")
    (shown,) = iam.list_ssh_public_keys(UserName="ada")["SSHPublicKeys"]
    assert set(shown) == {"UserName", "SSHPublicKeyId", "Status", "UploadDate"}
    assert shown["Status"] == "Inactive"
    whole = iam.get_ssh_public_key(**identity, Encoding="SSH")["SSHPublicKey"]
    assert whole == {**made, "Status": "Inactive"}
    iam.delete_ssh_public_key(**identity)
    assert iam.list_ssh_public_keys(UserName="ada")["SSHPublicKeys"] == []
    assert refusal(iam.get_ssh_public_key, **identity, Encoding="SSH") == ("NoSuchEntity", 404)


@pytest.mark.parametrize(
    "body",
    ["not a key", "ssh-rsa ***", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"],
)
def test_an_ssh_key_that_is_none(iam: Any, body: str) -> None:
    refused = refusal(iam.upload_ssh_public_key, UserName="ada", SSHPublicKeyBody=body)
    assert refused == ("InvalidPublicKey", 400)


def test_five_ssh_keys_a_user(iam: Any) -> None:
    bodies = [f"ssh-rsa {'A' * 4 * (number + 1)}" for number in range(6)]
    for body in bodies[:5]:
        upload_key(iam, body)
    upload = {"UserName": "ada", "SSHPublicKeyBody": bodies[0]}
    assert refusal(iam.upload_ssh_public_key, **upload) == ("DuplicateSSHPublicKey", 400)
    upload["SSHPublicKeyBody"] = bodies[5]
    assert refusal(iam.upload_ssh_public_key, **upload) == ("LimitExceeded", 409)


def test_an_encoding_that_does_not_exist(iam: Any) -> None:
    key = upload_key(iam, SSH_PUBLIC_KEYS[0])["SSHPublicKeyId"]
    refused = refusal(iam.get_ssh_public_key, UserName="ada", SSHPublicKeyId=key, Encoding="DER")
    assert refused == ("ValidationError", 400)
