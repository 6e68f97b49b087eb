# SPDX-License-Identifier: Apache-2.0
"""Proves that a permission set grants its people no more than their IAM users may do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from c7n_iamusers.derivation.canonical import includes
from c7n_iamusers.derivation.model import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.derivation.translation import StatementTranslation
from c7n_iamusers.derivation.user_policies import UserPolicies
from c7n_iamusers.policy_comparison.comparison import (
    CARRIED,
    EQUAL,
    LEFT_OUT,
    NARROWER,
    UNDECIDED,
    WIDER,
    Policies,
    PolicyMapping,
    Proof,
    compare,
)
from c7n_iamusers.policy_comparison.patterns import Budget, OutOfBudget
from c7n_iamusers.policy_comparison.principals import (
    ManagedPolicy,
    PrincipalPermissions,
    RequestContext,
    session_context,
)
from c7n_iamusers.policy_comparison.statements import PolicyStatement, managed_statements, parse_policy


def mapping_of(
    held: UserPolicies, derived: DerivedSet, statements: Iterable[PolicyStatement]
) -> tuple[PolicyMapping, ...]:
    """What happens to each policy and statement of the user in ``derived``. ``statements``: those of ``derived``."""
    listed, budget = list(statements), Budget()
    found = [*_aws(held, derived)]
    found += [_target(each, derived, listed, budget) for policy in held.own for each in policy.translations]
    boundary = held.principal.boundary
    if boundary:
        found.append(PolicyMapping(f"permissions boundary {boundary.name}", CARRIED, "permissions boundary"))
    return tuple(found)


def _aws(held: UserPolicies, derived: DerivedSet) -> Iterator[PolicyMapping]:
    for each in held.aws:
        if each.policy.arn in derived.managed_policies:
            yield PolicyMapping(each.source, CARRIED, f"AWS-managed policy {each.policy.arn}")
        else:
            yield PolicyMapping(each.source, LEFT_OUT)


def _target(
    translation: StatementTranslation, derived: DerivedSet, statements: list[PolicyStatement], budget: Budget
) -> PolicyMapping:
    source = translation.original.source
    if translation.translated is None:
        return PolicyMapping(source, LEFT_OUT)
    translated = translation.translated
    same = (each for each in statements if each == translated)
    including = (each for each in statements if includes(each, translated, budget))
    try:
        found = next(chain(same, including), None)
    except OutOfBudget:
        found = None
    # If no single statement includes it, several do together.
    target = found.source if found else f"permission set {derived.name}"
    return PolicyMapping(source, translation.how, target)


def prove(held: UserPolicies, derived: DerivedSet, session: RequestContext, user: RequestContext) -> Proof:
    """The proof of ``derived`` against the current policies of the user, in the user's account.

    ``session``, ``user``: the known context of requests through the set, and of the user. Fewer known facts never
    give a better verdict.
    """
    principal = held.principal
    old, new = old_policies(principal), new_policies(principal, derived)
    verdict, witnesses = compare(new, session, old, user)
    before = (*old.statements, *(old.boundary or ()))
    if verdict == EQUAL and any(each.dependent for each in before):
        verdict = NARROWER
    elif verdict == WIDER and any(each.has_unknowns for each in before):
        verdict = UNDECIDED
    return Proof(verdict, witnesses, held.remarks, mapping_of(held, derived, new.statements))


def old_policies(principal: PrincipalPermissions) -> Policies:
    """The policies of an IAM user. Raises ValueError for a policy that is unread or does not parse."""
    boundary = principal.boundary
    return Policies(
        (
            *(
                each
                for policy, source in principal.managed_policies
                for each in managed_statements(policy, source)
            ),
            *(each for text, source in principal.inline_policies for each in parse_policy(text, source)),
        ),
        None if boundary is None else managed_statements(boundary, f"permissions boundary {boundary.name}"),
    )


def session_of(principal: PrincipalPermissions, options: DerivationOptions) -> RequestContext:
    """The known context of the person's sessions."""
    tagged = options.username_tag and principal.person
    return session_context({options.username_tag: principal.person} if tagged else None)


def new_policies(principal: PrincipalPermissions, derived: DerivedSet) -> Policies:
    """The policies of people with ``derived``, which was derived from ``principal``."""
    known = {policy.arn: policy for policy in all_managed(principal) if policy.aws_managed}
    own = {
        PolicyReference(each.name, each.path): each for each in all_managed(principal) if not each.aws_managed
    }
    statements = [
        *(each for reference in derived.customer_managed for each in _referred(reference, own)),
        *(parse_policy(derived.inline, "inline policy") if derived.inline else ()),
        *(
            each
            for arn in derived.managed_policies
            for each in managed_statements(known[arn], f"AWS-managed policy {arn}")
        ),
    ]
    boundary = derived.boundary
    if boundary is None:
        return Policies(tuple(statements))
    if isinstance(boundary, PolicyReference):
        return Policies(tuple(statements), _referred(boundary, own))
    return Policies(tuple(statements), _aws_managed(known[boundary]))


def _aws_managed(policy: ManagedPolicy) -> tuple[PolicyStatement, ...]:
    return managed_statements(policy, f"AWS-managed policy {policy.arn}")


def _referred(
    reference: PolicyReference, own: Mapping[PolicyReference, ManagedPolicy]
) -> tuple[PolicyStatement, ...]:
    return managed_statements(own[reference], f"policy {reference.name}")


def all_managed(principal: PrincipalPermissions) -> Iterable[ManagedPolicy]:
    """Every managed policy of the user, its groups and its boundary."""
    boundary = [principal.boundary] if principal.boundary else []
    return (*(policy for policy, _ in principal.managed_policies), *boundary)
