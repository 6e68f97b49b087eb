# SPDX-License-Identifier: Apache-2.0
"""The proof that a permission set, as it was made, grants its people no more than they had. Pure.

It starts again from the documents on both sides: nothing that derivation found out is relied on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from c7n_iamusers.decisions.derivation.holdings import Holding
from c7n_iamusers.decisions.derivation.mapping import mapping_of
from c7n_iamusers.decisions.derivation.reading import read
from c7n_iamusers.decisions.policy_comparison.comparison import Policies, compare
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement, parse_policy
from c7n_iamusers.decisions.policy_comparison.ways_in import WayIn, as_session
from c7n_iamusers.model.access_proof import EQUAL, NARROWER, UNDECIDED, WIDER, Proof
from c7n_iamusers.model.derivation import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.model.principal_permissions import ManagedPolicy, PrincipalPermissions


def prove(holding: Holding, derived: DerivedSet, session: WayIn, user: WayIn) -> Proof:
    """How ``derived`` compares with what the user may do now, in the user's account.

    ``session``, ``user``: what is certain of somebody who comes in the new way, and the old; to know less of them
    proves no more.
    """
    principal = holding.principal
    old, new = old_policies(principal), new_policies(principal, derived)
    verdict, witnesses = compare(new, session, old, user)
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
        (
            *(each for policy, source in principal.managed_policies for each in read(policy, source)),
            *(each for text, source in principal.inline_policies for each in parse_policy(text, source)),
        ),
        None if boundary is None else read(boundary, f"permissions boundary {boundary.name}"),
    )


def session_of(principal: PrincipalPermissions, options: DerivationOptions) -> WayIn:
    """What is certain of the person's sessions."""
    tagged = options.username_tag and principal.person
    return as_session({options.username_tag: principal.person} if tagged else None)


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
