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
#: Something of ours that nobody asks for any more.
REMOVE = "remove"
#: A group that the owners of an external identity provider are to add.
MISSING = "missing"


@dataclass(frozen=True)
class Pending:
    """A request to make an assignment that was under way when the state was read."""

    account_id: str
    permission_set_arn: str
    group_id: str


#: GROUP or USER, and its id.
Principal = tuple[str, str]


@dataclass(frozen=True)
class StandingAccess:
    """Who holds what through Identity Center, account by account.

    ``holders``: account id -> ARN of a permission set -> who is assigned it there. ``groups``: by id, all groups among
    them; the assignments of ours are complete. ``set_names``: by ARN. ``sets``: by ARN, those that some person of the
    changeset holds beside what is asked for, and all of ours. ``usernames``: by user id, as far as they were read.
    """

    holders: Mapping[str, Mapping[str, frozenset[Principal]]] = field(default_factory=dict)
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    set_names: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    usernames: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CenterState:
    """What of Identity Center matters to the desired access, as it was read.

    ``usernames`` and ``emails``: by ``folded`` text, who has it. ``groups`` and ``permission_sets``: by name, those
    asked for that exist. ``pending``: request id -> the assignment that is under way. ``is_delegated``: who reads
    is a delegated administrator, who may not assign in the management account.

    ``standing``: everything held in the accounts that anything is asked for in, by anybody.
    """

    usernames: Mapping[str, KnownPerson] = field(default_factory=dict)
    emails: Mapping[str, KnownPerson] = field(default_factory=dict)
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    permission_sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    is_delegated: bool = False
    standing: StandingAccess = field(default_factory=StandingAccess)


@dataclass(frozen=True, slots=True)
class Change:
    """One object and what becomes of it. ``key`` is unique in a plan; ``needs``: keys of what must be done before.

    ``rests_on``: for what is adopted, why it may be, in words. ``awaits``: the id of a request that is under
    way and makes it. ``lazy``: done only once something that needs it has nothing else to wait for.
    ``accounts``: whose roles the calls may change. ``details``: what it grants or changes, in lines for a reviewer;
    ``administrative``: the policy that makes holders of a permission set administrators, empty for none.
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
    details: tuple[str, ...] = ()
    administrative: str = ""

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
class Beyond:
    """Something that a person holds in an account beside what is asked for.

    ``through``: the group, or "a direct assignment". ``ours``: the group is this package's. ``covered``: it is proven
    to grant nothing that one of the person's IAM users there may not do.
    """

    set_name: str
    through: str
    ours: bool = False
    covered: bool = False

    def __str__(self) -> str:
        return f"{self.set_name} through {self.through}"


@dataclass(frozen=True, slots=True)
class Total:
    """Everything that a person of the changeset holds in an account once the plan is carried out.

    ``verdict``: as of ``Proof``; empty where a permission set was asked for by name, and nothing wider is held.
    """

    person: PersonKey
    account_id: str
    verdict: str
    beyond: tuple[Beyond, ...] = ()


@dataclass(frozen=True)
class Stranger:
    """A member of a group of ours whom nobody asks it for, and why it stays a member."""

    username: str
    group: str
    accounts: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Choices:
    """What of ours may go that nobody asks for any more.

    ``prune``: what is proven to be somebody's former access. ``lock_out``: also the access of people of whom it is not
    known whether they have another. ``migrate``: groups and sets named by the version before are replaced.
    """

    prune: bool = False
    lock_out: bool = False
    migrate: bool = False


@dataclass(frozen=True)
class AccessPlan:
    """``changes`` in an order in which they can be made; each of the claims stands in exactly one of the rest.

    ``refused``: whom nothing is done for; ``missing``: who waits for an identity provider; ``served``: claim ->
    the keys of all changes that its access rests on. ``stale``: what of ours would go, were it asked to.
    ``totals``: of each person of the changeset in each account; ``strangers``: who else is in groups of ours.
    ``over_quota``: what forbids to apply it.
    """

    changes: tuple[Change, ...] = ()
    refused: tuple[Refused, ...] = ()
    missing: tuple[Missing, ...] = ()
    served: Mapping[Claim, tuple[str, ...]] = field(default_factory=dict)
    known_people: Mapping[PersonKey, KnownPerson] = field(default_factory=dict)
    stale: tuple[Change, ...] = ()
    totals: tuple[Total, ...] = ()
    strangers: tuple[Stranger, ...] = ()
    over_quota: tuple[str, ...] = ()

    @property
    def work(self) -> tuple[Change, ...]:
        """The changes that there is something to do for."""
        return tuple(change for change in self.changes if change.is_work)
