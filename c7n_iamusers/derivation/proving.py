# SPDX-License-Identifier: Apache-2.0
"""The proof that a permission set, as written, grants its people no more than they had. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from c7n_iamusers.derivation.canonical import includes
from c7n_iamusers.derivation.model import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.derivation.policies import read
from c7n_iamusers.derivation.translation import StatementTranslation
from c7n_iamusers.derivation.user_policies import UserPolicies
from c7n_iamusers.policy_comparison.comparison import Policies, compare
from c7n_iamusers.policy_comparison.globs import Budget, OutOfBudget
from c7n_iamusers.policy_comparison.principals import (
    ManagedPolicy,
    PrincipalPermissions,
    RequestContext,
    session_context,
)
from c7n_iamusers.policy_comparison.proof import (
    CARRIED,
    EQUAL,
    LEFT_OUT,
    NARROWER,
    UNDECIDED,
    WIDER,
    PolicyMapping,
    Proof,
)
from c7n_iamusers.policy_comparison.statements import PolicyStatement, parse_policy


def mapping_of(
    held: UserPolicies, derived: DerivedSet, statements: Iterable[PolicyStatement]
) -> tuple[PolicyMapping, ...]:
    """``statements``: those of ``derived``, each with its source."""
    listed, budget = list(statements), Budget()
    found = [*_aws(held, derived)]
    found += [_target(each, derived, listed, budget) for policy in held.own for each in policy.carries]
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
    carry: StatementTranslation, derived: DerivedSet, statements: list[PolicyStatement], budget: Budget
) -> PolicyMapping:
    source = carry.original.source
    if carry.carried is None:
        return PolicyMapping(source, LEFT_OUT)
    carried = carry.carried
    same = (each for each in statements if each == carried)
    including = (each for each in statements if includes(each, carried, budget))
    try:
        found = next(chain(same, including), None)
    except OutOfBudget:
        found = None
    # What is in no one statement is in several together, as the proof shows.
    target = found.source if found else f"permission set {derived.name}"
    return PolicyMapping(source, carry.how, target)


def prove(held: UserPolicies, derived: DerivedSet, session: RequestContext, user: RequestContext) -> Proof:
    """How ``derived`` compares with what the user may do now, in the user's account.

    ``session``, ``user``: what is certain of somebody who comes in the new way, and the old; to know less of them
    proves no more.
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
    """All that is in force for an IAM user. Raises ValueError for what is unknown or doesn't parse."""
    boundary = principal.boundary
    return Policies(
        (
            *(each for policy, source in principal.managed_policies for each in read(policy, source)),
            *(each for text, source in principal.inline_policies for each in parse_policy(text, source)),
        ),
        None if boundary is None else read(boundary, f"permissions boundary {boundary.name}"),
    )


def session_of(principal: PrincipalPermissions, options: DerivationOptions) -> RequestContext:
    """What is certain of the person's sessions."""
    tagged = options.username_tag and principal.person
    return session_context({options.username_tag: principal.person} if tagged else None)


def new_policies(principal: PrincipalPermissions, derived: DerivedSet) -> Policies:
    """All that is in force for whoever holds ``derived``, which was made of the policies of ``principal``."""
    known = {policy.arn: policy for policy in all_managed(principal) if policy.aws_managed}
    own = {
        PolicyReference(each.name, each.path): each for each in all_managed(principal) if not each.aws_managed
    }
    statements = [
        *(each for reference in derived.customer_managed for each in _referred(reference, own)),
        *(parse_policy(derived.inline, "inline policy") if derived.inline else ()),
        *(each for arn in derived.managed_policies for each in read(known[arn], f"AWS-managed policy {arn}")),
    ]
    boundary = derived.boundary
    if boundary is None:
        return Policies(tuple(statements))
    if isinstance(boundary, PolicyReference):
        return Policies(tuple(statements), _referred(boundary, own))
    return Policies(tuple(statements), read(known[boundary], f"AWS-managed policy {boundary}"))


def _referred(
    reference: PolicyReference, own: Mapping[PolicyReference, ManagedPolicy]
) -> tuple[PolicyStatement, ...]:
    return read(own[reference], f"policy {reference.name}")


def all_managed(principal: PrincipalPermissions) -> Iterable[ManagedPolicy]:
    """Every managed policy of the user, its groups and its boundary."""
    boundary = [principal.boundary] if principal.boundary else []
    return (*(policy for policy, _ in principal.managed_policies), *boundary)
