# SPDX-License-Identifier: Apache-2.0
"""Groups for permission sets, none of which reaches an account where one of its people had no user. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.derivation import PER_ACCOUNT, DerivedGroup
from c7n_iamusers.model.identity_center import canonical_policy, folded

_DIGEST = 10


@dataclass(frozen=True, slots=True)
class Seat:
    """An IAM user, the person it belongs to (empty where unknown) and the set that takes its place."""

    subject: Subject
    person: str
    set_name: str

    @property
    def assignment(self) -> tuple[str, str]:
        """Account id and set name."""
        return self.subject.account_id, self.set_name

    @property
    def owner(self) -> str:
        """Whom other seats may share; a user of nobody known shares with none. Case tells no usernames apart."""
        return folded(self.person) or self.subject.arn


def groups_of(seats: Iterable[Seat], group_by: str = PER_ACCOUNT) -> Mapping[Subject, DerivedGroup]:
    """The group of each user: one for (set, account), or one for all people whose assignments are all the same."""
    listed = list(seats)
    whole = _maps(listed)
    keys = {seat: (seat.assignment,) if group_by == PER_ACCOUNT else whole[seat.owner] for seat in listed}
    members = defaultdict(list)
    for seat, assignments in keys.items():
        members[assignments].append(seat.subject)
    groups = {
        assignments: DerivedGroup(_name(assignments), assignments, tuple(sorted(subjects, key=_order)))
        for assignments, subjects in members.items()
    }
    return {seat.subject: groups[assignments] for seat, assignments in keys.items()}


def _maps(seats: Iterable[Seat]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Owner -> all its assignments."""
    found = defaultdict(set)
    for seat in seats:
        found[seat.owner].add(seat.assignment)
    return {owner: tuple(sorted(assignments)) for owner, assignments in found.items()}


def _name(assignments: tuple[tuple[str, str], ...]) -> str:
    """At most 45 characters for one assignment; identitystore takes 1024."""
    if len(assignments) == 1:
        ((account_id, set_name),) = assignments
        return f"{set_name}-{account_id}"
    digest = sha256(canonical_policy(assignments).encode()).hexdigest()[:_DIGEST]
    return f"{len(assignments)}-assignments-{digest}"


def _order(subject: Subject) -> tuple[str, str]:
    return subject.account_id, subject.name
