# SPDX-License-Identifier: Apache-2.0
"""The existing objects that a Terraform configuration owns, and those that it only looks up. Pure.

Terraform changes and destroys what it owns, so it owns only what this tool made: permission sets and groups by their
marks, users and memberships by the records of runs. All else is looked up and stays with whoever made it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from c7n_iamusers.derivation.requested_permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.object_records import Created
from c7n_iamusers.identity_center.planning.permission_sets import differs

#: The tag of permission sets that an exported configuration creates. ``provision`` does not change them.
EXPORTED_TAG = (MANAGED_TAG[0], "terraform")


def exported_description(group: model.Group) -> str:
    """The description of a group that an exported configuration creates. ``provision`` does not change it."""
    accounts = ", ".join(sorted({grant.account_id for grant in group.grants})[:3])
    return f"Access of former IAM users to account {accounts}"


@dataclass(frozen=True)
class Ours:
    """What runs of this tool created: ids of users and of memberships.

    ``policies``: addresses of policies of permission sets that an earlier export has as resources.
    """

    users: frozenset[str] = frozenset()
    memberships: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()

    @classmethod
    def of(cls, created: Iterable[Created], policies: frozenset[str] = frozenset()) -> Ours:
        """By the records of runs. A creation without an answer does not count."""
        listed = [each for each in created if each.certain]
        return cls(
            frozenset(each.identifier for each in listed if each.kind == model.USER),
            frozenset(each.identifier for each in listed if each.kind == model.MEMBERSHIP),
            policies,
        )


@dataclass(frozen=True)
class Existing:
    """The current state of Identity Center, and the existing users of the people.

    ``ours``: what runs created. ``claims``: those that may be served; None for all.
    """

    state: model.CenterState
    people: Mapping[model.PersonKey, model.KnownPerson]
    instance: model.Instance
    ours: Ours = Ours()
    claims: Collection[model.Claim] | None = None

    def served(self, desired: model.DesiredAccess) -> model.DesiredAccess:
        """``desired`` with the claims that may be served, and what they need."""
        if self.claims is None:
            return desired
        claims = tuple(claim for claim in desired.claims if claim in self.claims)
        groups = {claim.group: desired.groups[claim.group] for claim in claims}
        sets = {grant.permission_set for group in groups.values() for grant in group.grants}
        people = {claim.person for claim in claims}
        return replace(
            desired,
            claims=claims,
            groups=groups,
            permission_sets={name: each for name, each in desired.permission_sets.items() if name in sets},
            people={key: each for key, each in desired.people.items() if key in people},
        )

    def set_of_others(self, name: str) -> model.KnownPermissionSet | None:
        """The existing permission set of that name, if others made it."""
        known = self.state.permission_sets.get(name)
        return known if known and not _is_ours(known.settings) else None

    def group_of_others(self, group: model.Group) -> model.KnownGroup | None:
        """The existing group of that name, if others made it."""
        known = self.state.groups.get(group.name)
        return known if known and (group.external or not _is_our_group(group, known)) else None

    def person_of_others(self, key: model.PersonKey) -> model.KnownPerson | None:
        """The existing user of the person, if no run created it."""
        known = self.people.get(key)
        return known if known and known.user_id not in self.ours.users else None

    def leaves_assignment(self, group: model.Group, grant: model.Grant) -> bool:
        """Whether others made group and permission set, and the assignment between them exists."""
        if not (self.group_of_others(group) and self.set_of_others(grant.permission_set)):
            return False
        return self.has_assignment(group.name, grant)

    def has_assignment(self, name: str, grant: model.Grant) -> bool:
        """Whether the group's assignment exists. One in progress, which Terraform could not import, does not count."""
        return self.state.is_assigned(name, grant)

    def leaves_membership(self, group: model.Group, person: model.PersonKey) -> bool:
        """Whether the membership exists, others made its group, and no run created it."""
        known, user = self.group_of_others(group), self.people.get(person)
        if known is None or user is None or user.user_id not in known.members:
            return False
        return known.memberships.get(user.user_id) not in self.ours.memberships


def planned_as_ours(desired: model.DesiredAccess, state: model.CenterState) -> model.CenterState:
    """``state`` for a plan, in which objects that a configuration may use have the marks of managed ones.

    These are the permission sets and groups that an earlier configuration created, and others' permission sets that
    give exactly the requested access.
    """
    groups = {
        name: replace(known, description=group.description)
        if (group := desired.groups.get(name)) and known.description == exported_description(group)
        else known
        for name, known in state.groups.items()
    }
    sets = {
        name: _marked(known)
        if (requested := desired.permission_sets.get(name)) and _may_be_used(requested, known.settings)
        else known
        for name, known in state.permission_sets.items()
    }
    return replace(state, groups=groups, permission_sets=sets)


def _is_ours(settings: PermissionSet) -> bool:
    key, value = EXPORTED_TAG
    return settings.is_managed or settings.tags.get(key) == value


def _is_our_group(group: model.Group, known: model.KnownGroup) -> bool:
    return known.is_managed or known.description == exported_description(group)


def _may_be_used(requested: PermissionSet, present: PermissionSet) -> bool:
    return _is_ours(present) or not differs(requested, present)


def _marked(known: model.KnownPermissionSet) -> model.KnownPermissionSet:
    key, value = MANAGED_TAG
    return replace(known, settings=replace(known.settings, tags={**known.settings.tags, key: value}))
