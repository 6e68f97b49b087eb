# SPDX-License-Identifier: Apache-2.0
"""The names of people, groups, permission sets and accounts in the plan of an undo, instead of their ids."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from c7n_iamusers.identity_center import access_plan, model, object_records
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.undo.undo_plan import UndoPlan

#: The ARN of a permission set, an id of the identity store, or an account id.
_ID = re.compile(r"arn:[^\s,;()]+|(?<![^\s,;()])[0-9A-Za-z-]{8,}(?![^\s,;():])")


def with_names(
    plan: UndoPlan,
    state: object_records.CreatedState,
    unexpected: Collection[str],
    reader: CenterReader,
    accounts: Mapping[str, str],
) -> UndoPlan:
    """``plan`` with the names of people, groups, permission sets and accounts instead of their ids.

    Deleted objects have the name that the run gave them. ``unexpected``: ids of further people in the plan.
    ``accounts``: name -> account id. Raises ClientError.
    """
    ids = _ids(state, unexpected)
    ids_in_texts = {found for text in _texts(plan) for found in _ID.findall(text)}
    names = {
        **_given(state),
        **{number: f"{name} ({number})" for name, number in accounts.items()},
        **reader.usernames(sorted(ids.users & ids_in_texts)),
        **reader.group_names(sorted(ids.groups & ids_in_texts)),
        **reader.permission_sets.names(sorted(ids.sets & ids_in_texts)),
    }

    def named(text: str) -> str:
        return _ID.sub(lambda found: names.get(found[0], found[0]), text)

    return UndoPlan(
        tuple(
            _renamed(change, named(change.name), tuple(map(named, change.details))) for change in plan.changes
        ),
        tuple(replace(each, name=named(each.name), reason=named(each.reason)) for each in plan.kept),
        plan.basis,
    )


def _renamed(change: access_plan.Change, name: str, details: tuple[str, ...]) -> access_plan.Change:
    # What is provisioned is the permission set.
    subject = change.subject if change.kind == model.PROVISIONING else replace(change.subject, name=name)
    return replace(change, name=name, subject=subject, details=details)


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


def _ids(state: object_records.CreatedState, unexpected: Collection[str]) -> _Ids:
    found = _Ids(users=set(unexpected))
    for created in state.created:
        if created.kind == model.MEMBERSHIP:
            group_id, user_id = created.membership
            found.groups.add(group_id)
            found.users.add(user_id)
        elif created.kind == model.ASSIGNMENT:
            group_id, assignment = created.assignment
            found.groups.add(group_id)
            found.sets.add(assignment.permission_set_arn)
    for group in state.groups.values():
        found.groups.add(group.group_id)
        found.users |= group.members
        found.sets |= {each.permission_set_arn for each in group.assignments}
    for held in (*state.assignments.values(), *(user.assignments for user in state.users.values())):
        found.sets |= {each.permission_set_arn for each in held}
    found.users.update(*state.members.values())
    for user in state.users.values():
        found.users.add(user.user_id)
        found.groups |= user.groups
    found.sets |= {each.known.arn for each in state.permission_sets.values()}
    return found


def _given(state: object_records.CreatedState) -> dict[str, str]:
    """Id -> name of the objects that the run created."""
    return {
        each.identifier: str(each.parameters[_NAMES[each.kind]])
        for each in state.created
        if each.identifier and each.kind in _NAMES
    }


_NAMES = {model.PERMISSION_SET: "Name", model.GROUP: "DisplayName", model.USER: "UserName"}
