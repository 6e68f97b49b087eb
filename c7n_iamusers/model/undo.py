# SPDX-License-Identifier: Apache-2.0
"""What a run created and removed, as it stands now, and what of it is to go, or to come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.model.access_plan import Change
from c7n_iamusers.model.creations import Created, Removed
from c7n_iamusers.model.identity_center import Assignment, KnownGroup, KnownPermissionSet

DELETE = "delete"
#: Group id and user id.
MembershipKey = tuple[str, str]


@dataclass(frozen=True)
class StandingUser:
    """A user that a run created. ``attributes``: as DescribeUser gives them. ``groups``: ids of all its groups.

    ``assignments``: those that it has directly.
    """

    user_id: str
    attributes: Mapping[str, Any]
    groups: frozenset[str] = frozenset()
    assignments: frozenset[Assignment] = frozenset()


@dataclass(frozen=True)
class StandingSet:
    """A permission set that a run created. ``holders``: (account id, principal id) of all its assignments."""

    known: KnownPermissionSet
    holders: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Standing:
    """What of ``created`` exists: by its place in that list, save for memberships and assignments.

    ``memberships``: (group id, user id) -> membership id. ``assignments``: group id -> what the group has.
    """

    created: tuple[Created, ...]
    groups: Mapping[int, KnownGroup] = field(default_factory=dict)
    users: Mapping[int, StandingUser] = field(default_factory=dict)
    permission_sets: Mapping[int, StandingSet] = field(default_factory=dict)
    memberships: Mapping[MembershipKey, str] = field(default_factory=dict)
    assignments: Mapping[str, frozenset[Assignment]] = field(default_factory=dict)


@dataclass(frozen=True)
class Absent:
    """What stands now in the place of what a run ``removed``.

    ``groups``: by the id that the group had: that group, or the one that has its name now, with its members and
    assignments. ``permission_sets``: by the ARN that the set had, likewise. ``held``: by ARN, all that ``groups``
    hold. ``people``: ids of the users that are there still.
    """

    removed: tuple[Removed, ...]
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    permission_sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    held: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    people: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Kept:
    """Something that a run created and that stays, or that it removed and that stays away, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class UndoPlan:
    """``changes`` in an order in which they can be made."""

    changes: tuple[Change, ...]
    kept: tuple[Kept, ...]
