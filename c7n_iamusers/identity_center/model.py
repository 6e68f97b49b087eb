# SPDX-License-Identifier: Apache-2.0
"""Identity Center as it should be and as it is, and the difference as a changeset: immutable records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.text.wording import folded

#: GROUP or USER, and its id.
Principal = tuple[str, str]


#: Groups have no tags, so a description that begins so marks one as this package's.
MANAGED_GROUP = "Managed by c7n-iamusers"

#: Where people sign in, by the partition of the instance's ARN: {} is the identity store's id
#: (IAM Identity Center User Guide, "Using the AWS access portal", and its GovCloud and China editions).
_PORTALS = {
    "aws": "https://{}.awsapps.com/start",
    "aws-us-gov": "https://start.us-gov-home.awsapps.com/directory/{}",
    "aws-cn": "https://start.home.awsapps.cn/directory/{}",
}


@dataclass(frozen=True)
class Instance:
    """An organization's instance (``arn``), which can be read and changed only in ``region``, its primary one."""

    arn: str
    identity_store_id: str
    region: str
    owner: str

    @property
    def portal(self) -> str:
        """The default URL of the access portal; empty in a partition whose form is not known."""
        return _PORTALS.get(self.arn.split(":")[1], "").format(self.identity_store_id)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is to have an Identity Center user (identitystore CreateUser)."""

    username: str
    email: str
    given_name: str
    family_name: str
    display_name: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes two of them the same person: the case of A to Z tells neither usernames nor addresses apart."""
        return folded(self.username), folded(self.email)


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """An Identity Center user that exists; ``email`` is the primary one, empty where there is none."""

    user_id: str
    username: str
    email: str
    enabled: bool = True


@dataclass(frozen=True)
class KnownPermissionSet:
    """A permission set that exists.

    ``accounts``: where it is provisioned; ``stale``: those among them that have an earlier form of it.
    """

    arn: str
    settings: PermissionSet
    accounts: frozenset[str] = frozenset()
    stale: frozenset[str] = frozenset()


@dataclass(frozen=True, order=True)
class Assignment:
    """What a group holds: a permission set in an account."""

    account_id: str
    permission_set_arn: str


#: Stands for what a group may hold where that can't be asked.
UNKNOWN = Assignment("(a delegated administrator can't tell)", "")


@dataclass(frozen=True)
class KnownGroup:
    """A group that exists. ``members``: user ids; ``assignments``: the wanted ones at least.

    ``memberships``: user id -> membership id, where they were read.
    """

    group_id: str
    name: str
    description: str = ""
    members: frozenset[str] = frozenset()
    assignments: frozenset[Assignment] = frozenset()
    memberships: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


#: What makes two people the same one: see ``Person.key``.
PersonKey = tuple[str, str]


@dataclass(frozen=True, order=True)
class Grant:
    """What a group gives its members: the permission set of that name in that account."""

    account_id: str
    permission_set: str

    def __str__(self) -> str:
        return f"{self.permission_set} in account {self.account_id}"


@dataclass(frozen=True)
class Group:
    """A group as asked for. ``external``: an identity provider's, looked up and never created.

    ``shared``: it may reach further than ``grants``, and have been made by somebody else.
    """

    name: str
    grants: frozenset[Grant]
    external: bool = False
    shared: bool = False

    @property
    def description(self) -> str:
        """What marks a group as ours, and, where it is one account's alone, as that account's.

        Creating a group is atomic, so of two runs that take one name for two accounts the second is refused
        even before the first has assigned it.
        """
        accounts = sorted({grant.account_id for grant in self.grants})
        if self.shared:
            return f"{MANAGED_GROUP}, shared"
        if len(accounts) == 1:
            return f"{MANAGED_GROUP} for account {accounts[0]}"
        return f"{MANAGED_GROUP} for {len(accounts)} accounts"


@dataclass(frozen=True, slots=True)
class Earlier:
    """The group and the set that the version before gave an IAM user's person, by the names that it gave them."""

    group: Group
    grant: Grant


@dataclass(frozen=True, slots=True)
class Claim:
    """An IAM user whose person belongs in ``group``, for the sake of ``grant``.

    ``rests_on``: where username and e-mail were found, in words. ``place``: whose intents ask for it.
    ``verdict``: what the proof of a derived set came to. ``earlier``: what may stand in its place.
    """

    subject: Subject
    person: PersonKey
    group: str
    grant: Grant
    rests_on: str = ""
    place: str = ""
    verdict: str = ""
    earlier: Earlier | None = None


@dataclass(frozen=True)
class Refused:
    """An IAM user whose person gets nothing, and why, with the mend.

    ``shared``: what forbids it is the group or the permission set, which others share.
    """

    subject: Subject
    reason: str
    code: str = "InvalidPerson"
    place: str = ""
    shared: bool = False


@dataclass(frozen=True)
class DesiredAccess:
    """Everything that is asked for; whoever is in ``refused`` is in nothing else."""

    permission_sets: Mapping[str, PermissionSet] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    people: Mapping[PersonKey, Person] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    refused: tuple[Refused, ...] = ()
    external: bool = False

    def members(self, group: str) -> frozenset[PersonKey]:
        """The people who belong in the group of that name."""
        return self._members.get(group, frozenset())

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts in which anything is asked for."""
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

    ``standing``: everything held in the accounts that anything is asked for in, by anybody. ``changing``: who holds
    permission sets that are to be changed, in every account where that changes anything.
    """

    usernames: Mapping[str, KnownPerson] = field(default_factory=dict)
    emails: Mapping[str, KnownPerson] = field(default_factory=dict)
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    permission_sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    is_delegated: bool = False
    standing: StandingAccess = field(default_factory=StandingAccess)
    changing: StandingAccess = field(default_factory=StandingAccess)


@dataclass(frozen=True, slots=True)
class Change:
    """One object and what becomes of it. ``key`` is unique in a plan; ``needs``: keys of what must be done before.

    ``rests_on``: for what is adopted, why it may be, in words. ``awaits``: the id of a request that is under
    way and makes it. ``lazy``: done only once something that needs it has nothing else to wait for.
    ``accounts``: whose roles the calls may change. ``details``: what it grants or changes, in lines for a reviewer;
    ``administrative``: the policy that makes holders of a permission set administrators, empty for none.
    ``identifier``: the id of the object, where it exists.
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
    identifier: str = ""

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
    to grant nothing that one of the person's IAM users there may not do. ``shared``: the group is one that the person
    is to be in, and it gives more than is asked for.
    """

    set_name: str
    through: str
    ours: bool = False
    covered: bool = False
    shared: bool = False

    def __str__(self) -> str:
        return f"{self.set_name} through {self.through}"


@dataclass(frozen=True, slots=True)
class Total:
    """Everything that a person of the changeset holds in an account once the plan is carried out.

    ``verdict``: as of ``Proof``; empty where a permission set was asked for by name, and nothing wider is held.
    ``userless``: the intents are of no IAM user of the person there.
    """

    person: PersonKey
    account_id: str
    verdict: str
    beyond: tuple[Beyond, ...] = ()
    userless: bool = False


@dataclass(frozen=True, order=True, slots=True)
class Reach:
    """What a plan gives, or changes, for people for whom no intents ask for it.

    They hold the set in the account ``through`` a group, or "a direct assignment". ``by``: what of the plan does it, in
    words. ``review``: why the plan must be reviewed before it is applied; empty where policies consent to it.
    """

    account_id: str
    set_name: str
    through: str
    by: str
    people: tuple[str, ...]
    review: str = ""
    is_change: bool = False


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
    ``over_quota``: what forbids to apply it. ``reaches``: whom else it concerns. ``unlisted``: how many unchanged
    objects are not among ``changes``.
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
    reaches: tuple[Reach, ...] = ()
    unlisted: int = 0

    @property
    def work(self) -> tuple[Change, ...]:
        """The changes that there is something to do for."""
        return tuple(change for change in self.changes if change.is_work)


@dataclass(frozen=True)
class CenterQuotas:
    """The defaults. Where one was raised, somebody has to say so, as the APIs don't tell.

    ``permission_sets``: of an instance. ``sets_per_account``: provisioned in an account. ``groups_per_set``: assigned
    one set in one account. ``policies_per_set``: managed policies of either kind.
    """

    permission_sets: int = 3500
    sets_per_account: int = 500
    groups_per_set: int = 100
    policies_per_set: int = 20
