# SPDX-License-Identifier: Apache-2.0
"""The policies of one IAM user, and their translation for a permission set. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from c7n_iamusers.derivation.canonical import Boundary, Content, canonical
from c7n_iamusers.derivation.model import DerivationOptions, PolicyReference
from c7n_iamusers.derivation.translation import (
    StatementTranslation,
    aws_remarks,
    translate,
    variable_translation,
)
from c7n_iamusers.policy_comparison.comparison import CARRIED, Remark
from c7n_iamusers.policy_comparison.principals import (
    ManagedPolicy,
    PrincipalPermissions,
    RequestContext,
    user_context,
)
from c7n_iamusers.policy_comparison.statements import (
    IAM_USERS_ONLY,
    PolicyStatement,
    managed_statements,
    parse_policy,
)


@dataclass(frozen=True)
class AwsPolicy:
    """An AWS-managed policy of the user. ``source``: the policy and group, in words."""

    policy: ManagedPolicy
    source: str

    @property
    def left_out(self) -> bool:
        """Whether it is useful only to IAM users."""
        return self.policy.name in IAM_USERS_ONLY


@dataclass(frozen=True)
class CustomerPolicy:
    """A customer-managed policy (``reference``) or an inline policy (None), statement by statement."""

    translations: tuple[StatementTranslation, ...]
    reference: PolicyReference | None = None

    @property
    def whole(self) -> bool:
        """Whether a permission set can refer to the policy, because no statement changes."""
        return self.reference is not None and all(each.how == CARRIED for each in self.translations)

    @property
    def originals(self) -> frozenset[PolicyStatement]:
        """Its original statements."""
        return frozenset(each.original for each in self.translations)

    @property
    def translated(self) -> tuple[PolicyStatement, ...]:
        """Its statements that a permission set can have."""
        return tuple(each.translated for each in self.translations if each.translated)


@dataclass(frozen=True)
class UserPolicies:
    """A user with all its policies. ``own``: customer-managed and inline."""

    principal: PrincipalPermissions
    aws: tuple[AwsPolicy, ...]
    own: tuple[CustomerPolicy, ...]
    boundary: Boundary | None

    @cached_property
    def content(self) -> Content:
        """What the user's permission set must grant."""
        statements = canonical(each for policy in self.own for each in policy.translated)
        managed = frozenset(each.policy.arn for each in self.aws if not each.left_out)
        return Content(managed, statements, self.boundary)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """The remarks on all its policies."""
        own = [remark for policy in self.own for each in policy.translations for remark in each.remarks]
        return (*(remark for each in self.aws for remark in aws_remarks(each.policy, each.source)), *own)


def read_user_policies(principal: PrincipalPermissions, options: DerivationOptions) -> UserPolicies:
    """The policies of ``principal``. Raises ValueError for a policy that was not read or does not parse."""
    context = user_context(principal, options.identity_center_mfa)
    managed = list(principal.managed_policies)
    return UserPolicies(
        principal,
        tuple(_aws(policy, source) for policy, source in managed if policy.aws_managed),
        (
            *(
                _own(managed_statements(policy, source), principal, context, options, policy)
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
    managed_statements(policy, source)  # raises for a document that does not parse
    return AwsPolicy(policy, source)


def _own(
    statements: tuple[PolicyStatement, ...],
    principal: PrincipalPermissions,
    context: RequestContext,
    options: DerivationOptions,
    policy: ManagedPolicy | None = None,
) -> CustomerPolicy:
    translation = variable_translation(principal, options, context)
    translations = tuple(translate(each, context, translation) for each in statements)
    return CustomerPolicy(translations, PolicyReference(policy.name, policy.path) if policy else None)


def _boundary(policy: ManagedPolicy | None) -> Boundary | None:
    if policy is None:
        return None
    statements = managed_statements(policy, f"permissions boundary {policy.name}")
    if locked := [each.source for each in statements if not each.allows and each.dependent]:
        raise ValueError(
            f"{locked[0]} denies on a condition whose outcome differs in Identity Center. A permission set uses a "
            "boundary unchanged, and this one would lock people out: give the user a boundary without this statement"
        )
    if policy.aws_managed:
        return Boundary(policy.arn, None, ())
    return Boundary("", PolicyReference(policy.name, policy.path), canonical(statements))
