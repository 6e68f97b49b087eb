# SPDX-License-Identifier: Apache-2.0
"""Reads what decides a restored user's rights: groups and managed policies, and the trust policies of roles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.accounts import read_account
from c7n_iamusers.iam.live_policies import read_group, read_policy
from c7n_iamusers.iam.policy_documents import PolicyVersion, policy_arns
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.restoration.lost_trust_denies import RoleTrust
from c7n_iamusers.restoration.rights import CurrentRights
from c7n_iamusers.snapshots.snapshot import Snapshot


@dataclass
class RightsReader:
    """Reads the groups and managed policies that decide a user's rights, by ``client``.

    Documents are kept until ``forget``, since each round of a restoration needs them.
    """

    client: Any
    backoff: Backoff
    _policies: dict[str, PolicyVersion | None] = field(default_factory=dict)

    def read(self, was: Snapshot, now: IamUser | None, recreate_groups: bool) -> CurrentRights:
        """What exists of the groups and policies of ``was`` and ``now``. Raises ClientError if one can't be read.

        ``recreate_groups``: with the policies of groups that are to be created again.
        """
        names = {*(was.user.groups or ()), *((now.groups if now else None) or ())}
        found = ((name, read_group(self.client, name, self.backoff)) for name in sorted(names))
        groups = {name: group for name, group in found if group}
        arns = {*policy_arns(was.user, was.groups if recreate_groups else ())}
        arns |= {*policy_arns(now or was.user, groups.values())}
        versions = [self._policy(arn) for arn in sorted(arns)]
        return CurrentRights({each.arn: each for each in versions if each}, groups)

    def forget(self) -> None:
        """Read all documents again from now on."""
        self._policies.clear()

    def _policy(self, arn: str) -> PolicyVersion | None:
        if arn not in self._policies:
            self._policies[arn] = read_policy(self.client, arn, self.backoff)
        return self._policies[arn]


@dataclass
class RoleTrustReader:
    """Reads the trust policies of an account's roles by ``client``, once for all of its users.

    Nobody can add a Deny for a deleted user, so the first reading has all of its Denies.
    """

    client: Any
    backoff: Backoff
    _found: RoleTrust | None = None

    def read(self) -> RoleTrust:
        """Raises ClientError."""
        if self._found is None:
            self._found = RoleTrust.of(read_account(self.client, self.backoff, "Role").roles)
        return self._found
