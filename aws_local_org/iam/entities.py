# SPDX-License-Identifier: Apache-2.0
"""IAM's entities with the ids and the members that moto's lack.

Where moto's code still serializes one, the class bears moto's name, from which moto derives its members' names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.utils import utcnow
from moto.iam import models as moto_iam

from aws_local_org.iam import identifiers


@dataclass
class LoginProfile:
    """A console password. changed: when the password was last set."""

    password_reset_required: bool
    create_date: datetime
    changed: datetime


@dataclass
class ServiceCredential:
    """A service-specific credential; of `alias` (of an API key) and `service_user_name` one is None.

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
    """A virtual device: assigned to `user`, to the account's root, or (enable_date None) to nobody."""

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
        self.id = identifiers.new_id(identifiers.USER, account_id)
        self.login_profile: LoginProfile | None = None
        self.permissions_boundary_arn: str | None = None
        self.service_credentials: dict[str, ServiceCredential] = {}
        self.groups: list[Group] = []
        self.tag_set: dict[str, dict[str, str]] = {}

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:user{self.path}{self.name}"

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
        self.id = identifiers.new_id(identifiers.GROUP, account_id)


def boundary_shape(policy_arn: str | None) -> dict[str, Any] | None:
    """AttachedPermissionsBoundary as AWS answers it (its reference: PermissionsBoundaryPolicy); None without one."""
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": policy_arn} if policy_arn else None
