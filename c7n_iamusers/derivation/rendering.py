# SPDX-License-Identifier: Apache-2.0
"""A derived permission set from what a user's policies grant: which policies stay as they are, and the inline rest."""

from __future__ import annotations

from dataclasses import replace

from c7n_iamusers.derivation.canonical import canonical, document_of, written
from c7n_iamusers.derivation.model import DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.derivation.requested_permission_set import duration_seconds
from c7n_iamusers.derivation.user_policies import CustomerPolicy, UserPolicies
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison.statements import PolicyStatement


def render(held: UserPolicies, options: DerivationOptions) -> DerivedSet:
    """The permission set of a user, which depends only on the user's own policies and ``options``.

    It refers only to customer-managed policies of the user, so a later change of such a policy changes the user, too.
    Raises ValueError, with the numbers and what to do, if the quotas are exceeded.
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
    """What can differ between sets with equal content: inline document, references and session duration."""
    return {
        "inline": derived.inline,
        "references": [f"{each.path}{each.name}" for each in derived.customer_managed],
        "session": derived.session_duration,
    }


def _split(held: UserPolicies, room: int) -> tuple[tuple[PolicyReference, ...], tuple[PolicyStatement, ...]]:
    """The policies to refer to, and the statements to put inline."""
    # Keyed by reference, since a user can have a policy both directly and through a group. The largest come first,
    # because they save the most inline space.
    whole = {policy.reference: policy for policy in held.own if policy.whole}
    references = dict(sorted(whole.items(), key=lambda each: (-_size(each[1]), each[0]))[:room])
    given = [statement for policy in references.values() for statement in policy.translated]
    rest = [
        statement
        for policy in held.own
        if policy.reference not in references
        for statement in policy.translated
    ]
    return tuple(sorted(filter(None, references))), canonical(rest, given)


def _duration(text: str) -> str:
    """The duration in canonical form: PT60M is PT1H."""
    seconds = duration_seconds(text)
    if seconds is None:
        return text
    if seconds % 3600 == 0:
        return f"PT{seconds // 3600}H"
    return f"PT{seconds // 60}M" if seconds % 60 == 0 else f"PT{seconds}S"


def _size(policy: CustomerPolicy) -> int:
    return sum(len(canonical_policy(written(each))) for each in policy.translated)


def _too_many(count: int, options: DerivationOptions) -> str:
    return (
        f"needs {count} AWS-managed policies; a permission set can have {options.policies_per_set}, and its role in "
        f"the account {options.policies_per_role}: request a higher quota for roles and set "
        "derive: {policies-per-role: ...}, or detach some policies"
    )


def _check_size(inline: str, options: DerivationOptions) -> None:
    characters, size = len("".join(inline.split())), len(inline.encode())
    if characters > options.inline_characters or size > options.inline_bytes:
        raise ValueError(
            f"needs an inline policy of {characters} characters and {size} bytes; a permission set can have "
            f"{options.inline_characters} and {options.inline_bytes}: create customer-managed policies with the same "
            "name and document in each account, which the set can refer to, or shorten the policies"
        )
