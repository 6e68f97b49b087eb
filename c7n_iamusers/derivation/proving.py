# SPDX-License-Identifier: Apache-2.0
"""Proves that a derived or existing permission set grants people no more than their IAM users may do. Pure."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from c7n_iamusers.derivation.acceptances import is_permitted, with_acceptance
from c7n_iamusers.derivation.canonical import MOST_STEPS, includes
from c7n_iamusers.derivation.model import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.derivation.others import PoliciesOf, Sides, no_policies, with_others
from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.derivation.user_policies import StatementTranslation, UserPolicies
from c7n_iamusers.policy_comparison import comparison
from c7n_iamusers.policy_comparison.budgets import Budget, OutOfBudget, UserTime, asking
from c7n_iamusers.policy_comparison.comparison import Proof
from c7n_iamusers.policy_comparison.principals import (
    ManagedPolicy,
    PrincipalPermissions,
    RequestContext,
    managed_policy,
    session_context,
    user_context,
)
from c7n_iamusers.policy_comparison.statements import PolicyStatement, managed_statements, parse_policy


def mapping_of(
    held: UserPolicies, derived: DerivedSet, statements: Iterable[PolicyStatement]
) -> tuple[comparison.PolicyMapping, ...]:
    """What happens to each policy and statement of the user in ``derived``. ``statements``: those of ``derived``."""
    listed, budget = list(statements), Budget(MOST_STEPS)
    found = [*_aws(held, derived)]
    found += [
        _target(translation, derived, listed, budget)
        for policy in held.own
        for translation in policy.translations
    ]
    boundary = held.principal.boundary
    if boundary:
        found.append(
            comparison.PolicyMapping(
                f"permissions boundary {boundary.name}", comparison.CARRIED, "permissions boundary"
            )
        )
    return tuple(found)


def _aws(held: UserPolicies, derived: DerivedSet) -> Iterator[comparison.PolicyMapping]:
    for each in held.aws:
        if each.policy.arn in derived.managed_policies:
            yield comparison.PolicyMapping(
                each.source, comparison.CARRIED, f"AWS-managed policy {each.policy.arn}"
            )
        else:
            yield comparison.PolicyMapping(each.source, comparison.LEFT_OUT)


def _target(
    translation: StatementTranslation, derived: DerivedSet, statements: list[PolicyStatement], budget: Budget
) -> comparison.PolicyMapping:
    source = translation.original.source
    if translation.translated is None:
        return comparison.PolicyMapping(source, comparison.LEFT_OUT)
    translated = translation.translated
    same = (statement for statement in statements if statement == translated)
    including = (statement for statement in statements if includes(statement, translated, budget))
    try:
        found = next(chain(same, including), None)
    except OutOfBudget:
        found = None
    # If no single statement includes it, several do together.
    target = found.source if found else f"permission set {derived.name}"
    return comparison.PolicyMapping(source, translation.how, target)


def prove(
    held: UserPolicies,
    derived: DerivedSet,
    session: RequestContext,
    user: RequestContext,
) -> comparison.Proof:
    """The proof of ``derived`` against the current policies of the user, in the user's account.

    ``session``, ``user``: the known context of requests through the set, and of the user. Fewer known facts never
    give a better verdict.
    """
    principal = held.principal
    old, new = old_policies(principal), new_policies(principal, derived)
    verdict, witnesses = comparison.compare(new, session, old, user)
    before = (*old.statements, *(old.boundary or ()))
    if verdict == comparison.EQUAL and any(each.dependent for each in before):
        verdict = comparison.NARROWER
    elif verdict == comparison.WIDER and any(each.has_unknowns for each in before):
        verdict = comparison.UNDECIDED
    return comparison.Proof(verdict, witnesses, held.remarks, mapping_of(held, derived, new.statements))


def old_policies(principal: PrincipalPermissions) -> comparison.Policies:
    """The policies of an IAM user. Raises ValueError for a policy that is unread or does not parse."""
    boundary = principal.boundary
    return comparison.Policies(
        (
            *(
                statement
                for policy, source in principal.managed_policies
                for statement in managed_statements(policy, source)
            ),
            *(each for text, source in principal.inline_policies for each in parse_policy(text, source)),
        ),
        None if boundary is None else managed_statements(boundary, f"permissions boundary {boundary.name}"),
    )


def session_of(principal: PrincipalPermissions, options: DerivationOptions) -> RequestContext:
    """The known context of the person's sessions."""
    tagged = options.username_tag and principal.person
    return session_context({options.username_tag: principal.person} if tagged else None)


def new_policies(principal: PrincipalPermissions, derived: DerivedSet) -> comparison.Policies:
    """The policies of people with ``derived``, which was derived from ``principal``."""
    known = {policy.arn: policy for policy in all_managed(principal) if policy.aws_managed}
    own = {
        PolicyReference(each.name, each.path): each for each in all_managed(principal) if not each.aws_managed
    }
    statements = [
        *(each for reference in derived.customer_managed for each in _referred(reference, own)),
        *(parse_policy(derived.inline, "inline policy") if derived.inline else ()),
        *(
            statement
            for arn in derived.managed_policies
            for statement in managed_statements(known[arn], f"AWS-managed policy {arn}")
        ),
    ]
    boundary = derived.boundary
    if boundary is None:
        return comparison.Policies(tuple(statements))
    if isinstance(boundary, PolicyReference):
        return comparison.Policies(tuple(statements), _referred(boundary, own))
    return comparison.Policies(tuple(statements), _aws_managed(known[boundary]))


def _aws_managed(policy: ManagedPolicy) -> tuple[PolicyStatement, ...]:
    return managed_statements(policy, f"AWS-managed policy {policy.arn}")


def _referred(
    reference: PolicyReference, own: Mapping[PolicyReference, ManagedPolicy]
) -> tuple[PolicyStatement, ...]:
    return managed_statements(own[reference], f"policy {reference.name}")


def all_managed(principal: PrincipalPermissions) -> Iterable[ManagedPolicy]:
    """Every managed policy of the user, its groups and its boundary."""
    boundary = [principal.boundary] if principal.boundary else []
    return (*(policy for policy, _ in principal.managed_policies), *boundary)


@dataclass(frozen=True, slots=True)
class _User:
    principal: PrincipalPermissions
    options: DerivationOptions
    policies: Mapping[str, Any]


@dataclass
class ExistingSetProofs:
    """Verdicts on existing permission sets, for the users that were added. ``others``: the policies of others."""

    users: dict[str, _User] = field(default_factory=dict)
    others: PoliciesOf = no_policies
    _found: dict[tuple[str, str, PermissionSet], Proof] = field(default_factory=dict)
    #: The user is kept, because the key has the ``id()`` of its documents.
    _alike: dict[Hashable, tuple[Proof, _User]] = field(default_factory=dict)

    def add(
        self,
        principals: Iterable[PrincipalPermissions],
        options: DerivationOptions,
        policies: Mapping[str, Any],
    ) -> None:
        """Add users. ``policies``: ARN -> document, of the customer-managed policies of their account."""
        for principal in principals:
            known = self.users.get(principal.arn)
            # If two Custodian policies have options for one user, use those that assume less.
            if known is None or known.options.identity_center_mfa:
                self.users[principal.arn] = _User(principal, options, policies)

    def verdict(self, arn: str, held: PermissionSet) -> str:
        """The verdict on ``held`` against the policies of the user ``arn``; WIDER if the user is unknown."""
        return self.proof(arn, held).verdict

    def spell(self, arn: str, username: str) -> None:
        """Use this spelling of the Identity Center username of the person of user ``arn`` from now on."""
        user = self.users.get(arn)
        if user:
            self.users[arn] = _spelled(user, username)

    def is_permitted(self, arn: str, proof: Proof) -> bool:
        """Whether ``proof``, with or without an acceptance, permits access for the user's person."""
        user = self.users.get(arn)
        if user is None:
            return False
        options, subject = user.options, user.principal.subject
        return is_permitted(with_acceptance(proof, subject, options.accept, options.today))

    def proof(self, arn: str, held: PermissionSet, username: str | None = None) -> Proof:
        """The same verdict, with examples of what ``held`` grants beyond the user's policies.

        ``username``: the spelling of the person's Identity Center username to use.
        """
        user = self.users.get(arn)
        if user and username is not None:
            user = _spelled(user, username)
        key = (arn, user.principal.person if user else "", held)
        if key not in self._found:
            try:
                self._found[key] = self._compared(user, held) if user else Proof(comparison.WIDER)
            except Exception:  # noqa: BLE001  # whatever one user's policies have, nothing is proven of this user alone
                self._found[key] = Proof(comparison.WIDER)
        return self._found[key]

    def _compared(self, user: _User, held: PermissionSet) -> Proof:
        principal = user.principal
        with asking(user.options.times, principal.account_id, principal.arn) as time:
            found, sides = self._by_policies(user, held, time)
        others = self.others(principal.account_id)
        if not others.policies:
            return replace(found, scope=others.scope)
        return with_others(found, sides or _sides(user, held), others, user.options)

    def _by_policies(self, user: _User, held: PermissionSet, time: UserTime) -> tuple[Proof, Sides | None]:
        """Compares once for all users with the same policies, unless these depend on the user."""
        alike = (held, *_documents(user, held))
        if alike in self._alike:
            return self._alike[alike][0], None
        sides = _sides(user, held)
        before = time.ran_out
        found = Proof(*comparison.compare(sides.new, sides.session, sides.old, sides.user))
        # A customer-managed policy can differ between accounts, and only this account's time may have run out.
        shared = not (_depends(sides) or held.customer_policies or held.boundary)
        if shared and time.ran_out == before:
            self._alike[alike] = found, user
        return found, sides

    def documents(self, arn: str, policies: Iterable[str]) -> dict[str, Any]:
        """Path and name -> document, for the customer-managed policies of the user's account that are known."""
        user = self.users.get(arn)
        if user is None:
            return {}
        found = {policy: user.policies.get(_own_arn(user.principal, policy)) for policy in policies}
        return {policy: document for policy, document in found.items() if document is not None}


def _spelled(user: _User, username: str) -> _User:
    if user.principal.person == username:
        return user
    return replace(user, principal=replace(user.principal, person=username))


def _sides(user: _User, held: PermissionSet) -> Sides:
    principal, options = user.principal, user.options
    new = comparison.Policies(tuple(_statements(user, held)), _boundary(user, held.boundary))
    session, context = session_of(principal, options), user_context(principal, options.identity_center_mfa)
    old = old_policies(principal)
    return Sides(principal, held.name, new, session, old, context)


def _depends(sides: Sides) -> bool:
    """Whether what the policies grant depends on who the user is."""
    new, old = sides.new, sides.old
    every = (*new.statements, *(new.boundary or ()), *old.statements, *(old.boundary or ()))
    return any(each.dependent for each in every)


def _documents(user: _User, held: PermissionSet) -> Iterator[Hashable]:
    """All policies of the user, and those of ``held``, by the ids of their documents, which users share."""
    principal = user.principal
    yield tuple((each.arn, id(each.document)) for each in all_managed(principal))
    yield principal.boundary.arn if principal.boundary else ""
    yield tuple(id(document) for document, _ in principal.inline_policies)
    yield tuple(id(user.policies.get(arn)) for arn in sorted(held.managed_policies))


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
