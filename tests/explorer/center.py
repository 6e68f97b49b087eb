# SPDX-License-Identifier: Apache-2.0
"""The invariants of Identity Center, judged from its state alone. Of the package it knows the name of the lock.

``facts``: see tests.explorer.facts, its ``center``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.explorer.facts import Facts, difference, laid_over

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
_LOCK = "c7n-iamusers-lock"
Access = tuple[str, str, str]


def access(center: Facts) -> set[Access]:
    """Who may do what where: e-mail address, account, and the name and policies of the permission set."""
    members: dict[str, list[str]] = {}
    for each in center["memberships"]:
        group, person = each.split()
        members.setdefault(group, []).append(person)
    found: set[Access] = set()
    for each in center["assignments"]:
        account, arn, kind, principal = each.split()
        known = center["sets"].get(arn, {})
        what = json.dumps([known.get("name"), sorted(known.get("managed", ())), known.get("inline") or ""])
        people = members.get(principal, []) if kind == "GROUP" else [principal]
        found |= {(_email(center, person), account, what) for person in people}
    return found


def _email(center: Facts, person: str) -> str:
    found: Any = json.loads(center["people"].get(person, "{}"))
    return str(found.get("UserName", person))


def reading(name: str, account: str) -> Access:
    """What somebody is to be given."""
    return (f"{name}@example.com", account, json.dumps(["Readers", [READ_ONLY], ""]))


def without_lock(center: Facts) -> Facts:
    """``center`` without what keeps other runs out."""
    return {**center, "sets": {arn: each for arn, each in center["sets"].items() if each["name"] != _LOCK}}


@dataclass
class CenterJudge:
    """``origin``: before anything was provisioned; ``start``: as the run finds it.

    ``wanted``: what the intents ask for. ``kept``: access that no moment may be without.
    ``goal``: "provisioned" or "undone".
    """

    origin: Facts
    start: Facts
    wanted: frozenset[Access]
    kept: frozenset[Access]
    goal: str
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.theirs, self.most = self.origin, access(self.start) | self.wanted

    def others_did(self, before: Facts, after: Facts) -> None:
        """Somebody else changed something."""
        changes: Any = {  # what the run made is not theirs, whatever they do to it
            kind: {
                key: each
                for key, each in found.items()
                if key not in before[kind] or key in self.theirs[kind]
            }
            for kind, found in (difference(before, after) or {}).items()
        }
        if self.kept:  # it removes whom no intents ask for from the groups that it made
            memberships = changes.get("memberships") or {}
            own = {key for key in memberships if key.split()[0] not in self.origin["groups"]}
            changes = {
                **changes,
                "memberships": {key: each for key, each in memberships.items() if key not in own},
            }
        self.theirs = laid_over(self.theirs, changes)
        self.most |= access(after) - access(before)
        self.kept &= access(after) | (self.kept - access(before))

    def found(self, center: Facts, after: str) -> None:
        """What there is ``after`` a call."""
        for kind, objects in self.theirs.items():
            for key, each in objects.items():
                if center[kind].get(key) != each:
                    self._note("untouched", after, f"{kind} {key}: {difference(each, center[kind].get(key))}")
        if wider := access(center) - self.most:
            self._note("never wider", after, f"given {sorted(wider)}")
        if lost := self.kept - access(center):
            self._note("not locked out", after, f"taken {sorted(lost)}")

    def reached(self, center: Facts, why: str) -> None:
        """The runs are over, and the goal should be reached."""
        if self.goal == "undone" and (left := difference(self.theirs, without_lock(center))):
            self._note("converges", why, f"it is not as before: {left}")
        if self.goal == "provisioned" and (missing := self.wanted - access(center)):
            self._note("converges", why, f"missing: {sorted(missing)}")
        if self.goal == "provisioned" and (more := access(center) - access(self.theirs) - self.wanted):
            self._note("converges", why, f"left: {sorted(more)}")

    def _note(self, invariant: str, when: str, what: str) -> None:
        self.broken.append(f"{invariant}: {when}: {what}")
