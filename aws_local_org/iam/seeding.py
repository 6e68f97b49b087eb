# SPDX-License-Identifier: Apache-2.0
"""Sets what no IAM API can set, for tests and seeding: ids, dates, last uses, FIDO devices.

`account` is `org.backend("iam", account_id)`; hold `org.lock` where calls may run meanwhile. Dates are datetimes, aware
ones of any zone, naive ones in UTC. Groups, roles and policies are made by the backend's own methods (create_group,
create_role, create_policy) or over the API; their dates are set here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from moto.iam.models import (
    AccessKey,
    AccessKeyLastUsed,
    ManagedPolicy,
    Role,
    SigningCertificate,
    SshPublicKey,
)

from aws_local_org.iam.credentials import new_credential, new_ssh_key
from aws_local_org.iam.entities import (
    ACCESS_KEY,
    CERTIFICATE,
    Group,
    LoginProfile,
    MfaDevice,
    ServiceCredential,
    User,
    VirtualMfaDevice,
    new_id,
)
from aws_local_org.iam.mfa import assign


def add_user(
    account: Any,
    name: str,
    *,
    path: str = "/",
    user_id: str | None = None,
    created: datetime | None = None,
    tags: Mapping[str, str] | None = None,
    boundary: str | None = None,
) -> User:
    """A user; boundary: a managed policy's ARN. Raises AwsError EntityAlreadyExists for a name that is taken."""
    tag_list = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
    user: User = account.create_user(account.region_name, name, path, tag_list)
    user.id = user_id or user.id
    user.create_date = naive_utc(created) if created else user.create_date
    user.permissions_boundary_arn = boundary
    return user


def set_create_date(entity: User | Group | Role | ManagedPolicy | AccessKey, created: datetime) -> None:
    entity.create_date = naive_utc(created)


def set_password(user: User, changed: datetime, *, last_used: datetime | None = None) -> None:
    """A login profile whose password was set at `changed`."""
    user.login_profile = LoginProfile(False, naive_utc(changed), naive_utc(changed))
    set_password_last_used(user, last_used)


def set_password_last_used(user: User, last_used: datetime | None) -> None:
    """None: never. It stays with a user who no longer has a password (API reference, User, PasswordLastUsed)."""
    user.password_last_used = naive_utc(last_used) if last_used else None


def add_access_key(
    account: Any,
    user: User,
    *,
    key_id: str | None = None,
    created: datetime | None = None,
    active: bool = True,
) -> AccessKey:
    key = user.create_access_key(prefix=ACCESS_KEY, status="Active" if active else "Inactive")
    key.access_key_id = key_id or key.access_key_id
    key.create_date = naive_utc(created) if created else key.create_date
    account.access_keys[key.access_key_id] = key
    return key


def set_access_key_last_used(
    key: AccessKey, used: datetime, *, service: str = "N/A", region: str = "N/A"
) -> None:
    """service and region as in GetAccessKeyLastUsed, e.g. `s3` and `eu-west-1`."""
    key.last_used = AccessKeyLastUsed(timestamp=naive_utc(used), service=service, region=region)


def add_signing_certificate(
    user: User,
    body: str,
    *,
    certificate_id: str | None = None,
    uploaded: datetime | None = None,
    active: bool = True,
) -> SigningCertificate:
    certificate = SigningCertificate(certificate_id or new_id(CERTIFICATE, user.account_id), user.name, body)
    certificate.upload_date = naive_utc(uploaded) if uploaded else certificate.upload_date
    certificate.status = "Active" if active else "Inactive"
    user.signing_certificates[certificate.id] = certificate
    return certificate


def add_ssh_public_key(
    user: User, body: str, *, key_id: str | None = None, uploaded: datetime | None = None, active: bool = True
) -> SshPublicKey:
    """Raises AwsError InvalidPublicKey for a body that is neither an ssh-rsa line nor PEM."""
    key = new_ssh_key(user, body, key_id)
    key.upload_date = naive_utc(uploaded) if uploaded else key.upload_date
    key.status = "Active" if active else "Inactive"
    return key


def add_service_credential(
    user: User,
    service: str,
    created: datetime,
    *,
    credential_id: str | None = None,
    expires: datetime | None = None,
    active: bool = True,
) -> ServiceCredential:
    """service: e.g. `codecommit.amazonaws.com`. A credential whose `expires` is past has status Expired."""
    until = naive_utc(expires) if expires else None
    return new_credential(
        user, service, naive_utc(created), credential_id=credential_id, expires=until, enabled=active
    )


def add_mfa_device(account: Any, user: User, serial_number: str, enabled: datetime) -> MfaDevice:
    """A device of the kind in its serial number: `arn:...:mfa/` virtual, `arn:...:u2f/` FIDO, else hardware."""
    virtual = None
    if ":mfa/" in serial_number:
        virtual = account.virtual_mfa_devices.setdefault(serial_number, VirtualMfaDevice(serial_number))
    device = MfaDevice(serial_number, naive_utc(enabled))
    assign(user, device, virtual)
    return device


def add_fido_device(account: Any, user: User, name: str, enabled: datetime) -> MfaDevice:
    """A passkey or security key, which AWS registers in its console only."""
    unique = new_id("", user.account_id)
    return add_mfa_device(
        account,
        user,
        f"arn:{account.partition}:iam::{user.account_id}:u2f/user/{user.name}/{name}-{unique}",
        enabled,
    )


def add_unassigned_mfa_device(account: Any, name: str) -> VirtualMfaDevice:
    """A virtual device that is assigned to no user."""
    serial = f"arn:{account.partition}:iam::{account.account_id}:mfa/{name}"
    device: VirtualMfaDevice = account.virtual_mfa_devices.setdefault(serial, VirtualMfaDevice(serial))
    return device


def add_root_mfa_device(account: Any, enabled: datetime) -> VirtualMfaDevice:
    device = add_unassigned_mfa_device(account, "root-account-mfa-device")
    device.of_root, device.enable_date = True, naive_utc(enabled)
    return device


def set_role_last_used(role: Role, used: datetime, region: str) -> None:
    role.last_used, role.last_used_region = naive_utc(used), region


def naive_utc(moment: datetime) -> datetime:
    """moto's entities carry naive dates, which are UTC."""
    return moment if moment.tzinfo is None else moment.astimezone(timezone.utc).replace(tzinfo=None)
