# SPDX-License-Identifier: Apache-2.0
"""Derives a user's permission set within the quotas, once for all users with the same policies. Pure.

Quotas: "IAM Identity Center quotas" (IAM Identity Center User Guide) and, for the role in each account, "IAM and AWS
STS quotas" (IAM User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from c7n_iamusers.derivation.model import DerivationOptions, DerivedSet
from c7n_iamusers.derivation.proving import old_policies, prove, session_of
from c7n_iamusers.derivation.refusals import blocked_reason, empty_reason
from c7n_iamusers.derivation.rendering import render
from c7n_iamusers.derivation.user_policies import UserPolicies, read_user_policies
from c7n_iamusers.policy_comparison import principals
from c7n_iamusers.policy_comparison.budgets import OutOfTime, UserTime, asking, check_time
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, Proof
from c7n_iamusers.policy_comparison.patterns import variables
from c7n_iamusers.policy_comparison.statements import PolicyStatement

_Texts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class UserDerivation:
    """The result for a user: the ``derived`` set and its ``proof``, or the ``reason`` why there is none."""

    held: UserPolicies | None = None
    derived: DerivedSet | None = None
    proof: Proof | None = None
    reason: str = ""


class UserDeriver:
    """Derives permission sets with ``options``, and caches the results for users with the same policies."""

    def __init__(self, options: DerivationOptions) -> None:
        self._options = options
        self._documents: dict[int, str] = {}
        self._context_keys: dict[Hashable, _ContextKeys] = {}
        self._results: dict[Hashable, UserDerivation] = {}

    def of(self, principal: principals.PrincipalPermissions) -> UserDerivation:
        """The result for ``principal``, which must outlive this instance: documents are cached by their ``id()``."""
        with asking(self._options.times, principal.account_id, principal.arn) as time:
            return self._of(principal, time)

    def _of(self, principal: principals.PrincipalPermissions, time: UserTime) -> UserDerivation:
        shape = self._shape(principal)
        context = principals.user_context(principal, self._options.identity_center_mfa)
        keys = self._context_keys.get(shape)
        if keys is None:
            keys = self._context_keys[shape] = _context_keys(principal, self._options)
        values = tuple((key, context.values(key)) for key in keys.read)
        tagged = bool(self._options.username_tag) and principal.person == principal.user_name
        key = (shape, values, tagged, context.values(principals.MFA_PRESENT))
        result = self._results.get(key)
        if result is None:
            before = time.ran_out
            result = self._derive(principal, principals.RequestContext(_known(values, context)))
            # an account whose time is over answers nothing for other accounts
            if time.ran_out == before:
                self._results[key] = result
        varies = keys.varies or self._options.username_tag
        return self._with_own_proof(principal, context, result) if result.proof and varies else result

    def _derive(
        self, principal: principals.PrincipalPermissions, known: principals.RequestContext
    ) -> UserDerivation:
        try:
            check_time()
            held = read_user_policies(_in_order(principal), self._options)
            if reason := blocked_reason(held) or empty_reason(held):
                return UserDerivation(held, reason=reason)
            derived = render(held, self._options)
        except (ValueError, OutOfTime) as error:
            return UserDerivation(reason=str(error))
        return UserDerivation(held, derived, prove(held, derived, principals.session_context(), known))

    def _with_own_proof(
        self,
        principal: principals.PrincipalPermissions,
        context: principals.RequestContext,
        result: UserDerivation,
    ) -> UserDerivation:
        """The result with a proof by all facts of the user, if the shared proof is not EQUAL or NARROWER."""
        assert result.held
        assert result.derived
        assert result.proof
        if result.proof.verdict in (EQUAL, NARROWER):
            return result
        held = replace(result.held, principal=principal)
        session = session_of(principal, self._options)
        return UserDerivation(held, result.derived, prove(held, result.derived, session, context))

    def _shape(self, principal: principals.PrincipalPermissions) -> Hashable:
        return (
            self._holder(principal),
            tuple(sorted((group.name, self._holder(group)) for group in principal.groups)),
            self._policy(principal.boundary) if principal.boundary else None,
        )

    def _holder(
        self, holder: principals.PrincipalPermissions | principals.GroupPermissions
    ) -> tuple[_Texts, _Texts]:
        return (
            tuple(sorted(map(self._policy, holder.attached))),
            tuple(sorted((name, _text(document)) for name, document in holder.inline)),
        )

    def _policy(self, policy: principals.ManagedPolicy) -> tuple[str, str]:
        # Without the account, so that accounts share results; an unread policy keeps its ARN for the error.
        shared = not policy.aws_managed and policy.document is not None
        # A managed policy's document is the same object for all users of its account.
        text = self._documents.get(id(policy.document)) or _text(policy.document)
        self._documents[id(policy.document)] = text
        return policy.path_and_name if shared else policy.arn, text


def _in_order(principal: principals.PrincipalPermissions) -> principals.PrincipalPermissions:
    """The same policies in one order, so that the result does not depend on which user comes first."""
    groups = [
        replace(
            group, attached=_by_arn(group.attached), inline=tuple(sorted(group.inline, key=itemgetter(0)))
        )
        for group in sorted(principal.groups, key=lambda each: each.name)
    ]
    inline = tuple(sorted(principal.inline, key=itemgetter(0)))
    return replace(principal, attached=_by_arn(principal.attached), inline=inline, groups=tuple(groups))


def _by_arn(policies: Iterable[principals.ManagedPolicy]) -> tuple[principals.ManagedPolicy, ...]:
    return tuple(sorted(policies, key=lambda each: (each.path_and_name, each.arn)))


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document, default=str)


@dataclass(frozen=True)
class _ContextKeys:
    """``read``: the context keys that decide the set. ``varies``: whether the proof can depend on others too."""

    read: tuple[str, ...] = ()
    varies: bool = False


def _known(values: tuple[tuple[str, Any], ...], context: principals.RequestContext) -> dict[str, Any]:
    shared = {key: found for key, found in context.facts.items() if key in _SHARED}
    return {**shared, **{key: found for key, found in values if found is not None}}


#: Facts that are the same for every IAM user.
_SHARED = ("aws:principaltype", "aws:multifactorauthpresent")


def _context_keys(principal: principals.PrincipalPermissions, options: DerivationOptions) -> _ContextKeys:
    try:
        policies = old_policies(principal)
    except ValueError:
        return _ContextKeys()
    statements = (*policies.statements, *(policies.boundary or ()))
    conditions = {condition.key for statement in statements for condition in statement.conditions}
    in_texts = {key for statement in statements for key in _variables(statement)}
    read = conditions | (in_texts if options.write_out else set())
    return _ContextKeys(
        tuple(sorted(key for key in read if principals.depends_on_principal(key) and key not in _SHARED)),
        any(principals.depends_on_principal(key) for key in in_texts),
    )


def _variables(statement: PolicyStatement) -> Iterator[str]:
    for text in statement.resources.patterns:
        yield from variables(text)
    for condition in statement.conditions:
        for text in condition.values:
            yield from variables(text)
