# SPDX-License-Identifier: Apache-2.0
"""The IAM actions that each of our actions needs, and the least policy for a role that runs them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS, ON_USER
from c7n_iamusers.iam.deny_all import aws_deny_all

#: Who is acting, and the user itself.
_WHO = ("sts:GetCallerIdentity", "iam:GetUser")
#: The Deny-all in its forms; putting one and lifting it.
_DENY = ("iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:DeleteUserPolicy", "iam:DetachUserPolicy")
#: max-resources-percent in event modes.
_COUNT = ("iam:GetAccountSummary",)
#: Whether a user that is not found by its name was renamed.
_NAMES = ("iam:ListUsers",)


def _iam(operations: Iterable[str]) -> frozenset[str]:
    return frozenset(f"iam:{operation}" for operation in operations)


def _sorted(*parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(frozenset().union(*parts)))


_READS = _iam(name for kind in ATTACHMENT_KINDS for name in kind.reads)
_READS_OF_ALL = _iam(name for kind in ATTACHMENT_KINDS for name in kind.reads_of_all)
_SWITCHES = _iam(name for kind in ATTACHMENT_KINDS for name in kind.switching)

DELETION = _sorted(
    _WHO,
    _COUNT,
    _NAMES,
    _DENY,
    _READS,
    _READS_OF_ALL,
    _iam(name for kind in ATTACHMENT_KINDS for name in kind.removing),
    # Roles and groups for the snapshot, devices that a stopped run orphaned, the last resort of the Deny.
    (
        "iam:GetAccountAuthorizationDetails",
        "iam:GetAccessKeyLastUsed",
        "iam:ListVirtualMFADevices",
        "iam:PutUserPermissionsBoundary",
        "iam:DeleteUser",
    ),
)
QUARANTINE = _sorted(
    _WHO,
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
    _WHO,
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
    _WHO,
    _NAMES,
    _READS,
    _SWITCHES,
    _iam(name for kind in ATTACHMENT_KINDS for name in kind.restoring),
    (
        "iam:CreateUser",
        "iam:TagUser",
        "iam:PutUserPermissionsBoundary",
        # A Deny-all that a stopped deletion left on the user.
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
#: Actions on a user, beside those of the table.
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
#: Actions on something else: a group, a device.
_ELSEWHERE = {
    f"iam:{part.operation}": part.resource
    for kind in ATTACHMENT_KINDS
    for part in (*kind.removals, kind.restoration)
    if part and part.resource != ON_USER
}
#: Also asked for all users at once, which is on no user.
_ON_ALL = frozenset(f"iam:{name}" for kind in ATTACHMENT_KINDS for name in kind.reads & kind.reads_of_all)
#: What our own actions use these for, and nothing else: to deny everything.
_DENYING = {
    "iam:AttachUserPolicy": "iam:PolicyARN",
    "iam:PutUserPermissionsBoundary": "iam:PermissionsBoundary",
}


@dataclass(frozen=True)
class Needed:
    """Permissions such as ``iam:GetUser``: of this package's plugins, and of all others in the policies."""

    own: frozenset[str]
    others: frozenset[str] = frozenset()


def role_policy(needed: Needed, account_id: str = "*", partition: str = "aws") -> dict[str, Any]:
    """The policy document. ``account_id``: of the users, ``*`` for whatever account the role is in.

    ``iam:PutUserPolicy`` can't be bound to what is put: whoever holds it can give a user any permission.
    """
    grouped: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for action in sorted(_with_identity(needed.own | needed.others)):
        denying = _DENYING.get(action, "") if action not in needed.others else ""
        resource = _ANYTHING if action in needed.others else _resource(action)
        grouped[(resource, denying)].append(action)
    statements = [
        _statement(actions, _arn(resource, account_id, partition), denying, partition)
        for (resource, denying), actions in sorted(grouped.items())
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _with_identity(actions: Iterable[str]) -> list[str]:
    # GetCallerIdentity needs no permission: "No permissions are required to perform this operation" (STS API).
    return [action for action in actions if action != "sts:GetCallerIdentity"]


def _resource(action: str) -> str:
    if action in _ON_ALL:
        return _ANYTHING
    return _ELSEWHERE.get(action) or (ON_USER if action in _ON_USER else _ANYTHING)


def _arn(resource: str, account_id: str, partition: str) -> str:
    return resource if resource == _ANYTHING else f"arn:{partition}:iam::{account_id}:{resource}"


def _statement(actions: list[str], resource: str, denying: str, partition: str) -> Mapping[str, Any]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    if not denying:
        return statement
    return {**statement, "Condition": {"ArnEquals": {denying: aws_deny_all(partition)}}}
