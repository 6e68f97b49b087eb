# SPDX-License-Identifier: Apache-2.0
"""The lock in Identity Center itself, which runs on all machines share: a permission set without policies.

The name of a permission set is unique in an instance, and CreatePermissionSet is refused for a name that exists
(ConflictException). So the run that creates ``LOCK`` holds the lock until it deletes the set. That works with every
identity source, while groups may come from an identity provider. The set is never assigned, and its description names
the holder. A killed run leaves it: a run that has its id in ``left`` removes it, others report the id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import error_code, gone_is
from c7n_iamusers.identity_center.aws import in_parallel
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.wording import visible, visible_log

#: The name of the permission set.
LOCK = "c7n-iamusers-lock"
#: The IAM actions that it takes.
PERMISSIONS = (
    "sso:CreatePermissionSet",
    "sso:DeletePermissionSet",
    "sso:DescribePermissionSet",
    "sso:ListPermissionSets",
    "sso:TagResource",
)
_TAG = {"Key": "c7n-iamusers", "Value": "lock"}
#: "Description: Length Constraints: Minimum length of 1. Maximum length of 700." (CreatePermissionSet).
LONGEST = 700
_POLL_SECONDS = 2.0
#: Tries to create the set: another run's may vanish between two calls, or an earlier write may not have propagated.
_TRIES = 5
#: How many sets are described at once.
_AT_ONCE = 32

log = visible_log("c7n_iamusers.lock")


class LockUnavailable(IdentityCenterError):
    """The lock can't be created, for example because its place is not writable."""


@dataclass(frozen=True)
class HeldLock:
    """The lock as it exists. ``content``: its description."""

    arn: str
    content: bytes

    @property
    def lock_id(self) -> str:
        """Its id; empty if no run made the set."""
        return str(fields(self.content).get("id", ""))

    @property
    def holder(self) -> str:
        """Who holds it, in words."""
        return holder(self.content)


@dataclass(frozen=True)
class CenterLock:
    """The lock of ``center``.

    ``content``: the description, JSON with the ``id`` of this run and its holder. ``left``: the ids of locks whose
    holders are known to have ended. ``unlocking``: the command that removes the lock of an id, in words.
    """

    center: Center
    lock_id: str
    content: str
    unlocking: Callable[[str], str]
    left: frozenset[str] = frozenset()
    timeout: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _arns: list[str] = field(default_factory=list)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. Raises IdentityCenterError, with the holder, if another run has it; LockUnavailable."""
        try:
            self._arns.append(self._taken())
            yield
        finally:
            self._release()

    def _taken(self) -> str:
        until = self.clock() + self.timeout
        for delay in islice(self.center.backoff.delays(), _TRIES):
            try:
                return self._created()
            except (ClientError, BotoCoreError) as error:
                found = self._after(error)
            if found is None:
                self.center.backoff.sleep(delay)
            elif found.lock_id == self.lock_id:
                return found.arn  # the answer to its creation was lost
            elif found.lock_id in self.left:
                self._take_away(found)
            else:
                self._wait(found, until)
        raise IdentityCenterError(
            f"permission set {LOCK}, the lock of Identity Center, can't be created, and is not there either: run again"
        )

    def _take_away(self, found: HeldLock) -> None:
        try:
            self._delete(found.arn)
        except (ClientError, BotoCoreError) as error:
            raise LockUnavailable(
                f"the lock that a killed run has left in Identity Center, permission set {LOCK}, can't be removed: "
                f"{error}: allow {', '.join(PERMISSIONS)}"
            ) from error

    def _created(self) -> str:
        response = self.center.backoff.call(
            self.center.clients["sso-admin"].create_permission_set,
            InstanceArn=self.center.instance.arn,
            Name=LOCK,
            Description=self.content,
            Tags=[_TAG],
        )
        return str(response["PermissionSet"]["PermissionSetArn"])

    def _after(self, error: Exception) -> HeldLock | None:
        """The lock that exists after a failed creation. Raises LockUnavailable if the creation was refused."""
        if isinstance(error, ClientError) and error_code(error) != "ConflictException":
            raise LockUnavailable(
                f"the lock in Identity Center, permission set {LOCK}, can't be created, and two runs at once would see "
                f"each other's incomplete objects: {error}: allow {', '.join(PERMISSIONS)}"
            ) from error
        return find(self.center)

    def _wait(self, found: HeldLock, until: float) -> None:
        """Wait until the lock is gone. Raises IdentityCenterError after ``until``."""
        while _described(self.center, found.arn):
            if self.clock() >= until:
                unlocking = (
                    self.unlocking(found.lock_id)
                    if found.lock_id
                    else f"delete permission set {LOCK} of instance {self.center.instance.arn}"
                )
                raise IdentityCenterError(
                    f"another run holds the lock of Identity Center: {found.holder}: wait until it has ended, or stop "
                    f"it, which is safe at any point. If it was killed: {unlocking}"
                )
            self.sleep(_POLL_SECONDS)

    def _release(self) -> None:
        """Delete only this run's own lock, even after a creation whose answer was lost. Hides no error of the run."""
        try:
            if not self._arns:
                found = find(self.center)
                self._arns.extend([found.arn] if found and found.lock_id == self.lock_id else [])
            for arn in self._arns:
                self._delete(arn)
        except (ClientError, BotoCoreError) as error:
            log.warning(
                "the lock of this run in Identity Center can't be removed: %s: %s",
                error,
                self.unlocking(self.lock_id),
            )

    def _delete(self, arn: str) -> None:
        _delete(self.center, arn)


def find(center: Center) -> HeldLock | None:
    """The lock, if it exists. Takes a call per permission set: they can't be found by name. Raises ClientError."""
    arns = iter(
        items(
            center.clients["sso-admin"],
            "ListPermissionSets",
            "PermissionSets",
            center.backoff,
            InstanceArn=center.instance.arn,
        )
    )
    while some := list(islice(arns, _AT_ONCE)):
        for arn, described in zip(
            some, in_parallel(lambda each: _described(center, each), some), strict=True
        ):
            if described and described["Name"] == LOCK:
                return HeldLock(arn, str(described.get("Description", "")).encode())
    return None


def remove(center: Center, lock_id: str) -> str | None:
    """Delete the lock of that id, which a killed run has left. Returns its holder, in words; None if there is none.

    Raises IdentityCenterError if the lock has another id; ClientError.
    """
    found = find(center)
    if found is None:
        return None
    if found.lock_id != lock_id:
        raise IdentityCenterError(
            f"permission set {LOCK} of {center.instance.arn} does not have the id {lock_id}, so it was not removed: "
            f"its holder is {found.holder}"
        )
    _delete(center, found.arn)
    return found.holder


@gone_is(None)
def _described(center: Center, arn: str) -> Mapping[str, Any]:
    describe = center.clients["sso-admin"].describe_permission_set
    found: Mapping[str, Any] = center.backoff.call(
        describe, InstanceArn=center.instance.arn, PermissionSetArn=arn
    )["PermissionSet"]
    return found


@gone_is(None)
def _delete(center: Center, arn: str) -> None:
    delete = center.clients["sso-admin"].delete_permission_set
    center.backoff.call(delete, InstanceArn=center.instance.arn, PermissionSetArn=arn)


def holder(content: bytes) -> str:
    """Who holds a lock with that content, in words."""
    found = fields(content)
    try:
        text = (
            f"process {found['process']} of {found['user']} on {found['host']}, since {found['since']}, for "
            f"{found['output']}"
        )
    except KeyError:
        return "unknown, as the lock has no holder"
    return visible(f"{text}, lock {found['id']}" if "id" in found else text)


def fields(content: bytes) -> dict[str, Any]:
    """The fields of a lock's content; none if it is not JSON."""
    try:
        found = read_json(content)
    except NotInFormat:
        return {}
    return found if isinstance(found, dict) else {}
