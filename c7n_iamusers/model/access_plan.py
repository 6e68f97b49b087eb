# SPDX-License-Identifier: Apache-2.0
"""The difference between what is asked for and what stands, as data: who may be shown it, and what is to be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from c7n_iamusers.model.access import Claim, PersonKey, Refused
from c7n_iamusers.model.calls import ApiCall, Subject
from c7n_iamusers.model.identity_center import KnownGroup, KnownPermissionSet, KnownPerson

PERMISSION_SET, GROUP, ASSIGNMENT, USER, MEMBERSHIP = (
    "permission set",
    "group",
    "assignment",
    "user",
    "membership",
)
#: In the order in which a person reads them, which is that in which they are made.
KINDS = (PERMISSION_SET, GROUP, ASSIGNMENT, USER, MEMBERSHIP)
CREATE, UPDATE, ASSIGN, ADOPT, AWAIT, UNCHANGED = "create", "update", "assign", "adopt", "await", "unchanged"
#: A group that the owners of an external identity provider are to add.
MISSING = "missing"


@dataclass(frozen=True)
class Pending:
    """A request to make an assignment that was under way when the state was read."""

    account_id: str
    permission_set_arn: str
    group_id: str


@dataclass(frozen=True)
class CenterState:
    """What of Identity Center matters to the desired access, as it was read.

    ``usernames`` and ``emails``: by ``folded`` text, who has it. ``groups`` and ``permission_sets``: by name, those
    asked for that exist. ``pending``: request id -> the assignment that is under way. ``is_delegated``: who reads
    is a delegated administrator, who may not assign in the management account.
    """

    usernames: Mapping[str, KnownPerson] = field(default_factory=dict)
    emails: Mapping[str, KnownPerson] = field(default_factory=dict)
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    permission_sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    is_delegated: bool = False


@dataclass(frozen=True)
class Change:
    """One object and what becomes of it. ``key`` is unique in a plan; ``needs``: keys of what must be done before.

    ``rests_on``: for what is adopted, why it may be, in words. ``awaits``: the id of a request that is under
    way and makes it. ``lazy``: done only once something that needs it has nothing else to wait for.
    ``accounts``: whose roles the calls may change.
    """

    key: str
    kind: str
    action: str
    name: str
    subject: Subject
    calls: tuple[ApiCall, ...] = ()
    needs: tuple[str, ...] = ()
    rests_on: str = ""
    awaits: str = ""
    lazy: bool = False
    accounts: frozenset[str] = frozenset()

    @property
    def is_work(self) -> bool:
        """True where a call is to be made, or one that was made is to be seen through."""
        return bool(self.calls or self.awaits)


@dataclass(frozen=True)
class Missing:
    """What the owners of an external identity provider are to add for ``claim``, and why, in words."""

    claim: Claim
    what: str
    reason: str


@dataclass(frozen=True)
class AccessPlan:
    """``changes`` in an order in which they can be made; each of the claims stands in exactly one of the rest.

    ``refused``: whom nothing is done for; ``missing``: who waits for an identity provider; ``served``: claim ->
    the keys of all changes that its access rests on.
    """

    changes: tuple[Change, ...] = ()
    refused: tuple[Refused, ...] = ()
    missing: tuple[Missing, ...] = ()
    served: Mapping[Claim, tuple[str, ...]] = field(default_factory=dict)
    known_people: Mapping[PersonKey, KnownPerson] = field(default_factory=dict)

    @property
    def work(self) -> tuple[Change, ...]:
        """The changes that there is something to do for."""
        return tuple(change for change in self.changes if change.is_work)
