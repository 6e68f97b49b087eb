# SPDX-License-Identifier: Apache-2.0
"""The records of a derivation: options, permission sets, groups, and the users that get or don't get a set. Pure.

``derive`` returns them::

    principals = [principal_permissions(user, groups, policies) for user in details]
    derivation = derive(principals, DerivationOptions(identity_center_mfa=True))

They don't depend on the order of accounts, users or policies. A set does not depend on other users. Its name is a
digest of its content and form, so other content gives another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.derivation.acceptances import Acceptance
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison.budgets import AccountTimes
from c7n_iamusers.policy_comparison.comparison import Proof

#: What a group is for: one set in one account, or all the assignments of its people.
PER_ACCOUNT, PER_MAP = "set-and-account", "people"


@dataclass(frozen=True)
class DerivationOptions:
    """What derivation may use and assume.

    ``session_duration``: ISO 8601, PT1H to PT12H. ``policies_per_set``, ``inline_characters`` (without white space) and
    ``inline_bytes``: quotas of Identity Center. ``policies_per_role``: IAM's quota for the role in each account, 10 by
    default. The lower quota of policies applies.

    ``accept``: users whose set may be created without that proof. ``today``: the day, in UTC, on which acceptances must
    be valid; by default none is.
    ``identity_center_mfa``: Identity Center requires MFA at every sign-in, so conditions on
    ``aws:MultiFactorAuthPresent`` are met, for users that have an MFA device.
    ``username_tag``: the attribute for access control (a session tag) with the Identity Center username; empty for
    none. It replaces ``${aws:username}`` for people whose two usernames are equal.
    ``write_out``: replace variables such as ``${aws:username}`` by their values, which needs a set for each value.
    ``group_by``: PER_ACCOUNT or PER_MAP.
    ``times``: bounds the time of each account; see ``budgets``.
    """

    session_duration: str = defaults.SESSION_DURATION
    policies_per_set: int = 20
    policies_per_role: int = 10
    inline_characters: int = 10_240
    inline_bytes: int = 32_768
    accept: tuple[Acceptance, ...] = ()
    today: date = date.max
    identity_center_mfa: bool = False
    username_tag: str = ""
    write_out: bool = False
    group_by: str = PER_ACCOUNT
    times: AccountTimes | None = field(default=None, compare=False)


@dataclass(frozen=True, order=True)
class PolicyReference:
    """A customer-managed policy as sso-admin's ``CustomerManagedPolicyReference``."""

    name: str
    path: str = "/"


@dataclass(frozen=True)
class DerivedSet:
    """A permission set. ``managed_policies``: ARNs of AWS-managed policies. ``inline``: a policy document.

    ``boundary``: the ARN of an AWS-managed policy, or a reference. ``accounts``: the ids of its users' accounts.
    """

    name: str
    managed_policies: tuple[str, ...]
    customer_managed: tuple[PolicyReference, ...]
    inline: Mapping[str, Any] | None
    boundary: str | PolicyReference | None
    session_duration: str
    accounts: tuple[str, ...] = ()

    @property
    def inline_policy(self) -> str:
        """The inline policy as JSON in canonical form, empty for none (see ``PermissionSet``)."""
        return canonical_policy(self.inline) if self.inline else ""


@dataclass(frozen=True, slots=True)
class DerivedGroup:
    """A group, its assignments (account id, set name), and the IAM users whose people are its members."""

    name: str
    assignments: tuple[tuple[str, str], ...]
    members: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class DerivedPrincipal:
    """An IAM user, and the set and group that replace its policies."""

    subject: Subject
    set_name: str
    group_name: str
    proof: Proof


@dataclass(frozen=True)
class NotDerived:
    """An IAM user without a set. ``reason``: why, and what to do. ``proof``: None if there was no set to prove."""

    subject: Subject
    reason: str
    proof: Proof | None = None


@dataclass(frozen=True)
class NearDuplicate:
    """Two sets that people could merge. ``relation``: EQUAL, NARROWER or WIDER of the first, or OTHER.

    ``difference``: the number of policies and statements that only one has. ``only_first``, ``only_second``: as text.
    """

    first: str
    second: str
    difference: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    relation: str


@dataclass(frozen=True)
class Derivation:
    """The result, each part in a fixed order."""

    sets: tuple[DerivedSet, ...]
    groups: tuple[DerivedGroup, ...]
    principals: tuple[DerivedPrincipal, ...]
    refused: tuple[NotDerived, ...]
    near_duplicates: tuple[NearDuplicate, ...]

    @property
    def summary(self) -> str:
        """N users -> M permission sets, as text."""
        refused = f", {len(self.refused)} users refused" if self.refused else ""
        return f"{len(self.principals)} users -> {len(self.sets)} permission sets{refused}"
