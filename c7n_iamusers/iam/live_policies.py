# SPDX-License-Identifier: Apache-2.0
"""Reads what decides users' rights beside their own attachments: groups, and documents of managed policies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.accounts import AccountDetails, read_account
from c7n_iamusers.iam.live_users import MAX_AGE, TtlCache
from c7n_iamusers.iam.policy_documents import PolicyVersion, default_version, policy_arns, with_texts
from c7n_iamusers.iam.user import IamUser, Item

T = TypeVar("T")
#: The entities of GetAccountAuthorizationDetails that decide users' rights.
ENTITIES = ("Group", "LocalManagedPolicy", "AWSManagedPolicy")
#: How often a policy or group is read that somebody changes in between.
_ATTEMPTS = 2


@dataclass(frozen=True)
class HeldRights:
    """The ``groups`` of a user as ``GroupDetail``, and the managed ``policies`` of the user, its groups and boundary.

    What was deleted meanwhile is left out. ``policies``: None if they can't be read, ``unread`` says why. ``read``:
    when this was read.
    """

    groups: tuple[Item, ...]
    policies: tuple[PolicyVersion, ...] | None
    read: datetime
    unread: str = ""


class LivePolicies:
    """The groups and policies of an account, at most MAX_AGE seconds old if they can be read that fast. Thread-safe.

    ``account``: read just now. It is read again by pages for all users together. What a page lacks, because it was
    created a moment ago, is read by itself.
    """

    def __init__(
        self,
        client: Any,
        backoff: Backoff,
        account: AccountDetails,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client, self._backoff, self._now = client, backoff, now
        self._last = _Reading(account, now())
        self._cache = TtlCache(self._load, MAX_AGE, clock, self._last)

    def of(self, user: IamUser) -> HeldRights:
        """The groups and policies that decide the rights of ``user``. Raises nothing: see ``HeldRights.unread``."""
        reading, names = self._last, user.groups or ()
        try:
            reading = self._cache.get() or self._last
            found = (
                reading.groups.get(name) or read_group(self._client, name, self._backoff) for name in names
            )
            groups = tuple(each for each in found if each)
            arns = policy_arns(user, groups)
            versions = (reading.version(arn) or read_policy(self._client, arn, self._backoff) for arn in arns)
            return HeldRights(groups, tuple(version for version in versions if version), reading.time)
        except (ClientError, BotoCoreError) as error:
            known = tuple(reading.groups[name] for name in names if name in reading.groups)
            return HeldRights(known, None, reading.time, str(error))

    def _load(self) -> _Reading:
        time_ = self._now()
        self._last = _Reading(read_account(self._client, self._backoff, *ENTITIES), time_)
        return self._last


@dataclass
class _Reading:
    account: AccountDetails
    time: datetime
    _details: dict[str, Item] = field(init=False)
    _versions: dict[str, PolicyVersion | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._details = {str(policy["Arn"]): policy for policy in self.account.policies}

    @property
    def groups(self) -> Mapping[str, Item]:
        return self.account.groups

    def version(self, arn: str) -> PolicyVersion | None:
        """The default version of ``arn``; None if it was not read. Users share the text."""
        if arn not in self._versions:
            detail = self._details.get(arn)
            self._versions[arn] = default_version(detail) if detail else None
        return self._versions[arn]


def read_policy(client: Any, arn: str, backoff: Backoff) -> PolicyVersion | None:
    """The default version of the managed policy ``arn`` as it is now; None if there is none. Raises ClientError."""

    def read() -> PolicyVersion:
        version = backoff.call(client.get_policy, PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = with_texts(backoff.call(client.get_policy_version, PolicyArn=arn, VersionId=version))
        return PolicyVersion.of(arn, version, found["PolicyVersion"]["Document"])

    return _unless_gone(read)


def read_group(client: Any, name: str, backoff: Backoff) -> Item | None:
    """The group ``name`` as it is now, as ``GroupDetail``; None if there is none. Raises ClientError."""

    def read() -> Item:
        given = {"GroupName": name}
        group = backoff.call(client.get_group, **given, MaxItems=1)["Group"]
        names = list(items(client, "list_group_policies", "PolicyNames", backoff, **given))
        inline = [
            with_texts(backoff.call(client.get_group_policy, **given, PolicyName=each)) for each in names
        ]
        attached = items(client, "list_attached_group_policies", "AttachedPolicies", backoff, **given)
        members = ("PolicyName", "PolicyDocument")
        return {
            **group,
            "GroupPolicyList": [{member: each[member] for member in members} for each in inline],
            "AttachedManagedPolicies": list(attached),
        }

    return _unless_gone(read)


def has_members(client: Any, name: str, backoff: Backoff) -> bool:
    """Whether the group ``name`` has a member. Raises ClientError."""
    return any(items(client, "get_group", "Users", backoff, GroupName=name))


def _unless_gone(read: Callable[[], T]) -> T | None:
    """What ``read`` returns; None if it ends with NoSuchEntity each time, as parts can be deleted in between."""
    for _ in range(_ATTEMPTS):
        try:
            return read()
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
    return None
