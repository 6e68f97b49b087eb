# SPDX-License-Identifier: Apache-2.0
"""Why a user gets no derived permission set, and what to do."""

from __future__ import annotations

from c7n_iamusers.derivation.acceptances import NOT_ACCEPTED
from c7n_iamusers.derivation.others import OTHERS_UNDECIDED, OTHERS_WIDER
from c7n_iamusers.derivation.user_policies import UserPolicies
from c7n_iamusers.iam.policy_documents import COMPROMISED, aws_deny_all
from c7n_iamusers.policy_comparison.comparison import TOO_COMPLEX, WIDER, Proof, Witness
from c7n_iamusers.policy_comparison.statements import DENY, EVERYTHING, PolicyStatement

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
    """Why a user gets no set without a proof that it grants no more, in words."""
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
