# SPDX-License-Identifier: Apache-2.0
"""The IAM actions that each of our actions needs, derived from the table of attachment kinds."""

from __future__ import annotations

from collections.abc import Iterable

from c7n_iamusers.model.attachments import ATTACHMENT_KINDS

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
