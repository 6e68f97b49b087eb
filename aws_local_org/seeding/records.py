# SPDX-License-Identifier: Apache-2.0
"""The contents of one account's IAM as frozen records, with every id and date already decided.

Seeding invents them, loading reads them from documents, and one writer puts them into the local
organization. Dates are aware, in UTC. Policy documents are JSON text. ``policies`` name ARNs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class LastUse:
    """When, and where if known, an access key was last used. ``service`` and ``region``: as in GetAccessKeyLastUsed."""

    date: datetime
    service: str = "N/A"
    region: str = "N/A"


@dataclass(frozen=True)
class Password:
    """A login profile; ``last_used`` None means that nobody has signed in with it."""

    changed: datetime
    last_used: datetime | None = None


@dataclass(frozen=True)
class AccessKey:
    """An access key; its secret is made up when it is written, and not shown."""

    key_id: str
    created: datetime
    active: bool = True
    last_use: LastUse | None = None


@dataclass(frozen=True)
class PublicKey:
    """A signing certificate (PEM ``body``) or an SSH public key (``ssh-rsa`` body)."""

    key_id: str
    body: str
    uploaded: datetime
    active: bool = True


@dataclass(frozen=True)
class ServiceCredential:
    """A service-specific credential; ``service`` as in its ServiceName; ``expires`` only for API keys."""

    credential_id: str
    service: str
    created: datetime
    active: bool = True
    expires: datetime | None = None


@dataclass(frozen=True)
class MfaDevice:
    """An MFA device; ``serial`` shows its kind: ``arn:...:mfa/`` virtual, ``arn:...:u2f/`` FIDO, else hardware."""

    serial: str
    enabled: datetime


@dataclass(frozen=True)
class Group:
    """A group; ``inline`` is policy name -> document, ``policies`` the ARNs attached."""

    name: str
    group_id: str
    created: datetime
    path: str = "/"
    inline: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ()


@dataclass(frozen=True)
class User:
    """A user with everything attached."""

    name: str
    user_id: str
    created: datetime
    path: str = "/"
    tags: Mapping[str, str] = field(default_factory=dict)
    password: Password | None = None
    access_keys: tuple[AccessKey, ...] = ()
    certificates: tuple[PublicKey, ...] = ()
    ssh_keys: tuple[PublicKey, ...] = ()
    service_credentials: tuple[ServiceCredential, ...] = ()
    mfa_devices: tuple[MfaDevice, ...] = ()
    inline: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    boundary: str | None = None


@dataclass(frozen=True)
class Role:
    """A role; ``trust`` is its AssumeRolePolicyDocument."""

    name: str
    role_id: str
    created: datetime
    trust: str
    path: str = "/"
    description: str = ""
    max_session: int = 3600
    tags: Mapping[str, str] = field(default_factory=dict)
    inline: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    boundary: str | None = None
    last_use: LastUse | None = None
    instance_profiles: tuple[str, ...] = ()


@dataclass(frozen=True)
class PolicyVersion:
    """One version of a managed policy, such as ``v3``."""

    version_id: str
    document: str
    created: datetime


@dataclass(frozen=True)
class ManagedPolicy:
    """A managed policy: customer-managed, or (``aws_managed``) an addition to AWS's catalogue."""

    name: str
    policy_id: str
    created: datetime
    default_version: str
    versions: tuple[PolicyVersion, ...]
    path: str = "/"
    updated: datetime | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aws_managed: bool = False


@dataclass(frozen=True)
class AccountContents:
    """One account's IAM; ``orphaned_mfa`` are virtual devices (names) that are unassigned."""

    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    roles: tuple[Role, ...] = ()
    policies: tuple[ManagedPolicy, ...] = ()
    orphaned_mfa: tuple[str, ...] = ()


def counts_of(contents: AccountContents) -> dict[str, int]:
    """Kind -> number, zeros included."""
    users = contents.users
    return {
        "users": len(users),
        "groups": len(contents.groups),
        "roles": len(contents.roles),
        "policies": sum(not policy.aws_managed for policy in contents.policies),
        "passwords": sum(user.password is not None for user in users),
        "access_keys": sum(len(user.access_keys) for user in users),
        "mfa_devices": sum(len(user.mfa_devices) for user in users),
        "orphaned_mfa": len(contents.orphaned_mfa),
        "certificates": sum(len(user.certificates) for user in users),
        "ssh_keys": sum(len(user.ssh_keys) for user in users),
        "service_credentials": sum(len(user.service_credentials) for user in users),
        "memberships": sum(len(user.groups) for user in users),
        "attached_policies": sum(len(user.policies) for user in users),
        "inline_policies": sum(len(user.inline) for user in users),
        "boundaries": sum(user.boundary is not None for user in users),
        "tags": sum(len(user.tags) for user in users),
    }
