# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS


@pytest.mark.parametrize("body", CERTIFICATES)
def test_certificates_can_be_read_and_are_valid_for_long(body: str) -> None:
    certificate = x509.load_pem_x509_certificate(body.encode())
    assert certificate.issuer == certificate.subject
    assert certificate.not_valid_after_utc > datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize("body", SSH_PUBLIC_KEYS)
def test_ssh_keys_are_such_as_iam_takes(body: str) -> None:
    key = load_ssh_public_key(body.encode())
    assert isinstance(key, RSAPublicKey)
    # UploadSSHPublicKey: "The minimum bit-length of the public key is 2048 bits."
    assert key.key_size >= 2048


def test_no_two_are_the_same() -> None:
    assert len({*CERTIFICATES, *SSH_PUBLIC_KEYS}) == len(CERTIFICATES) + len(SSH_PUBLIC_KEYS)
