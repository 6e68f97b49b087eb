# SPDX-License-Identifier: Apache-2.0
"""A plan in lines, as people know it from Terraform: what is created, changed, assigned, adopted and left as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from c7n_iamusers.model import access_plan as plan
from c7n_iamusers.model.access_plan import AccessPlan, Change

_SIGNS = {
    plan.CREATE: "+",
    plan.UPDATE: "~",
    plan.ASSIGN: "+",
    plan.AWAIT: ">",
    plan.ADOPT: "=",
    plan.MISSING: "?",
}
_VERBS = {plan.CREATE: "create", plan.UPDATE: "update", plan.ASSIGN: "assign", plan.ADOPT: "adopt"}


def plan_lines(found: AccessPlan) -> Iterator[str]:
    """A line for each change that is more than unchanged, for each refusal, and a summary at the end."""
    for change in found.changes:
        if change.action != plan.UNCHANGED:
            yield f"  {_SIGNS[change.action]} {change.kind:<14} {change.name}{_because(change)}"
    for missing in found.missing:
        yield f"  ? {'missing':<14} {missing.claim.subject}: {missing.reason}"
    for refused in found.refused:
        yield f"  ! {'refused':<14} {refused.reason}"
    yield summary(found)


def summary(found: AccessPlan) -> str:
    """The numbers, in a sentence."""
    counts = Counter(change.action for change in found.changes)
    told = ", ".join(f"{counts[action]} to {verb}" for action, verb in _VERBS.items())
    rest = f"{counts[plan.UNCHANGED]} unchanged, {len(found.refused)} users refused"
    waiting = f", {len(found.missing)} users wait for the identity provider" if found.missing else ""
    pending = f", {counts[plan.AWAIT]} under way" if counts[plan.AWAIT] else ""
    return f"Plan: {told}{pending}, {rest}{waiting}."


def _because(change: Change) -> str:
    if change.action in (plan.ADOPT, plan.UPDATE):
        return f"  (exists; {change.rests_on})"
    if change.action == plan.AWAIT:
        return "  (an earlier request is under way)"
    if change.action == plan.MISSING:
        return "  (let the owner of the identity provider add it)"
    return ""
