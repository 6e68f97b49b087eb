# SPDX-License-Identifier: Apache-2.0
"""Who holds what in which account, directly or through groups. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from c7n_iamusers.model.access_plan import Principal, StandingAccess
from c7n_iamusers.model.identity_center import MANAGED_GROUP, KnownGroup

DIRECT = "a direct assignment"


@dataclass(frozen=True, order=True)
class Held:
    """A set that a person holds. ``group_id``: through which group, empty for a direct assignment.

    ``through``: the same in words. ``ours``: the group was made by this package, for certain people.
    """

    set_name: str
    through: str
    arn: str
    group_id: str = ""
    ours: bool = False


def is_ours(group: KnownGroup) -> bool:
    """Whether the group was made for certain people; a shared one is anybody's to join."""
    return group.description.startswith(MANAGED_GROUP) and not group.description.startswith(
        f"{MANAGED_GROUP}, shared"
    )


def held_in(standing: StandingAccess, account: str) -> dict[str, list[Held]]:
    """User id -> what the user holds in the account."""
    found: defaultdict[str, list[Held]] = defaultdict(list)
    for arn, principals in sorted(standing.holders.get(account, {}).items()):
        for principal in sorted(principals):
            held, users = _held(standing, arn, principal)
            for user in users:
                found[user].append(held)
    return found


def held_by_people(standing: StandingAccess) -> Iterator[tuple[str, str, list[Held]]]:
    """Account id, user id and what the user holds there, by account and username."""
    for account in sorted(standing.holders):
        found = held_in(standing, account)
        for user in sorted(found, key=lambda each: (standing.usernames.get(each, each), each)):
            yield account, user, sorted(found[user])


def _held(standing: StandingAccess, arn: str, principal: Principal) -> tuple[Held, frozenset[str]]:
    kind, identifier = principal
    name = standing.set_names.get(arn, arn)
    if kind == "USER":
        return Held(name, DIRECT, arn), frozenset({identifier})
    group = standing.groups.get(identifier)
    if group is None:
        return Held(name, f"group id {identifier}", arn, identifier), frozenset()
    return Held(name, f"group {group.name}", arn, identifier, is_ours(group)), group.members
