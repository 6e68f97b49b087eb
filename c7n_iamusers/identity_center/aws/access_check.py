# SPDX-License-Identifier: Apache-2.0
"""Reading who holds which permission set in one account, and what of it a person reaches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.execution.client import Backoff
from c7n_iamusers.identity_center.aws.assignments import Assignments
from c7n_iamusers.identity_center.aws.identity_store import IdentityStore
from c7n_iamusers.identity_center.aws.permission_sets import PermissionSets
from c7n_iamusers.identity_center.model import Instance, KnownPermissionSet, KnownPerson, Person, Principal

#: The IAM actions that a reading needs.
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
    """``sets``: what is provisioned in the account; ``holders``: ARN -> who is assigned it there.

    An assignment whose creation is under way or FAILED is none, and one whose deletion is under way is none any more.
    """

    account_id: str
    sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    holders: Mapping[str, frozenset[Principal]] = field(default_factory=dict)

    def of(self, user_id: str, groups: frozenset[str]) -> tuple[KnownPermissionSet, ...]:
        """The sets that the user holds there, directly or through one of its ``groups``."""
        principals = {("USER", user_id), *(("GROUP", group) for group in groups)}
        return tuple(self.sets[arn] for arn, found in self.holders.items() if found & principals)


@dataclass(frozen=True)
class AccessReader:
    """Reads ``instance``."""

    permission_sets: PermissionSets
    store: IdentityStore
    assignments: Assignments

    @classmethod
    def through(cls, clients: Mapping[str, Any], instance: Instance, backoff: Backoff) -> AccessReader:
        """One that reads through ``clients`` (boto3 service name -> client)."""
        sso = clients["sso-admin"]
        return cls(
            PermissionSets(sso, instance, backoff),
            IdentityStore(clients["identitystore"], instance, backoff),
            Assignments(sso, instance, backoff),
        )

    def account(self, account_id: str, names: Collection[str] = (), whole: bool = False) -> AccountAccess:
        """Who holds what there: of the sets of those names, or of all where none are given.

        ``whole``: with everything that sets can differ in, beside their names. Some calls a permission set, however
        many people there are. Raises ClientError.
        """
        going = self.assignments.deletions_pending()
        outdated = self.permission_sets.outdated_in(account_id)
        sets: dict[str, KnownPermissionSet] = {}
        holders: dict[str, frozenset[Principal]] = {}
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
    ) -> KnownPermissionSet | None:
        if whole:
            return self.permission_sets.read(arn)
        here = frozenset({account_id})
        return KnownPermissionSet(arn, PermissionSet(name or ""), here, here if is_outdated else frozenset())

    def person(self, person: Person) -> tuple[KnownPerson | None, KnownPerson | None, frozenset[str]]:
        """Who has the username, who else has the e-mail, and the groups of the first. Raises ClientError."""
        by_username, by_email = self.store.find_person(person)
        groups = self.store.groups_of(by_username.user_id) if by_username else frozenset()
        return by_username, by_email, groups


def _counts(name: str | None, names: Collection[str]) -> bool:
    return name is not None and (not names or name in names)
