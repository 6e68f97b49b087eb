# SPDX-License-Identifier: Apache-2.0
"""A plan in lines, as people know it from Terraform: what is created, changed, assigned, adopted and left as it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from c7n_iamusers.decisions.totals import FORMER
from c7n_iamusers.decisions.wording import shown
from c7n_iamusers.model import access_plan as plan
from c7n_iamusers.model.access_plan import AccessPlan, Beyond, Change, Total
from c7n_iamusers.model.access_proof import UNDECIDED, WIDER

_SIGNS = {
    plan.CREATE: "+",
    plan.UPDATE: "~",
    plan.ASSIGN: "+",
    plan.AWAIT: ">",
    plan.ADOPT: "=",
    plan.UNCHANGED: "=",
    plan.MISSING: "?",
    plan.REMOVE: "-",
}
_VERBS = {
    plan.CREATE: "create",
    plan.UPDATE: "update",
    plan.ASSIGN: "assign",
    plan.ADOPT: "adopt",
}


MIGRATION = (
    "Sets and groups that the version before named are replaced. A set's new name is a new role in each account: "
    "whatever names an old AWSReservedSSO_... role (trust, bucket and key policies, SCPs), and people's CLI profiles "
    "(sso_role_name), must name the new one."
)


def plan_lines(found: AccessPlan) -> Iterator[str]:
    """A line for each change that is more than unchanged, for each refusal, and a summary at the end.

    On top stand all sets that make administrators, unchanged ones too, and whatever is adopted.
    """
    holders = _holders_of_administrative_sets(found)
    for change in sorted(found.changes, key=_rank):
        if change.action != plan.UNCHANGED or change.administrative:
            yield f"  {_SIGNS[change.action]} {change.kind:<14} {change.name}{_because(change)}"
            yield from (f"      {detail}" for detail in (*holders.get(change.key, ()), *change.details))
    going = {change.key for change in found.changes}
    for change in found.stale:
        if change.key not in going:
            yield f"  - {change.kind:<14} {change.name}  (nobody asks for it any more; --prune removes it)"
    yield from total_lines(found)
    for missing in found.missing:
        yield f"  ? {'missing':<14} {missing.claim.subject}: {missing.reason}"
    for refused in found.refused:
        yield f"  ! {'refused':<14} {refused.reason}"
    for fault in found.over_quota:
        yield f"  ! {'quota':<14} {fault}"
    yield summary(found)


def total_lines(found: AccessPlan) -> Iterator[str]:
    """Who holds more than is asked for, and who else is in groups of ours."""
    for total in found.totals:
        if total.beyond:
            yield f"  ! {'total':<14} {in_words(total, total.person[0])}"
    groups: defaultdict[tuple[str, tuple[str, ...], str], list[str]] = defaultdict(list)
    for stranger in found.strangers:
        groups[stranger.group, stranger.accounts, stranger.reason].append(stranger.username)
    for (group, accounts, reason), usernames in sorted(groups.items()):
        told = f"{shown(sorted(usernames))} in group {group} (account {shown(accounts)}): {reason}"
        yield f"  = {'former':<14} {told}" if reason == FORMER else f"  ! {'stranger':<14} {told}"


def in_words(total: Total, username: str) -> str:
    """What a person holds in an account, beside what is asked for."""
    verdict = f"{username} in account {total.account_id}: {total.verdict or 'as asked for'}"
    held = "; ".join(f"{each}{_told(each)}" for each in total.beyond)
    return f"{verdict}: also holds {held}" if held else verdict


def _told(beyond: Beyond) -> str:
    """What of it is not said already."""
    if beyond.covered:
        return " (grants nothing that the IAM user may not do)"
    return " (ours; nobody asks for it any more)" if beyond.ours else " (not this package's)"


def summary(found: AccessPlan) -> str:
    """The numbers, in a sentence."""
    counts = Counter(change.action for change in found.changes)
    told = ", ".join(f"{counts[action]} to {verb}" for action, verb in _VERBS.items())
    rest = f"{counts[plan.UNCHANGED]} unchanged, {len(found.refused)} users refused"
    waiting = f", {len(found.missing)} users wait for the identity provider" if found.missing else ""
    verdicts = Counter(total.verdict for total in found.totals)
    beyond = "".join(f", {verdicts[each]} {each}" for each in (WIDER, UNDECIDED) if verdicts[each])
    removed = f", {counts[plan.REMOVE]} to remove" if counts[plan.REMOVE] else ""
    pending = f", {counts[plan.AWAIT]} under way" if counts[plan.AWAIT] else ""
    return f"Plan: {told}{removed}{pending}, {rest}{waiting}{beyond}."


def _rank(change: Change) -> int:
    """What makes administrators comes first, then what is adopted, such as the user that a person is taken for."""
    if change.administrative:
        return 0
    return 1 if change.action == plan.ADOPT else 2


def _holders_of_administrative_sets(found: AccessPlan) -> dict[str, tuple[str]]:
    """Change's key -> a line that says who gets the set, and where."""
    people: dict[str, set[str]] = {each.name: set() for each in found.changes if each.administrative}
    for claim in found.served:
        if claim.grant.permission_set in people:
            told = f"{claim.person[0]} in account {claim.grant.account_id}"
            people[claim.grant.permission_set].add(told)
    return {
        each.key: (f"administrators: {shown(sorted(people[each.name])) or 'nobody'}",)
        for each in found.changes
        if each.administrative
    }


def _because(change: Change) -> str:
    return f"{_reason(change)}{_admin(change)}"


def _admin(change: Change) -> str:
    return f"  ADMINISTRATOR by {change.administrative}" if change.administrative else ""


def _reason(change: Change) -> str:
    if change.action in (plan.ADOPT, plan.UPDATE):
        return f"  (exists; {change.rests_on})"
    if change.action == plan.AWAIT:
        return "  (an earlier request is under way)"
    if change.action == plan.MISSING:
        return "  (let the owner of the identity provider add it)"
    return ""
