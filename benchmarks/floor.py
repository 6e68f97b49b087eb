# SPDX-License-Identifier: Apache-2.0
"""The fewest calls that the IAM API permits. Source: IAM API reference; botocore ``iam`` 2010-05-08.

``contents`` is what an account holds: what -> how many, as ``counts_of`` of the local organization gives it.
"""

from __future__ import annotations

from collections.abc import Mapping

from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS

#: MaxItems: "Minimum value of 1. Maximum value of 1000."
PAGE = 1000
#: Operation -> calls for each user, for what only they tell at the moment of its deletion. Who the user is, twice: IAM
#: deletes by name, and a name may be another user's by now. Policies and groups: an account's list of them is older
#: than the user's turn, and what a snapshot has wrongly, a restoration grants wrongly. GetLoginProfile is the list of a
#: kind of which there is one at most. A list of all users takes the place of those that IAM has one for.
CALLS_OF_A_USER = {
    "GetUser": 2,
    **{
        kind.reading.operation: 1
        for kind in ATTACHMENT_KINDS
        if kind.reading and kind.reading.bulk != kind.reading.operation
    },
}
#: Attachment kind -> what the local organization calls it, where it has a name of its own for it.
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
#: Operation -> of what it takes one call each. A key's body and a policy's text stand in no list of the user, and
#: nothing restores them without. Only virtual devices take a second call, and the measured users have none.
CALLS_OF_AN_ITEM = {
    operation: _CONTENTS.get(kind.name, kind.name)
    for kind in ATTACHMENT_KINDS
    for operation in (
        *([kind.detail.operation] if kind.detail else ()),
        *(removal.operation for removal in kind.removals if removal.by_user),
    )
} | {"DeleteUser": "users"}


def evidence_floor(contents: Mapping[str, int]) -> dict[str, int]:
    """Operation -> calls: every list of the account once, by full pages, its report there already."""
    entities = sum(contents[name] for name in ("users", "groups", "roles", "policies"))
    return {
        "GetAccountAuthorizationDetails": _pages(entities),
        "ListUsers": _pages(contents["users"]),
        "GetCredentialReport": 1,
        "ListVirtualMFADevices": _pages(contents["mfa_devices"] + contents["orphaned_mfa"]),
        "ListServiceSpecificCredentials": _pages(contents["service_credentials"]),
    }


def deletion_floor(contents: Mapping[str, int]) -> dict[str, int]:
    """Operation -> calls to record and delete all users, what lists of the account tell not counted."""
    lists = {name: calls * contents["users"] for name, calls in CALLS_OF_A_USER.items()}
    items = {name: contents[what] for name, what in CALLS_OF_AN_ITEM.items() if contents.get(what)}
    return {**lists, **items}


def _pages(items: int) -> int:
    return max(1, -(-items // PAGE))
