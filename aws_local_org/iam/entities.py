# SPDX-License-Identifier: Apache-2.0
"""IAM's entities, with ids and members that moto's entities lack.

A class that moto's code still serializes has moto's name, from which moto derives its members' names.
Ids are as IAM makes them: a prefix for the kind, then capitals and the digits 2 to 7. As in AWS, the first eight
characters after the prefix follow from the account. Source:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow
from moto.iam import models as moto_iam
from moto.iam.utils import generate_access_key_id_from_account_id

USER = "AIDA"
GROUP = "AGPA"
ROLE = "AROA"
MANAGED_POLICY = "ANPA"
INSTANCE_PROFILE = "AIPA"
ACCESS_KEY = "AKIA"
PUBLIC_KEY = "APKA"
CERTIFICATE = "ASCA"
SERVICE_CREDENTIAL = "ACCA"

# botocore's certificateIdType has at least 24 characters
_LENGTHS = {ACCESS_KEY: 20, PUBLIC_KEY: 20, CERTIFICATE: 24}


def new_id(prefix: str, account_id: str) -> str:
    """A unique id: 21 characters, 20 for access keys and SSH public keys, 24 for certificates."""
    length = _LENGTHS.get(prefix, 21)
    return str(generate_access_key_id_from_account_id(account_id, prefix=prefix, total_length=length))


def aws_policy_id(arn: str) -> str:
    """The id of an AWS managed policy, the same in every account and at every start."""
    digest = base64.b32encode(hashlib.sha256(arn.encode()).digest()).decode()
    return MANAGED_POLICY + digest[:17]


@dataclass
class LoginProfile:
    """A console password. changed: when the password was last set."""

    password_reset_required: bool
    create_date: datetime
    changed: datetime


@dataclass
class ServiceCredential:
    """A service-specific credential. An API key has an `alias`, any other a `service_user_name`; the other is None.

    expires: naive UTC, None for one that does not expire.
    """

    service_specific_credential_id: str
    user: User
    service_name: str
    create_date: datetime
    service_user_name: str | None = None
    alias: str | None = None
    expires: datetime | None = None
    enabled: bool = True

    @property
    def status(self) -> str:
        if self.expires is not None and self.expires <= utcnow():
            return "Expired"
        return "Active" if self.enabled else "Inactive"


@dataclass
class MfaDevice:
    """A device of any kind, assigned to a user."""

    serial_number: str
    enable_date: datetime


@dataclass
class VirtualMfaDevice:
    """A virtual device: assigned to `user`, to the account's root, or unassigned (enable_date None)."""

    serial_number: str
    user: User | None = None
    of_root: bool = False
    enable_date: datetime | None = None
    tags: list[dict[str, str]] = field(default_factory=list)


class User(moto_iam.User):
    """mfa_devices: by serial number. service_credentials: by id. tag_set: by the case-folded key."""

    mfa_devices: dict[str, MfaDevice]
    password_last_used: datetime | None

    def __init__(self, account_id: str, region_name: str, name: str, path: str | None = None) -> None:
        super().__init__(account_id, region_name, name, path)
        self.id = new_id(USER, account_id)
        self.login_profile: LoginProfile | None = None
        self.permissions_boundary_arn: str | None = None
        self.service_credentials: dict[str, ServiceCredential] = {}
        self.groups: list[Group] = []
        self.tag_set: dict[str, dict[str, str]] = {}

    @property
    def tags(self) -> list[dict[str, str]]:
        return list(self.tag_set.values())

    @property
    def group_list(self) -> list[str]:
        return [group.name for group in self.groups]


class Group(moto_iam.Group):
    users: list[User]

    def __init__(self, account_id: str, region_name: str, name: str, path: str = "/") -> None:
        super().__init__(account_id, region_name, name, path)
        self.id = new_id(GROUP, account_id)


def boundary_shape(policy_arn: str | None) -> dict[str, Any] | None:
    """AttachedPermissionsBoundary as AWS answers it (its reference: PermissionsBoundaryPolicy); None without one."""
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": policy_arn} if policy_arn else None
