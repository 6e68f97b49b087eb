# SPDX-License-Identifier: Apache-2.0
"""What stands in the way of deleting an entity.

"Unlike the AWS Management Console, when you delete a user programmatically, you must delete the items attached to the
user manually, or the deletion fails": https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html.
A permissions boundary and tags stand in no way. The wording was observed on AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aws_local_org.iam.entities import Group, User
from aws_local_org.iam.errors import delete_conflict

_GENERIC = "Cannot delete entity, must remove referenced objects first."

_Obstacles = Sequence[tuple[Callable[[Any], object], str]]

USER: _Obstacles = (
    (lambda user: user.login_profile, "Cannot delete entity, must delete login profile first."),
    (lambda user: user.access_keys, "Cannot delete entity, must delete access keys first."),
    (lambda user: user.mfa_devices, "Cannot delete entity, must delete MFA device first."),
    (lambda user: user.signing_certificates, "Cannot delete entity, must delete certificates first."),
    (lambda user: user.ssh_public_keys, _GENERIC),
    (lambda user: user.service_credentials, _GENERIC),
    (lambda user: user.managed_policies, "Cannot delete entity, must detach all policies first."),
    (lambda user: user.policies, "Cannot delete entity, must delete policies first."),
    (lambda user: user.groups, "Cannot delete entity, must remove users from group first."),
)

GROUP: _Obstacles = (
    (lambda group: group.users, "Cannot delete entity, must remove users from group first."),
    (lambda group: group.managed_policies, "Cannot delete entity, must detach all policies first."),
    (lambda group: group.policies, "Cannot delete entity, must delete policies first."),
)


def check_user_is_bare(user: User) -> None:
    """Raise DeleteConflict while anything that AWS wants removed first hangs off a user."""
    _check(user, USER)


def check_group_is_bare(group: Group) -> None:
    """Raise DeleteConflict while a group has members or policies."""
    _check(group, GROUP)


def _check(entity: Any, obstacles: _Obstacles) -> None:
    for present, message in obstacles:
        if present(entity):
            raise delete_conflict(message)
