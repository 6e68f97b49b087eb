# SPDX-License-Identifier: Apache-2.0
"""What people read: the plan, the derivation report, the list of people to add at an external provider."""

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
from c7n_iamusers.identity_center.model import (
    ADOPT,
    ASSIGN,
    AWAIT,
    CREATE,
    MISSING,
    REMOVE,
    UNCHANGED,
    UPDATE,
    AccessPlan,
    Beyond,
    Change,
    DesiredAccess,
    Missing,
    PersonKey,
    Reach,
    Total,
)
from c7n_iamusers.identity_center.totals import FORMER
from c7n_iamusers.policy_comparison.proof import UNDECIDED, WIDER, Proof
from c7n_iamusers.text.wording import cell, shown

DERIVATION_FILE, SCHEMA = "identity-center-derivation.json", 2
_SHOWN = 10


def write_derivation_report(output: Path | Store, derivations: Sequence[Derivation]) -> Iterator[str]:
    """Write the file, where anything was derived; lines for a person, near-duplicates among them. Raises OSError."""
    if not derivations:
        return
    store = as_store(output)
    store.stream(DERIVATION_FILE, (piece.encode() for piece in _pieces(derivations)))
    for each in derivations:
        yield f"Derived: {each.summary}. Proofs: {store.place(DERIVATION_FILE)}"
        for near in each.near_duplicates[:_SHOWN]:
            told = f"{near.first} and {near.second} differ in {near.difference} policies and statements"
            yield f"  near-duplicates: {told}"
        if len(each.near_duplicates) > _SHOWN:
            yield f"  near-duplicates: {len(each.near_duplicates) - _SHOWN} more pairs are in the file"


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
                "user": each.subject.name,
                "arn": each.subject.arn,
                "permission-set": each.set_name,
                "group": each.group_name,
                "verdict": each.proof.verdict,
                "proof": proofs.number(each.proof),
            }
            for each in derivation.principals
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
    yield from _listed("near-duplicates", (asdict(each) for each in derivation.near_duplicates))
    yield from _listed("proofs", (each.as_data() for each in proofs.listed))
    yield "}"


class _Proofs:
    """Those that were referred to, each once: users alike have the very same one."""

    def __init__(self) -> None:
        self.listed: list[Proof] = []
        self._numbers: dict[int, int] = {}

    def number(self, proof: Proof) -> int:
        """Its place in the list."""
        if id(proof) not in self._numbers:
            self._numbers[id(proof)] = len(self.listed)
            self.listed.append(proof)
        return self._numbers[id(proof)]


def _listed(name: str, rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """A member of the object: a list with a row a line."""
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


def write_people_to_add(output: Store, desired: DesiredAccess, missing: Iterable[Missing]) -> str | None:
    """Write the list, one row a person, or remove an earlier one where nobody is missing any more; where it is."""
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


def _rows(desired: DesiredAccess, missing: Iterable[Missing]) -> Iterable[list[str]]:
    groups: defaultdict[PersonKey, set[str]] = defaultdict(set)
    lacking: defaultdict[PersonKey, set[str]] = defaultdict(set)
    for each in missing:
        groups[each.claim.person].add(each.claim.group)
        lacking[each.claim.person].add(each.what)
    for key in sorted(groups):
        person = desired.people[key]
        names = [person.username, person.given_name, person.family_name, person.display_name]
        rest = [";".join(sorted(groups[key])), ";".join(sorted(lacking[key]))]
        yield [*names, person.email, "work", "true", *rest]


_SIGNS = {
    CREATE: "+",
    UPDATE: "~",
    ASSIGN: "+",
    AWAIT: ">",
    ADOPT: "=",
    UNCHANGED: "=",
    MISSING: "?",
    REMOVE: "-",
}
_VERBS = {
    CREATE: "create",
    UPDATE: "update",
    ASSIGN: "assign",
    ADOPT: "adopt",
}


MIGRATION = (
    "Sets and groups that the version before named are replaced. A set's new name is a new role in each account: "
    "whatever names an old AWSReservedSSO_... role (trust, bucket and key policies, SCPs), and people's CLI profiles "
    "(sso_role_name), must name the new one."
)


def plan_lines(found: AccessPlan, whole: bool = False) -> Iterator[str]:
    """A line for each change that is more than unchanged, for each refusal, and a summary at the end.

    On top stand people whom it concerns though nobody asks for it; then all sets that make administrators, unchanged
    ones too, and whatever is adopted. ``whole``: with everybody's name, and what is called for each.
    """
    for each in found.reaches:
        yield f"  ! {'beyond':<14} {reach_in_words(each, len(each.people) if whole else _SHOWN)}"
    yield from _change_lines(found, whole)
    yield from total_lines(found, whole)
    for missing in found.missing:
        yield f"  ? {'missing':<14} {missing.claim.subject}: {missing.reason}"
    for refused in found.refused:
        yield f"  ! {'refused':<14} {refused.reason}"
    for fault in found.over_quota:
        yield f"  ! {'quota':<14} {fault}"
    yield summary(found)


def _change_lines(found: AccessPlan, whole: bool) -> Iterator[str]:
    for change in sorted(found.changes, key=_rank):
        if change.action != UNCHANGED or change.administrative:
            yield f"  {_SIGNS[change.action]} {change.kind:<14} {change.name}{_because(change)}"
            yield from (f"      {detail}" for detail in change.details)
            yield from (f"        {_call(each)}" for each in change.calls if whole)
    going = {change.key for change in found.changes}
    for change in found.stale:
        if change.key not in going:
            yield f"  - {change.kind:<14} {change.name}  (nobody asks for it any more; --prune removes it)"


def _call(call: ApiCall) -> str:
    given = {name: value for name, value in call.parameters.items() if name not in _OF_ALL}
    told = [
        f"{name}={value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)}"
        for name, value in sorted(given.items())
    ]
    return " ".join([f"{call.service}:{call.operation}", *told])


#: What all calls of a plan have in common.
_OF_ALL = frozenset({"InstanceArn", "IdentityStoreId"})


def total_lines(found: AccessPlan, whole: bool = False) -> Iterator[str]:
    """Who holds more than is asked for, and who else is in groups of ours."""
    for total in found.totals:
        if total.beyond:
            yield f"  ! {'total':<14} {in_words(total, total.person[0])}"
    groups: defaultdict[tuple[str, tuple[str, ...], str], list[str]] = defaultdict(list)
    for stranger in found.strangers:
        groups[stranger.group, stranger.accounts, stranger.reason].append(stranger.username)
    for (group, accounts, reason), usernames in sorted(groups.items()):
        names = ", ".join(sorted(usernames)) if whole else shown(sorted(usernames))
        told = f"{names} in group {group} (account {', '.join(accounts) if whole else shown(accounts)}): {reason}"
        yield f"  = {'former':<14} {told}" if reason == FORMER else f"  ! {'stranger':<14} {told}"


def in_words(total: Total, username: str) -> str:
    """What a person holds in an account, beside what is asked for."""
    where = f"account {total.account_id}"
    if total.userless:
        where += ", where no intents are of an IAM user of theirs"
    verdict = f"{username} in {where}: {total.verdict or 'as asked for'}"
    held = "; ".join(f"{each}{_told(each)}" for each in total.beyond)
    return f"{verdict}: also holds {held}" if held else verdict


def _told(beyond: Beyond) -> str:
    """What of it is not said already."""
    if beyond.covered:
        return " (grants nothing that the IAM user may not do)"
    if beyond.shared:
        return " (shared-group; nobody asks for it)"
    return " (ours; nobody asks for it any more)" if beyond.ours else " (not this package's)"


def reach_in_words(reach: Reach, limit: int = _SHOWN) -> str:
    """Who gets or keeps what by the plan, and what has to be done about it."""
    what = "another form of permission set" if reach.is_change else "permission set"
    given = (
        f"get {what} {reach.set_name} in account {reach.account_id} through {reach.through}, by {reach.by}"
    )
    why = (
        f"{reach.review}; only a reviewed plan (--plan) does this"
        if reach.review
        else _CONSENT[reach.is_change]
    )
    return f"{shown(reach.people, limit)} {given}: {why}"


#: By ``Reach.is_change``.
_CONSENT = {
    False: "nobody asks for it, and shared-group: true consents",
    True: "it gives them nothing more",
}


def summary(found: AccessPlan) -> str:
    """The numbers, in a sentence."""
    counts = Counter(change.action for change in found.changes)
    told = ", ".join(f"{counts[action]} to {verb}" for action, verb in _VERBS.items())
    rest = f"{counts[UNCHANGED] + found.unlisted} unchanged, {len(found.refused)} users refused"
    waiting = f", {len(found.missing)} users wait for the identity provider" if found.missing else ""
    verdicts = Counter(total.verdict for total in found.totals)
    beyond = "".join(f", {verdicts[each]} {each}" for each in (WIDER, UNDECIDED) if verdicts[each])
    removed = f", {counts[REMOVE]} to remove" if counts[REMOVE] else ""
    pending = f", {counts[AWAIT]} under way" if counts[AWAIT] else ""
    return f"Plan: {told}{removed}{pending}, {rest}{waiting}{beyond}."


def _rank(change: Change) -> int:
    """What makes administrators comes first, then what is adopted, such as the user that a person is taken for."""
    if change.administrative:
        return 0
    return 1 if change.action == ADOPT else 2


def _because(change: Change) -> str:
    return f"{_reason(change)}{_admin(change)}"


def _admin(change: Change) -> str:
    return f"  ADMINISTRATOR by {change.administrative}" if change.administrative else ""


def _reason(change: Change) -> str:
    if change.action in (ADOPT, UPDATE):
        return f"  (exists; {change.rests_on})"
    if change.action == AWAIT:
        return "  (an earlier request is under way)"
    if change.action == MISSING:
        return "  (let the owner of the identity provider add it)"
    return ""
