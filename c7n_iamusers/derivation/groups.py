# SPDX-License-Identifier: Apache-2.0
"""The groups that derivation requests, and their names: for one set in one account, or for a person. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from c7n_iamusers.derivation import model
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.text.wording import folded

#: Hexadecimal digits: 128 bits, because others choose the content.
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class SetHolder:
    """An IAM user, its person (empty if unknown), and the permission set that replaces it."""

    subject: Subject
    person: str
    set_name: str

    @property
    def assignment(self) -> tuple[str, str]:
        """Account id and set name."""
        return self.subject.account_id, self.set_name

    @property
    def owner(self) -> str:
        """The person, without regard to case; the user's ARN if the person is unknown."""
        return folded(self.person) or self.subject.arn


def groups_of(
    holders: Iterable[SetHolder], group_by: str = model.PER_ACCOUNT
) -> Mapping[Subject, model.DerivedGroup]:
    """The group of each user: one for each set and account, or one for all people with the same assignments."""
    members: defaultdict[tuple[tuple[str, str], ...], list[Subject]] = defaultdict(list)
    if group_by == model.PER_ACCOUNT:
        for holder in holders:
            members[(holder.assignment,)].append(holder.subject)
    else:
        listed = list(holders)
        whole = _assignments_by_owner(listed)
        for holder in listed:
            members[whole[holder.owner]].append(holder.subject)
    groups: dict[Subject, model.DerivedGroup] = {}
    for assignments, subjects in members.items():
        found = tuple(sorted(dict.fromkeys(subjects), key=subject_order))
        groups.update(dict.fromkeys(found, model.DerivedGroup(_name(assignments), assignments, found)))
    return groups


def _assignments_by_owner(holders: Iterable[SetHolder]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Owner -> all its assignments."""
    found = defaultdict(set)
    for holder in holders:
        found[holder.owner].add(holder.assignment)
    return {owner: tuple(sorted(assignments)) for owner, assignments in found.items()}


def _name(assignments: tuple[tuple[str, str], ...]) -> str:
    """At most 45 characters for one assignment; identitystore takes 1024."""
    if len(assignments) == 1:
        ((account_id, set_name),) = assignments
        return f"{set_name}-{account_id}"
    digest = sha256(canonical_policy(assignments).encode()).hexdigest()[:_DIGEST]
    return f"{len(assignments)}-assignments-{digest}"


def subject_order(subject: Subject) -> tuple[str, str]:
    """The sort key of users: account id and name."""
    return subject.account_id, subject.name
