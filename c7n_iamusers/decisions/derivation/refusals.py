# SPDX-License-Identifier: Apache-2.0
"""Why there is no permission set for a user, and what to do. Pure."""

from __future__ import annotations

from c7n_iamusers.decisions.deletion_guards import COMPROMISED
from c7n_iamusers.decisions.deny_all import aws_deny_all
from c7n_iamusers.decisions.derivation.acceptances import NOT_ACCEPTED
from c7n_iamusers.decisions.derivation.holdings import Holding
from c7n_iamusers.decisions.policy_comparison.comparison import UNPROVEN as TOO_COMPLEX
from c7n_iamusers.decisions.policy_comparison.statements import DENY, EVERYTHING, PolicyStatement
from c7n_iamusers.model.access_proof import WIDER, Proof, Witness

_SHOWN = 3
_DENY_ALL = PolicyStatement(DENY, EVERYTHING, EVERYTHING)


def held_back(holding: Holding) -> str:
    """Of a user whose permissions say nothing of what its person needs; empty for others."""
    for each in holding.aws:
        if each.policy.name.startswith(COMPROMISED):
            return f"{each.source} is on it: AWS saw a key of it leaked, which somebody has to see to first"
    denied = [
        each.source for each in holding.aws if each.policy.arn == aws_deny_all(each.policy.arn.split(":")[1])
    ]
    denied += [
        each.original.source
        for policy in holding.own
        for each in policy.carries
        if each.original == _DENY_ALL
    ]
    return f"{denied[0]} denies it everything, as in quarantine: release it first" if denied else ""


def grants_nothing(holding: Holding) -> str:
    """Of a user whose permission set would be empty; empty for others."""
    if holding.content.grants:
        return ""
    if not holding.aws and not holding.own:
        return "has no policies, so there is nothing for a permission set to grant"
    mends = dict.fromkeys(remark.mend for remark in holding.remarks if remark.mend)
    return "; ".join(["nothing of what it may do can be carried into a permission set", *mends])


def unproven(proof: Proof) -> str:
    """Of a user whose permission set was not proven to grant no more."""
    shown = "; ".join(map(_in_words, proof.witnesses[:_SHOWN]))
    told = dict.fromkeys(
        f"{remark.source} {remark.text}: {remark.mend}"
        for remark in proof.remarks
        if remark.id in ("deny-lost", "condition-unknown", NOT_ACCEPTED)
    )
    found = (
        f"its permission set was not proven to grant no more, as with {shown}"
        if proof.verdict == WIDER
        else f"whether its permission set grants more was not decided, as with {shown}"
    )
    accept = (
        "see its proof, and mend its policies, or name it in derive: {accept: [...]} with "
        f"verdict: {proof.verdict}"
    )
    return "; ".join([found, *(told or [accept])])


def _in_words(witness: Witness) -> str:
    conditions = f" ({witness.conditions})" if witness.conditions else ""
    if witness.action == TOO_COMPLEX:
        return f"{witness.statement}{conditions}, which takes too many steps to compare"
    return f"{witness.action} on {witness.resource}{conditions}"
