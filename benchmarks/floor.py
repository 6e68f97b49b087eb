# SPDX-License-Identifier: Apache-2.0
"""The fewest calls that the IAM API permits. Source: IAM API reference; botocore ``iam`` 2010-05-08.

``contents``: what an account has -> how many, as the local organization's ``counts_of`` returns it.
"""

from __future__ import annotations

from collections.abc import Mapping

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS

#: MaxItems: "Minimum value of 1. Maximum value of 1000."
PAGE = 1000
#: Operation -> calls for each user, whose results must be current at its deletion. GetUser twice: IAM deletes by name,
#: and another user can have the name by then. Policies and groups: an account-wide list is older than the user's turn,
#: and a restoration grants what the snapshot has. Account-wide lists replace the user's own where IAM has one for the
#: same operation.
CALLS_OF_A_USER = {
    "GetUser": 2,
    **{
        kind.reading.operation: 1
        for kind in ATTACHMENT_KINDS
        if kind.reading and kind.reading.bulk != kind.reading.operation
    },
}
#: Attachment kind -> its name in ``contents``, if that differs.
_CONTENTS = {
    "login-profile": "passwords",
    "access-key": "access_keys",
    "signing-certificate": "certificates",
    "ssh-public-key": "ssh_keys",
    "service-specific-credential": "service_credentials",
    "mfa-device": "mfa_devices",
    "group": "memberships",
    "attached-policy": "attached_policies",
    "inline-policy": "inline_policies",
}
#: Operation -> the items that need one call each. No list has a key's body and a policy's document, which a
#: restoration needs. Only virtual devices need a second call, and the measured users have none.
CALLS_OF_AN_ITEM = {
    operation: _CONTENTS.get(kind.name, kind.name)
    for kind in ATTACHMENT_KINDS
    for operation in (
        *([kind.detail.operation] if kind.detail else ()),
        *(removal.operation for removal in kind.removals if removal.by_user),
    )
} | {"DeleteUser": "users"}


def evidence_floor(contents: Mapping[str, int]) -> dict[str, int]:
    """Operation -> calls: every account-wide list once, in full pages, with an existing credential report."""
    entities = sum(contents[name] for name in ("users", "groups", "roles", "policies"))
    return {
        "GetAccountAuthorizationDetails": _pages(entities),
        "ListUsers": _pages(contents["users"]),
        "GetCredentialReport": 1,
        "ListVirtualMFADevices": _pages(contents["mfa_devices"] + contents["orphaned_mfa"]),
        "ListServiceSpecificCredentials": _pages(contents["service_credentials"]),
    }


def deletion_floor(contents: Mapping[str, int]) -> dict[str, int]:
    """Operation -> calls to record and delete all users, without account-wide lists."""
    lists = {name: calls * contents["users"] for name, calls in CALLS_OF_A_USER.items()}
    items = {name: contents[what] for name, what in CALLS_OF_AN_ITEM.items() if contents.get(what)}
    return {**lists, **items}


def _pages(items: int) -> int:
    return max(1, -(-items // PAGE))
