# SPDX-License-Identifier: Apache-2.0
"""Proves existing permission sets, whoever created them, against the policies of an IAM user. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from c7n_iamusers.derivation.model import DerivationOptions
from c7n_iamusers.derivation.permission_set import PermissionSet, duration_seconds
from c7n_iamusers.derivation.proving import all_managed, old_policies, session_of
from c7n_iamusers.policy_comparison.comparison import WIDER, Policies, compare
from c7n_iamusers.policy_comparison.principals import PrincipalPermissions, managed_policy, user_context
from c7n_iamusers.policy_comparison.statements import PolicyStatement, managed_statements, parse_policy


@dataclass(frozen=True, slots=True)
class _User:
    principal: PrincipalPermissions
    options: DerivationOptions
    policies: Mapping[str, Any]


@dataclass
class ExistingSetProofs:
    """Verdicts on existing permission sets, for the users that were added."""

    users: dict[str, _User] = field(default_factory=dict)
    _found: dict[tuple[str, PermissionSet], str] = field(default_factory=dict)

    def add(
        self,
        principals: Iterable[PrincipalPermissions],
        options: DerivationOptions,
        policies: Mapping[str, Any],
    ) -> None:
        """Add users. ``policies``: ARN -> document, of the customer-managed policies of their account."""
        for each in principals:
            known = self.users.get(each.arn)
            # If two Custodian policies have options for one user, use those that assume less.
            if known is None or known.options.identity_center_mfa:
                self.users[each.arn] = _User(each, options, policies)

    def verdict(self, arn: str, held: PermissionSet) -> str:
        """The verdict on ``held`` against the policies of the user ``arn``; WIDER if the user is unknown."""
        key = (arn, held)
        if key not in self._found:
            user = self.users.get(arn)
            try:
                self._found[key] = _compared(user, held) if user else WIDER
            except ValueError:
                self._found[key] = WIDER
        return self._found[key]

    def has_itself(self, arn: str, references: Iterable[str]) -> bool:
        """Whether the user has each of the customer-managed policies ``references`` (``/path/Name``)."""
        user = self.users.get(arn)
        own = {each.path_and_name for each in all_managed(user.principal)} if user else set()
        return own.issuperset(references)

    def documents(self, arn: str, policies: Iterable[str]) -> dict[str, Any]:
        """Path and name -> document, for the customer-managed policies of the user's account that are known."""
        user = self.users.get(arn)
        if user is None:
            return {}
        found = {policy: user.policies.get(_own_arn(user.principal, policy)) for policy in policies}
        return {policy: document for policy, document in found.items() if document is not None}

    def session_seconds(self, arn: str) -> int | None:
        """The session duration that the user's options ask for, in seconds; None if the user is unknown."""
        user = self.users.get(arn)
        return duration_seconds(user.options.session_duration) if user else None


def _compared(user: _User, held: PermissionSet) -> str:
    principal, options = user.principal, user.options
    new = Policies(tuple(_statements(user, held)), _boundary(user, held.boundary))
    session, context = session_of(principal, options), user_context(principal, options.identity_center_mfa)
    return compare(new, session, old_policies(principal), context)[0]


def _statements(user: _User, held: PermissionSet) -> Iterator[PolicyStatement]:
    for policy in (*held.managed_policies, *held.customer_policies):
        yield from _managed(user, policy)
    if held.inline_policy:
        yield from parse_policy(json.loads(held.inline_policy), "inline policy")


def _boundary(user: _User, boundary: str) -> tuple[PolicyStatement, ...] | None:
    return _managed(user, boundary) if boundary else None


def _managed(user: _User, policy: str) -> tuple[PolicyStatement, ...]:
    """The statements of ``policy`` (an ARN, or path and name). Raises ValueError if its document is unknown."""
    arn = policy if policy.startswith("arn:") else _own_arn(user.principal, policy)
    held = {each.arn: each for each in all_managed(user.principal)}
    return managed_statements(held.get(arn) or managed_policy(arn, user.policies), f"policy {policy}")


def _own_arn(principal: PrincipalPermissions, policy: str) -> str:
    partition = principal.arn.split(":")[1]
    return f"arn:{partition}:iam::{principal.account_id}:policy{policy}"
