# SPDX-License-Identifier: Apache-2.0
"""How policies of others change a verdict: trust, resource, service control and resource control policies. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from c7n_iamusers.derivation.model import DerivationOptions
from c7n_iamusers.policy_comparison import comparison
from c7n_iamusers.policy_comparison.budgets import asking
from c7n_iamusers.policy_comparison.comparison import (
    EQUAL,
    NARROWER,
    UNDECIDED,
    WIDER,
    Coverage,
    Policies,
    Proof,
)
from c7n_iamusers.policy_comparison.other_policies import TRUST, Caller, OtherPolicy
from c7n_iamusers.policy_comparison.others_comparison import Excess, Party, difference
from c7n_iamusers.policy_comparison.principals import (
    PrincipalPermissions,
    RequestContext,
    SessionNames,
    named_session_context,
)

#: The ids of remarks.
OTHERS_WIDER, OTHERS_UNDECIDED, OTHERS_NARROWER = "others-wider", "others-undecided", "others-narrower"
_RANKS = {EQUAL: 0, NARROWER: 1, UNDECIDED: 2, WIDER: 3}


@dataclass(frozen=True)
class AccountPolicies:
    """The policies of others that can tell principals of one account apart.

    ``known``: see ``Caller``. ``scope``: which policies were read, for the proofs.
    """

    policies: tuple[OtherPolicy, ...] = ()
    known: Mapping[str, frozenset[str | None]] = field(default_factory=dict)
    scope: tuple[Coverage, ...] = ()

    @property
    def scope_text(self) -> str:
        """The scope in words; empty if none were read."""
        return "; ".join(map(str, self.scope))


#: Account id -> the policies of others.
PoliciesOf: TypeAlias = Callable[[str], AccountPolicies]


def no_policies(_account_id: str) -> AccountPolicies:
    """No policies of others, and no mention of them in proofs."""
    return AccountPolicies()


@dataclass(frozen=True)
class Sides:
    """A user, and sessions of its person through permission set ``set_name``: their policies and contexts."""

    principal: PrincipalPermissions
    set_name: str
    new: Policies
    session: RequestContext
    old: Policies
    user: RequestContext

    def parties(self, known: Mapping[str, frozenset[str | None]]) -> tuple[Party, Party]:
        """The session and the user."""
        account, arn = self.principal.account_id, self.principal.arn
        names = SessionNames(arn.split(":")[1], account, self.set_name, self.principal.person)
        session = named_session_context(self.session, names)
        return (
            Party(Caller(account, session, names=names, known=known), self.new),
            Party(Caller(account, self.user, arn, known=known), self.old),
        )


def with_others(proof: Proof, sides: Sides, others: AccountPolicies, options: DerivationOptions) -> Proof:
    """``proof`` with the verdict, remarks and witnesses after the policies of ``others``."""
    verdict, witnesses, remarks = proof.verdict, list(proof.witnesses), list(proof.remarks)
    with asking(options.times, sides.principal.account_id, sides.principal.arn, others=True):
        findings = list(_findings(sides, others))
    for found, lost in findings:
        if found.possible:
            more = WIDER if found.certain else UNDECIDED
            verdict = max(verdict, more, key=_RANKS.__getitem__)
            witnesses.append(found.possible)
            remarks.append(_more(found))
        if lost.possible:
            verdict = max(verdict, NARROWER, key=_RANKS.__getitem__)
        if lost.possible and lost.certain:
            remarks.append(_less(lost))
    return replace(
        proof, verdict=verdict, witnesses=tuple(witnesses), remarks=tuple(remarks), scope=others.scope
    )


def _findings(sides: Sides, others: AccountPolicies) -> Iterator[tuple[Excess, Excess]]:
    if not others.policies:
        return
    session, user = sides.parties(others.known)
    for policy in others.policies:
        lost = Excess(policy) if policy.problem else difference(policy, user, session)
        yield difference(policy, session, user), lost


_REMEDY = (
    "correct that policy, for instance by naming the principals that it is for, or name the user in derive: {accept: "
    "[...]} with verdict: "
)


def _more(found: Excess) -> comparison.Remark:
    policy = found.policy
    source = f"{policy.kind} of {policy.name}"
    if found.certain:
        text = f"lets the person's sessions do what the IAM user may not{_example(found)}"
        return comparison.Remark(OTHERS_WIDER, source, text, _REMEDY + WIDER)
    why = f", as it can't be evaluated ({policy.problem})" if policy.problem else ""
    text = f"may let the person's sessions do what the IAM user may not{_example(found)}{why}"
    return comparison.Remark(OTHERS_UNDECIDED, source, text, _REMEDY + UNDECIDED)


def _example(found: Excess) -> str:
    witness = found.possible
    if witness is None or witness.action == comparison.TOO_COMPLEX:
        return ""
    conditions = f", {witness.conditions}" if witness.conditions else ""
    return f" ({witness.action} on {witness.resource}{conditions})"


def _less(lost: Excess) -> comparison.Remark:
    policy = lost.policy
    what = "assume the role" if policy.kind == TRUST else "do more"
    text = f"lets the IAM user, and not the person's sessions, {what}{_example(lost)}"
    remedy = (
        "if the person needs it, let that policy name the role of the permission set, "
        "AWSReservedSSO_<name>_<suffix>, by a condition on aws:PrincipalArn"
    )
    return comparison.Remark(OTHERS_NARROWER, f"{policy.kind} of {policy.name}", text, remedy)
