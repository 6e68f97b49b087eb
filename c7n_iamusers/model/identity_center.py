# SPDX-License-Identifier: Apache-2.0
"""IAM Identity Center as it should be and as it is, in immutable records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase

#: The tag that marks a permission set as this package's to change.
MANAGED_TAG = ("c7n-iamusers", "managed")
#: Groups have no tags, so a description that begins so marks one as this package's.
MANAGED_GROUP = "Managed by c7n-iamusers"

#: Where people sign in, by the partition of the instance's ARN: {} is the identity store's id
#: (IAM Identity Center User Guide, "Using the AWS access portal", and its GovCloud and China editions).
_PORTALS = {
    "aws": "https://{}.awsapps.com/start",
    "aws-us-gov": "https://start.us-gov-home.awsapps.com/directory/{}",
    "aws-cn": "https://start.home.awsapps.cn/directory/{}",
}


_FOLDED = str.maketrans(ascii_uppercase, ascii_lowercase)


def folded(text: str) -> str:
    """``text`` with A to Z in lower case and everything else as it is.

    ``str.casefold`` makes ``groß`` and ``gross`` the same, which are two domains, of two owners.
    """
    found = text.translate(_FOLDED)
    # Mostly the same: one object then, of 80,000 people.
    return text if found == text else found


@dataclass(frozen=True)
class Instance:
    """An organization's instance (``arn``), which can be read and changed only in ``region``, its primary one."""

    arn: str
    identity_store_id: str
    region: str
    owner: str

    @property
    def portal(self) -> str:
        """The default URL of the access portal; empty in a partition whose form is not known."""
        return _PORTALS.get(self.arn.split(":")[1], "").format(self.identity_store_id)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is to have an Identity Center user (identitystore CreateUser)."""

    username: str
    email: str
    given_name: str
    family_name: str
    display_name: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes two of them the same person: the case of A to Z tells neither usernames nor addresses apart."""
        return folded(self.username), folded(self.email)


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """An Identity Center user that exists; ``email`` is the primary one, empty where there is none."""

    user_id: str
    username: str
    email: str
    enabled: bool = True


@dataclass(frozen=True)
class PermissionSet:
    """A permission set as asked for. ``inline_policy``: its JSON in canonical form, empty for none.

    ``description`` and ``relay_state`` are empty where they were not given: then those that stand, stay.
    ``managed_policies``: ARNs of AWS-managed policies. ``customer_policies``: path and name of customer-managed
    ones, ``/team/Auditor``. ``boundary``: one of either form, empty for none.
    """

    name: str
    description: str = ""
    session_duration: str = "PT1H"
    relay_state: str = ""
    managed_policies: frozenset[str] = frozenset()
    inline_policy: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    customer_policies: frozenset[str] = frozenset()
    boundary: str = ""


@dataclass(frozen=True)
class KnownPermissionSet:
    """A permission set that exists.

    ``accounts``: where it is provisioned; ``stale``: those among them that have an earlier form of it.
    """

    arn: str
    settings: PermissionSet
    accounts: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class Assignment:
    """What a group holds: a permission set in an account."""

    account_id: str
    permission_set_arn: str


@dataclass(frozen=True)
class KnownGroup:
    """A group that exists. ``members``: user ids; ``assignments``: the wanted ones at least.

    ``memberships``: user id -> membership id, where they were read.
    """

    group_id: str
    name: str
    description: str = ""
    members: frozenset[str] = frozenset()
    assignments: frozenset[Assignment] = frozenset()
    memberships: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


def canonical_policy(document: object) -> str:
    """A policy document's JSON in one form, so that key order and spacing never pass for a difference."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
