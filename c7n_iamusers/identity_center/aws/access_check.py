# SPDX-License-Identifier: Apache-2.0
"""Reads an account's assignments, and which of them a person has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.planning.replacements import RunHistory, changed_people, inherited

#: The IAM actions that reading needs.
PERMISSIONS = (
    "identitystore:DescribeUser",
    "identitystore:GetUserId",
    "identitystore:ListGroupMemberships",
    "identitystore:ListGroupMembershipsForMember",
    "identitystore:ListUsers",
    "sso:DescribeAccountAssignmentDeletionStatus",
    "sso:DescribeInstance",
    "sso:DescribePermissionSet",
    "sso:GetInlinePolicyForPermissionSet",
    "sso:GetPermissionsBoundaryForPermissionSet",
    "sso:ListAccountAssignmentDeletionStatus",
    "sso:ListAccountAssignments",
    "sso:ListAccountsForProvisionedPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:ListInstances",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListPermissionSetsProvisionedToAccount",
    "sso:ListTagsForResource",
    "sts:GetCallerIdentity",
)
#: The actions that reading also needs with the records of runs.
WITH_RECORDS = (
    "identitystore:DescribeGroup",
    "identitystore:GetGroupMembershipId",
    "identitystore:ListGroups",
    "sso:ListPermissionSets",
)


@dataclass(frozen=True)
class AccountAccess:
    """The access in an account. ``sets``: ARN -> provisioned permission set. ``holders``: ARN -> assigned principals.

    Assignments whose creation or deletion is IN_PROGRESS, or whose creation FAILED, are left out.
    """

    account_id: str
    sets: Mapping[str, model.KnownPermissionSet] = field(default_factory=dict)
    holders: Mapping[str, frozenset[model.Principal]] = field(default_factory=dict)

    @property
    def groups(self) -> frozenset[str]:
        """The ids of the groups that are assigned there."""
        return frozenset(each for held in self.holders.values() for kind, each in held if kind == "GROUP")

    def of(self, user_id: str, groups: frozenset[str]) -> tuple[model.KnownPermissionSet, ...]:
        """The permission sets that the user has there, directly or through one of its ``groups``."""
        principals = {("USER", user_id), *(("GROUP", group) for group in groups)}
        return tuple(self.sets[arn] for arn, found in self.holders.items() if found & principals)


#: A person's user by its username, the one by its e-mail (see ``find_person``), and the groups of the first.
Found = tuple[model.KnownPerson | None, model.KnownPerson | None, frozenset[str]]


@dataclass(frozen=True)
class AccessReader(CenterReader):
    """Reads single accounts and some people. ``names``: ARN -> name, which no permission set changes."""

    names: dict[str, str] = field(default_factory=dict)

    def account(self, account_id: str, names: Collection[str] = (), whole: bool = False) -> AccountAccess:
        """The access in an account. ``names``: of permission sets; empty for all.

        ``whole``: with all settings, not only names. Takes a few calls per permission set. Raises ClientError.
        """
        going = self.assignments.deletions().values()
        outdated = self.permission_sets.outdated_in(account_id)
        sets: dict[str, model.KnownPermissionSet] = {}
        holders: dict[str, frozenset[model.Principal]] = {}
        for arn in self.permission_sets.provisioned_to(account_id):
            name = self._name_of(arn)
            known = (
                self._known(arn, name, account_id, arn in outdated, whole) if _counts(name, names) else None
            )
            if known:
                sets[arn] = known
                here = model.Assignment(account_id, arn)
                leaving = {each.principal for each in going if each.assignment == here}
                holders[arn] = self.assignments.holders(account_id, arn) - leaving
        return AccountAccess(account_id, sets, holders)

    def _known(
        self, arn: str, name: str | None, account_id: str, is_outdated: bool, whole: bool
    ) -> model.KnownPermissionSet | None:
        if whole:
            return self.permission_sets.read(arn)
        here = frozenset({account_id})
        return model.KnownPermissionSet(
            arn, PermissionSet(name or ""), here, here if is_outdated else frozenset()
        )

    def _name_of(self, arn: str) -> str | None:
        if arn not in self.names and (name := self.permission_sets.name_of(arn)) is not None:
            self.names[arn] = name
        return self.names.get(arn)

    def of_another(
        self, subject: Subject, person: model.Person, known: model.KnownPerson, runs: RunHistory
    ) -> str:
        """Why the access of ``known`` may belong to another IAM user; empty if it is this one's.

        ``runs``: what runs gave to whom. It is another's if they gave it for other IAM users of the account, or gave
        this IAM user's access to another user with that username. Takes calls only for such users. Raises ClientError.
        """
        keys = [(group_id, known.user_id) for group_id in sorted(runs.groups_of.get(known.user_id, ()))]
        if inherited(
            subject, known, ((group_id, runs.users_between((group_id, of))) for group_id, of in keys)
        ):
            present = {key: found for key in keys if (found := self.store.membership_id(*key))}
            names = self.group_names([group_id for group_id, _ in present])
            given = (
                (names.get(key[0], key[0]), runs.users_at_most(key, identifier))
                for key, identifier in present.items()
            )
            if why := inherited(subject, known, given):
                return why
        served = runs.served.get(person.key[0], {})
        if not served or known.user_id in served:
            return ""
        claim = model.Claim(subject, person.key, "", model.Grant(subject.account_id, ""))
        now = model.CenterState(current=model.CurrentAccess(usernames=self.usernames(sorted(served))))
        return changed_people([claim], {person.key: known}, now, runs).get(claim, "")

    def people(self, people: Collection[model.Person], access: AccountAccess) -> dict[model.Person, Found]:
        """The users found for each of ``people``, with at least those of their groups that ``access`` names.

        It lists all users of the identity store, and all members of these groups, with a call for each hundred, if that
        takes fewer calls than a quarter of the number of people. Otherwise each person takes a call for its groups, or
        two for itself. Raises ClientError.
        """
        most = 1 + len(people) // 4
        listed = self.store.people_within(most) if people else ({}, {})
        if listed is None:
            known = {person: self.store.find_person(person) for person in people}
        else:
            known = {person: _in_lists(person, *listed) for person in people}
        ids = {found.user_id for found, _ in known.values() if found}
        members = self.store.members_within(most, access.groups) if ids else {}
        if members is None:
            members = {each: set(self.store.groups_of(each)) for each in sorted(ids)}
        return {
            each: (found, other, frozenset(members.get(found.user_id, ()) if found else ()))
            for each, (found, other) in known.items()
        }


def _in_lists(
    person: model.Person, usernames: Mapping[str, model.KnownPerson], emails: Mapping[str, model.KnownPerson]
) -> tuple[model.KnownPerson | None, model.KnownPerson | None]:
    """As ``find_person``."""
    username, email = person.key
    found = usernames.get(username)
    return found, None if found else emails.get(email)


def _counts(name: str | None, names: Collection[str]) -> bool:
    return name is not None and (not names or name in names)
