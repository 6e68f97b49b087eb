# SPDX-License-Identifier: Apache-2.0
"""An undo's plan as people read it: names of people, groups, permission sets and accounts in the place of ids."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.created import Created, Kept, Standing, UndoPlan
from c7n_iamusers.identity_center.model import ASSIGNMENT, GROUP, MEMBERSHIP, PERMISSION_SET, USER, Change

#: A permission set's ARN, an id of the identity store, an account id.
_ID = re.compile(r"arn:[^\s,;()]+|(?<![^\s,;()])[0-9A-Za-z-]{8,}(?![^\s,;():])")


def with_names(
    plan: UndoPlan,
    standing: Standing,
    strangers: Collection[str],
    reader: CenterReader,
    accounts: Mapping[str, str],
) -> UndoPlan:
    """``plan``, in which whatever has a name goes by it. What is gone has the name that the run gave it, if it did.

    ``strangers``: ids of further people whom the plan names. ``accounts``: account's name -> id. Raises ClientError.
    """
    ids = _ids(standing, strangers)
    told = {found for text in _texts(plan) for found in _ID.findall(text)}
    names = {
        **_given(standing),
        **{number: f"{name} ({number})" for name, number in accounts.items()},
        **reader.usernames(sorted(ids.users & told)),
        **reader.group_names(sorted(ids.groups & told)),
        **reader.permission_sets.names(sorted(ids.sets & told)),
    }

    def named(text: str) -> str:
        return _ID.sub(lambda found: names.get(found[0], found[0]), text)

    return UndoPlan(
        tuple(_renamed(each, named(each.name), tuple(map(named, each.details))) for each in plan.changes),
        tuple(Kept(named(each.name), named(each.reason)) for each in plan.kept),
    )


def _renamed(change: Change, name: str, details: tuple[str, ...]) -> Change:
    return replace(change, name=name, subject=replace(change.subject, name=name), details=details)


def _texts(plan: UndoPlan) -> Iterator[str]:
    for change in plan.changes:
        yield from (change.name, *change.details)
    for kept in plan.kept:
        yield from (kept.name, kept.reason)


@dataclass
class _Ids:
    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)


def _ids(standing: Standing, strangers: Collection[str]) -> _Ids:
    found = _Ids(users=set(strangers))
    for created in standing.created:
        given = created.parameters
        if created.kind == MEMBERSHIP:
            found.groups.add(given["GroupId"])
            found.users.add(given["MemberId"]["UserId"])
        elif created.kind == ASSIGNMENT:
            found.groups.add(given["PrincipalId"])
            found.sets.add(given["PermissionSetArn"])
    for group in standing.groups.values():
        found.groups.add(group.group_id)
        found.users |= group.members
        found.sets |= {each.permission_set_arn for each in group.assignments}
    for user in standing.users.values():
        found.users.add(user.user_id)
        found.groups |= user.groups
    found.sets |= {each.known.arn for each in standing.permission_sets.values()}
    return found


def _given(standing: Standing) -> dict[str, str]:
    """Id -> the name that the run gave what it created."""
    return {
        each.identifier: _name(each) for each in standing.created if each.identifier and each.kind in _NAMES
    }


def _name(created: Created) -> str:
    return str(created.parameters[_NAMES[created.kind]])


_NAMES = {PERMISSION_SET: "Name", GROUP: "DisplayName", USER: "UserName"}
