# SPDX-License-Identifier: Apache-2.0
"""The records of Identity Center: the desired access, the current state, and the changeset between them. Immutable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from sys import intern

from c7n_iamusers import reasons
from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.wording import folded

#: The type of a principal, GROUP or USER, and its id.
Principal = tuple[str, str]


#: How the description of a group that this package made begins. Groups have no tags.
MANAGED_GROUP = "Managed by c7n-iamusers"
#: The same for a group that any person may join.
SHARED_GROUP = f"{MANAGED_GROUP}, shared"

#: The URL of the access portal by partition; {} is the identity store's id
#: (IAM Identity Center User Guide, "Using the AWS access portal", and its GovCloud and China editions).
_PORTALS = {
    "aws": "https://{}.awsapps.com/start",
    "aws-us-gov": "https://start.us-gov-home.awsapps.com/directory/{}",
    "aws-cn": "https://start.home.awsapps.cn/directory/{}",
}


@dataclass(frozen=True)
class Instance:
    """An instance of IAM Identity Center.

    ``region``: its primary Region, the only one in which it can be read and changed. ``owner``: the account that owns
    it.
    """

    arn: str
    identity_store_id: str
    region: str
    owner: str

    @property
    def partition(self) -> str:
        """The partition of AWS, such as aws."""
        return self.arn.split(":")[1]

    @property
    def portal(self) -> str:
        """The default URL of the access portal; empty in an unknown partition."""
        return _PORTALS.get(self.partition, "").format(self.identity_store_id)

    def subject(self, kind: str, name: str, account_id: str = "") -> Subject:
        """The subject of a change that serves several IAM users, for the journal. By default of the owner account."""
        return Subject(name, intern(f"arn:{self.partition}:iam::{account_id or self.owner}:root"), kind=kind)


@dataclass(frozen=True, slots=True)
class Person:
    """A person who needs an Identity Center user; the parameters of identitystore CreateUser."""

    username: str
    email: str
    given_name: str
    family_name: str
    display_name: str

    @property
    def key(self) -> tuple[str, str]:
        """Username and e-mail with A to Z in one case. Two people with the same key are the same person."""
        return folded(self.username), folded(self.email)


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """An existing Identity Center user. ``email``: the primary one, empty if it has none.

    ``external``: an identity provider has given it an ExternalId, as SCIM does.
    """

    user_id: str
    username: str
    email: str
    enabled: bool = True
    external: bool = False


@dataclass(frozen=True)
class KnownPermissionSet:
    """An existing permission set.

    ``accounts``: where it is provisioned. ``stale``: those of them whose provisioning status is
    LATEST_PERMISSION_SET_NOT_PROVISIONED.
    """

    arn: str
    settings: PermissionSet
    accounts: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class Assignment:
    """A permission set in an account, as assigned to a group."""

    account_id: str
    permission_set_arn: str


#: In place of a group's assignments that a delegated administrator can't list.
UNKNOWN_ASSIGNMENT = Assignment("(a delegated administrator can't tell)", "")
#: Why, and what to do.
NOT_LISTED = (
    "only the management account may list that (sso:ListAccountAssignmentsForPrincipal), so give --role with a role of "
    "it"
)


@dataclass(frozen=True)
class KnownGroup:
    """An existing group. ``members``: user ids. ``assignments``: at least the requested ones.

    ``memberships``: user id -> membership id, if they were read. ``external``: as of ``KnownPerson``.
    """

    group_id: str
    name: str
    description: str = ""
    members: frozenset[str] = frozenset()
    assignments: frozenset[Assignment] = frozenset()
    memberships: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    external: bool = False

    @property
    def is_managed(self) -> bool:
        """Whether this package made the group, by its description."""
        return self.description.startswith(MANAGED_GROUP)

    @property
    def is_restricted(self) -> bool:
        """Whether this package made the group for certain people, and not as a shared one."""
        return self.is_managed and not self.description.startswith(SHARED_GROUP)


#: See ``Person.key``.
PersonKey = tuple[str, str]


@dataclass(frozen=True, order=True, slots=True)
class Grant:
    """Access that a group gives its members: a permission set, by name, in an account."""

    account_id: str
    permission_set: str

    def __str__(self) -> str:
        return f"{self.permission_set} in account {self.account_id}"


@dataclass(frozen=True, slots=True)
class Group:
    """A requested group. ``external``: it comes from an identity provider, so it is looked up and never created.

    ``shared``: it may give more than ``grants``, and may have been created by others (``shared-group: true``).
    """

    name: str
    grants: frozenset[Grant]
    external: bool = False
    shared: bool = False

    @property
    def description(self) -> str:
        """The description that marks the group as managed by this package, with its account if it has only one.

        If two runs use one name for two accounts, the second run finds the first one's description and is refused.
        """
        accounts = sorted({grant.account_id for grant in self.grants})
        if self.shared:
            return SHARED_GROUP
        if len(accounts) == 1:
            return f"{MANAGED_GROUP} for account {accounts[0]}"
        return f"{MANAGED_GROUP} for {len(accounts)} accounts"


@dataclass(frozen=True, slots=True)
class Claim:
    """One IAM user's access: its person belongs in ``group``, which gives ``grant``.

    ``rests_on``: where username and e-mail were found, in words. ``place``: the directory of the intents that request
    it. ``verdict``: of the proof of its permission set. ``on_file``: the people file names the person; ``user_id``: by
    its id in the identity store.
    """

    subject: Subject
    person: PersonKey
    group: str
    grant: Grant
    rests_on: str = ""
    place: str = ""
    verdict: str = ""
    on_file: bool = False
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An IAM user whose person gets no access.

    ``shared``: the reason is the group or the permission set, and so concerns other users, too. ``verdict``: of the
    proof, if there was one.
    """

    subject: Subject
    reason: Reason
    place: str = ""
    shared: bool = False
    verdict: str = ""

    @property
    def code(self) -> str:
        """That of its reason."""
        return self.reason.code


@dataclass(frozen=True)
class DesiredAccess:
    """All requested access. IAM users in ``refused`` have no claims.

    ``hints``: people who may be one human, in lines.
    """

    permission_sets: Mapping[str, PermissionSet] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    people: Mapping[PersonKey, Person] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    refused: tuple[Refusal, ...] = ()
    external: bool = False
    hints: tuple[str, ...] = ()

    def members(self, group: str) -> frozenset[PersonKey]:
        """The people who belong in the group of that name."""
        return self._members.get(group, frozenset())

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts with requested access."""
        return frozenset(claim.grant.account_id for claim in self.claims)

    @cached_property
    def _members(self) -> Mapping[str, frozenset[PersonKey]]:
        found: defaultdict[str, set[PersonKey]] = defaultdict(set)
        for claim in self.claims:
            found[claim.group].add(claim.person)
        return {group: frozenset(people) for group, people in found.items()}


PERMISSION_SET, GROUP, ASSIGNMENT, USER, MEMBERSHIP = (
    "permission set",
    "group",
    "assignment",
    "user",
    "membership",
)
#: The codes of refusals that are decisions about the IAM user, and no failures: it is skipped.
DECISIONS = frozenset(
    each.code
    for each in (
        reasons.NO_WORKING_CREDENTIALS,
        reasons.ONE_SERVICE_CREDENTIALS,
        reasons.QUARANTINED,
        reasons.NOT_DERIVED,
        reasons.NOT_PROVEN,
        reasons.SPELLED_OTHERWISE,
        reasons.SPELLED_OTHERWISE_IN_GROUP,
    )
)
#: In the order in which they are created and shown.
KINDS = (PERMISSION_SET, GROUP, ASSIGNMENT, USER, MEMBERSHIP)
CREATE, UPDATE, ASSIGN, ADOPT, AWAIT, UNCHANGED = "create", "update", "assign", "adopt", "await", "unchanged"
#: For a managed object that is no longer requested.
REMOVE = "remove"
#: A detail of an assignment that is made while an earlier request deletes it.
ENDS = "its deletion is in progress: it is made again when that has ended"
#: Of a removal while an earlier request creates it, or deletes it.
BEGINS = "its creation is in progress: it is removed when that has ended"
ENDING = "its deletion is in progress, and is waited for"
#: For a group that the owner of the external identity provider must add.
MISSING = "missing"


@dataclass(frozen=True)
class Pending:
    """An assignment whose creation or deletion was IN_PROGRESS when the state was read.

    ``principal_type``: GROUP or USER.
    """

    account_id: str
    permission_set_arn: str
    principal_id: str
    principal_type: str = "GROUP"

    @property
    def assignment(self) -> Assignment:
        """What the principal is assigned, or no longer."""
        return Assignment(self.account_id, self.permission_set_arn)

    @property
    def principal(self) -> Principal:
        """Its type and id."""
        return self.principal_type, self.principal_id


@dataclass(frozen=True)
class InProgress:
    """Request id -> assignment of all creations and deletions that are IN_PROGRESS, also those of other writers.

    What is being created counts as used, and not as held; what is being deleted likewise.
    """

    creations: Mapping[str, Pending] = field(default_factory=dict)
    deletions: Mapping[str, Pending] = field(default_factory=dict)

    def created_for(self, principal_id: str) -> frozenset[Assignment]:
        """The assignments of the principal that are being created."""
        return frozenset(
            each.assignment for each in self.creations.values() if each.principal_id == principal_id
        )

    def deleted_for(self, principal_id: str) -> frozenset[Assignment]:
        """The assignments of the principal that are being deleted."""
        return frozenset(
            each.assignment for each in self.deletions.values() if each.principal_id == principal_id
        )

    def created_of(self, permission_set_arn: str) -> frozenset[tuple[str, Principal]]:
        """Account id and principal of the assignments of the permission set that are being created."""
        found = self.creations.values()
        return frozenset(
            (each.account_id, each.principal)
            for each in found
            if each.permission_set_arn == permission_set_arn
        )

    def held(self, group: KnownGroup) -> frozenset[Assignment]:
        """The group's assignments that are neither being created nor deleted."""
        found = (*self.creations.values(), *self.deletions.values())
        return group.assignments.difference(
            each.assignment for each in found if each.principal_id == group.group_id
        )

    def making(self, change: Change, asked: Pending) -> Change:
        """``change``, which creates the assignment ``asked``, with the request in progress that it waits for."""
        if creation := self.creation(asked):
            return replace(change, action=AWAIT, awaits=creation)
        if deletion := self.deletion(asked):
            return replace(change, after=deletion, details=(ENDS, *change.details))
        return change

    def removing(self, change: Change, asked: Pending) -> Change:
        """The same for one that deletes it."""
        if deletion := self.deletion(asked):
            return replace(change, awaits=deletion, details=(*change.details, ENDING))
        if creation := self.creation(asked):
            return replace(change, after=creation, details=(*change.details, BEGINS))
        return change

    def creation(self, asked: Pending) -> str:
        """The id of the request that creates the assignment; empty if there is none."""
        return self._ids[0].get(asked, "")

    def deletion(self, asked: Pending) -> str:
        """The id of the request that deletes the assignment; empty if there is none."""
        return self._ids[1].get(asked, "")

    @cached_property
    def _ids(self) -> tuple[Mapping[Pending, str], Mapping[Pending, str]]:
        creations, deletions = (
            {each: request_id for request_id, each in found.items()}
            for found in (self.creations, self.deletions)
        )
        return creations, deletions


@dataclass(frozen=True)
class CurrentAccess:
    """The assignments of accounts.

    ``holders``: account id -> ARN of a permission set -> the principals assigned to it. ``groups``: by id, all groups
    among them; managed ones with all their assignments. ``set_names``: by ARN. ``sets``: by ARN, all managed permission
    sets, and others that a person of the changeset holds. ``usernames``: by user id, as far as they were read.
    """

    holders: Mapping[str, Mapping[str, frozenset[Principal]]] = field(default_factory=dict)
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    set_names: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    usernames: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CenterState:
    """The state of Identity Center, as far as the desired access concerns it.

    ``usernames`` and ``emails``: ``folded`` text -> the user who has it. ``groups`` and ``permission_sets``: by name,
    the requested ones that exist. ``is_delegated``: the caller is a delegated administrator, which can't assign in the
    management account. Assignments that are being created or deleted are among those of ``groups`` and ``current``;
    ``in_progress`` says which.

    ``current``: all assignments in the accounts with requested access. ``changing``: the holders of permission sets
    that change, in every account where the change takes effect.
    """

    usernames: Mapping[str, KnownPerson] = field(default_factory=dict)
    emails: Mapping[str, KnownPerson] = field(default_factory=dict)
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    permission_sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    in_progress: InProgress = field(default_factory=InProgress)
    is_delegated: bool = False
    current: CurrentAccess = field(default_factory=CurrentAccess)
    changing: CurrentAccess = field(default_factory=CurrentAccess)

    def is_assigned(self, group: str, grant: Grant) -> bool:
        """Whether the group of that name has the grant, which is neither being created nor deleted."""
        known_set, known_group = self.permission_sets.get(grant.permission_set), self.groups.get(group)
        if known_set is None or known_group is None:
            return False
        return Assignment(grant.account_id, known_set.arn) in self.in_progress.held(known_group)


@dataclass(frozen=True, slots=True)
class Change:
    """One object of the changeset. ``key``: unique in a plan. ``needs``: keys of the changes that must be done before.

    ``rests_on``: why an existing object may be adopted, or is not removed, in words. ``awaits``: the id of a request in
    progress that makes the change. ``after``: of one that makes the opposite, and must end first. ``lazy``: done only
    when a change that needs it has no other open needs. ``accounts``: those whose roles the calls may change.
    ``details``: what it grants or changes, in lines for a reviewer. ``administrative``: the policy that makes holders
    of a permission set administrators, empty for none. ``identifier``: the object's id, if it exists.
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

    @property
    def is_work(self) -> bool:
        """Whether there is a call to make, or a request in progress to wait for."""
        return bool(self.calls or self.awaits)


@dataclass(frozen=True)
class Missing:
    """What the owner of an external identity provider must add for ``claim``: a user, group or membership."""

    claim: Claim
    what: str
    reason: Reason


@dataclass(frozen=True)
class FurtherAccess:
    """A permission set that a person holds in an account although it is not requested. A row of a plan file.

    ``through``: the group, or "a direct assignment". ``ours``: the group is managed by this package. ``covered``: it is
    proven to allow nothing that one of the person's IAM users in the account may not do. ``shared``: it comes from a
    shared group in which the person belongs. ``consented``: by an assignment that policies request for that group.
    ``former``: a run gave it for other IAM users of the person, which have no intents now.
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
        """Whether it may be more than the person's IAM users may do, or could."""
        return not (self.covered or self.former)

    def __str__(self) -> str:
        return f"{self.set_name} through {self.through}"


@dataclass(frozen=True, slots=True)
class TotalAccess:
    """All access of a person in an account after the plan is applied. A row of a plan file.

    ``verdict``: of ``Proof``; empty if nothing was compared and nothing wider is held. ``userless``: there are no
    intents of an IAM user of the person in the account.
    """

    person: PersonKey
    account_id: str
    verdict: str
    beyond: tuple[FurtherAccess, ...] = ()
    userless: bool = False

    @property
    def is_unaccepted(self) -> bool:
        """Whether the person has more than the IAM users, by a plan, and no policy accepts that.

        What is requested is no more, or is accepted: its users are refused otherwise.
        """
        return any(each.is_more and not each.consented for each in self.beyond)


@dataclass(frozen=True, order=True, slots=True)
class SideEffect:
    """Access that a plan gives or changes for ``people`` although no intents request it. A row of a plan file.

    ``through``: the group, or "a direct assignment". ``by``: the change that causes it, in words. ``review``: why only
    a reviewed plan may do it; empty if policies consent to it. ``is_change``: an existing permission set changes.
    """

    account_id: str
    set_name: str
    through: str
    by: str
    people: tuple[str, ...]
    review: str = ""
    is_change: bool = False


@dataclass(frozen=True)
class UnexpectedMember:
    """A member of a managed group whose membership is not requested, and why it stays. A row of a plan file."""

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

    ``prune``: access that is no longer requested, if its person has other access. ``lock_out``: also if it is not known
    whether the person has other access. ``former_days``: memberships whose IAM users are deleted for so many days are
    removed; 0 for none.
    """

    prune: bool = False
    lock_out: bool = False
    former_days: int = 0


@dataclass(frozen=True)
class AccessPlan:
    """``changes`` in an order in which they can be made. Each claim is refused, missing or served.

    ``missing``: users who wait for the identity provider. ``served``: claim -> the keys of all changes that its access
    depends on. ``stale``: the removals that ``Choices`` can allow. ``totals``: for each person of the changeset in each
    account. ``over_quota``: the quotas that forbid the plan, in words. ``unlisted``: how many unchanged objects are not
    among ``changes``. ``fed_by_others``: why an identity provider seems to feed the identity store, in words, which
    forbids the plan too; empty if none does.
    """

    changes: tuple[Change, ...] = ()
    refused: tuple[Refusal, ...] = ()
    missing: tuple[Missing, ...] = ()
    served: Mapping[Claim, tuple[str, ...]] = field(default_factory=dict)
    known_people: Mapping[PersonKey, KnownPerson] = field(default_factory=dict)
    stale: tuple[Change, ...] = ()
    totals: tuple[TotalAccess, ...] = ()
    unexpected_members: tuple[UnexpectedMember, ...] = ()
    over_quota: tuple[str, ...] = ()
    side_effects: tuple[SideEffect, ...] = ()
    unlisted: int = 0
    fed_by_others: str = ""

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What forbids the plan as a whole, in words."""
        return (*self.over_quota, *([self.fed_by_others] if self.fed_by_others else ()))

    @property
    def work(self) -> tuple[Change, ...]:
        """The changes with calls, or with a request in progress."""
        return tuple(change for change in self.changes if change.is_work)
