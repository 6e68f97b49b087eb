# SPDX-License-Identifier: Apache-2.0
"""Side effects of a plan: access that it gives or changes for people without any request. Pure.

A new member of a group also gains the group's other assignments. Members of a group gain what the plan assigns to it. A
change of a permission set concerns all its holders, even in accounts without intents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning.permission_sets import accounts_that_change, may_widen
from c7n_iamusers.identity_center.planning.plan_input import PlanInput
from c7n_iamusers.identity_center.planning.set_contents import administrative, granted

DIRECT = "a direct assignment"


def accounts_by_set(groups: Iterable[model.Group]) -> Mapping[str, frozenset[str]]:
    """Name of a permission set -> the accounts in which ``groups`` are assigned it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for group in groups:
        for grant in group.grants:
            found[grant.permission_set].add(grant.account_id)
    return {name: frozenset(accounts) for name, accounts in found.items()}


class SideEffects:
    """The side effects of the changes for the claims of a plan."""

    def __init__(self, given: PlanInput) -> None:
        self._desired, self._state, self._people = given.desired, given.state, given.people
        self._instance = given.instance
        self._groups = {claim.group: given.desired.groups[claim.group] for claim in given.claims}
        self._asked: defaultdict[model.Grant, set[model.PersonKey]] = defaultdict(set)
        self._joining: defaultdict[str, set[model.PersonKey]] = defaultdict(set)
        for claim in given.claims:
            self._joining[claim.group].add(claim.person)
            self._asked[claim.grant].add(claim.person)
        self._further: dict[str, list[model.Grant]] = {}
        self._known_sets = {**given.state.gained, **given.state.current.sets}
        #: A permission set of others in an account -> its ARN.
        self._arns: dict[model.Grant, str] = {}
        self._keys = {known.user_id: key for key, known in given.people.items()}

    def all(self) -> tuple[access_plan.SideEffect, ...]:
        """All side effects. Those that make administrators come first, then those that need a reviewed plan."""
        found = [*self._joined(), *self._assigned(), *self._changed()]
        return tuple(sorted(found, key=lambda each: (not each.administrative, not each.review, each)))

    def further(self, group: str) -> list[model.Grant]:
        """The group's unrequested assignments, including those in progress. New members gain them, too."""
        if group not in self._further:
            self._further[group] = self._further_of(group)
        return self._further[group]

    def _further_of(self, group: str) -> list[model.Grant]:
        known = self._state.groups.get(group)
        if known is None:
            return []
        found = {
            model.Grant(
                assigned.account_id, self._set_name(assigned.permission_set_arn)
            ): assigned.permission_set_arn
            for assigned in known.assignments
        }
        further = found.keys() - self._groups[group].grants
        self._arns |= {grant: found[grant] for grant in further}
        return sorted(further)

    def _content(self, grant: model.Grant) -> tuple[tuple[str, ...], str]:
        """What a permission set of others allows in the account, in lines, and a policy that makes administrators."""
        arn = self._arns.get(grant)
        if arn is None:
            return (), ""
        known = self._known_sets.get(arn)
        if known is None:
            return ("what it allows could not be read",), ""
        allows = tuple(granted(known.settings))
        if grant.account_id in known.stale:
            allows = (
                *allows,
                "the account has an earlier form of it, and AWS does not tell what that allows",
            )
        return allows, administrative(known.settings, {})

    def assigning(self, group: str, grant: model.Grant) -> Iterator[str]:
        """The members without a request for the assignment, in a line for a reviewer."""
        known = self._state.groups.get(group)
        users = sorted(known.members) if known else []
        if names := sorted(self._username(user) for user in users if not self._is_asked(user, grant)):
            yield f"also gives it to members for whom it is not requested: {', '.join(names)} (shared-group)"

    def changing(self, name: str) -> Iterator[tuple[str, str]]:
        """The accounts and people that a change of the permission set concerns: account id, and line for a reviewer."""
        for account, through, users in self._holders(name):
            people = sorted(map(self._username, users))
            yield account, f"changes account {account}: {through}: {', '.join(people) or 'no members'}"

    def _joined(self) -> Iterator[access_plan.SideEffect]:
        """Of new members: they also gain the group's other assignments."""
        for name, keys in sorted(self._joining.items()):
            known, requested = self._state.groups.get(name), self._groups[name]
            if self._desired.external:
                continue
            members = known.members if known else frozenset()
            new = [key for key in sorted(keys) if self._user_id(key) not in members]
            for grant in sorted({*requested.grants, *self.further(name)}):
                people = tuple(
                    self._desired.people[key].username for key in new if key not in self._asked.get(grant, ())
                )
                consent = requested.shared and grant in requested.grants
                if people:
                    allows, administrative_by = self._content(grant)
                    yield access_plan.SideEffect(
                        grant.account_id,
                        grant.permission_set,
                        f"group {name}",
                        f"joining group {name}",
                        people,
                        "" if consent else "no intents request it through that group",
                        allows=allows,
                        administrative=administrative_by,
                    )

    def _assigned(self) -> Iterator[access_plan.SideEffect]:
        """Of new assignments: existing members of the group gain them."""
        for name, group in sorted(self._groups.items()):
            known = self._state.groups.get(name)
            for grant in sorted(group.grants) if known else ():
                users = () if known is None or self._state.is_assigned(name, grant) else sorted(known.members)
                people = sorted(self._username(user) for user in users if not self._is_asked(user, grant))
                if people:
                    by = f"the assignment of group {name}"
                    yield access_plan.SideEffect(
                        grant.account_id, grant.permission_set, f"group {name}", by, tuple(people)
                    )

    def _changed(self) -> Iterator[access_plan.SideEffect]:
        """Of changed permission sets: all holders have them changed."""
        for name in sorted(self._accounts):
            known = self._state.permission_sets.get(name)
            for account, through, users in self._holders(name):
                grant = model.Grant(account, name)
                people = sorted(self._username(user) for user in users if not self._is_asked(user, grant))
                if people and known:
                    grows = account in known.stale or may_widen(
                        self._desired.permission_sets[name], known.settings
                    )
                    review = "it may give them more, and there are no intents of them" if grows else ""
                    by = f"the change of permission set {name}"
                    yield access_plan.SideEffect(account, name, through, by, tuple(people), review, True)

    def _holders(self, name: str) -> Iterator[tuple[str, str, frozenset[str]]]:
        """Account, group or direct assignment, and user ids of the holders whose access changes."""
        known, changing = self._state.permission_sets.get(name), self._state.changing
        if known is None:
            return
        requested = self._desired.permission_sets[name]
        for account in sorted(accounts_that_change(requested, known, self._instance, self._accounts[name])):
            held = changing.holders.get(account, {}).get(known.arn, frozenset())
            for kind, principal in sorted(held - changing.gone):
                group = changing.groups.get(principal)
                if kind == "USER":
                    yield account, DIRECT, frozenset({principal})
                elif group:
                    yield account, f"group {group.name}", group.members

    @cached_property
    def _accounts(self) -> Mapping[str, frozenset[str]]:
        return accounts_by_set(self._groups.values())

    def _is_asked(self, user_id: str, grant: model.Grant) -> bool:
        key = self._keys.get(user_id)
        return key is not None and key in self._asked.get(grant, ())

    def _user_id(self, key: model.PersonKey) -> str:
        known = self._people.get(key)
        return known.user_id if known else ""

    def _username(self, user_id: str) -> str:
        key = self._keys.get(user_id)
        if key:
            return self._people[key].username
        for current in (self._state.current, self._state.changing):
            if user_id in current.usernames:
                return current.usernames[user_id]
        return f"user id {user_id}"

    def _set_name(self, arn: str) -> str:
        return self._state.current.set_names.get(arn, arn) or "any permission set"
