# SPDX-License-Identifier: Apache-2.0
"""Checks of a whole plan: who feeds the identity store, and how many groups people would be in. Pure.

No API says the identity source. Users and groups that an identity provider creates by SCIM have ExternalIds. Users that
a run creates beside them are unknown to the provider, and can't sign in with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator

from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning.changeset import membership_names
from c7n_iamusers.text.wording import shown

_OF_STORE = frozenset({model.USER, model.GROUP, model.MEMBERSHIP})


def creates_in_store(plan: access_plan.AccessPlan) -> bool:
    """Whether the plan creates users, groups or memberships."""
    return any(each.kind in _OF_STORE and each.action == access_plan.CREATE for each in plan.work)


def external_names(state: model.CenterState) -> list[str]:
    """The users and groups of ``state`` with ExternalIds, in words."""
    users = {each.username for each in (*state.usernames.values(), *state.emails.values()) if each.external}
    known = (*state.groups.values(), *state.current.groups.values())
    groups = {each.name for each in known if each.external}
    return [*(f"user {user}" for user in sorted(users)), *(f"group {group}" for group in sorted(groups))]


def fed_by_others(names: Collection[str]) -> str:
    """Why an identity provider seems to feed the store, and what to do. ``names``: users and groups, in words."""
    return (
        f"an identity provider feeds this identity store, as {shown(list(names))} have an ExternalId, and people "
        "whom it does not know can't sign in: set identity-source: external in the policies, so that no users, "
        "groups and memberships are created, and people-to-add.csv lists whom to add there. If no provider feeds it "
        "now, give --identity-source identity-center"
    )


def groups_per_person_faults(
    plan: access_plan.AccessPlan,
    state: model.CenterState,
    groups_of: Callable[[str], Collection[str]],
    quota: int,
) -> tuple[str, ...]:
    """The people who would be in more groups than the quota, in words.

    ``groups_of``: reads the ids of all groups of a user id. It is called only for people whose new memberships may
    exceed the quota together with a tenth of it, or with the groups that were read anyway.
    """
    return tuple(_over(_gained(plan.work), plan, _read_groups(state), groups_of, quota))


def _gained(changes: Iterable[access_plan.Change]) -> dict[str, set[str]]:
    """Folded username -> the names of groups that the person joins."""
    found = defaultdict[str, set[str]](set)
    for change in changes:
        if (change.kind, change.action) == (model.MEMBERSHIP, access_plan.CREATE):
            username, group = membership_names(change.key)
            found[username].add(group)
    return found


def _read_groups(state: model.CenterState) -> dict[str, set[str]]:
    """User id -> the ids of the person's groups, as far as they were read."""
    found = defaultdict[str, set[str]](set)
    for group in {**state.current.groups, **{each.group_id: each for each in state.groups.values()}}.values():
        for user_id in group.members:
            found[user_id].add(group.group_id)
    return found


def _over(
    gained: dict[str, set[str]],
    plan: access_plan.AccessPlan,
    known: dict[str, set[str]],
    groups_of: Callable[[str], Collection[str]],
    quota: int,
) -> Iterator[str]:
    ids = {key[0]: each.user_id for key, each in plan.known_people.items()}
    for username, groups in sorted(gained.items()):
        user_id = ids.get(username, "")
        count = len(groups) + len(known.get(user_id, ()))
        if user_id and count > quota // 10:
            count = len(groups) + len(groups_of(user_id))
        if count > quota:
            yield (
                f"{username} would be in {count} groups, and the quota of a user is {quota}: give people of several "
                f"accounts one group (group: without {{account_id}}), or raise the quota and give --quota "
                f"groups-per-person={count}"
            )
