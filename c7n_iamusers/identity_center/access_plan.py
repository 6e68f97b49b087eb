# SPDX-License-Identifier: Apache-2.0
"""The plan from the current state to desired access: its changes, and the facts for a reviewer. Immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.identity_center.model import Claim, InProgress, KnownPerson, Pending, PersonKey, RefusedUser
from c7n_iamusers.reasons import Reason

CREATE, UPDATE, ASSIGN, ADOPT, AWAIT, UNCHANGED = "create", "update", "assign", "adopt", "await", "unchanged"
#: On a permission set in accounts that have an earlier form of it.
PROVISION = "provision"
#: On a managed object that is no longer requested.
REMOVE = "remove"
#: On an object that an undo removes because a run made it.
DELETE = "delete"
#: On an assignment that is made while an earlier request deletes it.
ENDS = "its deletion is in progress: it is made again after that"
#: On a removal while an earlier request creates, or deletes, the object.
BEGINS = "its creation is in progress: it is removed after that"
ENDING = "its deletion is in progress: the run waits for it"
#: On a group that the owner of the external identity provider must add.
MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Change:
    """One object of the changeset. ``key``: unique in a plan. ``needs``: keys of the changes that must be done before.

    ``follows``: keys of changes that must end first, at least one of them done. ``waits_for``: keys of changes that
    must end first, done or not. ``instead_of``: the key of a change that makes this one unnecessary unless it fails.
    ``remedy``: what else helps if this one fails, in words.

    ``rests_on``: why an existing object may be adopted, or is not removed, in words. ``awaits``: the id of a request in
    progress that makes the change. ``after``: the id of a request that makes the opposite and must end first. ``lazy``:
    made only when a change that needs it has no other open needs. ``accounts``: those whose roles the calls may change.
    ``details``: what it grants or changes, in lines for a reviewer. ``administrative``: the policy that makes a
    permission set's holders administrators, empty for none. ``identifier``: the id of an existing object.
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
    after: str = ""
    lazy: bool = False
    accounts: frozenset[str] = frozenset()
    details: tuple[str, ...] = ()
    administrative: str = ""
    identifier: str = ""
    follows: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    instead_of: str = ""
    remedy: str = ""

    @property
    def is_work(self) -> bool:
        """Whether it has a call to make, or a request in progress to wait for."""
        return bool(self.calls or self.awaits)

    def making(self, asked: Pending, in_progress: InProgress) -> Change:
        """The change that creates the assignment ``asked``, with the request in progress that it waits for."""
        if creation := in_progress.creation(asked):
            return replace(self, action=AWAIT, awaits=creation)
        if deletion := in_progress.deletion(asked):
            return replace(self, after=deletion, details=(ENDS, *self.details))
        return self

    def removing(self, asked: Pending, in_progress: InProgress) -> Change:
        """The same for a change that deletes the assignment."""
        if deletion := in_progress.deletion(asked):
            return replace(self, awaits=deletion, details=(*self.details, ENDING))
        if creation := in_progress.creation(asked):
            return replace(self, after=creation, details=(*self.details, BEGINS))
        return self


@dataclass(frozen=True)
class Missing:
    """What the owner of an external identity provider must add for ``claim``: a user, group or membership."""

    claim: Claim
    what: str
    reason: Reason


@dataclass(frozen=True)
class FurtherAccess:
    """A permission set that a person holds in an account without a request. A row of a plan file.

    ``through``: the group, or "a direct assignment". ``ours``: the group is managed by this package. ``covered``: it
    provably allows no more than one of the person's IAM users in the account. ``shared``: it comes from a shared group
    in which the person belongs. ``consented``: policies request its assignment for that group. ``former``: a run gave
    it for other IAM users of the person, which now have no intents.
    """

    set_name: str
    through: str
    ours: bool = False
    covered: bool = False
    shared: bool = False
    consented: bool = False
    former: bool = False

    @property
    def is_more(self) -> bool:
        """Whether it may exceed what the person's IAM users may, or could, do."""
        return not (self.covered or self.former)

    def __str__(self) -> str:
        return f"{self.set_name} through {self.through}"


@dataclass(frozen=True, slots=True)
class TotalAccess:
    """All access of a person in an account after the plan is applied. A row of a plan file.

    ``verdict``: of ``Proof``; empty if nothing was compared and nothing wider is held. ``userless``: none of the
    person's IAM users has intents in the account.
    """

    person: PersonKey
    account_id: str
    verdict: str
    beyond: tuple[FurtherAccess, ...] = ()
    userless: bool = False

    @property
    def is_unaccepted(self) -> bool:
        """Whether a plan leaves the person with more than the IAM users, and no policy accepts that.

        Requested access is never more, or is accepted: otherwise its users are refused.
        """
        return any(access.is_more and not access.consented for access in self.beyond)


@dataclass(frozen=True, slots=True)
class EndingAccess:
    """Further ``access`` of a person in an account that the removal ``key`` ends."""

    key: str
    person: PersonKey
    account_id: str
    access: FurtherAccess


@dataclass(frozen=True, order=True, slots=True)
class SideEffect:
    """Access that a plan gives or changes for ``people`` although no intents request it. A row of a plan file.

    ``through``: the group, or "a direct assignment". ``by``: the change that causes it, in words. ``review``: why only
    a reviewed plan may do it; empty if policies consent. ``is_change``: an existing permission set changes. ``allows``:
    what others' permission set allows, in lines; empty for one of the plan, whose change says it. ``administrative``: a
    policy in it that makes administrators; empty if none does.
    """

    account_id: str
    set_name: str
    through: str
    by: str
    people: tuple[str, ...]
    review: str = ""
    is_change: bool = False
    allows: tuple[str, ...] = ()
    administrative: str = ""


@dataclass(frozen=True)
class UnexpectedMember:
    """A member of a managed group without a request for that, and why the membership stays. A row of a plan file."""

    username: str
    group: str
    accounts: tuple[str, ...]
    reason: Reason

    @property
    def is_former(self) -> bool:
        """Whether an earlier run made the membership."""
        return self.reason.code in reasons.FORMER_MEMBERSHIP


@dataclass(frozen=True)
class Choices:
    """Which managed objects a run may remove. Part of a plan file.

    ``prune``: access that is no longer requested, if its person has other access. ``lock_out``: even if it is unknown
    whether the person has other access. ``former_days``: memberships whose IAM users have been deleted for so many
    days; 0 for none.
    """

    prune: bool = False
    lock_out: bool = False
    former_days: int = 0


@dataclass(frozen=True)
class AccessPlan:
    """``changes`` in an order in which they can be made. Each claim is refused, missing or served.

    ``missing``: users who wait for the identity provider. ``served``: claim -> the keys of all changes that its access
    depends on. ``stale``: the removals that ``Choices`` can allow. ``totals``: for each person of the changeset in each
    account; ``ending``: what they lose by removals in ``changes``. ``over_quota``: the quotas that forbid the plan, in
    words. ``unlisted``: how many unchanged objects are not among ``changes``. ``fed_by_others``: why an identity
    provider seems to feed the identity store, in words, which forbids the plan, too; empty if none does. ``leftovers``:
    assignments whose group or user is gone, in words. An audit has all those of managed and requested permission sets,
    a pruning those that keep one from being removed.
    """

    changes: tuple[Change, ...] = ()
    refused: tuple[RefusedUser, ...] = ()
    missing: tuple[Missing, ...] = ()
    served: Mapping[Claim, tuple[str, ...]] = field(default_factory=dict)
    known_people: Mapping[PersonKey, KnownPerson] = field(default_factory=dict)
    stale: tuple[Change, ...] = ()
    totals: tuple[TotalAccess, ...] = ()
    ending: tuple[EndingAccess, ...] = ()
    unexpected_members: tuple[UnexpectedMember, ...] = ()
    over_quota: tuple[str, ...] = ()
    side_effects: tuple[SideEffect, ...] = ()
    unlisted: int = 0
    fed_by_others: str = ""
    leftovers: tuple[str, ...] = ()

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What forbids the plan as a whole, in words."""
        return (*self.over_quota, *([self.fed_by_others] if self.fed_by_others else ()))

    @property
    def work(self) -> tuple[Change, ...]:
        """The changes with calls, or with a request in progress."""
        return tuple(change for change in self.changes if change.is_work)
