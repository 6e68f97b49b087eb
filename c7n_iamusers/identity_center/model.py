# SPDX-License-Identifier: Apache-2.0
"""The desired access, and the current state of Identity Center. Immutable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from sys import intern

from c7n_iamusers import reasons
from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.execution.calls import Subject
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
        """The journal's subject for a change that serves several IAM users. Its account is the owner's by default."""
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
    """A permission set, by ARN, in an account, as AWS has it assigned; ``Grant`` is one that is requested, by name."""

    account_id: str
    permission_set_arn: str


#: In place of the principals that have a permission set in an account that can't be read.
UNREADABLE = "(can't be read)"
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
        """Whether this package made the group for particular people, and not as a shared one."""
        return self.is_managed and not self.description.startswith(SHARED_GROUP)


#: See ``Person.key``.
PersonKey = tuple[str, str]


@dataclass(frozen=True, order=True, slots=True)
class Grant:
    """Requested access that a group gives its members: a permission set, by name, in an account. See ``Assignment``."""

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

        If two runs use one name for two accounts, the second finds the first one's description and is refused.
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

    ``rests_on``: the source of username and e-mail, in words. ``place``: the directory of the intents that request it.
    ``verdict``: of the proof of its permission set. ``on_file``: the people file names the person. ``user_id``: the
    person's in the identity store, from that file.
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
class RefusedUser:
    """An IAM user whose person gets no access.

    ``shared``: the reason, such as the group or permission set, concerns other users, too. ``verdict``: of the proof,
    if there was one.
    """

    subject: Subject
    reason: Reason
    place: str = ""
    shared: bool = False
    verdict: str = ""

    @property
    def code(self) -> str:
        """The code of its reason."""
        return self.reason.code


@dataclass(frozen=True)
class DesiredAccess:
    """All requested access. IAM users in ``refused`` have no claims.

    ``external``: an identity provider feeds all people and groups, so that none is created here. ``hints``: people who
    may be one human, in lines.
    """

    permission_sets: Mapping[str, PermissionSet] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    people: Mapping[PersonKey, Person] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    refused: tuple[RefusedUser, ...] = ()
    external: bool = False
    hints: tuple[str, ...] = ()

    def members(self, group: str) -> frozenset[PersonKey]:
        """The people who belong in the group of that name."""
        return self._members.get(group, frozenset())

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The accounts with intents: with requested access, or with refused users, who may have some."""
        refused = (each.subject.account_id for each in self.refused)
        return frozenset((*(claim.grant.account_id for claim in self.claims), *refused))

    @cached_property
    def _members(self) -> Mapping[str, frozenset[PersonKey]]:
        members: defaultdict[str, set[PersonKey]] = defaultdict(set)
        for claim in self.claims:
            members[claim.group].add(claim.person)
        return {group: frozenset(people) for group, people in members.items()}


PERMISSION_SET, GROUP, ASSIGNMENT, USER, MEMBERSHIP = (
    "permission set",
    "group",
    "assignment",
    "user",
    "membership",
)
#: The kind of a change that provisions a permission set to accounts, which creates no object.
PROVISIONING = "provisioning"
#: The codes of refusals that are decisions about the IAM user, not failures: it is skipped.
DECISIONS = frozenset(
    reason.code
    for reason in (
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
        """What is being assigned to the principal, or taken from it."""
        return Assignment(self.account_id, self.permission_set_arn)

    @property
    def principal(self) -> Principal:
        """Its type and id."""
        return self.principal_type, self.principal_id


@dataclass(frozen=True)
class InProgress:
    """Request id -> assignment of all creations and deletions that are IN_PROGRESS, including other writers'.

    Assignments that are being created or deleted count as used, but not as held.
    """

    creations: Mapping[str, Pending] = field(default_factory=dict)
    deletions: Mapping[str, Pending] = field(default_factory=dict)

    def created_for(self, principal_id: str) -> frozenset[Assignment]:
        """The assignments of the principal that are being created."""
        return _assignments(self.creations, principal_id)

    def deleted_for(self, principal_id: str) -> frozenset[Assignment]:
        """The assignments of the principal that are being deleted."""
        return _assignments(self.deletions, principal_id)

    def created_of(self, permission_set_arn: str) -> frozenset[tuple[str, Principal]]:
        """Account id and principal of the assignments of the permission set that are being created."""
        return frozenset(
            (creation.account_id, creation.principal)
            for creation in self.creations.values()
            if creation.permission_set_arn == permission_set_arn
        )

    def held(self, group: KnownGroup) -> frozenset[Assignment]:
        """The group's assignments that are neither being created nor deleted."""
        return group.assignments.difference(
            self.created_for(group.group_id), self.deleted_for(group.group_id)
        )

    def creation(self, asked: Pending) -> str:
        """The id of the request that creates the assignment; empty if there is none."""
        return self._ids[0].get(asked, "")

    def deletion(self, asked: Pending) -> str:
        """The id of the request that deletes the assignment; empty if there is none."""
        return self._ids[1].get(asked, "")

    @cached_property
    def _ids(self) -> tuple[Mapping[Pending, str], Mapping[Pending, str]]:
        creations, deletions = (
            {pending: request_id for request_id, pending in requests.items()}
            for requests in (self.creations, self.deletions)
        )
        return creations, deletions


def _assignments(requests: Mapping[str, Pending], principal_id: str) -> frozenset[Assignment]:
    return frozenset(
        pending.assignment for pending in requests.values() if pending.principal_id == principal_id
    )


@dataclass(frozen=True)
class CurrentAccess:
    """The assignments of accounts.

    ``holders``: account id -> ARN of a permission set -> the principals assigned to it. ``groups``: by id, all groups
    among them; managed ones with all their assignments. ``set_names``: by ARN. ``sets``: by ARN, all managed permission
    sets, and others that a person of the changeset holds. ``usernames``: by user id, as far as they were read.
    ``gone``: deleted principals, which AWS leaves assigned; users only as far as they were looked up. ``outside``: for
    a pruning, account id and ARN of unrequested managed permission sets -> the assigned principals, in accounts not
    among ``holders``.
    """

    holders: Mapping[str, Mapping[str, frozenset[Principal]]] = field(default_factory=dict)
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    set_names: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    usernames: Mapping[str, str] = field(default_factory=dict)
    gone: frozenset[Principal] = frozenset()
    outside: Mapping[tuple[str, str], frozenset[Principal]] = field(default_factory=dict)


@dataclass(frozen=True)
class CenterState:
    """The state of Identity Center, as far as the desired access concerns it.

    ``usernames`` and ``emails``: ``folded`` text -> the user who has it. ``groups`` and ``permission_sets``: by name,
    the requested ones that exist. ``is_delegated``: the caller is a delegated administrator, which can't assign in the
    management account. Assignments that are being created or deleted are among those of ``groups`` and ``current``;
    ``in_progress`` says which.

    ``current``: all assignments in the accounts with intents. ``changing``: the holders of permission sets
    that change, in every account where the change takes effect. ``gained``: by ARN, permission sets of others that new
    members of a group gain, in accounts without requested access.
    """

    usernames: Mapping[str, KnownPerson] = field(default_factory=dict)
    emails: Mapping[str, KnownPerson] = field(default_factory=dict)
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    permission_sets: Mapping[str, KnownPermissionSet] = field(default_factory=dict)
    in_progress: InProgress = field(default_factory=InProgress)
    is_delegated: bool = False
    current: CurrentAccess = field(default_factory=CurrentAccess)
    changing: CurrentAccess = field(default_factory=CurrentAccess)
    gained: Mapping[str, KnownPermissionSet] = field(default_factory=dict)

    @property
    def sets_by_arn(self) -> dict[str, KnownPermissionSet]:
        """All known permission sets: those of ``gained`` and ``current``, and the requested ones."""
        sets = (*self.gained.values(), *self.current.sets.values(), *self.permission_sets.values())
        return {known.arn: known for known in sets}

    def is_assigned(self, group: str, grant: Grant) -> bool:
        """Whether the group of that name has the grant, and it is neither being created nor deleted."""
        known_set, known_group = self.permission_sets.get(grant.permission_set), self.groups.get(group)
        if known_set is None or known_group is None:
            return False
        return Assignment(grant.account_id, known_set.arn) in self.in_progress.held(known_group)
