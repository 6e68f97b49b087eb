# SPDX-License-Identifier: Apache-2.0
"""The IAM actions that each of this package's actions needs, and a least-privilege policy for its role. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, ON_USER
from c7n_iamusers.iam.deny_all import aws_deny_all

#: The identity of the caller, and the user.
_IDENTITY = ("sts:GetCallerIdentity", "iam:GetUser")
#: To put and lift the Deny-all, inline or attached.
_DENY = ("iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:DeleteUserPolicy", "iam:DetachUserPolicy")
#: For max-resources-percent in event modes.
_COUNT = ("iam:GetAccountSummary",)
#: To check whether a user that is not found by name was renamed.
_NAMES = ("iam:ListUsers",)


def _iam(operations: Iterable[str]) -> frozenset[str]:
    return frozenset(f"iam:{operation}" for operation in operations)


def _sorted(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(frozenset().union(*parts)))


_READS = _iam(name for kind in ATTACHMENT_KINDS for name in kind.reads)
_READS_OF_ALL = _iam(name for kind in ATTACHMENT_KINDS for name in kind.reads_of_all)
_SWITCHES = _iam(name for kind in ATTACHMENT_KINDS for name in kind.switching)

DELETION = _sorted(
    _IDENTITY,
    _COUNT,
    _NAMES,
    _DENY,
    _READS,
    _READS_OF_ALL,
    _iam(name for kind in ATTACHMENT_KINDS for name in kind.removing),
    # Roles and groups for the snapshot, MFA devices that a stopped run orphaned, and the boundary form of the Deny-all.
    (
        "iam:GetAccountAuthorizationDetails",
        "iam:GetAccessKeyLastUsed",
        "iam:ListVirtualMFADevices",
        "iam:PutUserPermissionsBoundary",
        "iam:DeleteUser",
    ),
)
QUARANTINE = _sorted(
    _IDENTITY,
    _COUNT,
    _NAMES,
    _DENY,
    _READS,
    _SWITCHES,
    (
        "iam:GetAccessKeyLastUsed",
        "iam:GetAccountAuthorizationDetails",
        "iam:PutUserPermissionsBoundary",
        "iam:TagUser",
    ),
)
RELEASE = _sorted(
    _IDENTITY,
    _COUNT,
    _NAMES,
    _READS,
    _SWITCHES,
    (
        "iam:GetAccessKeyLastUsed",
        "iam:DeleteUserPolicy",
        "iam:DetachUserPolicy",
        "iam:PutUserPermissionsBoundary",
        "iam:DeleteUserPermissionsBoundary",
        "iam:UntagUser",
    ),
)
RESTORATION = _sorted(
    _IDENTITY,
    _NAMES,
    _READS,
    _SWITCHES,
    _iam(name for kind in ATTACHMENT_KINDS for name in kind.restoring),
    (
        "iam:CreateUser",
        "iam:TagUser",
        "iam:PutUserPermissionsBoundary",
        # To remove a Deny-all that a stopped deletion left on the user.
        "iam:DeleteUserPermissionsBoundary",
        "iam:DeleteUserPolicy",
        "iam:DetachUserPolicy",
        "iam:GetGroup",
        "iam:GetPolicy",
        "iam:ListGroupPolicies",
        "iam:ListAttachedGroupPolicies",
        "iam:CreateGroup",
        "iam:AttachGroupPolicy",
        "iam:PutGroupPolicy",
    ),
)


_ANYTHING = "*"
#: Actions on a user.
_ON_USER = frozenset(
    f"iam:{name}"
    for name in (
        "GetUser",
        "DeleteUser",
        "TagUser",
        "UntagUser",
        "GetAccessKeyLastUsed",
        "PutUserPermissionsBoundary",
        *(
            name
            for kind in ATTACHMENT_KINDS
            for name in kind.reads | kind.removing | kind.switching | kind.restoring
        ),
    )
)
#: Actions on other resource types -> the resource.
_ON_OTHERS = {
    f"iam:{part.operation}": part.resource
    for kind in ATTACHMENT_KINDS
    for part in (*kind.removals, kind.restoration)
    if part and part.resource != ON_USER
}
#: Actions that are also called for all users, which needs resource *.
_ON_ALL = frozenset(f"iam:{name}" for kind in ATTACHMENT_KINDS for name in kind.reads & kind.reads_of_all)
#: Actions that this package uses only for AWSDenyAll -> the condition key that limits them to it.
_DENYING = {
    "iam:AttachUserPolicy": "iam:PolicyARN",
    "iam:PutUserPermissionsBoundary": "iam:PermissionsBoundary",
}


@dataclass(frozen=True)
class Needed:
    """Permissions such as ``iam:GetUser``. ``own``: of this package's plugins. ``others``: of all other plugins."""

    own: frozenset[str]
    others: frozenset[str] = frozenset()


def role_policy(needed: Needed, account_id: str = "*", partition: str = "aws") -> dict[str, Any]:
    """The policy document. ``account_id``: the users' account, ``*`` for the account that the role is in.

    No condition can limit ``iam:PutUserPolicy`` to the Deny-all: a principal with it can give a user any permission.
    """
    grouped: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for action in sorted(_needing_permission(needed.own | needed.others)):
        denying = _DENYING.get(action, "") if action not in needed.others else ""
        resource = _ANYTHING if action in needed.others else _resource(action)
        grouped[(resource, denying)].append(action)
    statements = [
        _statement(actions, _arn(resource, account_id, partition), denying, partition)
        for (resource, denying), actions in sorted(grouped.items())
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _needing_permission(actions: Iterable[str]) -> list[str]:
    # "No permissions are required to perform this operation" (AWS STS API Reference, GetCallerIdentity).
    return [action for action in actions if action != "sts:GetCallerIdentity"]


def _resource(action: str) -> str:
    if action in _ON_ALL:
        return _ANYTHING
    return _ON_OTHERS.get(action) or (ON_USER if action in _ON_USER else _ANYTHING)


def _arn(resource: str, account_id: str, partition: str) -> str:
    return resource if resource == _ANYTHING else f"arn:{partition}:iam::{account_id}:{resource}"


def _statement(actions: list[str], resource: str, denying: str, partition: str) -> Mapping[str, Any]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    if not denying:
        return statement
    return {**statement, "Condition": {"ArnEquals": {denying: aws_deny_all(partition)}}}
