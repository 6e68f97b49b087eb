# SPDX-License-Identifier: Apache-2.0
"""Whether other access of the same IAM users replaces an unrequested membership. Pure.

A membership replaces the access of the IAM users for which a run made it. It may go if each of these now has access by
other claims. The person's other IAM users don't count: the membership may be all that is left of a deleted user. Users
whose evidence could not be read don't count, because nothing was decided about them. Access of another human who now
has the person's username does not count either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.object_records import MembershipKey
from c7n_iamusers.identity_center.planning.adoption import another_id
from c7n_iamusers.text.wording import folded, shown

#: Group name and username (folded) -> the IAM users for whom earlier runs made that membership: ARN -> unique id.
MembershipUsers = Mapping[tuple[str, str], Mapping[str, str]]


@dataclass(frozen=True)
class RunHistory:
    """What earlier runs made, by present ids.

    ``memberships``: ids of group and user -> the membership's id, empty if no run knows it -> the IAM users for which
    runs made or found it: ARN -> unique id. A membership that was removed and made anew has another id.
    ``assignments``: group id and its assignments by runs, or requested by intents; None if unread. ``made``: those that
    runs made, or undos restored. Both leave out what a run or an undo has ended since. ``served``: folded username, as
    requested -> id of the user who had it -> the IAM users (``identity``) that were given access as that person.
    ``joined``: the ids of memberships that runs made, or undos restored. ``undone``: assignments that undos ended after
    the earliest run read. ``removed``: those that later runs removed and no undo restored. ``sets``: name of a
    permission set -> its form in the last run's request, and then in earlier ones', if that run was undone or failed to
    make it. ``taken_back``: ids of memberships that undone runs made. ``met`` and ``met_as``: as ``memberships`` and
    ``served``, for what undone runs only found. It refuses nobody, and access that may rest on it does not end.
    """

    memberships: Mapping[MembershipKey, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    assignments: frozenset[tuple[str, model.Assignment]] | None = None
    served: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    made: frozenset[tuple[str, model.Assignment]] = frozenset()
    joined: frozenset[str] = frozenset()
    undone: frozenset[tuple[str, model.Assignment]] = frozenset()
    removed: frozenset[tuple[str, model.Assignment]] = frozenset()
    sets: Mapping[str, Sequence[PermissionSet]] = field(default_factory=dict)
    taken_back: frozenset[str] = frozenset()
    met: Mapping[MembershipKey, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    met_as: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)

    @cached_property
    def with_met(self) -> RunHistory:
        """The same with what undone runs only found."""
        if not self.met:
            return self
        memberships, served = dict(self.memberships), dict(self.served)
        for key, of_ids in self.met.items():
            known = memberships.get(key, {})
            met = {each: {**known.get(each, {}), **users} for each, users in of_ids.items()}
            memberships[key] = {**known, **met}
        for username, people in self.met_as.items():
            before = served.get(username, {})
            met_as = {user_id: before.get(user_id, frozenset()) | users for user_id, users in people.items()}
            served[username] = {**before, **met_as}
        return replace(self, memberships=memberships, served=served, met={}, met_as={})

    @property
    def users(self) -> frozenset[tuple[str, str]]:
        """ARN and unique id of all IAM users, including those that undone runs found."""
        known = self.with_met
        return frozenset(item for key in known.memberships for item in known.users_between(key).items())

    @cached_property
    def groups_of(self) -> Mapping[str, Sequence[str]]:
        """User id -> group ids, of ``memberships``."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for group_id, user_id in self.memberships:
            found[user_id].append(group_id)
        return dict(found)

    def users_between(self, key: MembershipKey) -> Mapping[str, str]:
        """The IAM users of all present and former memberships of the user in the group: ARN -> unique id."""
        known = self.memberships.get(key, {}).values()
        return {arn: unique_id for users in known for arn, unique_id in users.items()}

    def users_of(self, key: MembershipKey, identifier: str) -> Mapping[str, str] | None:
        """The IAM users of the membership with that id, or of all between the two if it is empty: ARN -> unique id.

        The users of a membership with an unknown id count for each, unless a run or an undo is known to have made it.
        Empty if runs know none between the two. None if they know only others: this one was made anew, for unknown
        users.
        """
        if not identifier or key not in self.memberships:
            return self.users_between(key)
        known = self.memberships[key]
        lost = {} if identifier in self.joined else known.get("", {})
        return {**lost, **known.get(identifier, {})} or None

    def users_at_most(self, key: MembershipKey, identifier: str) -> Mapping[str, str]:
        """``users_of``; if it is unknown for whom this one was made anew, those of all memberships of the two, without
        what an undo has taken back.
        """
        found = self.users_of(key, identifier)
        if found is not None:
            return found
        standing = (users for each, users in self.memberships[key].items() if each not in self.taken_back)
        return {arn: unique_id for users in standing for arn, unique_id in users.items()}

    def membership_users(self, state: model.CenterState) -> MembershipUsers:
        """By names, the users of the memberships in ``state``. Another user or group of the same name does not count,
        and neither does a membership that others made anew. Users that undone runs found count, too.
        """
        names, found = _usernames(state), {}
        for group in _groups(state).values():
            for user_id in group.members:
                key, identifier = (group.group_id, user_id), group.memberships.get(user_id, "")
                if self.users_of(key, identifier) and (users := self.with_met.users_of(key, identifier)):
                    found[group.name, folded(names.get(user_id, f"user id {user_id}"))] = users
        return found

    def served_as_others(self, claims: Iterable[model.Claim], state: model.CenterState) -> frozenset[str]:
        """The ids of users who had the usernames of ``claims``, which nobody or somebody else has now."""
        now = {claim.person[0]: state.usernames.get(claim.person[0]) for claim in claims}
        return frozenset(
            user_id
            for username, known in now.items()
            if not known or known.user_id not in self.served.get(username, ())
            for user_id in self.served.get(username, ())
        )

    def others_assignments(self, group: model.KnownGroup) -> list[model.Assignment]:
        """The group's assignments that no run made, as far as that is known."""
        made, held = self.assignments, group.assignments - {model.UNKNOWN_ASSIGNMENT}
        return [each for each in sorted(held) if made is not None and (group.group_id, each) not in made]


def _groups(state: model.CenterState) -> dict[str, model.KnownGroup]:
    """All groups that were read, by id."""
    return {**state.current.groups, **{group.group_id: group for group in state.groups.values()}}


def _usernames(state: model.CenterState) -> dict[str, str]:
    """User id -> username of the users that were read."""
    return {
        **state.current.usernames,
        **{username.user_id: username.username for username in state.usernames.values()},
    }


def identity(subject: Subject) -> str:
    """What stays the same when an IAM user is renamed, and differs for another user of its name."""
    return subject.unique_id or subject.arn


def identities(users: Mapping[str, str]) -> frozenset[str]:
    """The same for users in a run's record: ARN -> unique id."""
    return frozenset(unique_id or arn for arn, unique_id in users.items())


def inherited_access(
    claims: Iterable[model.Claim],
    people: Mapping[model.PersonKey, model.KnownPerson],
    state: model.CenterState,
    history: RunHistory,
    elsewhere: bool = False,
) -> dict[model.Claim, str]:
    """Claims to refuse, because a run gave the person access for another IAM user of the account -> why.

    As with several users of one address, only the people file can say that they are one person's. A renamed user, and a
    later one of the same name, are not other users. ``elsewhere``: see ``plan_input.Evidence``.
    """
    groups, found = _groups(state), {}
    for claim in claims:
        known = people.get(claim.person)
        if claim.on_file or known is None:
            continue
        given = (
            (
                group.name,
                history.users_at_most(
                    (group.group_id, known.user_id), group.memberships.get(known.user_id, "")
                ),
            )
            for group in (groups.get(group_id) for group_id in history.groups_of.get(known.user_id, ()))
            if group and known.user_id in group.members
        )
        if why := inherited(claim.subject, known, given):
            found[claim] = why
        elif elsewhere and (unrecorded := sorted(_unrecorded(claim, known.user_id, state, history))):
            found[claim] = (
                f"{known.username} is in {shown(unrecorded)}, which this tool manages in account "
                f"{claim.subject.account_id}, and no run with records here put the person there, so that may be access "
                "of another IAM user, and one person would get the access of both: keep one output for all runs of the "
                "policy; or, if all of it is this person's, such as by another policy, give this user a row with "
                "account, user, email in the people file (people-from); if not, give it the e-mail of its own person"
            )
    return found


def inherited(
    subject: Subject, known: model.KnownPerson, given: Iterable[tuple[str, Mapping[str, str]]]
) -> str:
    """Why the access of ``known`` may belong to other IAM users in the account of ``subject``; empty if it does not.

    ``given``: the names of the person's groups, and the IAM users for which runs made the membership.
    """
    others = {
        f"{arn.rpartition('/')[2]} (group {group})"
        for group, users in given
        for arn, unique_id in users.items()
        if arn.split(":")[4] == subject.account_id
        and subject.arn != arn
        and identity(subject) != (unique_id or arn)
    }
    if not others:
        return ""
    return (
        f"an earlier run gave {known.username} access for other IAM users of account {subject.account_id}: "
        f"{shown(sorted(others))}, and one person would get the access of all of them: if they are one "
        "person's, give this user a row with account, user, email in the people file (people-from, or "
        "--people-from); if not, give it the e-mail of its own person, or undo that run first"
    )


def _unrecorded(
    claim: model.Claim, user_id: str, state: model.CenterState, history: RunHistory
) -> Iterator[str]:
    """Managed groups that give the person access to the claim's account by memberships without a run's record."""
    own = state.groups.get(claim.group)
    for group in _groups(state).values():
        key, gives = (group.group_id, user_id), {assignment.account_id for assignment in group.assignments}
        if group == own or not group.is_restricted or user_id not in group.members:
            continue
        if claim.grant.account_id in gives and not history.users_of(key, group.memberships.get(user_id, "")):
            yield f"group {group.name}"


def changed_people(
    claims: Iterable[model.Claim],
    people: Mapping[model.PersonKey, model.KnownPerson],
    state: model.CenterState,
    history: RunHistory,
) -> dict[model.Claim, str]:
    """Claims to refuse, because their username belonged to another user when a run gave access by it -> why.

    A directory renames people, and gives an address to somebody else. Tags of IAM users and rows of the people file
    don't follow. Only a row with the id of the present user of the username says who is meant. A row with another id is
    refused, whatever earlier runs did. A deleted user, if no other has its name, is created anew.
    """
    names, found = _usernames(state), {}
    for claim in claims:
        known, served = people.get(claim.person), history.served.get(claim.person[0], {})
        if why := another_id(claim.user_id, claim.person[0], known):
            found[claim] = why
        if claim.user_id or (known and known.user_id in served):
            continue
        if others := [
            f"user id {user_id}, {f'now {names[user_id]}' if user_id in names else 'now deleted'}"
            for user_id, users in sorted(served.items())
            if user_id in names or (known and identity(claim.subject) in users)
        ]:
            found[claim] = (
                f"an earlier run gave access to another Identity Center user as {claim.person[0]}: {shown(others)}; "
                f"{f'user id {known.user_id} has that username now' if known else 'nobody has that username now'}, "
                "so the access may be another human's: correct the e-mail of this user's person (its tag, or its "
                "row in the people file); or, if the user with this username now is meant, give a row with account, "
                "user, email, user-id in the people file (people-from, or --people-from)"
            )
    return found


class Replacements:
    """``claims``: those not refused. ``refused``: all refusals of the run. ``served``: see ``RunHistory``."""

    def __init__(
        self,
        claims: Sequence[model.Claim],
        refused: Iterable[model.RefusedUser],
        membership_users: MembershipUsers,
        served: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._membership_users, self._served = membership_users, served or {}
        self._of_user: defaultdict[str, list[model.Claim]] = defaultdict(list)
        for claim in claims:
            self._of_user[identity(claim.subject)].append(claim)
        self._refused: dict[str, Subject] = {}
        self._unjudged: dict[str, Subject] = {}
        for refusal in refused:
            self._refused[identity(refusal.subject)] = refusal.subject
            if refusal.code not in model.DECISIONS:
                self._unjudged[identity(refusal.subject)] = refusal.subject

    def claims(
        self,
        group: str,
        username: str,
        person: model.PersonKey | None,
        accounts: Collection[str],
        user_id: str = "",
    ) -> list[model.Claim]:
        """The claims that replace the membership of ``user_id``, which gives access to ``accounts``; none if none do.

        Access of another user under the same requested username replaces nothing, nor does access without a record of
        its IAM users.
        """
        users = self._users(group, username)
        found = [claim for user in sorted(users) for claim in self._of_user.get(user, ())]
        complete = {identity(claim.subject) for claim in found} == users
        if not complete or not users.isdisjoint(self._refused):
            return []
        if any(c.person != person and user_id in self._served.get(c.person[0], ()) for c in found):
            return []
        return found if {claim.grant.account_id for claim in found}.issuperset(accounts) else []

    def unjudged(self, group: str, username: str, accounts: Collection[str]) -> list[str]:
        """The names of IAM users with missing or wrong evidence for which the membership may be.

        Without a record of its IAM users, these are all such users of ``accounts``.
        """
        users = self._users(group, username)
        found = [
            subject
            for each, subject in self._unjudged.items()
            if (each in users if users else subject.account_id in accounts)
        ]
        return sorted(map(str, found))

    def _users(self, group: str, username: str) -> frozenset[str]:
        return identities(self._membership_users.get((group, folded(username)), {}))
