# SPDX-License-Identifier: Apache-2.0
"""The proof that a permission set, as it was made, grants its people no more than they had. Pure.

It starts again from the documents on both sides: nothing that derivation found out is relied on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from c7n_iamusers.decisions.derivation.existing_policies import ExistingPolicies
from c7n_iamusers.decisions.derivation.holdings import Holding
from c7n_iamusers.decisions.derivation.mapping import mapping_of
from c7n_iamusers.decisions.derivation.reading import read
from c7n_iamusers.decisions.policy_comparison.comparison import Policies, compare
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement, parse_policy
from c7n_iamusers.decisions.policy_comparison.ways_in import as_session, as_user
from c7n_iamusers.model.access_proof import EQUAL, NARROWER, UNDECIDED, WIDER, Proof
from c7n_iamusers.model.derivation import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.model.principal_permissions import GroupPermissions, ManagedPolicy, PrincipalPermissions


def prove(
    holding: Holding, derived: DerivedSet, existing: ExistingPolicies, options: DerivationOptions
) -> Proof:
    """How ``derived`` compares with what the user may do now, in the user's account."""
    principal = holding.principal
    old, new = old_policies(principal), new_policies(principal, derived, existing)
    tagged = options.username_tag and principal.person
    session = as_session({options.username_tag: principal.person} if tagged else None)
    verdict, witnesses = compare(new, session, old, as_user(principal, options.identity_center_mfa))
    before = (*old.statements, *(old.boundary or ()))
    if verdict == EQUAL and any(each.dependent for each in before):
        verdict = NARROWER
    elif verdict == WIDER and any(each.has_unknowns for each in before):
        verdict = UNDECIDED
    return Proof(verdict, witnesses, holding.remarks, mapping_of(holding, derived, new.statements))


def old_policies(principal: PrincipalPermissions) -> Policies:
    """All that is in force for an IAM user. Raises ValueError for what is unknown or doesn't parse."""
    boundary = principal.boundary
    return Policies(
        tuple(_of_user(principal)),
        None if boundary is None else read(boundary, f"permissions boundary {boundary.name}"),
    )


def _of_user(principal: PrincipalPermissions) -> Iterator[PolicyStatement]:
    holders: tuple[PrincipalPermissions | GroupPermissions, ...] = (principal, *principal.groups)
    for holder in holders:
        for policy in holder.attached:
            yield from read(policy, f"policy {policy.name}")
        for name, document in holder.inline:
            yield from parse_policy(document, f"inline policy {name}")


def new_policies(
    principal: PrincipalPermissions, derived: DerivedSet, existing: ExistingPolicies
) -> Policies:
    known = {policy.arn: policy for policy in _aws_managed(principal)}
    statements = [
        *(
            each
            for reference in derived.customer_managed
            for each in _referred(reference, principal, existing)
        ),
        *(parse_policy(derived.inline, "inline policy") if derived.inline else ()),
        *(each for arn in derived.managed_policies for each in read(known[arn], f"AWS-managed policy {arn}")),
    ]
    boundary = derived.boundary
    if boundary is None:
        return Policies(tuple(statements))
    if isinstance(boundary, PolicyReference):
        return Policies(tuple(statements), _referred(boundary, principal, existing))
    return Policies(tuple(statements), read(known[boundary], f"AWS-managed policy {boundary}"))


def _referred(
    reference: PolicyReference, principal: PrincipalPermissions, existing: ExistingPolicies
) -> tuple[PolicyStatement, ...]:
    statements = existing.statements(principal.account_id, reference)
    if statements is None:
        raise ValueError(
            f"policy {reference.path}{reference.name}, which the set refers to, is not in account "
            f"{principal.account_id}"
        )
    return statements


def _aws_managed(principal: PrincipalPermissions) -> Iterable[ManagedPolicy]:
    groups = [policy for group in principal.groups for policy in group.attached]
    boundary = [principal.boundary] if principal.boundary else []
    return (policy for policy in (*principal.attached, *groups, *boundary) if policy.aws_managed)
