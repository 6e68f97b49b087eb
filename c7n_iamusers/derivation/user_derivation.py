# SPDX-License-Identifier: Apache-2.0
"""Derives the permission set of one user, once for all users with the same policies, within the quotas. Pure.

Quotas: "IAM Identity Center quotas" (IAM Identity Center User Guide) and, for the role in each account, "IAM and AWS
STS quotas" (IAM User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from c7n_iamusers.derivation.canonical import canonical, document_of, written
from c7n_iamusers.derivation.model import NOT_ACCEPTED, DerivationOptions, DerivedSet, PolicyReference
from c7n_iamusers.derivation.others import OTHERS_UNDECIDED, OTHERS_WIDER
from c7n_iamusers.derivation.permission_set import duration_seconds
from c7n_iamusers.derivation.proving import old_policies, prove, session_of
from c7n_iamusers.derivation.user_policies import CustomerPolicy, UserPolicies, read_user_policies
from c7n_iamusers.iam.policy_documents import COMPROMISED, aws_deny_all, canonical_policy
from c7n_iamusers.policy_comparison import principals
from c7n_iamusers.policy_comparison.budgets import OutOfTime, UserTime, asking, check_time
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, TOO_COMPLEX, WIDER, Proof, Witness
from c7n_iamusers.policy_comparison.patterns import variables
from c7n_iamusers.policy_comparison.statements import DENY, EVERYTHING, PolicyStatement


def render(held: UserPolicies, options: DerivationOptions) -> DerivedSet:
    """The permission set of a user, which depends only on the user's own policies and ``options``.

    It refers only to customer-managed policies that the user has, so a later change of such a policy changes the user
    as well. Raises ValueError, with the numbers and what to do, if the quotas are exceeded.
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
    """What makes sets with equal content different: inline document, references and session duration."""
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


_SHOWN = 3
_DENY_ALL = PolicyStatement(DENY, EVERYTHING, EVERYTHING)


def blocked_reason(held: UserPolicies) -> str:
    """Why a compromised or quarantined user gets no set, in words; empty for others."""
    for each in held.aws:
        if each.policy.name.startswith(COMPROMISED):
            return f"has {each.source}: AWS detected an exposed access key; investigate it first"
    denied = [
        each.source for each in held.aws if each.policy.arn == aws_deny_all(each.policy.arn.split(":")[1])
    ]
    denied += [
        translation.original.source
        for policy in held.own
        for translation in policy.translations
        if translation.original == _DENY_ALL
    ]
    return f"{denied[0]} denies every action, as in quarantine: release the user first" if denied else ""


def empty_reason(held: UserPolicies) -> str:
    """Why a user whose permission set would be empty gets none, in words; empty for others."""
    if held.content.grants:
        return ""
    if not held.aws and not held.own:
        return "has no policies, so a permission set would grant nothing"
    remedies = dict.fromkeys(remark.remedy for remark in held.remarks if remark.remedy)
    return "; ".join(["none of its permissions can be granted by a permission set", *remedies])


def unproven_reason(proof: Proof) -> str:
    """Why a user gets no set, if the set was not proven to grant no more, in words."""
    shown = "; ".join(map(in_words, proof.witnesses[:_SHOWN]))
    remedies = dict.fromkeys(
        f"{remark.source} {remark.text}: {remark.remedy}"
        for remark in proof.remarks
        if remark.id in ("deny-lost", "condition-unknown", OTHERS_WIDER, OTHERS_UNDECIDED, NOT_ACCEPTED)
    )
    found = (
        f"its permission set was not proven to grant no more, for example {shown}"
        if proof.verdict == WIDER
        else f"it is undecided whether its permission set grants more, for example {shown}"
    )
    accept = (
        "review its proof and correct its policies, or name it in derive: {accept: [...]} with "
        f"verdict: {proof.verdict}"
    )
    return "; ".join([found, *(remedies or [accept])])


def in_words(witness: Witness) -> str:
    """A request that a permission set grants beyond the user's policies, in words."""
    conditions = f" ({witness.conditions})" if witness.conditions else ""
    if witness.action == TOO_COMPLEX:
        return f"{witness.statement}{conditions}, which is too complex to compare"
    return f"{witness.action} on {witness.resource}{conditions}"


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
            # that the time of this account is over is no answer for another's
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
