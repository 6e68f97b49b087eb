# SPDX-License-Identifier: Apache-2.0
"""Every kind of attachment of a user: how it is put on, and how it is taken off, over the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
DOCUMENT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}
)
CODES = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}


@dataclass(frozen=True)
class Attachment:
    """attach: given an IAM client and a user name, puts one on and returns what takes it off again."""

    kind: str
    attach: Callable[[Any, str], Callable[[], Any]]
    conflict: str


def _login_profile(iam: Any, user: str) -> Callable[[], Any]:
    iam.create_login_profile(UserName=user, Password="correct horse battery")
    return lambda: iam.delete_login_profile(UserName=user)


def _access_key(iam: Any, user: str) -> Callable[[], Any]:
    key = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    return lambda: iam.delete_access_key(UserName=user, AccessKeyId=key)


def _signing_certificate(iam: Any, user: str) -> Callable[[], Any]:
    certificate = iam.upload_signing_certificate(UserName=user, CertificateBody=CERTIFICATES[0])[
        "Certificate"
    ]
    return lambda: iam.delete_signing_certificate(UserName=user, CertificateId=certificate["CertificateId"])


def _ssh_public_key(iam: Any, user: str) -> Callable[[], Any]:
    key = iam.upload_ssh_public_key(UserName=user, SSHPublicKeyBody=SSH_PUBLIC_KEYS[0])["SSHPublicKey"]
    return lambda: iam.delete_ssh_public_key(UserName=user, SSHPublicKeyId=key["SSHPublicKeyId"])


def _service_credential(iam: Any, user: str) -> Callable[[], Any]:
    made = iam.create_service_specific_credential(UserName=user, ServiceName="codecommit.amazonaws.com")
    identity = made["ServiceSpecificCredential"]["ServiceSpecificCredentialId"]
    return lambda: iam.delete_service_specific_credential(UserName=user, ServiceSpecificCredentialId=identity)


def _virtual_mfa(iam: Any, user: str) -> Callable[[], Any]:
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=user)["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(UserName=user, SerialNumber=serial, **CODES)
    return lambda: iam.deactivate_mfa_device(UserName=user, SerialNumber=serial)


def _hardware_mfa(iam: Any, user: str) -> Callable[[], Any]:
    iam.enable_mfa_device(UserName=user, SerialNumber="GAHT12345678", **CODES)
    return lambda: iam.deactivate_mfa_device(UserName=user, SerialNumber="GAHT12345678")


def _attached_policy(iam: Any, user: str) -> Callable[[], Any]:
    iam.attach_user_policy(UserName=user, PolicyArn=READ_ONLY)
    return lambda: iam.detach_user_policy(UserName=user, PolicyArn=READ_ONLY)


def _inline_policy(iam: Any, user: str) -> Callable[[], Any]:
    iam.put_user_policy(UserName=user, PolicyName="inline", PolicyDocument=DOCUMENT)
    return lambda: iam.delete_user_policy(UserName=user, PolicyName="inline")


def _group(iam: Any, user: str) -> Callable[[], Any]:
    iam.create_group(GroupName="people")
    iam.add_user_to_group(GroupName="people", UserName=user)
    return lambda: iam.remove_user_from_group(GroupName="people", UserName=user)


ATTACHMENTS = (
    Attachment("login-profile", _login_profile, "Cannot delete entity, must delete login profile first."),
    Attachment("access-key", _access_key, "Cannot delete entity, must delete access keys first."),
    Attachment(
        "signing-certificate", _signing_certificate, "Cannot delete entity, must delete certificates first."
    ),
    Attachment(
        "ssh-public-key", _ssh_public_key, "Cannot delete entity, must remove referenced objects first."
    ),
    Attachment(
        "service-credential",
        _service_credential,
        "Cannot delete entity, must remove referenced objects first.",
    ),
    Attachment("virtual-mfa", _virtual_mfa, "Cannot delete entity, must delete MFA device first."),
    Attachment("hardware-mfa", _hardware_mfa, "Cannot delete entity, must delete MFA device first."),
    Attachment("attached-policy", _attached_policy, "Cannot delete entity, must detach all policies first."),
    Attachment("inline-policy", _inline_policy, "Cannot delete entity, must delete policies first."),
    Attachment("group", _group, "Cannot delete entity, must remove users from group first."),
)
