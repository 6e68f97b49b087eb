# SPDX-License-Identifier: Apache-2.0
"""All access that people have in an account through Identity Center, and managed access no longer requested. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from c7n_iamusers import reasons
from c7n_iamusers.derivation.permission_set import PermissionSet
from c7n_iamusers.execution.calls import ApiCall
from c7n_iamusers.identity_center import model, object_records
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.planning.changeset import assignment_key, membership_key
from c7n_iamusers.identity_center.planning.permission_sets import differs, lasts_longer, lost_forms, may_widen
from c7n_iamusers.identity_center.planning.plan_input import PlanInput
from c7n_iamusers.identity_center.planning.replacements import Replacements, identities, identity
from c7n_iamusers.identity_center.planning.shared_groups import (
    FORMER_MEMBERS,
    leavers,
    shared_and_stale,
    why_leaver_stays,
)
from c7n_iamusers.identity_center.planning.unrequested_access import DIRECT, SideEffects
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, UNDECIDED, WIDER
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.wording import folded, shown


@dataclass(frozen=True, order=True)
class Held:
    """A permission set that a person has. ``through``: the group or direct assignment, in words.

    ``group_id``: empty for a direct assignment. ``managed``: this package made the group, for certain people.
    """

    set_name: str
    through: str
    arn: str
    group_id: str = ""
    managed: bool = False


def held_in(current: model.CurrentAccess, account: str) -> dict[str, list[Held]]:
    """User id -> the permission sets that the user has in the account."""
    found: defaultdict[str, list[Held]] = defaultdict(list)
    for arn, principals in sorted(current.holders.get(account, {}).items()):
        for principal in sorted(principals):
            held, users = _held(current, arn, principal)
            for user in users:
                found[user].append(held)
    return found


def held_by_people(current: model.CurrentAccess) -> Iterator[tuple[str, str, list[Held]]]:
    """Account id, user id and the user's permission sets in the account, in the order of account and username."""
    for account in sorted(current.holders):
        found = held_in(current, account)
        for user in sorted(found, key=lambda each: (current.usernames.get(each, each), each)):
            yield account, user, sorted(found[user])


def _held(current: model.CurrentAccess, arn: str, principal: model.Principal) -> tuple[Held, frozenset[str]]:
    kind, identifier = principal
    name = current.set_names.get(arn, arn)
    if kind == "USER":
        return Held(name, DIRECT, arn), frozenset({identifier})
    group = current.groups.get(identifier)
    if group is None:
        return Held(name, f"group id {identifier}", arn, identifier), frozenset()
    return Held(name, f"group {group.name}", arn, identifier, group.is_restricted), group.members


#: A detail of the removal of a membership.
EXPIRED = "an earlier run made the membership, and its IAM users are deleted for longer than --former says"
#: Why a membership stays that replaces the access of IAM users which have no intents now.
_MOVED = frozenset(each.code for each in (reasons.FORMER, reasons.FORMER_AND_GONE, reasons.FORMER_IN_SHARED))


@dataclass(frozen=True)
class Reviewed:
    """``stale``: removals that ``Choices`` can allow, in their order. ``going``: those that it does allow."""

    totals: tuple[model.TotalAccess, ...]
    unexpected_members: tuple[model.UnexpectedMember, ...]
    stale: tuple[model.Change, ...]
    going: tuple[model.Change, ...]


@dataclass(frozen=True)
class Comparison:
    """The input of a review. ``refused``: all refusals. ``side_effects``: of what is ``given``.

    ``as_is``: totals are of what people hold now, not of what they hold after the plan is applied.
    """

    given: PlanInput
    choices: model.Choices
    side_effects: SideEffects
    refused: Sequence[model.Refusal] = ()
    as_is: bool = False


def review(comparison: Comparison) -> Reviewed:
    """The totals of all people with claims, the unexpected members, and the removals."""
    return _Review(comparison).result()


class _Review:
    def __init__(self, comparison: Comparison) -> None:
        given = comparison.given
        self._comparison, self._given, self._evidence = comparison, given, given.evidence
        self._state, self._current = given.state, given.state.current
        self._side_effects = comparison.side_effects
        self._ids = {known.user_id: key for key, known in given.people.items()}
        self._claims: defaultdict[tuple[model.PersonKey, str], list[model.Claim]] = defaultdict(list)
        self._requested: defaultdict[str, set[str]] = defaultdict(set)
        for claim in given.claims:
            self._claims[claim.person, claim.grant.account_id].append(claim)
            self._requested[claim.group].add(self._user_id(claim.person))
        self._named = {known.group_id: name for name, known in given.state.groups.items()}
        self._covered = given.desired.accounts
        self._membership_users = given.evidence.history.membership_users(given.state)
        self._replacements = Replacements(
            given.claims, comparison.refused, self._membership_users, given.evidence.history.served
        )
        #: Group id -> see ``_given_by_others``; one list for all members.
        self._others: dict[str, list[str]] = {}
        self._leaving: set[tuple[str, str]] = set()
        #: User id and group id of memberships of former people, whose access they replace.
        self._former: set[tuple[str, str]] = set()
        #: What shared groups no longer give, by ``_through``.
        self._ended: set[tuple[str, model.Grant]] = set()
        self._changes: dict[str, tuple[model.Change, bool]] = {}
        self._unexpected_members: list[model.UnexpectedMember] = []
        self._contents: dict[str, str] = {}
        self._given_contents: dict[str, list[list[str]]] = {}

    def result(self) -> Reviewed:
        for group in sorted(self._reviewed_groups(), key=lambda each: each.name):
            self._review_group(group)
        for group in sorted(self._shared_groups(), key=lambda each: each.name):
            self._review_leavers(group)
        for group, each in shared_and_stale(
            self._given.desired, self._state, self._evidence.history, self._evidence.only
        ):
            self._end_assignment(group, each)
        for arn in sorted(self._unused_sets()):
            self._remove_set(arn)
        stale = tuple(change for change, _ in self._changes.values())
        going = tuple(change for change, goes in self._changes.values() if goes)
        return Reviewed(tuple(self._totals()), tuple(self._unexpected_members), stale, going)

    def _user_id(self, person: model.PersonKey) -> str:
        known = self._given.people.get(person)
        return known.user_id if known else ""

    def _reviewed_groups(self) -> Iterator[model.KnownGroup]:
        """Managed groups, and requested groups of an identity provider. Shared groups are left out."""
        found = {**self._current.groups, **{each.group_id: each for each in self._state.groups.values()}}
        for group in found.values():
            requested = self._given.desired.groups.get(self._named.get(group.group_id, ""))
            is_empty = group.is_managed and not (group.members or group.assignments)
            if requested.shared if requested else not (group.is_restricted or is_empty):
                continue
            if requested or self._is_of_chosen(group):
                yield group

    def _shared_groups(self) -> Iterator[model.KnownGroup]:
        """Shared groups of which it is known what they give; none if accounts were left out, which may request them."""
        found = {**self._current.groups, **{each.group_id: each for each in self._state.groups.values()}}
        for group in found.values() if self._evidence.only is None else ():
            requested = self._given.desired.groups.get(self._named.get(group.group_id, ""))
            if requested.shared if requested else group.is_managed and not group.is_restricted:
                yield group

    def _review_leavers(self, group: model.KnownGroup) -> None:
        """The memberships of a shared group that runs made for IAM users which are gone."""
        requested = self._requested.get(self._named.get(group.group_id, group.name), set())
        refused = (each.subject for each in self._comparison.refused)
        subjects = (*(each.subject for each in self._given.claims), *refused)
        given = group, self._evidence.history, self._membership_users, self._username, subjects
        for user_id in leavers(*given):
            if user_id not in requested:
                self._remove_membership(group, user_id, shared=True)

    def _is_of_chosen(self, group: model.KnownGroup) -> bool:
        """Whether no account but the chosen ones can request the group, by its description."""
        only = self._evidence.only
        return only is None or any(
            group.description == f"{model.MANAGED_GROUP} for account {account}" for account in only
        )

    def _review_group(self, group: model.KnownGroup) -> None:
        name = self._named.get(group.group_id, group.name)
        requested = self._requested.get(name, set())
        leaving = [self._remove_membership(group, user) for user in sorted(group.members - requested)]
        is_asked_for = name in self._given.desired.groups
        if not is_asked_for and all(leaving) and self._is_ours(group):
            self._remove_group(group, [change for change in leaving if change])

    def _given_by_others(self, group: model.KnownGroup) -> list[str]:
        """What the group gives by assignments that neither a run made nor intents request, in words."""
        if group.group_id not in self._others:
            requested = self._given.desired.groups.get(self._named.get(group.group_id, ""))
            asked = requested.grants if requested else frozenset()
            # A set of that name that others made is not the requested one.
            theirs = {n for n, each in self._state.permission_sets.items() if not each.settings.is_managed}
            asked = frozenset(grant for grant in asked if grant.permission_set not in theirs)
            grants = {
                model.Grant(each.account_id, self._set_name(each.permission_set_arn))
                for each in self._evidence.history.others_assignments(group)
            }
            self._others[group.group_id] = [str(each) for each in sorted(grants - asked)]
        return self._others[group.group_id]

    def _is_ours(self, group: model.KnownGroup) -> bool:
        """Whether runs made all that the group gives, in accounts with intents or without any of our IAM users."""
        outside = self._evidence.emptied.issuperset(self._uncovered_accounts(group))
        return outside and not self._given_by_others(group)

    def _remove_membership(
        self, group: model.KnownGroup, user_id: str, shared: bool = False
    ) -> tuple[model.Change, bool] | None:
        """The removal of a membership that is not requested; None if it must stay. ``shared``: so is the group."""
        accounts = tuple(sorted({each.account_id for each in group.assignments}))
        person, username = self._ids.get(user_id), self._username(user_id)
        replaced = self._replacements.claims(group.name, username, person, accounts, user_id)
        replaced = replaced or self._covering_claims(group, username, person)
        reason = self._why_stays(group, username, bool(replaced), shared)
        if reason:
            if accounts:
                self._unexpected_members.append(
                    model.UnexpectedMember(username, group.name, accounts, reason)
                )
                if reason.code in _MOVED and not self._has_claims(group, username):
                    self._former.add((user_id, group.group_id))
            return None
        membership = group.memberships.get(user_id)
        if membership is None:
            return None
        record = object_records.membership_record(group, user_id, username, self._gives(group))
        call = operations.membership_deletion(membership, self._given.instance, record)
        needs = [membership_key(claim.person, claim.group) for claim in replaced]
        key = f"remove {model.MEMBERSHIP} {group.group_id}/{user_id}"
        lost = [
            f"loses {model.Grant(each.account_id, self._set_name(each.permission_set_arn))}"
            for each in sorted(group.assignments)
        ]
        lost += lost_forms(group.assignments, self._current.sets)
        expired = self._is_expired(group, username)
        details = (*lost, *([EXPIRED] if expired else []))
        change = self._change(key, model.MEMBERSHIP, f"{username} in {group.name}", call, needs, details)
        return self._register(change, group, (user_id, group.group_id), expired)

    def _has_claims(self, group: model.KnownGroup, username: str) -> bool:
        """Whether an IAM user for whom a run made the membership has access by this plan."""
        users = self._membership_users.get((group.name, folded(username)), {})
        return not self._served.isdisjoint(identities(users))

    def _why_stays(
        self, group: model.KnownGroup, username: str, is_replaced: bool, shared: bool
    ) -> Reason | None:
        """Why a membership that is not requested must stay; None if it may go."""
        if self._given.desired.external:
            return reasons.MEMBER_OF_PROVIDER()
        made = (group.name, folded(username)) in self._membership_users
        if others := self._given_by_others(group):
            kind = reasons.FORMER_AND_OTHERS if made else reasons.MEMBER_AND_OTHERS
            return kind(grants=shown(others))
        if self._is_expired(group, username):
            return None
        if shared:
            return why_leaver_stays(group, self._membership_users.get((group.name, folded(username)), ()))
        if self._is_former_and_gone(group, username):
            return reasons.FORMER_AND_GONE()
        return self._why_needed(group, username, made, is_replaced)

    def _why_needed(
        self, group: model.KnownGroup, username: str, made: bool, is_replaced: bool
    ) -> Reason | None:
        """The same by what the membership may replace. ``made``: an earlier run made it."""
        if model.UNKNOWN_ASSIGNMENT in group.assignments:
            return reasons.GROUP_GIVES_UNKNOWN(why=model.NOT_LISTED)
        if outside := self._uncovered_accounts(group):
            return reasons.GROUP_GIVES_MORE(accounts=shown(outside))
        if is_replaced:
            return None
        accounts = {each.account_id for each in group.assignments}
        if unjudged := self._replacements.unjudged(group.name, username, accounts):
            kind = reasons.FORMER_UNJUDGED if made else reasons.MEMBER_UNJUDGED
            return kind(users=shown(unjudged))
        if self._comparison.choices.lock_out:
            return None
        return reasons.FORMER() if made else reasons.UNKNOWN_ORIGIN()

    def _is_expired(self, group: model.KnownGroup, username: str) -> bool:
        """Whether it is former for too long, and the group gives nothing in accounts without those IAM users."""
        key = group.name, folded(username)
        accounts = {arn.split(":")[4] for arn in self._membership_users.get(key, ())}
        return key in self._evidence.expired and accounts.issuperset(
            each.account_id for each in group.assignments
        )

    def _is_former_and_gone(self, group: model.KnownGroup, username: str) -> bool:
        """Whether an earlier run made the membership, for accounts without such IAM users now."""
        outside = self._uncovered_accounts(group)
        made = (group.name, folded(username)) in self._membership_users
        return bool(outside) and made and self._evidence.emptied.issuperset(outside)

    def _covering_claims(
        self, group: model.KnownGroup, username: str, person: model.PersonKey | None
    ) -> list[model.Claim]:
        """The person's claims that give all that the group gives, if no run with results made the membership."""
        if person is None or (group.name, folded(username)) in self._membership_users:
            return []
        found: list[model.Claim] = []
        for each in sorted(group.assignments):
            name = self._set_name(each.permission_set_arn)
            covering = [
                claim
                for claim in self._claims.get((person, each.account_id), ())
                if claim.verdict == EQUAL and self._covers([claim], name)
            ]
            if not covering:
                return []
            found += covering
        return found

    def _remove_group(self, group: model.KnownGroup, members: list[tuple[model.Change, bool]]) -> None:
        needs = [change.key for change, _ in members]
        goes = self._comparison.choices.prune  # so do its members, then
        removals = [self._remove_assignment(group, each, needs, goes) for each in sorted(group.assignments)]
        call = operations.group_deletion(
            group.group_id, self._given.instance, object_records.group_record(group)
        )
        key = f"remove {model.GROUP} {group.group_id}"
        self._changes[key] = self._change(key, model.GROUP, group.name, call, [*needs, *removals]), goes
        for arn in sorted({each.permission_set_arn for each in group.assignments}):
            self._remove_set(arn)

    def _remove_assignment(
        self,
        group: model.KnownGroup,
        each: model.Assignment,
        needs: list[str],
        goes: bool,
        stays: bool = False,
        rests_on: str = "",
    ) -> str:
        """The key of the removal. ``stays``: the group does. ``rests_on``: why the assignment does."""
        arn = each.permission_set_arn
        set_name, content = self._set_name(arn), self._content(each)
        name = f"{group.name} -> {set_name} in account {each.account_id}"
        record = object_records.assignment_record(group, each, set_name, content, stays)
        call = operations.assignment_deletion(group.group_id, each, self._given.instance, record)
        key = f"remove {model.ASSIGNMENT} {each.account_id}/{arn}/{group.group_id}"
        lost = tuple(lost_forms([each], self._current.sets))
        change = self._change(key, model.ASSIGNMENT, name, call, needs, lost)
        asked = model.Pending(each.account_id, arn, group.group_id)
        change = self._state.in_progress.removing(change, asked)
        self._changes[key] = replace(change, rests_on=rests_on), goes
        return key

    def _end_assignment(self, group: model.KnownGroup, each: model.Assignment) -> None:
        """Remove an assignment of a shared group, unless a member may have no other access to the account."""
        part, needs, why = replace(group, assignments=frozenset({each})), list[str](), set[str]()
        for user_id in sorted(group.members):
            person, username = self._ids.get(user_id), self._username(user_id)
            accounts = (each.account_id,)
            replaced = self._replacements.claims(group.name, username, person, accounts, user_id)
            replaced = replaced or self._covering_claims(part, username, person)
            made = (group.name, folded(username)) in self._membership_users
            if reason := self._why_needed(part, username, made, bool(replaced)):
                why.add(FORMER_MEMBERS if reason.code == reasons.FORMER.code else reason.text)
            for claim in replaced:
                needs += membership_key(claim.person, claim.group), assignment_key(claim.group, claim.grant)
        if each.permission_set_arn not in self._current.sets:
            why.add("its permission set was not read, as none of its people has intents; an undo needs that")
        goes = self._comparison.choices.prune and not why
        self._remove_assignment(group, each, sorted(set(needs)), goes, True, shown(sorted(why)))
        if goes:
            grant = model.Grant(each.account_id, self._set_name(each.permission_set_arn))
            self._ended.add((f"group {group.name}", grant))
        self._remove_set(each.permission_set_arn)

    def _unused_sets(self) -> Iterator[str]:
        """ARNs of permission sets without assignments, as an interrupted removal leaves them."""
        pending = {each.permission_set_arn for each in self._state.in_progress.creations.values()}
        for arn, known in self._current.sets.items():
            if not known.accounts and arn not in pending and self._comparison.choices.prune:
                yield arn

    def _remove_set(self, arn: str) -> None:
        """Remove a managed permission set with the last of its assignments."""
        known = self._current.sets.get(arn)
        # Accounts that were not chosen may request it.
        if known is None or not known.settings.is_managed or self._evidence.only is not None:
            return
        if (
            known.settings.name in self._given.desired.permission_sets
            or not known.accounts <= self._covered | self._evidence.emptied
        ):
            return
        creations = self._state.in_progress.creations.values()
        if any(
            each.permission_set_arn == arn and each.account_id not in self._current.holders
            for each in creations
        ):
            return
        needs = self._assignments.get(arn, [])
        if all(need in self._changes for need in needs):
            record = object_records.permission_set_record(known)
            call = operations.permission_set_deletion(arn, self._given.instance, record)
            key = f"remove {model.PERMISSION_SET} {arn}"
            change = self._change(key, model.PERMISSION_SET, known.settings.name, call, needs)
            self._changes[key] = change, all(self._changes[need][1] for need in needs)

    @cached_property
    def _assignments(self) -> Mapping[str, list[str]]:
        """ARN of a permission set -> the keys of the removals of all its assignments."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for account, sets in self._current.holders.items():
            for arn, principals in sets.items():
                found[arn] += [f"remove {model.ASSIGNMENT} {account}/{arn}/{each}" for _, each in principals]
        return found

    def _register(
        self, change: model.Change, group: model.KnownGroup, membership: tuple[str, str], expired: bool
    ) -> tuple[model.Change, bool]:
        goes = expired or self._comparison.choices.prune
        if goes:
            self._leaving.add(membership)
        self._changes[change.key] = change, goes
        return change, goes

    def _uncovered_accounts(self, group: model.KnownGroup) -> list[str]:
        return sorted({each.account_id for each in group.assignments} - self._covered)

    def _totals(self) -> Iterator[model.TotalAccess]:
        groups = self._groups_of_people()
        by_account: defaultdict[str, set[model.PersonKey]] = defaultdict(set)
        for person, account in self._claims:
            by_account[account].add(person)
        given = {name: self._given_through(name) for name in {claim.group for claim in self._given.claims}}
        for person, names in groups.items():
            for account in {grant.account_id for name in names for grant in given[name]}:
                by_account[account].add(person)
        for account, people in sorted(by_account.items()):
            held = {
                user: [e for e in each if (e.through, model.Grant(account, e.set_name)) not in self._ended]
                for user, each in held_in(self._current, account).items()
            }
            for person in sorted(people):
                claims = self._claims.get((person, account), [])
                gains = {
                    (grant.permission_set, self._through(name)): self._consents(name, grant)
                    for name in sorted(groups.get(person, ()))
                    for grant in given[name]
                    if grant.account_id == account
                    and (self._through(name), grant) not in self._ended
                    and not self._is_others(person, name, grant)
                }
                beyond = tuple(
                    self._further_access(person, claims, held.get(self._user_id(person), ()), gains)
                )
                verdict = WIDER if any(each.is_more for each in beyond) else self._worst(claims)
                if claims or beyond:
                    yield model.TotalAccess(person, account, verdict, beyond, not claims)

    def _groups_of_people(self) -> Mapping[model.PersonKey, set[str]]:
        """The requested groups of each person, or those of them that the person is in."""
        groups: defaultdict[model.PersonKey, set[str]] = defaultdict(set)
        for claim in self._given.claims:
            if not self._comparison.as_is or self._is_in(claim.person, claim.group):
                groups[claim.person].add(claim.group)
        return groups

    def _given_through(self, name: str) -> list[model.Grant]:
        """All access that the group gives after the plan is applied, or as it is."""
        requested = self._given.desired.groups[name].grants
        if self._comparison.as_is:
            requested = frozenset(grant for grant in requested if self._state.is_assigned(name, grant))
        return sorted({*requested, *self._side_effects.further(name)})

    def _is_in(self, person: model.PersonKey, group: str) -> bool:
        known = self._state.groups.get(group)
        return known is not None and self._user_id(person) in known.members

    def _further_access(
        self,
        person: model.PersonKey,
        claims: Sequence[model.Claim],
        held: Iterable[Held],
        gained: Mapping[tuple[str, str], bool],
    ) -> Iterator[model.FurtherAccess]:
        """``gained``: permission set and group of all that the person's groups give -> whether it is consented."""
        requested = {(claim.grant.permission_set, self._through(claim.group)) for claim in claims}
        names = {name for name, _ in requested}
        user_id = self._user_id(person)
        staying = [each for each in held if (user_id, each.group_id) not in self._leaving]
        current = {(each.set_name, each.through): each.managed for each in staying}
        former = {
            (each.set_name, each.through) for each in staying if (user_id, each.group_id) in self._former
        }
        for name, through in [*current, *sorted(gained.keys() - current.keys())]:
            if (name, through) not in requested:
                covered = name in names or self._covers(claims, name)
                consented = gained.get((name, through))
                yield model.FurtherAccess(
                    name,
                    through,
                    current.get((name, through), False),
                    covered,
                    consented is not None,
                    bool(consented),
                    (name, through) in former,
                )

    def _is_others(self, person: model.PersonKey, name: str, grant: model.Grant) -> bool:
        """Whether the group gives it to the person already, in an account that was not chosen: it may request it."""
        only, group = self._evidence.only, self._state.groups.get(name)
        if only is None or grant.account_id in only or group is None or not self._is_in(person, name):
            return False
        return grant in {
            model.Grant(each.account_id, self._set_name(each.permission_set_arn))
            for each in group.assignments
        }

    def _consents(self, name: str, grant: model.Grant) -> bool:
        """Whether policies request the grant for the group, and that all its members have it."""
        group = self._given.desired.groups[name]
        return group.shared and grant in group.grants

    def _covers(self, claims: Sequence[model.Claim], name: str) -> bool:
        settings, stale = self._settings.get(name), self._stale.get(name, frozenset())
        verdicts = (
            self._evidence.proofs.verdict(claim.subject.arn, settings)
            for claim in claims
            if settings and claim.grant.account_id not in stale
        )
        return any(verdict in (EQUAL, NARROWER) for verdict in verdicts)

    @cached_property
    def _settings(self) -> Mapping[str, PermissionSet]:
        """Name -> settings of permission sets after the plan is applied, or as they are, as far as known."""
        found = {each.settings.name: each.settings for each in self._current.sets.values()}
        return {**found, **{name: self._given.desired.permission_sets[name] for name in self._made}}

    @cached_property
    def _stale(self) -> Mapping[str, frozenset[str]]:
        """Name of a permission set -> the accounts that have an earlier form of it, whose content AWS does not tell."""
        return {
            each.settings.name: each.stale
            for each in self._current.sets.values()
            if each.settings.name not in self._made
        }

    @cached_property
    def _made(self) -> frozenset[str]:
        """The permission sets that the plan brings into their requested form."""
        if self._comparison.as_is:
            return frozenset()
        return frozenset(
            grant.permission_set for claim in self._given.claims for grant in self._grants_of(claim)
        )

    @cached_property
    def _served(self) -> frozenset[str]:
        """The IAM users with claims, see ``identity``."""
        return frozenset(identity(claim.subject) for claim in self._given.claims)

    def _grants_of(self, claim: model.Claim) -> frozenset[model.Grant]:
        return self._given.desired.groups[claim.group].grants

    def _through(self, group: str) -> str:
        known = self._state.groups.get(group)
        return f"group {known.name if known else group}"

    def _username(self, user_id: str) -> str:
        person = self._ids.get(user_id)
        if person:
            return self._given.people[person].username
        return self._current.usernames.get(user_id, f"user id {user_id}")

    def _gives(self, group: model.KnownGroup) -> list[list[str]]:
        """[account id, content] of the group's permission sets; one list for all its members."""
        if group.group_id not in self._given_contents:
            held = sorted(group.assignments)
            self._given_contents[group.group_id] = [[each.account_id, self._content(each)] for each in held]
        return self._given_contents[group.group_id]

    def _content(self, each: model.Assignment) -> str:
        """Empty if it is not known: AWS does not tell the content of an earlier form."""
        arn, known = each.permission_set_arn, self._current.sets.get(each.permission_set_arn)
        if known is None or each.account_id in known.stale:
            return ""
        if arn not in self._contents:
            self._contents[arn] = object_records.content_of(known.settings)
        return self._contents[arn]

    def _set_name(self, arn: str) -> str:
        return self._current.set_names.get(arn, arn)

    def _change(
        self, key: str, kind: str, name: str, call: ApiCall, needs: list[str], details: tuple[str, ...] = ()
    ) -> model.Change:
        subject = self._given.instance.subject(kind, name)
        return model.Change(key, kind, model.REMOVE, name, subject, (call,), tuple(needs), details=details)

    def _worst(self, claims: Sequence[model.Claim]) -> str:
        """The weakest verdict of the claims; empty if nothing was derived."""
        order = {"": 0, EQUAL: 1, NARROWER: 2}
        return max(map(self._verdict, claims), key=lambda verdict: order.get(verdict, 3), default="")

    def _verdict(self, claim: model.Claim) -> str:
        """The verdict on the claim's permission set after the plan is applied, or as it is."""
        name = claim.grant.permission_set
        known = self._state.permission_sets.get(name) if self._comparison.as_is else None
        if known is None:
            return claim.verdict
        if claim.grant.account_id in known.stale:
            return UNDECIDED
        requested = self._given.desired.permission_sets[name]
        if not differs(requested, known.settings):
            return claim.verdict
        if claim.verdict and not lasts_longer(known.settings, requested):
            return self._evidence.proofs.verdict(claim.subject.arn, known.settings)
        return WIDER if may_widen(known.settings, requested) else ""
