# SPDX-License-Identifier: Apache-2.0
"""What IAM users' people are to have in IAM Identity Center, over all accounts, in immutable records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import MANAGED_GROUP, PermissionSet, Person

#: What makes two people the same one: see ``Person.key``.
PersonKey = tuple[str, str]


@dataclass(frozen=True, order=True)
class Grant:
    """What a group gives its members: the permission set of that name in that account."""

    account_id: str
    permission_set: str

    def __str__(self) -> str:
        return f"{self.permission_set} in account {self.account_id}"


@dataclass(frozen=True)
class Group:
    """A group as asked for. ``external``: an identity provider's, looked up and never created.

    ``shared``: it may reach further than ``grants``, and have been made by somebody else.
    """

    name: str
    grants: frozenset[Grant]
    external: bool = False
    shared: bool = False

    @property
    def description(self) -> str:
        """What marks a group as ours, and, where it is one account's alone, as that account's.

        Creating a group is atomic, so of two runs that take one name for two accounts the second is refused
        even before the first has assigned it.
        """
        accounts = sorted({grant.account_id for grant in self.grants})
        if self.shared:
            return f"{MANAGED_GROUP}, shared"
        if len(accounts) == 1:
            return f"{MANAGED_GROUP} for account {accounts[0]}"
        return f"{MANAGED_GROUP} for {len(accounts)} accounts"


@dataclass(frozen=True, slots=True)
class Earlier:
    """The group and the set that the version before gave an IAM user's person, by the names that it gave them."""

    group: Group
    grant: Grant


@dataclass(frozen=True, slots=True)
class Claim:
    """An IAM user whose person belongs in ``group``, for the sake of ``grant``.

    ``rests_on``: where username and e-mail were found, in words. ``place``: whose intents ask for it.
    ``verdict``: what the proof of a derived set came to. ``earlier``: what may stand in its place.
    """

    subject: Subject
    person: PersonKey
    group: str
    grant: Grant
    rests_on: str = ""
    place: str = ""
    verdict: str = ""
    earlier: Earlier | None = None


@dataclass(frozen=True)
class Refused:
    """An IAM user whose person gets nothing, and why, with the mend.

    ``shared``: what forbids it is the group or the permission set, which others share.
    """

    subject: Subject
    reason: str
    code: str = "InvalidPerson"
    place: str = ""
    shared: bool = False


@dataclass(frozen=True)
class DesiredAccess:
    """Everything that is asked for; whoever is in ``refused`` is in nothing else."""

    permission_sets: Mapping[str, PermissionSet] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    people: Mapping[PersonKey, Person] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    refused: tuple[Refused, ...] = ()
    external: bool = False

    def members(self, group: str) -> frozenset[PersonKey]:
        """The people who belong in the group of that name."""
        return self._members.get(group, frozenset())

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts in which anything is asked for."""
        return frozenset(claim.grant.account_id for claim in self.claims)

    @cached_property
    def _members(self) -> Mapping[str, frozenset[PersonKey]]:
        found: defaultdict[str, set[PersonKey]] = defaultdict(set)
        for claim in self.claims:
            found[claim.group].add(claim.person)
        return {group: frozenset(people) for group, people in found.items()}
