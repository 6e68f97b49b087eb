# SPDX-License-Identifier: Apache-2.0
"""Reads the assignments of one account, and which of them a person has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.aws.reader import CenterReader

#: The IAM actions that reading needs.
PERMISSIONS = (
    "identitystore:DescribeUser",
    "identitystore:GetUserId",
    "identitystore:ListGroupMembershipsForMember",
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


@dataclass(frozen=True)
class AccountAccess:
    """The access in an account. ``sets``: ARN -> provisioned permission set. ``holders``: ARN -> assigned principals.

    Assignments whose creation or deletion is IN_PROGRESS, or whose creation FAILED, are left out.
    """

    account_id: str
    sets: Mapping[str, model.KnownPermissionSet] = field(default_factory=dict)
    holders: Mapping[str, frozenset[model.Principal]] = field(default_factory=dict)

    def of(self, user_id: str, groups: frozenset[str]) -> tuple[model.KnownPermissionSet, ...]:
        """The permission sets that the user has there, directly or through one of its ``groups``."""
        principals = {("USER", user_id), *(("GROUP", group) for group in groups)}
        return tuple(self.sets[arn] for arn, found in self.holders.items() if found & principals)


@dataclass(frozen=True)
class AccessReader(CenterReader):
    """Reads single accounts and single people."""

    def account(self, account_id: str, names: Collection[str] = (), whole: bool = False) -> AccountAccess:
        """The access in an account. ``names``: of permission sets; empty for all.

        ``whole``: with all settings, not only names. Takes a few calls per permission set. Raises ClientError.
        """
        going = self.assignments.deletions_pending()
        outdated = self.permission_sets.outdated_in(account_id)
        sets: dict[str, model.KnownPermissionSet] = {}
        holders: dict[str, frozenset[model.Principal]] = {}
        for arn in self.permission_sets.provisioned_to(account_id):
            name = self.permission_sets.name_of(arn)
            known = (
                self._known(arn, name, account_id, arn in outdated, whole) if _counts(name, names) else None
            )
            if known:
                sets[arn] = known
                leaving = {who for account, what, who in going if (account, what) == (account_id, arn)}
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

    def person(
        self, person: model.Person
    ) -> tuple[model.KnownPerson | None, model.KnownPerson | None, frozenset[str]]:
        """The user with the username, the one with the e-mail (see ``find_person``), and the groups of the first."""
        by_username, by_email = self.store.find_person(person)
        groups = self.store.groups_of(by_username.user_id) if by_username else frozenset()
        return by_username, by_email, groups


def _counts(name: str | None, names: Collection[str]) -> bool:
    return name is not None and (not names or name in names)
