# SPDX-License-Identifier: Apache-2.0
"""From what a set must grant to the permission set that does, within the quotas. Pure.

Quotas: "IAM Identity Center quotas" and, for the policies of the role in each account, "IAM and STS quotas".
"""

from __future__ import annotations

from dataclasses import replace

from c7n_iamusers.derivation.canonical import canonical, document_of, written
from c7n_iamusers.derivation.model import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.derivation.permission_set import duration_seconds
from c7n_iamusers.derivation.user_policies import CustomerPolicy, UserPolicies
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison.statements import PolicyStatement


def render(held: UserPolicies, options: DerivationOptions) -> DerivedSet:
    """The permission set of a user: it depends on nothing but the user's own policies and ``options``.

    A customer-managed policy is referred to only where it hangs off the user itself, since whatever becomes of it
    then becomes of the user too. Raises ValueError, with the figures and the mend, for what doesn't fit the quotas.
    """
    content = held.content
    room = min(options.policies_per_set, options.policies_per_role) - len(content.managed)
    if room < 0:
        raise ValueError(_too_many(len(content.managed), options))
    references, rest = _split(held, room)
    boundary = content.boundary
    derived = DerivedSet(
        "",
        tuple(sorted(content.managed)),
        references,
        document_of(rest),
        (boundary.reference or boundary.arn) if boundary else None,
        _duration(options.session_duration),
    )
    _check_size(derived.inline_policy, options)
    return replace(derived, name=content.name(_form(derived)))


def _form(derived: DerivedSet) -> dict[str, object]:
    """What of a set is not in its content; the policies that are referred to are, but not that they are."""
    return {
        "inline": derived.inline,
        "references": [f"{each.path}{each.name}" for each in derived.customer_managed],
        "session": derived.session_duration,
    }


def _split(held: UserPolicies, room: int) -> tuple[tuple[PolicyReference, ...], tuple[PolicyStatement, ...]]:
    """What is referred to, and what is left to stand inline."""
    # One policy may come both directly and through a group, and large ones save the most space inline.
    whole = {policy.reference: policy for policy in held.own if policy.whole}
    references = dict(sorted(whole.items(), key=lambda each: (-_size(each[1]), each[0]))[:room])
    given = [statement for policy in references.values() for statement in policy.carried]
    rest = [
        statement for policy in held.own if policy.reference not in references for statement in policy.carried
    ]
    return tuple(sorted(filter(None, references))), canonical(rest, given)


def _duration(text: str) -> str:
    """One text for each duration: PT60M is PT1H."""
    seconds = duration_seconds(text)
    if seconds is None:
        return text
    if seconds % 3600 == 0:
        return f"PT{seconds // 3600}H"
    return f"PT{seconds // 60}M" if seconds % 60 == 0 else f"PT{seconds}S"


def _size(policy: CustomerPolicy) -> int:
    return sum(len(canonical_policy(written(each))) for each in policy.carried)


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
