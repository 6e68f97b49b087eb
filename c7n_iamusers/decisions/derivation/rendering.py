# SPDX-License-Identifier: Apache-2.0
"""From what a set must grant to the permission set that does, within the quotas. Pure.

Quotas: "IAM Identity Center quotas" and, for the policies of the role in each account, "IAM and STS quotas".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from c7n_iamusers.decisions.derivation.canonical import canonical
from c7n_iamusers.decisions.derivation.existing_policies import ExistingPolicies
from c7n_iamusers.decisions.derivation.holdings import Holding, OwnPolicy
from c7n_iamusers.decisions.derivation.labels import labelled
from c7n_iamusers.decisions.derivation.writing import Spelling, written
from c7n_iamusers.decisions.policy_comparison.statements import PolicyStatement
from c7n_iamusers.model.derivation import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.model.identity_center import canonical_policy


@dataclass(frozen=True)
class _Split:
    """What is referred to, and what is left to stand inline."""

    references: tuple[PolicyReference, ...]
    inline: tuple[PolicyStatement, ...]

    @property
    def rank(self) -> tuple[int, tuple[PolicyReference, ...], str]:
        """The most references first, and an order among the rest that depends on nothing but them."""
        return -len(self.references), self.references, canonical_policy(list(map(written, self.inline)))


def render(
    holdings: Iterable[Holding], existing: ExistingPolicies, options: DerivationOptions, spelling: Spelling
) -> DerivedSet:
    """The permission set of ``holdings``, all of which have the same content.

    Raises ValueError, with the figures and the mend, for what doesn't fit the quotas.
    """
    alike = list(holdings)
    content, accounts = alike[0].content, sorted({each.principal.account_id for each in alike})
    room = min(options.policies_per_set, options.policies_per_role) - len(content.managed)
    if room < 0:
        raise ValueError(_too_many(len(content.managed), options))
    split = min((_split(each, accounts, existing, room) for each in alike), key=lambda each: each.rank)
    own = [statement for each in alike for policy in each.own for statement in _sources(policy)]
    inline = labelled(split.inline, own, spelling)
    boundary = content.boundary
    derived = DerivedSet(
        content.name,
        tuple(sorted(content.managed)),
        split.references,
        inline,
        (boundary.reference or boundary.arn) if boundary else None,
        options.session_duration,
        tuple(accounts),
    )
    _check_size(derived.inline_policy, options)
    return derived


def _split(holding: Holding, accounts: list[str], existing: ExistingPolicies, room: int) -> _Split:
    # One policy may come both directly and through a group, and large ones save the most space inline.
    whole = {policy.reference: policy for policy in holding.own if _referable(policy, accounts, existing)}
    ranked = sorted(whole.items(), key=lambda each: (-_size(each[1]), each[0]))[:room]
    references = dict(ranked)
    given = [statement for policy in references.values() for statement in policy.carried]
    rest = [
        statement
        for policy in holding.own
        if policy.reference not in references
        for statement in policy.carried
    ]
    return _Split(tuple(sorted(filter(None, references))), canonical(rest, given))


def _referable(policy: OwnPolicy, accounts: list[str], existing: ExistingPolicies) -> bool:
    if policy.reference is None or not policy.whole:
        return False
    return existing.same_in(accounts, policy.reference, policy.originals)


def _size(policy: OwnPolicy) -> int:
    return sum(len(canonical_policy(written(each))) for each in policy.carried)


def _sources(policy: OwnPolicy) -> Iterable[tuple[PolicyStatement, str]]:
    return ((each.carried, each.original.sid) for each in policy.carries if each.carried)


def _too_many(count: int, options: DerivationOptions) -> str:
    return (
        f"needs {count} AWS-managed policies; a permission set takes {options.policies_per_set}, and its role in the "
        f"account {options.policies_per_role}: have the role quota raised and say so with "
        "derive: {policies-per-role: ...}, or detach some"
    )


def _check_size(inline: str, options: DerivationOptions) -> None:
    characters, size = len("".join(inline.split())), len(inline.encode())
    if characters > options.inline_characters or size > options.inline_bytes:
        raise ValueError(
            f"needs an inline policy of {characters} characters and {size} bytes, where a permission set takes "
            f"{options.inline_characters} and {options.inline_bytes}: make customer-managed policies of the same name "
            "and document in each account, to be referred to, or shorten the policies"
        )
