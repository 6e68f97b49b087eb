# SPDX-License-Identifier: Apache-2.0
"""The state of Identity Center: instances, each with its identity store, permission sets and assignments; its clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from moto.moto_api._internal import mock_random


@dataclass(frozen=True)
class Quotas:
    """policies_per_role and roles_per_account are IAM's, in each target account, where they surface only as the
    FailureReason of an assignment; all others are Identity Center's own and refuse the call."""

    permission_sets: int = 3500
    provisioned_sets_per_account: int = 500
    groups_per_set_and_account: int = 100
    policies_per_set: int = 20
    inline_policy_bytes: int = 32_768
    inline_policy_characters: int = 10_240
    outstanding_assignments: int = 15
    concurrent_provisionings: int = 3
    tags_per_resource: int = 50
    policies_per_role: int = 10
    roles_per_account: int = 1000


#: Held during every call, because the server answers each request in a separate thread.
lock = threading.RLock()


@dataclass(eq=False)
class DirectoryEntry:
    """A user or group. attributes: the members of CreateUser or CreateGroup, by their wire names."""

    id: str
    attributes: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    external_ids: list[dict[str, str]] = field(default_factory=list)
    revision: int = 1


@dataclass(frozen=True)
class Membership:
    id: str
    group_id: str
    user_id: str
    created_at: datetime


@dataclass(eq=False)
class IdentityStore:
    id: str
    owner: str
    region: str
    partition: str
    users: dict[str, DirectoryEntry] = field(default_factory=dict)
    groups: dict[str, DirectoryEntry] = field(default_factory=dict)
    memberships: dict[str, Membership] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:identitystore::{self.owner}:identitystore/{self.id}"

    def new_id(self) -> str:
        """`<the store's own ten characters>-<UUID>` (identitystore, shape ResourceId)."""
        return f"{self.id.removeprefix('d-')}-{mock_random.uuid4()}"


@dataclass(frozen=True)
class RoleDefinition:
    """What a permission set gives its IAM role. A provisioned role that differs is not the latest."""

    managed_policies: frozenset[str]
    customer_policies: frozenset[str]
    inline_policy: str
    boundary: str
    session_duration: str


@dataclass(eq=False)
class PermissionSet:
    """customer_policies: path + name, as `/team/Auditor`. boundary: the wire's PermissionsBoundary, or None."""

    arn: str
    name: str
    session_duration: str
    created: datetime
    description: str | None = None
    relay_state: str | None = None
    managed_policies: dict[str, str] = field(default_factory=dict)
    customer_policies: dict[str, dict[str, str]] = field(default_factory=dict)
    inline_policy: str = ""
    boundary: dict[str, Any] | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Assignment:
    account_id: str
    permission_set_arn: str
    principal_type: str
    principal_id: str


@dataclass
class Provisioned:
    """A permission set's role in one account."""

    role_name: str
    definition: RoleDefinition


@dataclass(eq=False)
class Operation:
    """An asynchronous request. subject: the members that its status repeats. apply: raises OperationFailed."""

    request_id: str
    kind: str
    subject: dict[str, Any]
    created: datetime
    due: datetime
    apply: Callable[[], None]
    status: str = "IN_PROGRESS"
    failure_reason: str | None = None


@dataclass(eq=False)
class Instance:
    """visible_to: the accounts whose ListInstances shows it, besides its owner."""

    arn: str
    owner: str
    region: str
    store: IdentityStore
    created: datetime
    name: str | None = None
    status: str = "ACTIVE"
    permission_sets_enabled: bool = True
    #: As the wire has them; None: the feature is off.
    access_control_attributes: list[dict[str, Any]] | None = None
    visible_to: frozenset[str] = frozenset()
    quotas: Quotas = field(default_factory=Quotas)
    tags: dict[str, str] = field(default_factory=dict)
    permission_sets: dict[str, PermissionSet] = field(default_factory=dict)
    assignments: dict[Assignment, datetime] = field(default_factory=dict)
    provisioned: dict[tuple[str, str], Provisioned] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]


instances: list[Instance] = []


def _wall_clock() -> datetime:
    return datetime.now(timezone.utc)


_clock: Callable[[], datetime] = _wall_clock


def now() -> datetime:
    """The time, aware and in UTC."""
    return _clock()


def use_clock(clock: Callable[[], datetime] | None) -> None:
    """Read the time from ``clock`` from now on, for tests; None returns to the wall clock."""
    global _clock
    _clock = clock or _wall_clock
