# SPDX-License-Identifier: Apache-2.0
"""Permission sets for the IAM users of any number of accounts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from c7n_iamusers.derivation.acceptances import stands, with_acceptance
from c7n_iamusers.derivation.grouping import SetHolder, groups_of, near_duplicates
from c7n_iamusers.derivation.model import (
    Derivation,
    DerivationOptions,
    DerivedGroup,
    DerivedPrincipal,
    DerivedSet,
    Refusal,
)
from c7n_iamusers.derivation.proving import new_policies
from c7n_iamusers.derivation.user_derivation import UserDerivation, UserDeriver, unproven
from c7n_iamusers.derivation.user_policies import UserPolicies
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.policy_comparison.principals import PrincipalPermissions


@dataclass
class _Work:
    """One derivation under way. ``made``: set name -> the set, and the policies of one who has it."""

    options: DerivationOptions
    made: dict[str, tuple[DerivedSet, UserPolicies]] = field(default_factory=dict)
    accounts: dict[str, dict[str, None]] = field(default_factory=dict)
    passed: list[tuple[PrincipalPermissions, Subject, UserDerivation]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def take(self, principal: PrincipalPermissions, made: UserDerivation) -> None:
        proof = made.proof and with_acceptance(made.proof, principal.subject, self.options)
        reason = made.reason or (unproven(proof) if proof and not stands(proof) else "")
        if reason:
            self.refused.append(Refusal(principal.subject, reason, proof))
            return
        assert made.derived
        assert made.held
        name = made.derived.name
        self.made.setdefault(name, (made.derived, made.held))
        self.accounts.setdefault(name, {})[principal.account_id] = None
        # Users alike share ``made``; whether somebody accepted its proof is said of each.
        same = proof is made.proof
        self.passed.append((principal, principal.subject, made if same else replace(made, proof=proof)))


def derive(principals: Iterable[PrincipalPermissions], options: DerivationOptions) -> Derivation:
    """A permission set, a group and a proof for each user, or why there is none.

    A user's set depends on nothing but its own policies and ``options``. Each user stands once in ``principals``.
    """
    work, alike = _Work(options), UserDeriver(options)
    for principal in sorted(principals, key=lambda each: (each.account_id, each.user_name)):
        work.take(principal, alike.of(principal))
    return _derivation(work)


def _derivation(work: _Work) -> Derivation:
    groups = _groups(work, {name: name for name in work.made})
    earlier = {name: held.content.earlier_name for name, (_, held) in work.made.items()}
    earlier_groups = _groups(work, earlier)
    principals = [
        DerivedPrincipal(
            subject,
            made.derived.name,
            groups[subject].name,
            made.proof,
            earlier[made.derived.name],
            earlier_groups[subject].name,
        )
        for _, subject, made in work.passed
        if made.derived and made.proof
    ]
    sets = [
        replace(derived, accounts=tuple(sorted(work.accounts[name])))
        for name, (derived, _) in work.made.items()
    ]
    return Derivation(
        tuple(sorted(sets, key=lambda each: each.name)),
        _distinct(groups.values()),
        tuple(sorted(principals, key=lambda each: _order(each.subject))),
        tuple(sorted(work.refused, key=lambda each: _order(each.subject))),
        near_duplicates(
            (name, held.content, new_policies(held.principal, derived))
            for name, (derived, held) in work.made.items()
        ),
        _distinct(earlier_groups.values()),
    )


def _groups(work: _Work, names: Mapping[str, str]) -> Mapping[Subject, DerivedGroup]:
    """``names``: what to call each set."""
    holders = [
        SetHolder(subject, principal.person, names[made.derived.name])
        for principal, subject, made in work.passed
        if made.derived
    ]
    return groups_of(holders, work.options.group_by)


def _distinct(groups: Iterable[DerivedGroup]) -> tuple[DerivedGroup, ...]:
    named = {each.name: each for each in groups}
    return tuple(named[name] for name in sorted(named))


def _order(subject: Subject) -> tuple[str, str]:
    return subject.account_id, subject.name
