# SPDX-License-Identifier: Apache-2.0
"""What one IAM user holds, policy by policy, and what of it a permission set can carry. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from c7n_iamusers.derivation.canonical import Boundary, Content, canonical
from c7n_iamusers.derivation.model import DerivationOptions, PolicyReference
from c7n_iamusers.derivation.policies import IAM_USERS_ONLY, read
from c7n_iamusers.derivation.translation import StatementTranslation, aws_remarks, carry, translation_for
from c7n_iamusers.policy_comparison.principals import (
    ManagedPolicy,
    PrincipalPermissions,
    RequestContext,
    user_context,
)
from c7n_iamusers.policy_comparison.proof import CARRIED, Remark
from c7n_iamusers.policy_comparison.statements import PolicyStatement, parse_policy


@dataclass(frozen=True)
class AwsPolicy:
    """An AWS-managed policy that the user has; ``source`` says through what."""

    policy: ManagedPolicy
    source: str

    @property
    def left_out(self) -> bool:
        """Whether it is of use to IAM users only."""
        return self.policy.name in IAM_USERS_ONLY


@dataclass(frozen=True)
class CustomerPolicy:
    """A customer-managed policy (``reference``) or an inline one (None), statement by statement."""

    carries: tuple[StatementTranslation, ...]
    reference: PolicyReference | None = None

    @property
    def whole(self) -> bool:
        """Whether the policy can be carried as it is, by reference."""
        return self.reference is not None and all(each.how == CARRIED for each in self.carries)

    @property
    def originals(self) -> frozenset[PolicyStatement]:
        """Its statements as they are."""
        return frozenset(each.original for each in self.carries)

    @property
    def carried(self) -> tuple[PolicyStatement, ...]:
        """What of it a permission set can have."""
        return tuple(each.carried for each in self.carries if each.carried)


@dataclass(frozen=True)
class UserPolicies:
    """A user with all it holds."""

    principal: PrincipalPermissions
    aws: tuple[AwsPolicy, ...]
    own: tuple[CustomerPolicy, ...]
    boundary: Boundary | None

    @cached_property
    def content(self) -> Content:
        """What the user's permission set must grant."""
        statements = canonical(each for policy in self.own for each in policy.carried)
        managed = frozenset(each.policy.arn for each in self.aws if not each.left_out)
        return Content(managed, statements, self.boundary)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """All that is to be said on how its policies fared."""
        own = [remark for policy in self.own for each in policy.carries for remark in each.remarks]
        return (*(remark for each in self.aws for remark in aws_remarks(each.policy, each.source)), *own)


def read_user_policies(principal: PrincipalPermissions, options: DerivationOptions) -> UserPolicies:
    """Raises ValueError, with what is wrong and the mend, for a policy that is unknown or doesn't parse."""
    context = user_context(principal, options.identity_center_mfa)
    managed = list(principal.managed_policies)
    return UserPolicies(
        principal,
        tuple(_aws(policy, source) for policy, source in managed if policy.aws_managed),
        (
            *(
                _own(read(policy, source), principal, context, options, policy)
                for policy, source in managed
                if not policy.aws_managed
            ),
            *(
                _own(parse_policy(document, source), principal, context, options)
                for document, source in principal.inline_policies
            ),
        ),
        _boundary(principal.boundary),
    )


def _aws(policy: ManagedPolicy, source: str) -> AwsPolicy:
    read(policy, source)  # so that a document that doesn't parse is told of here
    return AwsPolicy(policy, source)


def _own(
    statements: tuple[PolicyStatement, ...],
    principal: PrincipalPermissions,
    context: RequestContext,
    options: DerivationOptions,
    policy: ManagedPolicy | None = None,
) -> CustomerPolicy:
    translation = translation_for(principal, options, context)
    carries = tuple(carry(each, context, translation) for each in statements)
    return CustomerPolicy(carries, PolicyReference(policy.name, policy.path) if policy else None)


def _boundary(policy: ManagedPolicy | None) -> Boundary | None:
    if policy is None:
        return None
    statements = read(policy, f"permissions boundary {policy.name}")
    if locked := [each.source for each in statements if not each.allows and each.dependent]:
        raise ValueError(
            f"{locked[0]} denies on a condition whose meaning changes with the way in; a permission set has a boundary "
            "only as a whole, and with this one people would be locked out: give the user a boundary without it"
        )
    if policy.aws_managed:
        return Boundary(policy.arn, None, ())
    return Boundary("", PolicyReference(policy.name, policy.path), canonical(statements))
