# SPDX-License-Identifier: Apache-2.0
"""Creates users with every kind of attachment, by the public API (FIDO keys by the seeding helper)."""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from typing import Any

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import add_fido_device
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from tests.policies import ACCOUNT

ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
)
AWS_POLICIES = ("ReadOnlyAccess", "job-function/Billing", "AmazonS3ReadOnlyAccess")
SERVICES = ("codecommit.amazonaws.com", "cassandra.amazonaws.com", "bedrock.amazonaws.com")


def create_full_user(org: LocalOrg, name: str, path: str = "/", account: str = ACCOUNT) -> Any:
    """Create ``name`` with every attachment kind, most of them more than twice. Returns the IAM client."""
    iam, partition = org.client("iam", account), org.settings.partition
    user = {"UserName": name}
    tags = [{"Key": f"key-{number}", "Value": "v"} for number in range(3)]
    boundary = f"arn:{partition}:iam::aws:policy/PowerUserAccess"
    iam.create_user(**user, Path=path, Tags=tags, PermissionsBoundary=boundary)
    iam.create_login_profile(**user, Password="correct-Horse-7-battery")
    for _ in range(2):
        iam.create_access_key(**user)
    for certificate in CERTIFICATES[:2]:
        iam.upload_signing_certificate(**user, CertificateBody=certificate)
    for key in SSH_PUBLIC_KEYS[:3]:
        iam.upload_ssh_public_key(**user, SSHPublicKeyBody=key)
    for service in SERVICES:
        iam.create_service_specific_credential(**user, ServiceName=service)
    _devices(org, iam, name, account)
    _permissions(iam, user, partition)
    return iam


def _devices(org: LocalOrg, iam: Any, name: str, account: str) -> None:
    codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
    for number in range(3):
        iam.create_virtual_mfa_device(VirtualMFADeviceName=f"{name}-{number}")
        serial = f"arn:{org.settings.partition}:iam::{account}:mfa/{name}-{number}"
        iam.enable_mfa_device(UserName=name, SerialNumber=serial, **codes)
    iam.enable_mfa_device(UserName=name, SerialNumber=f"GAHT{zlib.crc32(name.encode()):010}", **codes)
    with org.lock:
        backend = org.backend("iam", account)
        add_fido_device(backend, backend.get_user(name), "key", datetime(2026, 1, 2))


def _permissions(iam: Any, user: dict[str, str], partition: str) -> None:
    for policy in AWS_POLICIES:
        iam.attach_user_policy(**user, PolicyArn=f"arn:{partition}:iam::aws:policy/{policy}")
    for number in range(3):
        iam.put_user_policy(**user, PolicyName=f"inline-{number}", PolicyDocument=ALLOW)
        group = f"group-{number}"
        try:
            iam.create_group(GroupName=group)
        except iam.exceptions.EntityAlreadyExistsException:
            pass  # created for another user of the same account
        iam.add_user_to_group(**user, GroupName=group)
