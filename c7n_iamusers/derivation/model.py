# SPDX-License-Identifier: Apache-2.0
"""Permission sets derived from what IAM users may do, and the proof that they grant no more.

``decisions.derivation`` makes these::

    principals = [principal_permissions(user, groups, policies) for user in details]
    derivation = derive(principals, DerivationOptions(identity_center_mfa=True))

Nothing in them depends on the order of accounts, users or policies, and no set on who else is there: its name is made
of all that it grants and of the form it has, so what changes is another set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison.proof import Proof

#: What a group stands for: one set in one account, or the whole map of accounts to sets of its people.
PER_ACCOUNT, PER_MAP = "set-and-account", "people"


@dataclass(frozen=True)
class Acceptance:
    """Somebody's word that one IAM user's set may be made although its proof came to ``verdict``.

    ``verdict``: WIDER or UNDECIDED. ``remark``: on whose word, and why. ``expires``: the last day of it, in UTC.
    """

    account: str
    user: str
    verdict: str
    remark: str
    expires: date


@dataclass(frozen=True)
class DerivationOptions:
    """What derivation may use and assume.

    ``session_duration``: ISO 8601, PT1H to PT12H. ``policies_per_set``, ``inline_characters`` (without
    whitespace) and ``inline_bytes`` are Identity Center's quotas, ``policies_per_role`` is IAM's for a role in
    each account, 10 unless it was raised: the lower of the two on policies binds.

    ``accept``: the users whose set may be made although it was not proven to grant no more. ``today``: the day, in
    UTC, that decides which of these still hold; by default none does.
    ``identity_center_mfa``: somebody vouches that Identity Center asks for MFA at every sign-in, so what a
    policy asks of ``aws:MultiFactorAuthPresent`` holds.
    ``username_tag``: the attribute for access control (a session tag) that carries the Identity Center
    username; empty for none. ``${aws:username}`` becomes it for people whose two names are the same.
    ``write_out``: replace variables such as ``${aws:username}`` by their value, at the price of a set for
    each value. ``group_by``: PER_ACCOUNT or PER_MAP.
    """

    session_duration: str = "PT1H"
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


@dataclass(frozen=True, order=True)
class PolicyReference:
    """A customer-managed policy as sso-admin's ``CustomerManagedPolicyReference``."""

    name: str
    path: str = "/"


@dataclass(frozen=True)
class DerivedSet:
    """A permission set. ``managed_policies``: ARNs of AWS-managed policies. ``inline``: a policy document.

    ``boundary``: the ARN of an AWS-managed policy or a reference. ``accounts``: where its people are.
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


@dataclass(frozen=True)
class DerivedGroup:
    """A group, the (account id, set name) it is assigned, and the IAM users whose people belong in it."""

    name: str
    assignments: tuple[tuple[str, str], ...]
    members: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class DerivedPrincipal:
    """An IAM user, and what takes the place of its policies.

    ``earlier_set``, ``earlier_group``: what the version before named them.
    """

    subject: Subject
    set_name: str
    group_name: str
    proof: Proof
    earlier_set: str = ""
    earlier_group: str = ""


@dataclass(frozen=True)
class Refusal:
    """An IAM user for whom nothing is derived, why and what to do; ``proof`` where it came to one."""

    subject: Subject
    reason: str
    proof: Proof | None = None


@dataclass(frozen=True)
class NearDuplicate:
    """Two sets that a person could merge. ``relation``: what the first is to the second, or "other".

    ``difference``: how many policies and statements only one of them has; these are listed in words.
    """

    first: str
    second: str
    difference: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    relation: str


@dataclass(frozen=True)
class Derivation:
    """Everything derived, each part in an order of its own that never changes.

    ``earlier_groups``: as the version before named them.
    """

    sets: tuple[DerivedSet, ...]
    groups: tuple[DerivedGroup, ...]
    principals: tuple[DerivedPrincipal, ...]
    refused: tuple[Refusal, ...]
    near_duplicates: tuple[NearDuplicate, ...]
    earlier_groups: tuple[DerivedGroup, ...] = ()

    @property
    def summary(self) -> str:
        """N users -> M sets, in a sentence."""
        refused = f", {len(self.refused)} users refused" if self.refused else ""
        return f"{len(self.principals)} users -> {len(self.sets)} permission sets{refused}"
