# SPDX-License-Identifier: Apache-2.0
"""Which assigned access a desired access concerns, so that no more is read. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from c7n_iamusers.identity_center import model


def shared_groups(
    named: Mapping[str, model.KnownGroup], desired: model.DesiredAccess
) -> dict[str, model.KnownGroup]:
    """The requested shared groups, by id."""
    return {
        each.group_id: each
        for name, each in named.items()
        if name in desired.groups and desired.groups[name].shared
    }


def is_settled(
    group: model.Group,
    members: frozenset[str],
    assigned: frozenset[model.Assignment],
    sets: Mapping[str, model.KnownPermissionSet],
    desired: model.DesiredAccess,
    usernames: Mapping[str, model.KnownPerson],
) -> bool:
    """Whether the group has exactly the requested members and assignments."""
    own = frozenset(own_assignments(group, sets))
    people = desired.members(group.name)
    expected = {usernames[username].user_id for username, _ in people if username in usernames}
    return (
        (len(own), len(expected)) == (len(group.grants), len(people))
        and assigned == own
        and members == expected
    )


def is_for(group: model.KnownGroup, accounts: Collection[str]) -> bool:
    """Whether this package made the group, for people of ``accounts`` or of several accounts."""
    of_one = group.description.removeprefix(f"{model.MANAGED_GROUP} for account ")
    return group.is_managed and (of_one == group.description or of_one in accounts)


def arns(holders: Mapping[str, Mapping[str, object]]) -> Iterable[str]:
    """The ARNs of the assigned permission sets, sorted."""
    return sorted({arn for sets in holders.values() for arn in sets})


def principals(
    holders: Mapping[str, Mapping[str, frozenset[model.Principal]]],
) -> Iterator[tuple[str, str, str]]:
    """Account id, ARN and group id of all assignments of groups."""
    for account, sets in holders.items():
        for arn, principals in sets.items():
            for kind, principal in principals:
                if kind == "GROUP":
                    yield account, arn, principal


def concerns(
    principals: Iterable[model.Principal],
    groups: Mapping[str, model.KnownGroup],
    people: Collection[str],
    always: Collection[str],
) -> bool:
    """Whether the principals include one of ``people``, their groups, a managed group or one of ``always`` (ids)."""
    for kind, principal in principals:
        if principal in always:
            return True
        group = groups.get(principal) if kind == "GROUP" else None
        if group and (group.is_managed or not group.members.isdisjoint(people)):
            return True
        if kind == "USER" and principal in people:
            return True
    return False


def own_assignments(
    group: model.Group, sets: Mapping[str, model.KnownPermissionSet]
) -> Iterable[model.Assignment]:
    """The group's requested assignments of existing permission sets."""
    for grant in sorted(group.grants):
        if grant.permission_set in sets:
            yield model.Assignment(grant.account_id, sets[grant.permission_set].arn)
