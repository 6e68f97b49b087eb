# SPDX-License-Identifier: Apache-2.0
"""Creates users with every kind of attachment: credentials by the public API, the rest directly, which is faster."""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timezone
from typing import Any

from aws_local_org import LocalOrg
from aws_local_org.iam.seeding import add_fido_device, add_mfa_device
from aws_local_org.seeding.key_material import CERTIFICATES, SSH_PUBLIC_KEYS
from tests.policies import ACCOUNT

ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
)
#: Short ones first.
AWS_POLICIES = ("AmazonS3ReadOnlyAccess", "job-function/Billing", "ReadOnlyAccess")
SERVICES = ("codecommit.amazonaws.com", "cassandra.amazonaws.com", "bedrock.amazonaws.com")


def create_full_user(
    org: LocalOrg, name: str, path: str = "/", account: str = ACCOUNT, times: int = 1
) -> Any:
    """Create ``name`` with every attachment kind. Returns the IAM client.

    ``times``: how many of most kinds. One is enough where it is about a run; 3 are more than a page or a call has.
    """
    iam, partition = org.client("iam", account), org.settings.partition
    user = {"UserName": name}
    tags = [{"Key": f"key-{number}", "Value": "v"} for number in range(3)]
    boundary = f"arn:{partition}:iam::aws:policy/PowerUserAccess"
    iam.create_user(**user, Path=path, Tags=tags, PermissionsBoundary=boundary)
    iam.create_login_profile(**user, Password="correct-Horse-7-battery")
    for _ in range(2):
        iam.create_access_key(**user)
    for certificate in CERTIFICATES[: min(times, 2)]:
        iam.upload_signing_certificate(**user, CertificateBody=certificate)
    for key in SSH_PUBLIC_KEYS[:times]:
        iam.upload_ssh_public_key(**user, SSHPublicKeyBody=key)
    for service in SERVICES[:times]:
        iam.create_service_specific_credential(**user, ServiceName=service)
    with org.lock:
        backend = org.backend("iam", account)
        _add_devices(backend, name, partition, times)
        _add_permissions(backend, name, partition, times)
    return iam


def _add_devices(backend: Any, name: str, partition: str, times: int) -> None:
    user, now = backend.get_user(name), datetime.now(timezone.utc)
    for number in range(times):
        add_mfa_device(backend, user, f"arn:{partition}:iam::{user.account_id}:mfa/{name}-{number}", now)
    add_mfa_device(backend, user, f"GAHT{zlib.crc32(name.encode()):010}", now)
    add_fido_device(backend, user, "key", datetime(2026, 1, 2))


def _add_permissions(backend: Any, name: str, partition: str, times: int) -> None:
    for policy in AWS_POLICIES[:times]:
        backend.attach_user_policy(f"arn:{partition}:iam::aws:policy/{policy}", name)
    for number in range(times):
        backend.put_user_policy(name, f"inline-{number}", ALLOW)
        group = f"group-{number}"
        if group not in backend.groups:
            backend.create_group(group)
        backend.add_user_to_group(group, name)
