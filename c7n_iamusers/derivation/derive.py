# SPDX-License-Identifier: Apache-2.0
"""Derives permission sets and groups for the IAM users of any number of accounts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from c7n_iamusers.derivation.acceptances import is_permitted, with_acceptance
from c7n_iamusers.derivation.grouping import SetHolder, groups_of, near_duplicates, subject_order
from c7n_iamusers.derivation.model import (
    Derivation,
    DerivationOptions,
    DerivedGroup,
    DerivedPrincipal,
    DerivedSet,
    Refusal,
)
from c7n_iamusers.derivation.proving import new_policies
from c7n_iamusers.derivation.user_derivation import UserDerivation, UserDeriver, unproven_reason
from c7n_iamusers.derivation.user_policies import UserPolicies
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.policy_comparison.principals import PrincipalPermissions


@dataclass
class _Results:
    """The results so far. ``sets``: set name -> the set, and the policies of one of its users."""

    options: DerivationOptions
    sets: dict[str, tuple[DerivedSet, UserPolicies]] = field(default_factory=dict)
    accounts: dict[str, dict[str, None]] = field(default_factory=dict)
    passed: list[tuple[PrincipalPermissions, Subject, UserDerivation]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def add(self, principal: PrincipalPermissions, result: UserDerivation) -> None:
        proof = result.proof and with_acceptance(result.proof, principal.subject, self.options)
        reason = result.reason or (unproven_reason(proof) if proof and not is_permitted(proof) else "")
        if reason:
            self.refused.append(Refusal(principal.subject, reason, proof))
            return
        assert result.derived
        assert result.held
        name = result.derived.name
        self.sets.setdefault(name, (result.derived, result.held))
        self.accounts.setdefault(name, {})[principal.account_id] = None
        # Users with the same policies share a result; an acceptance is for one user.
        same = proof is result.proof
        self.passed.append((principal, principal.subject, result if same else replace(result, proof=proof)))


def derive(principals: Iterable[PrincipalPermissions], options: DerivationOptions) -> Derivation:
    """A permission set, a group and a proof for each user, or the reason why there is none.

    A user's set depends only on its own policies and ``options``. ``principals``: each user once.
    """
    results, users = _Results(options), UserDeriver(options)
    for principal in sorted(principals, key=lambda each: (each.account_id, each.user_name)):
        results.add(principal, users.of(principal))
    return _derivation(results)


def _derivation(results: _Results) -> Derivation:
    groups = _groups(results, {name: name for name in results.sets})
    earlier = {name: held.content.earlier_name for name, (_, held) in results.sets.items()}
    earlier_groups = _groups(results, earlier)
    principals = [
        DerivedPrincipal(
            subject,
            result.derived.name,
            groups[subject].name,
            result.proof,
            earlier[result.derived.name],
            earlier_groups[subject].name,
        )
        for _, subject, result in results.passed
        if result.derived and result.proof
    ]
    sets = [
        replace(derived, accounts=tuple(sorted(results.accounts[name])))
        for name, (derived, _) in results.sets.items()
    ]
    return Derivation(
        tuple(sorted(sets, key=lambda each: each.name)),
        _distinct(groups.values()),
        tuple(sorted(principals, key=lambda each: subject_order(each.subject))),
        tuple(sorted(results.refused, key=lambda each: subject_order(each.subject))),
        near_duplicates(
            (name, held.content, new_policies(held.principal, derived))
            for name, (derived, held) in results.sets.items()
        ),
        _distinct(earlier_groups.values()),
    )


def _groups(results: _Results, names: Mapping[str, str]) -> Mapping[Subject, DerivedGroup]:
    """The group of each user. ``names``: set name -> name to use for it."""
    holders = [
        SetHolder(subject, principal.person, names[result.derived.name])
        for principal, subject, result in results.passed
        if result.derived
    ]
    return groups_of(holders, results.options.group_by)


def _distinct(groups: Iterable[DerivedGroup]) -> tuple[DerivedGroup, ...]:
    named = {each.name: each for each in groups}
    return tuple(named[name] for name in sorted(named))
