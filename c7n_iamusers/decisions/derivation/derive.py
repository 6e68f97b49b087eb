# SPDX-License-Identifier: Apache-2.0
"""Permission sets for the IAM users of any number of accounts. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.decisions.derivation.acceptances import stands, with_acceptance
from c7n_iamusers.decisions.derivation.existing_policies import ExistingPolicies
from c7n_iamusers.decisions.derivation.grouping import Seat, groups_of
from c7n_iamusers.decisions.derivation.holdings import Holding, hold
from c7n_iamusers.decisions.derivation.near_duplicates import near_duplicates
from c7n_iamusers.decisions.derivation.proving import new_policies, prove
from c7n_iamusers.decisions.derivation.refusals import grants_nothing, held_back, unproven
from c7n_iamusers.decisions.derivation.rendering import render
from c7n_iamusers.decisions.derivation.writing import Spelling, spelling_of
from c7n_iamusers.model.access_proof import Proof
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.derivation import (
    Derivation,
    DerivationOptions,
    DerivedPrincipal,
    DerivedSet,
    Refusal,
)
from c7n_iamusers.model.principal_permissions import PrincipalPermissions

_Alike = list[Holding]


@dataclass
class _Work:
    """One derivation under way. ``made``: set, its users and their proofs, for those that stand so far."""

    options: DerivationOptions
    existing: ExistingPolicies
    spelling: Spelling = field(default_factory=dict)
    made: list[tuple[DerivedSet, _Alike, list[Proof]]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def refuse(self, holding: Holding, reason: str, proof: Proof | None = None) -> None:
        self.refused.append(Refusal(holding.principal.subject, reason, proof))


def derive(
    principals: Iterable[PrincipalPermissions],
    options: DerivationOptions,
    customer_policies: Mapping[str, Mapping[str, Any]] | None = None,
) -> Derivation:
    """A permission set, a group and a proof for each user, or why there is none.

    ``customer_policies``: account id -> ARN -> document of the customer-managed policies that stand there,
    beside those that the principals have. Each user stands once in ``principals``.
    """
    ordered = sorted(principals, key=lambda each: (each.account_id, each.user_name))
    work = _Work(options, ExistingPolicies.of(customer_policies or {}, ordered))
    holdings = _held(ordered, work)
    work.spelling = spelling_of(
        each.original for holding in holdings for policy in holding.own for each in policy.carries
    )
    for alike in _by_content(holdings):
        _settle(alike, work)
    return _derivation(work)


def _held(principals: Iterable[PrincipalPermissions], work: _Work) -> _Alike:
    found = []
    for principal in principals:
        try:
            holding = hold(principal, work.options)
        except ValueError as error:
            work.refused.append(Refusal(principal.subject, str(error)))
            continue
        if reason := held_back(holding) or grants_nothing(holding):
            work.refuse(holding, reason)
        else:
            found.append(holding)
    return found


def _by_content(holdings: _Alike) -> Iterable[_Alike]:
    found: defaultdict[str, _Alike] = defaultdict(list)
    for holding in holdings:
        found[holding.content.name].append(holding)
    return found.values()


def _settle(alike: _Alike, work: _Work) -> None:
    """The set of users with the same content; made anew without those who turn out to be refused."""
    while alike:
        try:
            derived = render(alike, work.existing, work.options, work.spelling)
        except ValueError as error:
            for holding in alike:
                work.refuse(holding, str(error))
            return
        proofs = [
            with_acceptance(
                prove(each, derived, work.existing, work.options), each.principal.subject, work.options
            )
            for each in alike
        ]
        kept = [
            holding for holding, proof in zip(alike, proofs, strict=True) if _passes(holding, proof, work)
        ]
        if len(kept) == len(alike):
            work.made.append((derived, alike, proofs))
            return
        alike = kept


def _passes(holding: Holding, proof: Proof, work: _Work) -> bool:
    if stands(proof):
        return True
    work.refuse(holding, unproven(proof), proof)
    return False


def _derivation(work: _Work) -> Derivation:
    seats = [
        Seat(holding.principal.subject, holding.principal.person, derived.name)
        for derived, alike, _ in work.made
        for holding in alike
    ]
    groups = groups_of(seats, work.options.group_by)
    principals = [
        DerivedPrincipal(
            holding.principal.subject, derived.name, groups[holding.principal.subject].name, proof
        )
        for derived, alike, proofs in work.made
        for holding, proof in zip(alike, proofs, strict=True)
    ]
    return Derivation(
        tuple(sorted((derived for derived, _, _ in work.made), key=lambda each: each.name)),
        tuple(sorted(set(groups.values()), key=lambda each: each.name)),
        tuple(sorted(principals, key=lambda each: _order(each.subject))),
        tuple(sorted(work.refused, key=lambda each: _order(each.subject))),
        near_duplicates(
            (alike[0].content, new_policies(alike[0].principal, derived, work.existing))
            for derived, alike, _ in work.made
        ),
    )


def _order(subject: Subject) -> tuple[str, str]:
    return subject.account_id, subject.name
