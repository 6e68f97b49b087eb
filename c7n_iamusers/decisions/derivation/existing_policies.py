# SPDX-License-Identifier: Apache-2.0
"""Which customer-managed policies stand in which account, and what they say there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.decisions.derivation.principals import managed_policy
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement, parse_policy
from c7n_iamusers.model.derivation import PolicyReference
from c7n_iamusers.model.principal_permissions import ManagedPolicy, PrincipalPermissions


@dataclass(frozen=True)
class ExistingPolicies:
    """Account id -> policy by name and path -> statements."""

    accounts: Mapping[str, Mapping[PolicyReference, tuple[PolicyStatement, ...]]]

    @classmethod
    def of(
        cls, customer_policies: Mapping[str, Mapping[str, Any]], principals: Iterable[PrincipalPermissions]
    ) -> ExistingPolicies:
        """``customer_policies``: account id -> ARN -> document; those that the principals have are added.

        A policy whose document is unknown, or doesn't parse, counts as not there: nothing can refer to it.
        """
        found: dict[str, dict[PolicyReference, tuple[PolicyStatement, ...]]] = {}
        for account_id, policy in (*_listed(customer_policies), *_held(principals)):
            reference = PolicyReference(policy.name, policy.path)
            account = found.setdefault(account_id, {})
            if policy.aws_managed or policy.document is None or reference in account:
                continue
            try:
                account[reference] = parse_policy(policy.document, f"policy {policy.name}")
            except ValueError:
                continue
        return cls(found)

    def statements(self, account_id: str, reference: PolicyReference) -> tuple[PolicyStatement, ...] | None:
        """What the policy says in the account; None where there is no such policy."""
        return self.accounts.get(account_id, {}).get(reference)

    def same_in(
        self, accounts: Iterable[str], reference: PolicyReference, statements: frozenset[PolicyStatement]
    ) -> bool:
        """Whether the policy stands in all ``accounts`` and says the same everywhere."""
        found = (self.statements(account_id, reference) for account_id in accounts)
        return all(each is not None and frozenset(each) == statements for each in found)


def _listed(customer_policies: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, ManagedPolicy]]:
    for account_id, policies in customer_policies.items():
        for arn in policies:
            yield account_id, managed_policy(arn, policies)


def _held(principals: Iterable[PrincipalPermissions]) -> Iterator[tuple[str, ManagedPolicy]]:
    for principal in principals:
        attached = [policy for group in principal.groups for policy in group.attached]
        for policy in (*principal.attached, *attached, *filter(None, [principal.boundary])):
            yield principal.account_id, policy
