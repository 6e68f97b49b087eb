# SPDX-License-Identifier: Apache-2.0
"""Reports: the plan in lines, the derivation report, the list of people to add at an external identity provider."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from c7n_iamusers.derivation.model import Derivation
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.execution.stores import Store, as_store
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.planning.account_provisioning import provisioning_key
from c7n_iamusers.policy_comparison.comparison import UNDECIDED, WIDER, Proof
from c7n_iamusers.text.wording import cell, shown

DERIVATION_FILE, SCHEMA = "identity-center-derivation.json", 2
_SHOWN = 10


def write_derivation_report(output: Path | Store, derivations: Sequence[Derivation]) -> Iterator[str]:
    """Write DERIVATION_FILE if anything was derived; yields lines for the console. Raises OSError."""
    if not derivations:
        return
    store = as_store(output)
    store.stream(DERIVATION_FILE, (piece.encode() for piece in _pieces(derivations)))
    for derivation in derivations:
        yield f"Derived: {derivation.summary}. Proofs: {store.place(DERIVATION_FILE)}"
        for near in derivation.near_duplicates[:_SHOWN]:
            yield (
                f"  near-duplicates: {near.first} and {near.second} differ in {near.difference} policies and statements"
            )
        if len(derivation.near_duplicates) > _SHOWN:
            yield f"  near-duplicates: {len(derivation.near_duplicates) - _SHOWN} more pairs are in the file"


def _pieces(derivations: Sequence[Derivation]) -> Iterator[str]:
    yield f'{{"schema": {SCHEMA}, "derivations": [\n'
    for number, derivation in enumerate(derivations):
        yield ",\n" if number else ""
        yield from _derivation(derivation)
    yield "]}\n"


def _derivation(derivation: Derivation) -> Iterator[str]:
    proofs = _Proofs()
    yield f'{{"summary": {json.dumps(derivation.summary)}'
    yield from _listed("permission-sets", (asdict(each) for each in derivation.sets))
    yield from _listed(
        "users",
        (
            {
                "user": principal.subject.name,
                "arn": principal.subject.arn,
                "permission-set": principal.set_name,
                "group": principal.group_name,
                "verdict": principal.proof.verdict,
                "proof": proofs.number(principal.proof),
            }
            for principal in derivation.principals
        ),
    )
    yield from _listed(
        "refused",
        (
            {
                "user": each.subject.name,
                "arn": each.subject.arn,
                "reason": each.reason,
                "proof": proofs.number(each.proof) if each.proof else None,
            }
            for each in derivation.refused
        ),
    )
    yield from _listed(
        "near-duplicates", (asdict(near_duplicate) for near_duplicate in derivation.near_duplicates)
    )
    yield from _listed("proofs", (each.as_data() for each in proofs.listed))
    yield "}"


class _Proofs:
    """The proofs of a report, each once: users with the same policies share one."""

    def __init__(self) -> None:
        self.listed: list[Proof] = []
        self._numbers: dict[int, int] = {}

    def number(self, proof: Proof) -> int:
        """The index of the proof in ``listed``."""
        if id(proof) not in self._numbers:
            self._numbers[id(proof)] = len(self.listed)
            self.listed.append(proof)
        return self._numbers[id(proof)]


def _listed(name: str, rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """A JSON object's member: a list with one row per line."""
    yield f',\n"{name}": ['
    for number, row in enumerate(rows):
        yield ",\n" if number else "\n"
        yield json.dumps(row, default=str)
    yield "]"


PEOPLE_FILE = "people-to-add.csv"
COLUMNS = (
    "userName",
    "name.givenName",
    "name.familyName",
    "displayName",
    "emails.value",
    "emails.type",
    "emails.primary",
    "groups",
    "missing",
)


def write_people_to_add(
    output: Store, desired: model.DesiredAccess, missing: Iterable[access_plan.Missing]
) -> str | None:
    """Write PEOPLE_FILE with a row for each missing person and return its place; if there are none, remove it."""
    rows = list(_rows(desired, missing))
    if not rows:
        if output.read(PEOPLE_FILE) is not None:
            output.remove(PEOPLE_FILE)
        return None
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([[cell(each) for each in row] for row in rows])
    output.replace(PEOPLE_FILE, text.getvalue().encode())
    return output.place(PEOPLE_FILE)


def _rows(desired: model.DesiredAccess, missing: Iterable[access_plan.Missing]) -> Iterable[list[str]]:
    groups: defaultdict[model.PersonKey, set[str]] = defaultdict(set)
    lacking: defaultdict[model.PersonKey, set[str]] = defaultdict(set)
    for each in missing:
        groups[each.claim.person].add(each.claim.group)
        lacking[each.claim.person].add(each.what)
    for key in sorted(groups):
        person = desired.people[key]
        names = [person.username, person.given_name, person.family_name, person.display_name]
        rest = [";".join(sorted(groups[key])), ";".join(sorted(lacking[key]))]
        yield [*names, person.email, "work", "true", *rest]


_SIGNS = {
    access_plan.CREATE: "+",
    access_plan.UPDATE: "~",
    access_plan.PROVISION: "~",
    access_plan.ASSIGN: "+",
    access_plan.AWAIT: ">",
    access_plan.ADOPT: "=",
    access_plan.UNCHANGED: "=",
    access_plan.MISSING: "?",
    access_plan.REMOVE: "-",
}
_VERBS = {
    access_plan.CREATE: "create",
    access_plan.UPDATE: "update",
    access_plan.ASSIGN: "assign",
    access_plan.ADOPT: "adopt",
}


def hint_lines(desired: model.DesiredAccess) -> Iterator[str]:
    """People who may be one human, in lines, and no more than somebody would read."""
    yield from (f"  ? {'hint':<14} {hint}" for hint in desired.hints[:_SHOWN])
    if len(desired.hints) > _SHOWN:
        yield f"  ? {'hint':<14} {len(desired.hints) - _SHOWN} more people may be one human"


def plan_lines(found: access_plan.AccessPlan, whole: bool = False) -> Iterator[str]:
    """The plan in lines, with a summary at the end. Unchanged objects are left out, except administrative ones.

    Side effects come first, then permission sets that make administrators, then adopted objects. ``whole``: with all
    names and calls.
    """
    yield from side_effect_lines(found, whole)
    yield from _change_lines(found, whole)
    yield from total_lines(found, whole)
    for missing in found.missing:
        yield f"  ? {'missing':<14} {missing.claim.subject}: {missing.reason.text}"
    for refused in found.refused:
        yield f"  ! {'refused':<14} {refused.reason.text}"
    for fault in found.over_quota:
        yield f"  ! {'quota':<14} {fault}"
    for leftover in found.leftovers:
        yield f"  ! {'leftover':<14} {leftover}"
    if found.fed_by_others:
        yield f"  ! {'source':<14} {found.fed_by_others}"
    yield summary(found)


def side_effect_lines(found: access_plan.AccessPlan, whole: bool = False) -> Iterator[str]:
    """Access that people get although no intents request it, in lines. ``whole``: with all names."""
    for side_effect in found.side_effects:
        yield f"  ! {'side-effect':<14} {side_effect_text(side_effect, len(side_effect.people) if whole else _SHOWN)}"
        yield from (f"      {detail}" for detail in side_effect.allows)


def _change_lines(found: access_plan.AccessPlan, whole: bool) -> Iterator[str]:
    for change in sorted(found.changes, key=_rank):
        if change.instead_of:
            continue
        if change.action != access_plan.UNCHANGED or change.administrative:
            yield f"  {_SIGNS[change.action]} {change.kind:<14} {change.name}{_because(change)}"
            yield from (f"      {detail}" for detail in change.details)
            yield from (f"        {_call(call)}" for call in change.calls if whole)
    going = {change.key for change in found.changes}
    for change in found.stale:
        if change.key not in going:
            then = (
                f"stays: {change.rests_on}" if change.rests_on else "provision prune --unrequested removes it"
            )
            yield f"  - {change.kind:<14} {change.name}  (no longer requested; {then})"


def _call(call: ApiCall) -> str:
    given = {name: value for name, value in call.parameters.items() if name not in _OF_ALL}
    arguments = [
        f"{name}={value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)}"
        for name, value in sorted(given.items())
    ]
    return " ".join([f"{call.service}:{call.operation}", *arguments])


#: Parameters that are the same in all calls.
_OF_ALL = frozenset({"InstanceArn", "IdentityStoreId"})


def total_lines(found: access_plan.AccessPlan, whole: bool = False) -> Iterator[str]:
    """Access that is not requested, and unexpected members of managed groups, in lines."""
    for total in found.totals:
        if total.beyond:
            yield f"  ! {'total':<14} {in_words(total, total.person[0])}"
    groups: defaultdict[tuple[str, tuple[str, ...], str, bool], list[str]] = defaultdict(list)
    for member in found.unexpected_members:
        reason = member.reason.text
        groups[member.group, member.accounts, reason, member.is_former].append(member.username)
    for (group, accounts, reason, is_former), usernames in sorted(groups.items()):
        names = ", ".join(sorted(usernames)) if whole else shown(sorted(usernames))
        text = f"{names} in group {group} (account {', '.join(accounts) if whole else shown(accounts)}): {reason}"
        yield f"  = {'former':<14} {text}" if is_former else f"  ! {'unexpected':<14} {text}"


def in_words(total: access_plan.TotalAccess, username: str) -> str:
    """The total of a person in an account, in words."""
    where = f"account {total.account_id}"
    if total.userless:
        where += ", without intents of an IAM user of that person"
    verdict = f"{username} in {where}: {total.verdict or 'as requested'}"
    held = "; ".join(f"{each}{_kind(each)}" for each in total.beyond)
    return f"{verdict}: also holds {held}" if held else verdict


def _kind(access: access_plan.FurtherAccess) -> str:
    """The kind of the further access, in parentheses."""
    if access.covered:
        return " (allows nothing that the IAM user may not do)"
    if access.former:
        return " (former: a run gave it for IAM users that have no intents now)"
    if access.shared:
        return " (shared-group; not requested)"
    return " (managed; no longer requested)" if access.ours else " (not managed by c7n-iamusers)"


def side_effect_text(side_effect: access_plan.SideEffect, limit: int = _SHOWN) -> str:
    """A side effect, in words. ``limit``: how many people to name."""
    what = "a changed permission set" if side_effect.is_change else "permission set"
    admin = f" (ADMINISTRATOR by {side_effect.administrative})" if side_effect.administrative else ""
    given = (
        f"get {what} {side_effect.set_name}{admin} in account {side_effect.account_id} through {side_effect.through}, "
        f"by {side_effect.by}"
    )
    why = (
        f"{side_effect.review}; only a reviewed plan (--plan) may do this"
        if side_effect.review
        else _CONSENT[side_effect.is_change]
    )
    return f"{shown(side_effect.people, limit)} {given}: {why}"


def unreviewed_provisioning(found: access_plan.AccessPlan) -> dict[str, access_plan.SideEffect]:
    """The keys of changes that only a reviewed plan may make, because they provision an unchanged permission set to an
    account with an earlier form of it -> why.

    They concern only that account, so the rest of the plan may be made without them.
    """
    keys = {
        change.key
        for change in found.changes
        if change.action == access_plan.PROVISION and not change.instead_of
    }
    reasons: dict[str, access_plan.SideEffect] = {}
    for side_effect in found.side_effects:
        key = provisioning_of(side_effect)
        if side_effect.review and side_effect.is_change and key in keys:
            reasons.setdefault(key, side_effect)
    return reasons


def unreviewed_texts(found: access_plan.AccessPlan) -> dict[str, str]:
    """The same with the reasons in sentences."""
    return {key: side_effect_text(each) for key, each in unreviewed_provisioning(found).items()}


def provisioning_of(side_effect: access_plan.SideEffect) -> str:
    """The key of the change that provisions its permission set to its account."""
    return provisioning_key(side_effect.set_name, side_effect.account_id)


#: By ``SideEffect.is_change``.
_CONSENT = {
    False: "not requested, but shared-group: true consents",
    True: "it gives them nothing more",
}


def summary(found: access_plan.AccessPlan) -> str:
    """The figures of the plan, in a sentence."""
    counts = Counter(change.action for change in found.changes)
    actions = ", ".join(f"{counts[action]} to {verb}" for action, verb in _VERBS.items())
    rest = f"{counts[access_plan.UNCHANGED] + found.unlisted} unchanged, {len(found.refused)} users refused"
    waiting = f", {len(found.missing)} users wait for the identity provider" if found.missing else ""
    verdicts = Counter(total.verdict for total in found.totals)
    wider = "".join(f", {verdicts[each]} {each}" for each in (WIDER, UNDECIDED) if verdicts[each])
    provisioned = sum(
        change.action == access_plan.PROVISION and not change.instead_of for change in found.changes
    )
    provisioned_text = f", {provisioned} to provision" if provisioned else ""
    removed = f", {counts[access_plan.REMOVE]} to remove" if counts[access_plan.REMOVE] else ""
    pending = f", {counts[access_plan.AWAIT]} in progress" if counts[access_plan.AWAIT] else ""
    return f"Plan: {actions}{provisioned_text}{removed}{pending}, {rest}{waiting}{wider}."


def _rank(change: access_plan.Change) -> int:
    """Administrative permission sets first, then adopted objects."""
    if change.administrative:
        return 0
    return 1 if change.action == access_plan.ADOPT else 2


def _because(change: access_plan.Change) -> str:
    return f"{_reason(change)}{_admin(change)}"


def _admin(change: access_plan.Change) -> str:
    return f"  ADMINISTRATOR by {change.administrative}" if change.administrative else ""


def _reason(change: access_plan.Change) -> str:
    if change.action in (access_plan.ADOPT, access_plan.UPDATE):
        return f"  (exists; {change.rests_on})"
    if change.action == access_plan.AWAIT:
        return "  (an earlier request is in progress)"
    if change.action == access_plan.MISSING:
        return "  (ask the owner of the identity provider to add it)"
    return ""
