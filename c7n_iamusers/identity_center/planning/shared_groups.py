# SPDX-License-Identifier: Apache-2.0
"""What runs made in shared groups and nobody requests now: assignments, and memberships of leavers. Pure.

Others may have made a shared group, and still use it. So we may end only what a run made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.planning.replacements import (
    MembershipUsers,
    RunHistory,
    identities,
    identity,
)
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.wording import folded, shown

#: Why an assignment of a shared group stays.
FORMER_MEMBERS = (
    "an earlier run gave it to members whose IAM users have no intents now, or are refused: it may be all access that "
    "they have, and provision prune --unrequested --lock-out would remove it"
)


def shared_and_stale(
    desired: model.DesiredAccess,
    state: model.CenterState,
    history: RunHistory,
    only: Collection[str] | None = None,
) -> Iterator[tuple[model.KnownGroup, model.Assignment]]:
    """Groups and assignments, in their order. ``only``: the accounts whose intents were chosen; None for all."""
    groups = {**state.current.groups, **{each.group_id: each for each in state.groups.values()}}
    names = {known.group_id: name for name, known in state.groups.items()}
    arns = {name: each.arn for name, each in state.permission_sets.items()}
    for group in sorted(groups.values(), key=lambda each: (each.name, each.group_id)):
        requested = desired.groups.get(names.get(group.group_id, ""))
        if group.is_restricted or (requested and not requested.shared):
            continue
        grants = requested.grants if requested else ()
        asked = {(grant.account_id, arns.get(grant.permission_set)) for grant in grants}
        for assignment in sorted(group.assignments):
            key = assignment.account_id, assignment.permission_set_arn
            if (group.group_id, assignment) not in history.made or key in asked:
                continue
            if only is None or assignment.account_id in only:
                yield group, assignment


def gained_by_joining(
    groups: Mapping[str, model.KnownGroup],
    desired: model.DesiredAccess,
    usernames: Mapping[str, model.KnownPerson],
) -> set[str]:
    """The ARNs of all permission sets of requested ``groups`` (by name) with new members."""
    ids = {username: known.user_id for username, known in usernames.items()}
    joined = (
        group
        for name, group in groups.items()
        if not group.members.issuperset(ids.get(username) for username, _ in desired.members(name))
    )
    return {assignment.permission_set_arn for group in joined for assignment in group.assignments} - {""}


def leavers(
    group: model.KnownGroup,
    history: RunHistory,
    membership_users: MembershipUsers,
    username: Callable[[str], str],
    subjects: Iterable[Subject],
) -> Iterator[str]:
    """The ids of members whom a run added to a shared group for IAM users that are not among ``subjects``.

    ``username``: of a user id. ``subjects``: all IAM users with intents.
    """
    present = {identity(subject) for subject in subjects}
    for user_id, membership in sorted(group.memberships.items()):
        users = membership_users.get((group.name, folded(username(user_id))), {})
        if users and membership in history.joined and present.isdisjoint(identities(users)):
            yield user_id


def why_leaver_stays(group: model.KnownGroup, users: Iterable[str]) -> Reason:
    """Why an unexpired leaver stays in a shared group. ``users``: ARNs of the membership's IAM users."""
    accounts = {assignment.account_id for assignment in group.assignments}
    beyond = accounts - {arn.split(":")[4] for arn in users}
    if model.UNKNOWN_ASSIGNMENT in group.assignments:
        return reasons.FORMER_GIVES_UNKNOWN(why=model.NOT_LISTED)
    if beyond:
        return reasons.FORMER_GIVES_MORE(accounts=shown(sorted(beyond)))
    return reasons.FORMER_IN_SHARED()
