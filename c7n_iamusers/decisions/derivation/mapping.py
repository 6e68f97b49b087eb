# SPDX-License-Identifier: Apache-2.0
"""Which policy or statement of a user became which of its permission set. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from c7n_iamusers.decisions.derivation.canonical import includes
from c7n_iamusers.decisions.derivation.carrying import Carry
from c7n_iamusers.decisions.derivation.holdings import Holding
from c7n_iamusers.decisions.policy_comparison.globs import Budget, OutOfBudget
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement
from c7n_iamusers.model.access_proof import CARRIED, LEFT_OUT, Carried
from c7n_iamusers.model.derivation import DerivedSet


def mapping_of(
    holding: Holding, derived: DerivedSet, statements: Iterable[PolicyStatement]
) -> tuple[Carried, ...]:
    """``statements``: those of ``derived``, each with its source."""
    listed, budget = list(statements), Budget()
    found = [*_aws(holding, derived)]
    found += [_target(each, derived, listed, budget) for policy in holding.own for each in policy.carries]
    boundary = holding.principal.boundary
    if boundary:
        found.append(Carried(f"permissions boundary {boundary.name}", CARRIED, "permissions boundary"))
    return tuple(found)


def _aws(holding: Holding, derived: DerivedSet) -> Iterator[Carried]:
    for each in holding.aws:
        if each.policy.arn in derived.managed_policies:
            yield Carried(each.source, CARRIED, f"AWS-managed policy {each.policy.arn}")
        else:
            yield Carried(each.source, LEFT_OUT)


def _target(carry: Carry, derived: DerivedSet, statements: list[PolicyStatement], budget: Budget) -> Carried:
    source = carry.original.source
    if carry.carried is None:
        return Carried(source, LEFT_OUT)
    carried = carry.carried
    same = (each for each in statements if each == carried)
    including = (each for each in statements if includes(each, carried, budget))
    try:
        found = next(chain(same, including), None)
    except OutOfBudget:
        found = None
    # What is in no one statement is in several together, as the proof shows.
    target = found.source if found else f"permission set {derived.name}"
    return Carried(source, carry.how, target)
