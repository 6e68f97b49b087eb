# SPDX-License-Identifier: Apache-2.0
"""One run for a desired access: read, plan, apply, recheck after conflicts, and report each user's outcome."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.outcomes import FAILED, PROVISIONED, SKIPPED, UNCHANGED, Outcome
from c7n_iamusers.identity_center.adoption import (
    GROUP_ID,
    MEMBERSHIP_ID,
    USER_ID,
    check_group,
    group_calls,
    same_person,
)
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.changes import (
    assignment_key,
    group_key,
    membership_key,
    own_assignments,
    quota_faults,
    set_key,
    user_key,
)
from c7n_iamusers.identity_center.earlier_names import with_earlier_names
from c7n_iamusers.identity_center.model import (
    ASSIGNMENT,
    CREATE,
    GROUP,
    MANAGED_GROUP,
    MEMBERSHIP,
    PERMISSION_SET,
    REMOVE,
    UNKNOWN,
    USER,
    AccessPlan,
    Assignment,
    CenterState,
    Change,
    Choices,
    Claim,
    DesiredAccess,
    Group,
    Instance,
    KnownGroup,
    KnownPerson,
    Pending,
    PersonKey,
    Total,
)
from c7n_iamusers.identity_center.permission_sets import (
    PERMISSION_SET_ARN,
    check_permission_set,
    permission_set_calls,
)
from c7n_iamusers.identity_center.plan import Evidence, plan_access
from c7n_iamusers.identity_center.terraform import Existing
from c7n_iamusers.identity_center.writer.change import ERRORS, Rechecked, WriterContext
from c7n_iamusers.identity_center.writer.writer import DONE, ApplyOptions, Ended, SingleWriter
from c7n_iamusers.policy_comparison.proof import UNPROVEN
from c7n_iamusers.text.wording import folded, shown

_WORKERS = 8
#: How many strangers of a group a message names: each is looked up.
_NAMED = 3


class SecondLook:
    """Looks through ``reader``; several threads may at once. ``people``: those of ``desired`` that were found."""

    def __init__(
        self,
        reader: CenterReader,
        desired: DesiredAccess,
        state: CenterState,
        instance: Instance,
        people: Mapping[PersonKey, KnownPerson] | None = None,
    ) -> None:
        self._reader, self._desired, self._state, self._instance = reader, desired, state, instance
        self._known = people or {}
        self._assigned = {
            assignment_key(name, grant): group
            for name, group in desired.groups.items()
            for grant in group.grants
            if not group.shared
        }
        self._sets = {set_key(name): wanted for name, wanted in desired.permission_sets.items()}
        self._groups = {group_key(name): group for name, group in desired.groups.items()}
        self._people = {user_key(key): person for key, person in desired.people.items()}
        self._looks: dict[str, Callable[[Change, Mapping[str, Any]], Rechecked]] = {
            PERMISSION_SET: self._permission_set,
            GROUP: self._group,
            ASSIGNMENT: self._assignment,
            USER: self._user,
            MEMBERSHIP: self._membership,
        }

    def __call__(self, change: Change, parameters: Mapping[str, Any]) -> Rechecked:
        """What the change comes to now. Raises IdentityCenterError where it may not be made any more."""
        if change.action == REMOVE:
            # A removal that came too early is simply tried again.
            return Rechecked(change.calls)
        return self._looks[change.kind](change, parameters)

    def _permission_set(self, change: Change, _: Mapping[str, Any]) -> Rechecked:
        wanted = self._sets[change.key]
        grants = {grant for group in self._desired.groups.values() for grant in group.grants}
        accounts = sorted({grant.account_id for grant in grants if grant.permission_set == wanted.name})
        known = self._reader.permission_sets.find([wanted.name], accounts).get(wanted.name)
        check_permission_set(wanted, known)
        calls = permission_set_calls(wanted, known, self._instance, accounts)
        return Rechecked(calls, {PERMISSION_SET_ARN: known.arn} if known else {})

    def _group(self, change: Change, _: Mapping[str, Any]) -> Rechecked:
        group = self._groups[change.key]
        known = self._reader.group(group, self._state.permission_sets)
        check_group(group, known, own_assignments(group, self._state)[0])
        return Rechecked(
            group_calls(group, known, self._instance), {GROUP_ID: known.group_id} if known else {}
        )

    def _assignment(self, change: Change, parameters: Mapping[str, Any]) -> Rechecked:
        wanted = Pending(parameters["TargetId"], parameters["PermissionSetArn"], parameters["PrincipalId"])
        for request_id, pending in self._reader.assignments.pending().items():
            if pending == wanted:
                return Rechecked(change.calls, awaits=request_id)
        assignment = Assignment(wanted.account_id, wanted.permission_set_arn)
        exists = self._reader.assignments.exists(assignment, wanted.group_id)
        return Rechecked() if exists else Rechecked(change.calls)

    def _user(self, change: Change, _: Mapping[str, Any]) -> Rechecked:
        person = self._people[change.key]
        known = same_person(person, *self._reader.store.find_person(person))
        return Rechecked((), {USER_ID: known.user_id}) if known else Rechecked(change.calls)

    def _membership(self, change: Change, parameters: Mapping[str, Any]) -> Rechecked:
        user_id = parameters["MemberId"]["UserId"]
        found = self._reader.store.membership_id(parameters["GroupId"], user_id)
        return Rechecked((), {MEMBERSHIP_ID: found}) if found else Rechecked(change.calls)

    def before(self, change: Change, parameters: Mapping[str, Any]) -> Callable[[], None] | None:
        """A check to be made right before an assignment: people who have joined the group would gain access by it."""
        if change.kind != ASSIGNMENT or change.action == REMOVE or change.key not in self._assigned:
            return None
        group_id, account = parameters["PrincipalId"], parameters["TargetId"]
        return partial(self._check_members, self._assigned[change.key], group_id, account)

    def _check_members(self, group: Group, group_id: str, account: str) -> None:
        if strangers := self._strangers(group, group_id):
            raise IdentityCenterError(
                f"group {group.name} has been joined by {strangers} since it was read, whom nobody asked for, "
                f"and assigning it would give them access to account {account}, so it was not assigned: find out who "
                "added them, remove them"
            )

    def strangers_since(self, ended: Mapping[str, Ended], stopped: Callable[[], bool]) -> tuple[str, ...]:
        """Who has joined a group that the run gave an assignment or a member, in sentences; never raises ERRORS.

        Who was in an assigned group when it was read stands in the plan. ``stopped``: whether to read no more.
        """
        touched = {key for key, each in ended.items() if each.status == DONE or each.calls}
        groups = [group for group in self._desired.groups.values() if self._is_touched(group, touched)]
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            found = pool.map(lambda group: self._joined(group, ended, stopped), groups)
            return tuple(each for each in found if each)

    def _is_touched(self, group: Group, touched: Collection[str]) -> bool:
        if group.shared:
            return False
        return any(assignment_key(group.name, grant) in touched for grant in group.grants) or any(
            membership_key(person, group.name) in touched for person in self._desired.members(group.name)
        )

    def _joined(self, group: Group, ended: Mapping[str, Ended], stopped: Callable[[], bool]) -> str:
        if stopped():
            return f"who has joined group {group.name} was not read when the run was stopped: run again with --audit"
        known = self._state.groups.get(group.name)
        group_id = known.group_id if known else ended[group_key(group.name)].values[GROUP_ID]
        created = [ended.get(user_key(each)) for each in self._desired.members(group.name)]
        ours = {str(each.values.get(USER_ID)) for each in created if each}
        accounts = shown(sorted({grant.account_id for grant in group.grants}))
        try:
            strangers = self._strangers(group, group_id, ours | (known.members if known else frozenset()))
        except ERRORS as error:
            return (
                f"group {group.name} could not be read again ({error}), so who has joined it meanwhile, and has access "
                f"to account {accounts}, is not known: run with --audit"
            )
        if not strangers:
            return ""
        return (
            f"group {group.name} has been joined by {strangers} while this run was under way, whom nobody asked for "
            f"and who have access to account {accounts} through it: find out who added them, and remove them"
        )

    def _strangers(self, group: Group, group_id: str, more: Collection[str] = ()) -> str:
        """Members who are neither people of ``group`` nor among ``more`` (user ids), in words; empty for none."""
        expected = {
            self._known[key].user_id for key in self._desired.members(group.name) if key in self._known
        }
        unknown = sorted(self._reader.store.members(group_id) - expected - set(more))
        names = list(islice(self._named(group, unknown), _NAMED + 1))
        return ", ".join(names[:_NAMED]) + (" and others" if names[_NAMED:] else "")

    def _named(self, group: Group, user_ids: list[str]) -> Iterator[str]:
        for user_id in user_ids:
            person = self._reader.store.person(user_id)
            # Somebody else may have created a person of this run's meanwhile.
            if person and (folded(person.username), folded(person.email)) not in self._desired.members(
                group.name
            ):
                yield f"{person.username} (user id {user_id})"


@dataclass(frozen=True)
class Report:
    """A plan, and how each of its changes that was begun has ended: none where it was not applied.

    ``strangers``: who has joined its groups while it was applied, in sentences.
    """

    desired: DesiredAccess
    plan: AccessPlan
    ended: Mapping[str, Ended] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()

    def outcomes(self) -> list[tuple[str, Outcome]]:
        """For each IAM user that anything was asked for, whose intents asked, and the outcome."""
        refused = [
            (each.place, Outcome(each.subject.name, each.subject.arn, FAILED, each.reason, code=each.code))
            for each in self.plan.refused
        ]
        return [*refused, *self._waiting(), *self._served()]

    def _waiting(self) -> list[tuple[str, Outcome]]:
        return [
            (
                each.claim.place,
                Outcome(
                    each.claim.subject.name,
                    each.claim.subject.arn,
                    SKIPPED,
                    f"{each.claim.subject}: {each.reason}",
                ),
            )
            for each in self.plan.missing
        ]

    def _served(self) -> list[tuple[str, Outcome]]:
        counted: set[str] = set()
        found = []
        for claim, keys in self.plan.served.items():
            own = {user_key(claim.person), membership_key(claim.person, claim.group)} - counted
            counted |= own
            found.append((claim.place, self._outcome(claim, keys, own)))
        return found

    def _outcome(self, claim: Claim, keys: tuple[str, ...], own: set[str]) -> Outcome:
        """``own``: the keys of what was done for this IAM user alone, and not yet counted for another."""
        subject = claim.subject
        ended = [self.ended[key] for key in keys if key in self.ended]
        mine = [self.ended[key] for key in own if key in self.ended]
        calls, seconds = sum(each.calls for each in mine), sum(each.seconds for each in mine)
        failure = next((each for each in ended if each.status != DONE), None)
        if failure:
            reason = failure.reason if str(subject) in failure.reason else f"{subject}: {failure.reason}"
            told = f"{reason}{self._left(claim, keys)}: mend it and run again"
            return Outcome(subject.name, subject.arn, FAILED, told, calls, seconds, failure.code)
        status = PROVISIONED if any(each.calls for each in ended) else UNCHANGED
        return Outcome(subject.name, subject.arn, status, self._told(claim), calls, seconds)

    def _told(self, claim: Claim) -> str:
        person, user = self.desired.people[claim.person], self.ended.get(user_key(claim.person))
        adopted = claim.person in self.plan.known_people or bool(user and user.adopted)
        who = (
            "the Identity Center user that has username and e-mail"
            if adopted
            else "a new Identity Center user"
        )
        holds = f"{person.username} ({who}) is in group {claim.group}, which has {claim.grant}"
        total = self._totals.get((claim.person, claim.grant.account_id))
        if total is None or total.verdict not in UNPROVEN:
            return holds
        beyond = [str(each) for each in total.beyond if not each.covered]
        return (
            f"{holds}; {total.verdict}: also holds {', '.join(beyond)}"
            if beyond
            else f"{holds}; {total.verdict}"
        )

    @cached_property
    def _totals(self) -> Mapping[tuple[PersonKey, str], Total]:
        return {(each.person, each.account_id): each for each in self.plan.totals}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """Key of each change with calls -> what it makes, in words."""
        return {change.key: f"{change.kind} {change.name}" for change in self.plan.changes if change.calls}

    def _left(self, claim: Claim, keys: tuple[str, ...]) -> str:
        """What was created all the same, for a failure to mention."""
        made = [
            self._names[key]
            for key in keys
            if key in self._names
            and key in self.ended
            and self.ended[key].status == DONE
            and self.ended[key].calls
        ]
        return f"; this run created {' and '.join(made)}, left as it is" if made else ""


@dataclass(frozen=True)
class Everybody:
    """What an audit looks at. ``ours``: ARNs of our permission sets.

    ``elsewhere``: groups of ours that hold something, and nothing in the accounts that were read.
    """

    report: Report
    state: CenterState
    ours: Collection[str]
    elsewhere: Sequence[KnownGroup] = ()


class AccessRun:
    """A desired access and the Identity Center that is to have it.

    ``evidence``: what is known of the people beside Identity Center; ``choices``: what of ours may go.
    """

    def __init__(
        self,
        center: Center,
        desired: DesiredAccess,
        evidence: Evidence | None = None,
        choices: Choices | None = None,
    ) -> None:
        self._center, self._desired = center, desired
        self._evidence, self._choices = evidence or Evidence(), choices or Choices()
        self._reader = CenterReader.through(center.clients, center.instance, center.backoff)
        self._state = CenterState()

    def plan(self) -> Report:
        """What there is to do. Raises IdentityCenterError and ClientError where that can't be told."""
        return self._planned(self._reader.read(self._desired, leftovers=self._choices.prune))

    def existing(self) -> tuple[DesiredAccess, Existing]:
        """What is asked for, by the names that it has, and what of it stands. Raises as ``plan`` does."""
        report = self.plan()
        return self._desired, Existing(self._state, report.plan.known_people, self._center.instance)

    def look_at_everybody(self) -> Everybody:
        """The same, with what everybody holds in all accounts that have anything of ours."""
        ours = self._reader.permission_sets.accounts_of_ours()
        accounts = {account for each in ours.values() for account in each}
        state = self._reader.read(self._desired, accounts, everybody=True)
        # A group that is as asked for was not asked what it gives in accounts that nobody looks into.
        asked = [known for name, known in state.groups.items() if not self._is_shared(name)]
        known = {*state.standing.groups, *(each.group_id for each in state.groups.values())}
        others = [
            group
            for group in self._reader.store.all_groups().values()
            if group.description.startswith(MANAGED_GROUP) and group.group_id not in known
        ]
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            whole = {each.group_id: each for each in pool.map(self._with_all_it_gives, asked)}
            elsewhere = [each for each in pool.map(self._with_all_it_gives, others) if each.assignments]
        groups = {name: whole.get(each.group_id, each) for name, each in state.groups.items()}
        report = self._planned(replace(state, groups=groups))
        return Everybody(report, self._state, ours.keys(), elsewhere)

    def _is_shared(self, name: str) -> bool:
        group = self._desired.groups.get(name)
        return group is not None and group.shared

    def _with_all_it_gives(self, group: KnownGroup) -> KnownGroup:
        try:
            held = self._reader.assignments.of_group(group.group_id)
        except IdentityCenterError:
            held = frozenset({UNKNOWN})
        return replace(group, assignments=group.assignments | held)

    def _planned(self, state: CenterState) -> Report:
        self._state = replace(state, is_delegated=self._center.is_delegated)
        if not self._choices.migrate:
            self._desired = with_earlier_names(self._desired, self._state, self._evidence.proofs)
        found = plan_access(self._desired, self._state, self._center.instance, self._choices, self._evidence)
        creates = any((each.kind, each.action) == (PERMISSION_SET, CREATE) for each in found.changes)
        sets = self._reader.permission_sets.count() if creates else 0
        over = quota_faults(self._desired, self._state, found.work, sets, self._evidence.quotas)
        return Report(self._desired, replace(found, over_quota=over))

    def apply(self, report: Report, journal: JournalWriter, options: ApplyOptions) -> Report:
        """Do it, one failure touching nothing that does not need it."""
        center, people = self._center, report.plan.known_people
        look = SecondLook(self._reader, self._desired, self._state, center.instance, people)
        context = WriterContext(
            center.clients, center.instance, journal, look, center.rate, center.backoff, look.before
        )
        ended = SingleWriter(context, report.plan.work, options).run()
        return Report(self._desired, report.plan, ended, look.strangers_since(ended, options.stopped))
