# SPDX-License-Identifier: Apache-2.0
"""Everything that people hold in an account through Identity Center, and what of ours nobody asks for. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from c7n_iamusers.derivation.existing_sets import ExistingSetProofs
from c7n_iamusers.derivation.permission_set import MANAGED_TAG, PermissionSet
from c7n_iamusers.execution.calls import ApiCall, Subject
from c7n_iamusers.identity_center.changes import membership_key
from c7n_iamusers.identity_center.created import (
    assignment_record,
    assignment_removal,
    content_of,
    group_record,
    group_removal,
    membership_record,
    membership_removal,
    permission_set_record,
    permission_set_removal,
)
from c7n_iamusers.identity_center.model import (
    ASSIGNMENT,
    GROUP,
    MANAGED_GROUP,
    MEMBERSHIP,
    PERMISSION_SET,
    REMOVE,
    Beyond,
    CenterState,
    Change,
    Choices,
    Claim,
    DesiredAccess,
    Grant,
    Instance,
    KnownGroup,
    KnownPerson,
    PersonKey,
    Principal,
    StandingAccess,
    Stranger,
    Total,
)
from c7n_iamusers.identity_center.reaching import DIRECT, Reaching
from c7n_iamusers.policy_comparison.proof import EQUAL, NARROWER, WIDER
from c7n_iamusers.text.wording import folded, shown


@dataclass(frozen=True, order=True)
class Held:
    """A set that a person holds. ``group_id``: through which group, empty for a direct assignment.

    ``through``: the same in words. ``ours``: the group was made by this package, for certain people.
    """

    set_name: str
    through: str
    arn: str
    group_id: str = ""
    ours: bool = False


def is_ours(group: KnownGroup) -> bool:
    """Whether the group was made for certain people; a shared one is anybody's to join."""
    return group.description.startswith(MANAGED_GROUP) and not group.description.startswith(
        f"{MANAGED_GROUP}, shared"
    )


def held_in(standing: StandingAccess, account: str) -> dict[str, list[Held]]:
    """User id -> what the user holds in the account."""
    found: defaultdict[str, list[Held]] = defaultdict(list)
    for arn, principals in sorted(standing.holders.get(account, {}).items()):
        for principal in sorted(principals):
            held, users = _held(standing, arn, principal)
            for user in users:
                found[user].append(held)
    return found


def held_by_people(standing: StandingAccess) -> Iterator[tuple[str, str, list[Held]]]:
    """Account id, user id and what the user holds there, by account and username."""
    for account in sorted(standing.holders):
        found = held_in(standing, account)
        for user in sorted(found, key=lambda each: (standing.usernames.get(each, each), each)):
            yield account, user, sorted(found[user])


def _held(standing: StandingAccess, arn: str, principal: Principal) -> tuple[Held, frozenset[str]]:
    kind, identifier = principal
    name = standing.set_names.get(arn, arn)
    if kind == "USER":
        return Held(name, DIRECT, arn), frozenset({identifier})
    group = standing.groups.get(identifier)
    if group is None:
        return Held(name, f"group id {identifier}", arn, identifier), frozenset()
    return Held(name, f"group {group.name}", arn, identifier, is_ours(group)), group.members


#: Group name and username (folded) -> ARNs of the IAM users for whom an earlier run made the membership.
MadeFor = Mapping[tuple[str, str], frozenset[str]]
#: Why a member whom nobody asks for stays.
FORMER = (
    "an earlier run put them there for IAM users of which there are no intents now: where these were deleted since, "
    "this is the access that took their place, and --prune --lock-out would take it"
)
UNASKED = (
    "no run whose results are here put them there, and nobody asks for it: find out who did; --prune --lock-out "
    "removes them"
)


@dataclass(frozen=True)
class Reviewed:
    """``stale``: what of ours may go, in an order in which it can; ``going``: those of them that are to go now."""

    totals: tuple[Total, ...]
    strangers: tuple[Stranger, ...]
    stale: tuple[Change, ...]
    going: tuple[Change, ...]


@dataclass(frozen=True)
class Comparison:
    """What a review looks at. ``claims``: those that nothing forbids; ``earlier``: names of groups to be replaced."""

    desired: DesiredAccess
    state: CenterState
    people: Mapping[PersonKey, KnownPerson]
    claims: Sequence[Claim]
    instance: Instance
    proofs: ExistingSetProofs = field(default_factory=ExistingSetProofs)
    made_for: MadeFor = field(default_factory=dict)
    choices: Choices = field(default_factory=Choices)
    earlier: frozenset[str] = frozenset()
    reach: Reaching | None = None


def review(compared: Comparison) -> Reviewed:
    """The totals of all people with claims, and what may go."""
    return _Review(compared).result()


class _Review:
    def __init__(self, compared: Comparison) -> None:
        self._given, self._state = compared, compared.state
        self._standing = compared.state.standing
        self._ids = {known.user_id: key for key, known in compared.people.items()}
        self._claims: defaultdict[tuple[PersonKey, str], list[Claim]] = defaultdict(list)
        self._wanted: defaultdict[str, set[str]] = defaultdict(set)
        for claim in compared.claims:
            self._claims[claim.person, claim.grant.account_id].append(claim)
            self._wanted[claim.group].add(self._user_id(claim.person))
        self._named = {known.group_id: name for name, known in compared.state.groups.items()}
        self._covered = compared.desired.accounts
        self._reach = compared.reach or Reaching(
            compared.desired, compared.state, compared.people, compared.claims, compared.instance
        )
        self._leaving: set[tuple[str, str]] = set()
        self._changes: dict[str, tuple[Change, bool]] = {}
        self._strangers: list[Stranger] = []
        self._contents: dict[str, str] = {}
        self._given_by: dict[str, list[list[str]]] = {}

    def result(self) -> Reviewed:
        for group in sorted(self._ours(), key=lambda each: each.name):
            self._review_group(group)
        for arn in sorted(self._leftovers()):
            self._remove_set(arn)
        stale = tuple(change for change, _ in self._changes.values())
        going = tuple(change for change, goes in self._changes.values() if goes)
        return Reviewed(tuple(self._totals()), tuple(self._strangers), stale, going)

    def _user_id(self, person: PersonKey) -> str:
        known = self._given.people.get(person)
        return known.user_id if known else ""

    def _ours(self) -> Iterator[KnownGroup]:
        """Groups of ours, and those of an identity provider that are asked for, save what may be shared."""
        found = {**self._standing.groups, **{each.group_id: each for each in self._state.groups.values()}}
        for group in found.values():
            wanted = self._given.desired.groups.get(self._named.get(group.group_id, ""))
            if wanted.shared if wanted else not is_ours(group):
                continue
            yield group

    def _review_group(self, group: KnownGroup) -> None:
        name = self._named.get(group.group_id, group.name)
        wanted = self._wanted.get(name, set())
        leaving = [self._leave(group, user) for user in sorted(group.members - wanted)]
        is_asked_for = name in self._given.desired.groups
        if not is_asked_for and all(leaving) and not self._elsewhere(group):
            self._remove_group(group, [change for change in leaving if change])

    def _leave(self, group: KnownGroup, user_id: str) -> tuple[Change, bool] | None:
        """The end of a membership that nobody asks for; None where that is not for this run to decide."""
        accounts = tuple(sorted({each.account_id for each in group.assignments}))
        person, username = self._ids.get(user_id), self._username(user_id)
        replaced, reason = self._former(group, person, username, accounts), ""
        if self._given.desired.external:
            reason = "let the owner of the identity provider see to it"
        elif outside := self._elsewhere(group):
            reason = f"it also gives account {shown(outside)}, of which there are no intents here: run over all of them"
        elif not (replaced or self._given.choices.lock_out):
            made = (group.name, folded(username)) in self._given.made_for
            reason = FORMER if made else UNASKED
        if reason:
            if accounts:
                self._strangers.append(Stranger(username, group.name, accounts, reason))
            return None
        membership = group.memberships.get(user_id)
        if membership is None:
            return None
        record = membership_record(group, user_id, username, self._gives(group))
        call = membership_removal(membership, self._given.instance, record)
        needs = [membership_key(claim.person, claim.group) for claim in replaced]
        key = f"remove {MEMBERSHIP} {group.group_id}/{user_id}"
        lost = [
            f"loses {Grant(each.account_id, self._set_name(each.permission_set_arn))}"
            for each in sorted(group.assignments)
        ]
        change = self._change(key, MEMBERSHIP, f"{username} in {group.name}", call, needs, tuple(lost))
        return self._take(change, group, (user_id, group.group_id))

    def _former(
        self, group: KnownGroup, person: PersonKey | None, username: str, accounts: tuple[str, ...]
    ) -> list[Claim]:
        """The claims that have taken the membership's place: the person's in those accounts, or its IAM users'."""
        own = (
            [claim for account in accounts for claim in self._claims.get((person, account), ())]
            if person
            else []
        )
        if own and {claim.grant.account_id for claim in own} == set(accounts):
            return own
        users = self._given.made_for.get((group.name, folded(username)), frozenset())
        others = [claim for arn in sorted(users) for claim in self._by_user.get(arn, ())]
        return others if users and {claim.subject.arn for claim in others} == users else []

    @cached_property
    def _by_user(self) -> Mapping[str, list[Claim]]:
        """ARN of an IAM user -> its claims."""
        found: defaultdict[str, list[Claim]] = defaultdict(list)
        for claim in self._given.claims:
            found[claim.subject.arn].append(claim)
        return found

    def _remove_group(self, group: KnownGroup, members: list[tuple[Change, bool]]) -> None:
        needs = [change.key for change, _ in members]
        goes = all(going for _, going in members) and self._may_go(group)
        taken: list[str] = []
        for each in sorted(group.assignments):
            set_name, content = (
                self._set_name(each.permission_set_arn),
                self._content(each.permission_set_arn),
            )
            name = f"{group.name} -> {set_name} in account {each.account_id}"
            record = assignment_record(group, each, set_name, content)
            call = assignment_removal(group.group_id, each, self._given.instance, record)
            key = f"remove {ASSIGNMENT} {each.account_id}/{each.permission_set_arn}/{group.group_id}"
            self._changes[key] = self._change(key, ASSIGNMENT, name, call, needs), goes
            taken.append(key)
        call = group_removal(group.group_id, self._given.instance, group_record(group))
        key = f"remove {GROUP} {group.group_id}"
        self._changes[key] = self._change(key, GROUP, group.name, call, [*needs, *taken]), goes
        for arn in sorted({each.permission_set_arn for each in group.assignments}):
            self._remove_set(arn)

    def _leftovers(self) -> Iterator[str]:
        """ARNs of sets that no account has: an interrupted run removed their last assignment."""
        pending = {each.permission_set_arn for each in self._state.pending.values()}
        for arn, known in self._standing.sets.items():
            if not known.accounts and arn not in pending and self._given.choices.prune:
                yield arn

    def _remove_set(self, arn: str) -> None:
        """A set of ours goes with the last of its assignments."""
        known = self._standing.sets.get(arn)
        key, value = MANAGED_TAG
        if known is None or known.settings.tags.get(key) != value:
            return
        if known.settings.name in self._given.desired.permission_sets or not known.accounts <= self._covered:
            return
        needs = self._assignments.get(arn, [])
        if all(need in self._changes for need in needs):
            record = permission_set_record(known)
            call = permission_set_removal(arn, self._given.instance, record)
            key = f"remove {PERMISSION_SET} {arn}"
            change = self._change(key, PERMISSION_SET, known.settings.name, call, needs)
            self._changes[key] = change, all(self._changes[need][1] for need in needs)

    @cached_property
    def _assignments(self) -> Mapping[str, list[str]]:
        """ARN of a permission set -> the keys of the removals of all its assignments."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for account, sets in self._standing.holders.items():
            for arn, principals in sets.items():
                found[arn] += [f"remove {ASSIGNMENT} {account}/{arn}/{each}" for _, each in principals]
        return found

    def _take(self, change: Change, group: KnownGroup, membership: tuple[str, str]) -> tuple[Change, bool]:
        goes = self._may_go(group)
        if goes:
            self._leaving.add(membership)
        self._changes[change.key] = change, goes
        return change, goes

    def _may_go(self, group: KnownGroup) -> bool:
        choices = self._given.choices
        return choices.prune or (choices.migrate and group.name in self._given.earlier)

    def _elsewhere(self, group: KnownGroup) -> list[str]:
        return sorted({each.account_id for each in group.assignments} - self._covered)

    def _totals(self) -> Iterator[Total]:
        groups: defaultdict[PersonKey, set[str]] = defaultdict(set)
        for claim in self._given.claims:
            groups[claim.person].add(claim.group)
        by_account: defaultdict[str, set[PersonKey]] = defaultdict(set)
        for person, account in self._claims:
            by_account[account].add(person)
        given = {name: self._given_through(name) for name in {claim.group for claim in self._given.claims}}
        for person, names in groups.items():
            for account in {grant.account_id for name in names for grant in given[name]}:
                by_account[account].add(person)
        for account, people in sorted(by_account.items()):
            held = held_in(self._standing, account)
            for person in sorted(people):
                claims = self._claims.get((person, account), [])
                gains = [
                    (grant.permission_set, name)
                    for name in sorted(groups[person])
                    for grant in given[name]
                    if grant.account_id == account
                ]
                beyond = tuple(self._beyond(person, claims, held.get(self._user_id(person), ()), gains))
                verdict = WIDER if any(not each.covered for each in beyond) else _worst(claims)
                if claims or beyond:
                    yield Total(person, account, verdict, beyond, not claims)

    def _given_through(self, name: str) -> list[Grant]:
        """Everything that the group is to give, whoever asks for it, once the plan is carried out."""
        return sorted({*self._given.desired.groups[name].grants, *self._reach.further(name)})

    def _beyond(
        self,
        person: PersonKey,
        claims: Sequence[Claim],
        held: Iterable[Held],
        gains: Iterable[tuple[str, str]],
    ) -> Iterator[Beyond]:
        """``gains``: set and group of what the person's groups are to give."""
        wanted = {(claim.grant.permission_set, self._through(claim.group)) for claim in claims}
        names = {name for name, _ in wanted}
        user_id = self._user_id(person)
        standing = {
            (each.set_name, each.through): each.ours
            for each in held
            if (user_id, each.group_id) not in self._leaving
        }
        gained = {(name, self._through(group)) for name, group in gains}
        for name, through in [*standing, *sorted(gained - standing.keys())]:
            if (name, through) not in wanted:
                covered = name in names or self._covers(claims, name)
                shared = (name, through) in gained
                yield Beyond(name, through, standing.get((name, through), False), covered, shared)

    def _covers(self, claims: Sequence[Claim], name: str) -> bool:
        settings = self._settings.get(name)
        verdicts = (self._given.proofs.verdict(claim.subject.arn, settings) for claim in claims if settings)
        return any(verdict in (EQUAL, NARROWER) for verdict in verdicts)

    @cached_property
    def _settings(self) -> Mapping[str, PermissionSet]:
        """By name, the sets of which it is known what they grant once the plan is carried out."""
        found = {each.settings.name: each.settings for each in self._standing.sets.values()}
        made = {grant.permission_set for claim in self._given.claims for grant in self._grants_of(claim)}
        return {**found, **{name: self._given.desired.permission_sets[name] for name in made}}

    def _grants_of(self, claim: Claim) -> frozenset[Grant]:
        return self._given.desired.groups[claim.group].grants

    def _through(self, group: str) -> str:
        known = self._state.groups.get(group)
        return f"group {known.name if known else group}"

    def _username(self, user_id: str) -> str:
        person = self._ids.get(user_id)
        if person:
            return self._given.people[person].username
        return self._standing.usernames.get(user_id, f"user id {user_id}")

    def _gives(self, group: KnownGroup) -> list[list[str]]:
        """Account and content of a set, of everything that the group gives; one list for all of its members."""
        if group.group_id not in self._given_by:
            held = sorted(group.assignments)
            self._given_by[group.group_id] = [
                [each.account_id, self._content(each.permission_set_arn)] for each in held
            ]
        return self._given_by[group.group_id]

    def _content(self, arn: str) -> str:
        if arn not in self._contents:
            known = self._standing.sets.get(arn)
            self._contents[arn] = content_of(known.settings if known else None)
        return self._contents[arn]

    def _set_name(self, arn: str) -> str:
        return self._standing.set_names.get(arn, arn)

    def _change(
        self, key: str, kind: str, name: str, call: ApiCall, needs: list[str], details: tuple[str, ...] = ()
    ) -> Change:
        partition = self._given.instance.arn.split(":")[1]
        subject = Subject(name, f"arn:{partition}:iam::{self._given.instance.owner}:root", kind=kind)
        return Change(key, kind, REMOVE, name, subject, (call,), tuple(needs), details=details)


def _worst(claims: Sequence[Claim]) -> str:
    """The verdict of what the person was given in the account; empty where nothing was derived."""
    order = {"": 0, EQUAL: 1, NARROWER: 2}
    return max((claim.verdict for claim in claims), key=lambda verdict: order.get(verdict, 3), default="")
