# SPDX-License-Identifier: Apache-2.0
"""Derives permission sets for the IAM users of any number of accounts, each with its group and its proof. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from c7n_iamusers.derivation import model
from c7n_iamusers.derivation.acceptances import is_permitted, with_acceptance
from c7n_iamusers.derivation.groups import SetHolder, groups_of, subject_order
from c7n_iamusers.derivation.near_duplicates import near_duplicates
from c7n_iamusers.derivation.others import PoliciesOf, Sides, no_policies, with_others
from c7n_iamusers.derivation.proving import new_policies, old_policies, session_of
from c7n_iamusers.derivation.refusals import unproven_reason
from c7n_iamusers.derivation.user_derivation import UserDerivation, UserDeriver
from c7n_iamusers.derivation.user_policies import UserPolicies
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.policy_comparison.budgets import asking
from c7n_iamusers.policy_comparison.comparison import Proof
from c7n_iamusers.policy_comparison.principals import PrincipalPermissions, user_context


@dataclass
class _Results:
    """The results so far. ``sets``: set name -> the set and one user's policies.

    ``scoped``: ids of a proof and a scope -> both, and the proof with that scope, which users share.
    """

    options: model.DerivationOptions
    others: PoliciesOf = no_policies
    scoped: dict[tuple[int, int], tuple[Proof, object, Proof]] = field(default_factory=dict)
    sets: dict[str, tuple[model.DerivedSet, UserPolicies]] = field(default_factory=dict)
    accounts: dict[str, dict[str, None]] = field(default_factory=dict)
    passed: list[tuple[PrincipalPermissions, Subject, UserDerivation]] = field(default_factory=list)
    refused: list[model.NotDerived] = field(default_factory=list)

    def add(self, principal: PrincipalPermissions, result: UserDerivation) -> None:
        judged = self._judged(principal, result)
        proof = judged and with_acceptance(judged, principal.subject, self.options.accept, self.options.today)
        reason = result.reason or (unproven_reason(proof) if proof and not is_permitted(proof) else "")
        if reason:
            self.refused.append(model.NotDerived(principal.subject, reason, proof))
            return
        assert result.derived
        assert result.held
        name = result.derived.name
        known, _ = self.sets.setdefault(name, (result.derived, result.held))
        if known != result.derived:
            raise ValueError(f"another user's permission set has its name, {name}, and other content")
        self.accounts.setdefault(name, {})[principal.account_id] = None
        # Users with the same policies share a result; an acceptance is for one user.
        same = proof is result.proof
        self.passed.append((principal, principal.subject, result if same else replace(result, proof=proof)))

    def _judged(self, principal: PrincipalPermissions, result: UserDerivation) -> Proof | None:
        """The proof with the policies of others."""
        proof, others = result.proof, self.others(principal.account_id)
        if proof is None or result.held is None or result.derived is None:
            return proof
        key = (id(proof), id(others.scope))
        if key not in self.scoped:
            scoped = replace(proof, scope=others.scope) if others.scope else proof
            self.scoped[key] = (proof, others.scope, scoped)
        if not others.policies:
            return self.scoped[key][-1]
        sides = Sides(
            principal,
            result.derived.name,
            new_policies(principal, result.derived),
            session_of(principal, self.options),
            old_policies(principal),
            user_context(principal, self.options.identity_center_mfa),
        )
        found = with_others(proof, sides, others, self.options)
        return (
            self.scoped[key][-1]
            if found.remarks == proof.remarks and found.verdict == proof.verdict
            else found
        )


def derive(
    principals: Iterable[PrincipalPermissions],
    options: model.DerivationOptions,
    others: PoliciesOf = no_policies,
) -> model.Derivation:
    """A permission set, a group and a proof for each user, or the reason why there is none.

    A user's set depends only on its own policies and ``options``; its proof also on the policies of ``others``.
    ``principals``: each user once.
    """
    results, users = _Results(options, others), UserDeriver(options)
    for principal in sorted(principals, key=lambda each: (each.account_id, each.user_name)):
        try:
            results.add(principal, users.of(principal))
        except Exception as error:  # noqa: BLE001  # whatever one user's policies have, the others are derived
            reason = f"its policies can't be compared: {error!r}"
            results.refused.append(model.NotDerived(principal.subject, reason))
    return _derivation(results)


def _derivation(results: _Results) -> model.Derivation:
    groups = _groups(results)
    principals = [
        model.DerivedPrincipal(subject, result.derived.name, groups[subject].name, result.proof)
        for _, subject, result in results.passed
        if result.derived and result.proof
    ]
    sets = [
        replace(derived, accounts=tuple(sorted(results.accounts[name])))
        for name, (derived, _) in results.sets.items()
    ]
    return model.Derivation(
        tuple(sorted(sets, key=lambda each: each.name)),
        _distinct(groups.values()),
        tuple(sorted(principals, key=lambda each: subject_order(each.subject))),
        tuple(sorted(results.refused, key=lambda each: subject_order(each.subject))),
        _near_duplicates(results),
    )


def _near_duplicates(results: _Results) -> tuple[model.NearDuplicate, ...]:
    # sets belong to no single account
    with asking(results.options.times, "", "near duplicates"):
        return near_duplicates(
            (name, held.content, new_policies(held.principal, derived))
            for name, (derived, held) in results.sets.items()
        )


def _groups(results: _Results) -> Mapping[Subject, model.DerivedGroup]:
    """The group of each user."""
    holders = (
        SetHolder(subject, principal.person, result.derived.name)
        for principal, subject, result in results.passed
        if result.derived
    )
    return groups_of(holders, results.options.group_by)


def _distinct(groups: Iterable[model.DerivedGroup]) -> tuple[model.DerivedGroup, ...]:
    named = {group.name: group for group in groups}
    return tuple(named[name] for name in sorted(named))
