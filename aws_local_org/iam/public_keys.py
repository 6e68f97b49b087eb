# SPDX-License-Identifier: Apache-2.0
"""Signing certificates and SSH public keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from cryptography import x509
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.models import SigningCertificate, SshPublicKey

from aws_local_org.errors import iam_error, no_such_entity, quota_exceeded
from aws_local_org.iam.base import Response
from aws_local_org.iam.entities import CERTIFICATE, PUBLIC_KEY, User, new_id
from aws_local_org.iam.results import Listing, PlainResult

CERTIFICATES_PER_USER = 2
SSH_KEYS_PER_USER = 5


class SigningCertificatesResponse(Response):
    """Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UploadSigningCertificate.html, its siblings."""

    def upload_signing_certificate(self) -> ActionResult:
        user, body = self.backend.get_user(self.params["UserName"]), self.params["CertificateBody"]
        try:
            x509.load_pem_x509_certificate(body.encode())
        except ValueError as error:
            raise iam_error("MalformedCertificate", f"Certificate {body} is malformed.") from error
        if any(held.body.strip() == body.strip() for held in user.signing_certificates.values()):
            raise iam_error("DuplicateCertificate", "The certificate is already in use.")
        if len(user.signing_certificates) >= CERTIFICATES_PER_USER:
            raise quota_exceeded("CertificatesPerUser", CERTIFICATES_PER_USER)
        certificate = SigningCertificate(new_id(CERTIFICATE, user.account_id), user.name, body)
        user.signing_certificates[certificate.id] = certificate
        return PlainResult({"Certificate": _certificate_shape(certificate)})

    def list_signing_certificates(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        return PlainResult({"Certificates": Listing(user.signing_certificates.values(), _certificate_shape)})

    def update_signing_certificate(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        _certificate(user, self.params["CertificateId"]).status = self.params["Status"]
        return EmptyResult()

    def delete_signing_certificate(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        del user.signing_certificates[_certificate(user, self.params["CertificateId"]).id]
        return EmptyResult()


class SshPublicKeysResponse(Response):
    """Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_UploadSSHPublicKey.html and its siblings."""

    def upload_ssh_public_key(self) -> ActionResult:
        user, body = self.backend.get_user(self.params["UserName"]), self.params["SSHPublicKeyBody"].strip()
        fingerprint = _fingerprint(body)
        if any(held.fingerprint == fingerprint for held in user.ssh_public_keys):
            raise iam_error(
                "DuplicateSSHPublicKey", "The SSH public key is already associated with the user."
            )
        if len(user.ssh_public_keys) >= SSH_KEYS_PER_USER:
            raise quota_exceeded("SSHPublicKeysPerUser", SSH_KEYS_PER_USER)
        return PlainResult({"SSHPublicKey": _ssh_shape(new_ssh_key(user, body))})

    def list_ssh_public_keys(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        return PlainResult({"SSHPublicKeys": Listing(user.ssh_public_keys, _ssh_shape)})

    def get_ssh_public_key(self) -> ActionResult:
        if self.params["Encoding"] not in ("SSH", "PEM"):
            raise iam_error("UnrecognizedPublicKeyEncoding", "The encoding must be SSH or PEM.")
        user = self.backend.get_user(self.params["UserName"])
        return PlainResult({"SSHPublicKey": _ssh_shape(_ssh_key(user, self.params["SSHPublicKeyId"]))})

    def update_ssh_public_key(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        _ssh_key(user, self.params["SSHPublicKeyId"]).status = self.params["Status"]
        return EmptyResult()

    def delete_ssh_public_key(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        user.ssh_public_keys.remove(_ssh_key(user, self.params["SSHPublicKeyId"]))
        return EmptyResult()


def new_ssh_key(user: User, body: str, key_id: str | None = None) -> SshPublicKey:
    """Put a key on a user. fingerprint: the MD5 message digest of the key, as UploadSSHPublicKey gives it."""
    key = SshPublicKey(user.name, body)
    key.ssh_public_key_id = key_id or new_id(PUBLIC_KEY, user.account_id)
    key.fingerprint = _fingerprint(body)
    user.ssh_public_keys.append(key)
    return key


def _fingerprint(body: str) -> str:
    """Raises InvalidPublicKey for what is neither an ssh-rsa line nor PEM."""
    kind, _, rest = body.partition(" ")
    encoded = rest.partition(" ")[0] if kind == "ssh-rsa" else _pem_content(body)
    try:
        digest = hashlib.md5(base64.b64decode(encoded, validate=True), usedforsecurity=False).hexdigest()
    except binascii.Error as error:
        raise iam_error("InvalidPublicKey", "The public key is malformed or otherwise invalid.") from error
    return ":".join(digest[index : index + 2] for index in range(0, len(digest), 2))


def _pem_content(body: str) -> str:
    lines = [line.strip() for line in body.strip().splitlines()]
    if len(lines) < 3 or not lines[0].startswith("-----BEGIN ") or not lines[-1].startswith("-----END "):
        raise iam_error("InvalidPublicKey", "The public key is malformed or otherwise invalid.")
    return "".join(lines[1:-1])


def _ssh_key(user: User, key_id: str) -> SshPublicKey:
    found = next((key for key in user.ssh_public_keys if key.ssh_public_key_id == key_id), None)
    if found is None:
        raise no_such_entity(f"The Public Key with id {key_id} cannot be found.")
    return found


def _certificate(user: User, certificate_id: str) -> SigningCertificate:
    found = user.signing_certificates.get(certificate_id)
    if found is None:
        raise no_such_entity(f"The Certificate with id {certificate_id} cannot be found.")
    return found


def _ssh_shape(key: SshPublicKey) -> dict[str, Any]:
    """SSHPublicKey; of it, SSHPublicKeyMetadata has no body and no fingerprint."""
    return {
        "UserName": key.user_name,
        "SSHPublicKeyId": key.ssh_public_key_id,
        "Fingerprint": key.fingerprint,
        "SSHPublicKeyBody": key.ssh_public_key_body,
        "Status": key.status,
        "UploadDate": key.upload_date,
    }


def _certificate_shape(certificate: SigningCertificate) -> dict[str, Any]:
    return {
        "UserName": certificate.user_name,
        "CertificateId": certificate.id,
        "CertificateBody": certificate.body,
        "Status": certificate.status,
        "UploadDate": certificate.upload_date,
    }
