# SPDX-License-Identifier: Apache-2.0
"""Passwords, access keys, service-specific credentials, signing certificates and SSH public keys.

Passwords and secrets of service-specific credentials are not stored, because nothing here checks them.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import itertools
import secrets
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.iam.models import AccessKey, SigningCertificate, SshPublicKey

from aws_local_org.errors import (
    access_denied,
    already_exists,
    iam_error,
    no_such_entity,
    quota_exceeded,
    validation_error,
)
from aws_local_org.iam.base import Response, existing
from aws_local_org.iam.entities import (
    ACCESS_KEY,
    CERTIFICATE,
    PUBLIC_KEY,
    SERVICE_CREDENTIAL,
    LoginProfile,
    ServiceCredential,
    User,
    new_id,
)
from aws_local_org.iam.results import Listing, PlainResult


class LoginProfilesResponse(Response):
    """Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateLoginProfile.html and its siblings."""

    def create_login_profile(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        if user.login_profile is not None:
            raise already_exists(f"Login Profile for user {user.name} already exists.")
        if not self.params.get("Password"):
            raise validation_error("Must specify a password for an IAM user.")
        user.login_profile = LoginProfile(bool(self.params.get("PasswordResetRequired")), utcnow(), utcnow())
        return PlainResult({"LoginProfile": _profile_shape(user, user.login_profile)})

    def get_login_profile(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        return PlainResult({"LoginProfile": _profile_shape(user, _profile(user))})

    def update_login_profile(self) -> ActionResult:
        profile = _profile(self.backend.get_user(self.params["UserName"]))
        if self.params.get("Password"):
            profile.changed = utcnow()
        if self.params.get("PasswordResetRequired") is not None:
            profile.password_reset_required = bool(self.params["PasswordResetRequired"])
        return EmptyResult()

    def delete_login_profile(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        _profile(user)
        user.login_profile = None
        return EmptyResult()


def _profile(user: User) -> LoginProfile:
    return existing(user.login_profile, f"Login Profile for User {user.name}")


def _profile_shape(user: User, profile: LoginProfile) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "CreateDate": profile.create_date,
        "PasswordResetRequired": profile.password_reset_required,
    }


KEYS_PER_USER = 2


class AccessKeysResponse(Response):
    """Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html and its siblings."""

    def create_access_key(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        if len(user.access_keys) >= KEYS_PER_USER:
            raise quota_exceeded("AccessKeysPerUser", KEYS_PER_USER)
        key = user.create_access_key(prefix=ACCESS_KEY)
        self.backend.access_keys[key.access_key_id] = key
        return PlainResult({"AccessKey": {**_key_shape(key), "SecretAccessKey": key.secret_access_key}})

    def list_access_keys(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        return PlainResult({"AccessKeyMetadata": Listing(user.access_keys, _key_shape)})

    def update_access_key(self) -> ActionResult:
        key = _key(self.backend.get_user(self.params["UserName"]), self.params["AccessKeyId"])
        key.status = self.params["Status"]
        return EmptyResult()

    def delete_access_key(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        key = _key(user, self.params["AccessKeyId"])
        user.access_keys.remove(key)
        del self.backend.access_keys[key.access_key_id]
        return EmptyResult()

    def get_access_key_last_used(self) -> ActionResult:
        """ "N/A" for Region and service of a key that was never used, and no LastUsedDate.

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html. Without an account to
        ask about a key that does not exist, AWS denies access to it.
        """
        key = self.backend.access_keys.get(self.params["AccessKeyId"])
        if key is None:
            raise access_denied(
                f"User: {self.caller.arn} is not authorized to perform iam:GetAccessKeyLastUsed on resource: "
                f"access key {self.params['AccessKeyId']}"
            )
        used = key.last_used
        last_used = {
            "LastUsedDate": used.timestamp if used else None,
            "Region": used.region if used else "N/A",
            "ServiceName": used.service if used else "N/A",
        }
        return PlainResult({"UserName": key.user_name, "AccessKeyLastUsed": last_used})


def _key(user: User, access_key_id: str) -> AccessKey:
    found = next((key for key in user.access_keys if key.access_key_id == access_key_id), None)
    return existing(found, f"The Access Key with id {access_key_id}")


def _key_shape(key: AccessKey) -> dict[str, Any]:
    return {
        "UserName": key.user_name,
        "AccessKeyId": key.access_key_id,
        "Status": key.status,
        "CreateDate": key.create_date,
    }


#: Services with a user name and a password; services with an API key -> the prefix of the key.
PASSWORD_SERVICES = frozenset({"codecommit.amazonaws.com", "cassandra.amazonaws.com"})
API_KEY_PREFIXES = {"bedrock.amazonaws.com": "ABSK", "logs.amazonaws.com": "ACWL"}

#: "a maximum of two sets of service-specific credentials for each supported service per user"
PER_SERVICE = 2


class ServiceCredentialsResponse(Response):
    """CodeCommit and Keyspaces passwords, Bedrock and CloudWatch Logs API keys.

    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceSpecificCredential.html, its siblings.
    """

    def create_service_specific_credential(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        service = _supported(self.params["ServiceName"])
        days = self.params.get("CredentialAgeDays")
        if days is not None and service in PASSWORD_SERVICES:
            raise validation_error("CredentialAgeDays is only valid for API keys.")
        if sum(held.service_name == service for held in user.service_credentials.values()) >= PER_SERVICE:
            raise quota_exceeded("ServiceSpecificCredentialsPerUser", PER_SERVICE)
        expires = utcnow() + datetime.timedelta(days=int(days)) if days is not None else None
        credential = new_credential(user, service, utcnow(), expires=expires)
        return PlainResult(
            {"ServiceSpecificCredential": {**_credential_shape(credential), **_secret(credential)}}
        )

    def list_service_specific_credentials(self) -> ActionResult:
        service = self.params.get("ServiceName")
        held = self._of_users(_supported(service) if service else None)
        return PlainResult({"ServiceSpecificCredentials": Listing(held, _credential_shape)})

    def _of_users(self, service: str | None) -> Iterable[ServiceCredential]:
        name, all_users = self.params.get("UserName"), bool(self.params.get("AllUsers"))
        if name and all_users:
            raise validation_error("UserName and AllUsers cannot be specified together.")
        if not name and not all_users:
            name = self.caller.user_name
            if name is None:
                raise validation_error("Must specify userName when calling with non-User credentials")
        users = self.backend.users.values() if all_users else [self.backend.get_user(str(name))]
        credentials = (credential for user in users for credential in user.service_credentials.values())
        return [credential for credential in credentials if service in (None, credential.service_name)]

    def update_service_specific_credential(self) -> ActionResult:
        if self.params["Status"] == "Expired":
            raise validation_error("Status must be Active or Inactive.")
        self._credential().enabled = self.params["Status"] == "Active"
        return EmptyResult()

    def reset_service_specific_credential(self) -> ActionResult:
        credential = self._credential()
        return PlainResult(
            {"ServiceSpecificCredential": {**_credential_shape(credential), **_secret(credential)}}
        )

    def delete_service_specific_credential(self) -> ActionResult:
        credential = self._credential()
        del credential.user.service_credentials[credential.service_specific_credential_id]
        return EmptyResult()

    def _credential(self) -> ServiceCredential:
        wanted = self.params["ServiceSpecificCredentialId"]
        found = self.backend.get_user(self.params["UserName"]).service_credentials.get(wanted)
        if found is None:
            raise no_such_entity(f"No such credential {wanted} exists")
        return found


def new_credential(
    user: User,
    service: str,
    created: datetime.datetime,
    *,
    credential_id: str | None = None,
    expires: datetime.datetime | None = None,
    enabled: bool = True,
) -> ServiceCredential:
    """Give a user a credential. Its name has the user's name and account, and from a service's second on a number."""
    identity = credential_id or new_id(SERVICE_CREDENTIAL, user.account_id)
    held = [
        credential for credential in user.service_credentials.values() if credential.service_name == service
    ]
    taken = {credential.service_user_name or credential.alias for credential in held}
    suffixes = itertools.chain([""], (f"+{number}" for number in itertools.count(1)))
    names = (f"{user.name}{suffix}-at-{user.account_id}" for suffix in suffixes)
    name = next(name for name in names if name not in taken)
    credential = ServiceCredential(identity, user, service, created, expires=expires, enabled=enabled)
    if service in API_KEY_PREFIXES:
        credential.alias = name
    else:
        credential.service_user_name = name
    user.service_credentials[identity] = credential
    return credential


def _credential_shape(credential: ServiceCredential) -> dict[str, Any]:
    """ServiceSpecificCredentialMetadata."""
    return {
        "UserName": credential.user.name,
        "Status": credential.status,
        "ServiceUserName": credential.service_user_name,
        "ServiceCredentialAlias": credential.alias,
        "CreateDate": credential.create_date,
        "ExpirationDate": credential.expires,
        "ServiceSpecificCredentialId": credential.service_specific_credential_id,
        "ServiceName": credential.service_name,
    }


def _supported(service: str) -> str:
    if service not in PASSWORD_SERVICES and service not in API_KEY_PREFIXES:
        raise no_such_entity(f"No such service {service} is supported for Service Specific Credentials")
    return service


def _secret(credential: ServiceCredential) -> dict[str, str]:
    password = secrets.token_urlsafe(45)
    if credential.alias is None:
        return {"ServicePassword": password}
    key = base64.b64encode(f"{credential.alias}:{password}".encode()).decode()
    return {"ServiceCredentialSecret": API_KEY_PREFIXES[credential.service_name] + key}


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
    """Give a user a key. Its fingerprint is the MD5 message digest, as UploadSSHPublicKey gives it."""
    key = SshPublicKey(user.name, body)
    key.ssh_public_key_id = key_id or new_id(PUBLIC_KEY, user.account_id)
    key.fingerprint = _fingerprint(body)
    user.ssh_public_keys.append(key)
    return key


def _fingerprint(body: str) -> str:
    """Raises InvalidPublicKey for a body that is neither an ssh-rsa line nor PEM."""
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
    return existing(found, f"The Public Key with id {key_id}")


def _certificate(user: User, certificate_id: str) -> SigningCertificate:
    found = user.signing_certificates.get(certificate_id)
    return existing(found, f"The Certificate with id {certificate_id}")


def _ssh_shape(key: SshPublicKey) -> dict[str, Any]:
    """SSHPublicKey. SSHPublicKeyMetadata is the same without body and fingerprint."""
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
