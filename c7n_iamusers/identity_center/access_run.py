# SPDX-License-Identifier: Apache-2.0
"""One run: read the state, plan, apply with rechecks after conflicts, and report each user's outcome."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.outcomes import FAILED, PROVISIONED, SKIPPED, UNCHANGED, Outcome
from c7n_iamusers.identity_center import model, operations, run_objects
from c7n_iamusers.identity_center.adoption import check_group, same_person
from c7n_iamusers.identity_center.aws import in_parallel
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.changes import (
    assignment_key,
    changed,
    group_key,
    membership_key,
    own_assignments,
    quota_faults,
    set_key,
    user_key,
)
from c7n_iamusers.identity_center.deletion_checks import FRESH, DeletionChecks, RecentlyInProgress
from c7n_iamusers.identity_center.feeding import (
    creates_in_store,
    external_names,
    fed_by_others,
    groups_per_person_faults,
)
from c7n_iamusers.identity_center.permission_sets import (
    PERMISSION_SET_ARN,
    check_permission_set,
    differs,
    permission_set_calls,
)
from c7n_iamusers.identity_center.plan import Evidence, plan_access
from c7n_iamusers.identity_center.replacements import History, MembershipUsers
from c7n_iamusers.identity_center.reports import in_words
from c7n_iamusers.identity_center.terraform import leftover_policies
from c7n_iamusers.identity_center.terraform_ownership import (
    Existing,
    Ours,
    planned_as_ours,
)
from c7n_iamusers.identity_center.writer import writer
from c7n_iamusers.identity_center.writer.change import ERRORS, RecheckResult, WriterContext
from c7n_iamusers.identity_center.writer.writer import DONE, ApplyOptions, ChangeResult, SingleWriter
from c7n_iamusers.policy_comparison.comparison import UNPROVEN
from c7n_iamusers.text.wording import folded, shown

#: How many unexpected members a message names. Each takes one call.
_NAMED = 3


class Recheck:
    """Rechecks single changes after a conflict. Thread-safe.

    ``people``: the existing users of ``desired``. ``changes``: of the plan. ``reviewed``: the plan was reviewed, so not
    even a shared group may give access to people who have joined it since. ``clock``: in seconds.
    """

    def __init__(
        self,
        reader: CenterReader,
        desired: model.DesiredAccess,
        state: model.CenterState,
        instance: model.Instance,
        people: Mapping[model.PersonKey, model.KnownPerson] | None = None,
        changes: Iterable[model.Change] = (),
        reviewed: bool = False,
        clock: Callable[[], float] = ApplyOptions.clock,
    ) -> None:
        self._reviewed = reviewed
        groups = {**state.current.groups, **{each.group_id: each for each in state.groups.values()}}
        held = {group_id: each.assignments for group_id, each in groups.items()}
        self._deletion_checks = DeletionChecks(reader, changes, clock, held)
        self._in_progress = RecentlyInProgress(reader.assignments, clock)
        self._reader, self._desired, self._state, self._instance = reader, desired, state, instance
        self._known = people or {}
        self._assigned = {
            assignment_key(name, grant): group
            for name, group in desired.groups.items()
            for grant in group.grants
            if reviewed or not group.shared
        }
        self._clock = clock
        self._filled = {
            membership_key(person, name): group
            for name, group in desired.groups.items()
            if (reviewed or not group.shared) and name in state.groups
            for person in desired.members(name)
        }
        #: Name of a group -> when its assignments were read, and those of others, in words.
        self._assignments_read: dict[str, tuple[float, str]] = {}
        self._sets = {set_key(name): requested for name, requested in desired.permission_sets.items()}
        self._groups = {group_key(name): group for name, group in desired.groups.items()}
        self._people = {user_key(key): person for key, person in desired.people.items()}
        self._rechecks: dict[str, Callable[[model.Change, Mapping[str, Any]], RecheckResult]] = {
            model.PERMISSION_SET: self._permission_set,
            model.GROUP: self._group,
            model.ASSIGNMENT: self._assignment,
            model.USER: self._user,
            model.MEMBERSHIP: self._membership,
        }

    def __call__(self, change: model.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        """What is left of the change. Raises IdentityCenterError if it may no longer be made."""
        if change.action in (model.REMOVE, run_objects.DELETE):
            return self._removal(change, parameters)
        return self._rechecks[change.kind](change, parameters)

    def _permission_set(self, change: model.Change, _: Mapping[str, Any]) -> RecheckResult:
        requested = self._sets[change.key]
        grants = {grant for group in self._desired.groups.values() for grant in group.grants}
        accounts = sorted({grant.account_id for grant in grants if grant.permission_set == requested.name})
        known = self._reader.permission_sets.find([requested.name], accounts).get(requested.name)
        check_permission_set(requested, known)
        calls = permission_set_calls(requested, known, self._instance, accounts)
        if calls and change.calls:
            # What the change replaces is recorded again, if its first call has failed.
            calls = (replace(calls[0], notes=change.calls[0].notes), *calls[1:])
        return RecheckResult(calls, {PERMISSION_SET_ARN: known.arn} if known else {})

    def _group(self, change: model.Change, _: Mapping[str, Any]) -> RecheckResult:
        group = self._groups[change.key]
        known = self._reader.group(group, self._state.permission_sets)
        own = own_assignments(group, self._state)[0]
        further = known.assignments.difference(own) if known else ()
        names = self._reader.permission_sets.names(
            sorted({each.permission_set_arn for each in further} - {""})
        )
        check_group(group, known, own, names)
        return RecheckResult(
            operations.group_creation_if_missing(group, known, self._instance),
            {operations.GROUP_ID: known.group_id} if known else {},
        )

    def _assignment(self, change: model.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        requested, in_progress = _requested(parameters), self._reader.assignments.in_progress()
        awaits, after = in_progress.creation(requested), in_progress.deletion(requested)
        exists = self._reader.assignments.exists(requested.assignment, requested.principal_id)
        if exists and not after:
            return RecheckResult()
        return RecheckResult(change.calls, awaits=awaits, after=after)

    def _removal(self, change: model.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        """A removal that came too early is retried, or that of another request is waited for."""
        if change.kind != model.ASSIGNMENT:
            return RecheckResult(change.calls)
        asked, in_progress = _requested(parameters), self._reader.assignments.in_progress()
        awaits, after = in_progress.deletion(asked), in_progress.creation(asked)
        return RecheckResult(change.calls, awaits=awaits, after=after)

    def _user(self, change: model.Change, _: Mapping[str, Any]) -> RecheckResult:
        person = self._people[change.key]
        known = same_person(person, *self._reader.store.find_person(person))
        if known and known.username != person.username:
            raise IdentityCenterError(
                f"Identity Center user {known.username} was made since the plan, and the plan has the spelling "
                f"{person.username}, on which policies can depend: run again"
            )
        return (
            RecheckResult((), {operations.USER_ID: known.user_id}) if known else RecheckResult(change.calls)
        )

    def _membership(self, change: model.Change, parameters: Mapping[str, Any]) -> RecheckResult:
        user_id = parameters["MemberId"]["UserId"]
        found = self._reader.store.membership_id(parameters["GroupId"], user_id)
        return RecheckResult((), {operations.MEMBERSHIP_ID: found}) if found else RecheckResult(change.calls)

    def before(self, change: model.Change, parameters: Mapping[str, Any]) -> Callable[[], None] | None:
        """A check to make right before an assignment, as people who have joined the group would gain access; before a
        membership of an existing group, as the person would gain what others have assigned to it; and before a
        deletion.
        """
        if change.action == model.REMOVE:
            return self._deletion_checks.before(change, parameters)
        if change.kind == model.MEMBERSHIP and change.key in self._filled:
            return partial(self._check_assignments, self._filled[change.key], parameters["GroupId"])
        if change.kind != model.ASSIGNMENT or change.key not in self._assigned:
            return None
        group_id, account = parameters["PrincipalId"], parameters["TargetId"]
        return partial(self._check_members, self._assigned[change.key], group_id, account)

    def _check_members(self, group: model.Group, group_id: str, account: str) -> None:
        known = self._state.groups.get(group.name)
        # The plan names those who are in a shared group.
        named = known.members if known and group.shared else frozenset()
        if unexpected_members := self._unexpected_members(group, group_id, named):
            raise IdentityCenterError(
                f"group {group.name} has been joined since it was read by {unexpected_members}, who are not requested, "
                f"and the assignment would give them access to account {account}, so it was not made: find out who "
                "added them, and remove them"
            )

    def _check_assignments(self, group: model.Group, group_id: str) -> None:
        now = self._clock()
        asked, further = self._assignments_read.get(group.name, (now - 2 * FRESH, ""))
        if now - asked > FRESH:
            further = self._assigned_by_others(group, group_id)
            self._assignments_read[group.name] = now, further
        if further:
            raise IdentityCenterError(
                f"group {group.name} has been assigned {further} since it was read, which is not requested, and the "
                "membership would give it, so it was not made: find out who assigned it, and remove it"
            )

    def _assigned_by_others(self, group: model.Group, group_id: str) -> str:
        """What the group gives that neither is requested nor was known to the plan, in words; empty for nothing.

        A caller that may not list it finds nothing: the plan refuses what it can't know.
        """
        known = self._state.groups.get(group.name)
        further = self._reader.used(group_id, self._in_progress()) - {model.UNKNOWN_ASSIGNMENT}
        further = further.difference(
            known.assignments if known else (), own_assignments(group, self._state)[0]
        )
        names = self._reader.permission_sets.names(sorted({each.permission_set_arn for each in further}))
        grants = {
            model.Grant(each.account_id, names.get(each.permission_set_arn, each.permission_set_arn))
            for each in further
        }
        return shown([str(each) for each in sorted(grants - group.grants)]) if grants - group.grants else ""

    def unexpected_members_since(
        self, ended: Mapping[str, ChangeResult], stopped: Callable[[], bool]
    ) -> tuple[str, ...]:
        """The people who have joined a group that the run assigned or filled, and what others have assigned to it, in
        sentences. Never raises ERRORS.

        Those who were members before the run are in the plan. ``stopped``: whether to stop reading.
        """
        touched = {key for key, each in ended.items() if each.status == DONE or each.calls}
        groups = [
            group
            for group in self._desired.groups.values()
            if (self._reviewed or not group.shared) and self._is_touched(group, touched)
        ]
        found = in_parallel(lambda group: self._joined(group, ended, stopped), groups)
        return tuple(each for each in found if each)

    def changed_sets_since(
        self, ended: Mapping[str, ChangeResult], stopped: Callable[[], bool]
    ) -> tuple[str, ...]:
        """The permission sets of the run's new access that others have changed during it, in sentences.

        Never raises ERRORS. ``stopped``: whether to stop reading; ``unexpected_members_since`` says so.
        """
        touched = {key for key, each in ended.items() if each.status == DONE}
        names = {
            grant.permission_set
            for group in self._desired.groups.values()
            if self._is_touched(group, touched)
            for grant in group.grants
        }
        found = in_parallel(lambda name: "" if stopped() else self._changed(name, ended), sorted(names))
        return tuple(each for each in found if each)

    def _changed(self, name: str, ended: Mapping[str, ChangeResult]) -> str:
        requested, known = self._desired.permission_sets[name], self._state.permission_sets.get(name)
        result = ended.get(set_key(name))
        if result and result.status != DONE:
            return ""  # The run says so.
        arn = known.arn if known else (result.values if result else {})[PERMISSION_SET_ARN]
        try:
            settings = self._reader.permission_sets.settings(arn)
        except ERRORS as error:
            return (
                f"permission set {name} could not be read again ({error}), so it is not known whether others have "
                "changed it during this run: run with --audit"
            )
        how = (
            list(changed(replace(settings, tags=requested.tags), requested))
            if settings
            else ["it is deleted"]
        )
        if not how or (settings and not differs(requested, settings)):
            return ""
        return (
            f"permission set {name} has been changed by others during this run (to make it as requested: "
            f"{shown(how)}), and the run gave people access by it: find out who changed it, and run again"
        )

    def _is_touched(self, group: model.Group, touched: Collection[str]) -> bool:
        return any(assignment_key(group.name, grant) in touched for grant in group.grants) or any(
            membership_key(person, group.name) in touched for person in self._desired.members(group.name)
        )

    def _joined(
        self, group: model.Group, ended: Mapping[str, ChangeResult], stopped: Callable[[], bool]
    ) -> str:
        if stopped():
            return (
                f"the members of group {group.name} were not read again when the run was stopped: run again with "
                "--audit"
            )
        known = self._state.groups.get(group.name)
        group_id = known.group_id if known else ended[group_key(group.name)].values[operations.GROUP_ID]
        created = [ended.get(user_key(each)) for each in self._desired.members(group.name)]
        created_ids = {str(each.values.get(operations.USER_ID)) for each in created if each}
        accounts = shown(sorted({grant.account_id for grant in group.grants}))
        try:
            unexpected_members = self._unexpected_members(
                group, group_id, created_ids | (known.members if known else frozenset())
            )
            further = self._assigned_by_others(group, group_id)
        except ERRORS as error:
            return (
                f"group {group.name} could not be read again ({error}), so it is not known who has joined it and has "
                f"access to account {accounts}: run with --audit"
            )
        if not (unexpected_members or further):
            return ""
        if not unexpected_members:
            return (
                f"group {group.name} has been assigned {further} during this run, which is not requested, and its "
                "members have it: find out who assigned it, and remove it"
            )
        more = f", and has been assigned {further}" if further else ""
        return (
            f"group {group.name} has been joined during this run by {unexpected_members}, who are not requested and "
            f"have access to account {accounts} through it{more}: find out who did this, and remove it"
        )

    def _unexpected_members(self, group: model.Group, group_id: str, more: Collection[str] = ()) -> str:
        """Members who are not requested and not among ``more`` (user ids), in words; empty for none."""
        expected = {
            self._known[key].user_id for key in self._desired.members(group.name) if key in self._known
        }
        unknown = sorted(self._reader.store.members(group_id) - expected - set(more))
        names = list(islice(self._named(group, unknown), _NAMED + 1))
        return ", ".join(names[:_NAMED]) + (" and others" if names[_NAMED:] else "")

    def _named(self, group: model.Group, user_ids: list[str]) -> Iterator[str]:
        for user_id in user_ids:
            person = self._reader.store.person(user_id)
            # A person of this run may have been created by others.
            if person and (folded(person.username), folded(person.email)) not in self._desired.members(
                group.name
            ):
                yield f"{person.username} (user id {user_id})"


def _requested(parameters: Mapping[str, Any]) -> model.Pending:
    """Of the parameters of a call that creates or deletes an assignment."""
    names = ("TargetId", "PermissionSetArn", "PrincipalId", "PrincipalType")
    return model.Pending(*(str(parameters[each]) for each in names))


def refused_outcome(refusal: model.Refusal) -> Outcome:
    """The outcome of a refused user: SKIPPED if that is a decision about the user, FAILED if something is wrong."""
    status = SKIPPED if refusal.code in model.DECISIONS else FAILED
    return Outcome.of(refusal.subject, status, refusal.reason, code=refusal.code, verdict=refusal.verdict)


def _remedy(total: model.TotalAccess) -> str:
    """What to do about access that is more than the IAM users have."""
    further = [each for each in total.beyond if not (each.covered or each.consented)]
    if all(each.ours and not each.shared for each in further):
        return (
            "no intents request it any more: give --prune, which ends it where requested access replaces it"
        )
    return "find out who gave it, and remove it or request it"


@dataclass(frozen=True)
class Report:
    """A plan and the results of its changes; no results if it was not applied.

    ``ended``: key of a change -> its result. ``unexpected_members``: people who joined groups during the run, in
    sentences. ``changed_sets``: permission sets that others changed during the run, in sentences. ``groups``: by name,
    the requested groups that existed before the run; ``sets``: the ARNs of permission sets, likewise. ``scopes``:
    account id -> see ``Outcome.scope``.
    """

    desired: model.DesiredAccess
    plan: model.AccessPlan
    ended: Mapping[str, ChangeResult] = field(default_factory=dict)
    unexpected_members: tuple[str, ...] = ()
    changed_sets: tuple[str, ...] = ()
    groups: Mapping[str, model.KnownGroup] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)

    def made(self, key: str, name: str) -> str:
        """An id of an object that the run made or found, by the key of its change; empty if it did not."""
        ended = self.ended.get(key)
        return str(ended.values.get(name, "")) if ended and ended.status == DONE else ""

    def group_id(self, name: str) -> str:
        """The id of a requested group; empty if there is none."""
        known = self.groups.get(name)
        return known.group_id if known else self.made(group_key(name), operations.GROUP_ID)

    def assignments(self) -> Iterator[tuple[str, model.Assignment]]:
        """Group id and assignment of all access that is requested for users who are served, as far as it exists."""
        for name in sorted({claim.group for claim in self.plan.served}):
            group_id = self.group_id(name)
            for grant in sorted(self.desired.groups[name].grants) if group_id else ():
                arn = self.sets.get(grant.permission_set) or self.made(
                    set_key(grant.permission_set), PERMISSION_SET_ARN
                )
                if arn:
                    yield group_id, model.Assignment(grant.account_id, arn)

    def outcomes(self) -> Iterator[tuple[str, Outcome]]:
        """For each IAM user: the place of its intents, and its outcome."""
        for place, found in self._outcomes():
            scope = self.scopes.get(found.arn.split(":")[4], "") if found.verdict else ""
            yield place, replace(found, scope=scope) if scope else found

    def failures(self) -> list[str]:
        """What is wrong after the run, or, without results, with the plan, in sentences.

        These are users, removals and checks that failed, quotas and the like that forbid the plan, and people with more
        access than their IAM users. Users who are refused by a decision are none, and neither is what ``accept`` names.
        """
        failed = {outcome.reason for _, outcome in self._outcomes() if outcome.status == FAILED}
        # A removal serves no IAM user, so no outcome has its failure.
        for change in self.plan.changes if self.ended else ():
            ended = self.ended.get(change.key)
            if change.action == model.REMOVE and ended and ended.status == writer.FAILED:
                failed.add(ended.reason)
        wider = (each for each in self.plan.totals if each.is_unaccepted)
        failed.update(f"{in_words(each, each.person[0])}: {_remedy(each)}" for each in wider)
        return sorted(failed.union(self.plan.obstacles, self.unexpected_members, self.changed_sets))

    def _outcomes(self) -> Iterator[tuple[str, Outcome]]:
        for refused in self.plan.refused:
            yield refused.place, refused_outcome(refused)
        for each in self.plan.missing:
            subject = each.claim.subject
            yield each.claim.place, Outcome.of(subject, SKIPPED, f"{subject}: {each.reason}")
        yield from self._served()

    def _served(self) -> Iterator[tuple[str, Outcome]]:
        counted: set[str] = set()
        for claim, keys in self.plan.served.items():
            own = {user_key(claim.person), membership_key(claim.person, claim.group)} - counted
            counted |= own
            yield claim.place, self._outcome(claim, keys, own)

    def _outcome(self, claim: model.Claim, keys: tuple[str, ...], own: set[str]) -> Outcome:
        """``own``: the keys of the changes for this IAM user alone that no other outcome has counted."""
        subject = claim.subject
        ended = [self.ended[key] for key in keys if key in self.ended]
        own_results = [self.ended[key] for key in own if key in self.ended]
        calls, seconds = sum(each.calls for each in own_results), sum(each.seconds for each in own_results)
        failure = next((each for each in ended if each.status != DONE), None)
        if failure:
            reason = failure.reason if str(subject) in failure.reason else f"{subject}: {failure.reason}"
            text = f"{reason}{self._left_behind(claim, keys)}: correct that and run again"
            return Outcome.of(subject, FAILED, text, calls=calls, seconds=seconds, code=failure.code)
        status = PROVISIONED if any(each.calls for each in ended) else UNCHANGED
        total = self._totals.get((claim.person, claim.grant.account_id))
        verdict = total.verdict if total else claim.verdict
        return Outcome.of(
            subject, status, self._success_reason(claim), calls=calls, seconds=seconds, verdict=verdict
        )

    def _success_reason(self, claim: model.Claim) -> str:
        person, user = self.desired.people[claim.person], self.ended.get(user_key(claim.person))
        adopted = claim.person in self.plan.known_people or bool(user and user.adopted)
        who = (
            "the existing Identity Center user with that username and e-mail"
            if adopted
            else "a new Identity Center user"
        )
        holds = f"{person.username} ({who}) is in group {claim.group}, which has {claim.grant}"
        total = self._totals.get((claim.person, claim.grant.account_id))
        if total is None or total.verdict not in UNPROVEN:
            return holds
        further = [str(each) for each in total.beyond if not each.covered]
        return (
            f"{holds}; {total.verdict}: also holds {', '.join(further)}"
            if further
            else f"{holds}; {total.verdict}"
        )

    @cached_property
    def _totals(self) -> Mapping[tuple[model.PersonKey, str], model.TotalAccess]:
        return {(each.person, each.account_id): each for each in self.plan.totals}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """Key of each change with calls -> kind and name."""
        return {change.key: f"{change.kind} {change.name}" for change in self.plan.changes if change.calls}

    def _left_behind(self, claim: model.Claim, keys: tuple[str, ...]) -> str:
        """The objects that a failed claim leaves behind, in words."""
        made = [
            self._names[key]
            for key in keys
            if key in self._names
            and key in self.ended
            and self.ended[key].status == DONE
            and self.ended[key].calls
        ]
        return f"; this run created {' and '.join(made)}, which is left as it is" if made else ""


@dataclass(frozen=True)
class AuditData:
    """The input of an audit. ``managed_sets``: the ARNs of all managed permission sets.

    ``elsewhere``: managed groups that are assigned in accounts that were not read, with these assignments. ``empty``:
    managed groups that nobody requests and nobody is in.
    ``set_names``: of their permission sets, by ARN.
    """

    report: Report
    state: model.CenterState
    managed_sets: Collection[str]
    elsewhere: Sequence[model.KnownGroup] = ()
    set_names: Mapping[str, str] = field(default_factory=dict)
    empty: Sequence[model.KnownGroup] = ()


class AccessRun:
    """A run that gives ``center`` the desired access."""

    def __init__(
        self,
        center: Center,
        desired: model.DesiredAccess,
        evidence: Evidence | None = None,
        choices: model.Choices | None = None,
    ) -> None:
        self._center, self._desired = center, desired
        self._evidence, self._choices = evidence or Evidence(), choices or model.Choices()
        self._reader = CenterReader.of(center)
        self._state = model.CenterState()

    def plan(self, emptied: Callable[[Collection[str]], frozenset[str]] | None = None) -> Report:
        """The plan. Raises IdentityCenterError and ClientError if the state can't be read.

        ``emptied``: see ``read_for_audit``; None to leave out accounts without requested access.
        """
        accounts = frozenset[str]()
        if emptied:
            accounts = frozenset().union(*self._reader.permission_sets.accounts_of_managed().values())
            self._evidence = replace(self._evidence, emptied=emptied(accounts - self._desired.accounts))
        unused = self._choices.prune and self._evidence.only is None
        return self._planned(self._reader.read(self._desired, accounts, unused=unused))

    def plan_without(self, expired: frozenset[tuple[str, str]]) -> Report:
        """The plan on the state that was read, without the memberships ``expired``: see Evidence."""
        self._evidence = replace(self._evidence, expired=expired)
        return self._planned(self._state)

    @property
    def history(self) -> History:
        """What earlier runs made."""
        return self._evidence.history

    @property
    def membership_users(self) -> MembershipUsers:
        """The IAM users of memberships that earlier runs made, of those that were read."""
        return self._evidence.history.membership_users(self._state)

    @property
    def reviewed_groups(self) -> frozenset[str]:
        """The names of the groups whose members were read."""
        known = (*self._state.groups.values(), *self._state.current.groups.values())
        return frozenset(each.name for each in known)

    def existing(self, ours: Ours) -> tuple[Report, Existing]:
        """The plan, and what of the desired access exists. Raises as ``plan`` does.

        ``ours``: what runs created. Refused are also users whose permission set has policies that Terraform would
        leave, or an earlier form in an account, which Terraform would not provision.
        """
        state = self._reader.read(self._desired)
        report = self._planned(planned_as_ours(self._desired, state))
        plan = report.plan
        waiting = {each.claim for each in plan.missing}
        refused, claims = list(plan.refused), []
        for claim in self._desired.claims:
            if claim not in plan.served and claim not in waiting:
                continue
            if reason := self._leftovers(claim, state, ours):
                refused.append(model.Refusal(claim.subject, f"{claim.subject}: {reason}", place=claim.place))
            else:
                claims.append(claim)
        kept = frozenset(claims)
        found = Existing(state, plan.known_people, self._center.instance, ours, kept)
        served = {claim: keys for claim, keys in plan.served.items() if claim in kept}
        plan = replace(plan, refused=tuple(refused), served=served)
        return replace(report, desired=replace(self._desired, refused=tuple(refused)), plan=plan), found

    def _leftovers(self, claim: model.Claim, state: model.CenterState, ours: Ours) -> str:
        grants = sorted(self._desired.groups[claim.group].grants)
        for name in sorted({grant.permission_set for grant in grants}):
            known = state.permission_sets.get(name)
            left = leftover_policies(self._desired.permission_sets[name], known, ours.policies)
            if left:
                return (
                    f"permission set {name} also has {shown(left)}, which is not requested, and Terraform would leave "
                    "it: run provision first, if it made the set, or remove it"
                )
        for grant in grants:
            known = state.permission_sets.get(grant.permission_set)
            if known and grant.account_id in known.stale:
                return (
                    f"account {grant.account_id} has an earlier form of permission set {grant.permission_set}, whose "
                    "content AWS does not tell, and Terraform would give it as it is: provision the permission set "
                    "there, or run provision, first"
                )
        return ""

    def read_for_audit(self, emptied: Callable[[Collection[str]], frozenset[str]]) -> AuditData:
        """The plan and the access of all people, also in other accounts with managed permission sets.

        ``emptied``: which of these other accounts are ``emptied``, see Evidence.
        """
        managed = self._reader.permission_sets.accounts_of_managed()
        accounts = {account for each in managed.values() for account in each}
        self._evidence = replace(self._evidence, emptied=emptied(accounts - self._desired.accounts))
        state = self._reader.read(self._desired, accounts, everybody=True)
        # The reader skips a settled group's assignments in accounts that it does not read.
        asked = [known for name, known in state.groups.items() if not self._is_shared(name)]
        known = {*state.current.groups, *(each.group_id for each in state.groups.values())}
        others = [
            group
            for group in self._reader.store.all_groups().values()
            if group.is_managed and group.group_id not in known
        ]
        in_progress = state.in_progress
        read = in_parallel(lambda group: self._with_all_assignments(group, in_progress), asked)
        whole = {each.group_id: each for each in read}
        groups = {name: whole.get(each.group_id, each) for name, each in state.groups.items()}
        complete = {
            each.group_id: each for each in in_parallel(lambda group: self._whole(group, in_progress), others)
        }
        complete |= {**state.current.groups, **{each.group_id: each for each in groups.values()}}
        elsewhere = [
            replace(each, assignments=further)
            for each in complete.values()
            if each.is_managed
            and (
                further := frozenset(a for a in each.assignments if a.account_id not in state.current.holders)
            )
        ]
        report = self._planned(replace(state, groups=groups), as_is=True)
        arns = {each.permission_set_arn for group in elsewhere for each in group.assignments} - {""}
        names = self._reader.permission_sets.names(sorted(arns))
        told = {each.group_id for each in elsewhere}
        empty = [
            each
            for each in complete.values()
            if each.is_managed
            and not each.members
            and each.name not in self._desired.groups
            and each.group_id not in told
        ]
        return AuditData(report, self._state, managed.keys(), elsewhere, names, empty)

    def _is_shared(self, name: str) -> bool:
        group = self._desired.groups.get(name)
        return group is not None and group.shared

    def _whole(self, group: model.KnownGroup, in_progress: model.InProgress) -> model.KnownGroup:
        members = self._reader.store.members(group.group_id)
        return self._with_all_assignments(replace(group, members=members), in_progress)

    def _with_all_assignments(
        self, group: model.KnownGroup, in_progress: model.InProgress
    ) -> model.KnownGroup:
        used = self._reader.used(group.group_id, in_progress)
        return replace(group, assignments=group.assignments | used)

    def _planned(self, state: model.CenterState, as_is: bool = False) -> Report:
        self._state = replace(
            state, is_delegated=self._center.is_delegated, current=self._with_former_names(state)
        )
        found = plan_access(
            self._desired, self._state, self._center.instance, self._choices, self._evidence, as_is
        )
        creates = any(
            (each.kind, each.action) == (model.PERMISSION_SET, model.CREATE) for each in found.changes
        )
        sets = self._reader.permission_sets.count() if creates else 0
        over = quota_faults(self._desired, self._state, found.work, sets, self._evidence.quotas)
        over += groups_per_person_faults(
            found, self._state, self._reader.store.groups_of, self._evidence.quotas.groups_per_person
        )
        fed = "" if as_is or self._evidence.source_is_stated else self._fed_by_others(found)
        others = self._evidence.proofs.others
        subjects = [
            *(each.subject for each in self._desired.claims),
            *(each.subject for each in found.refused),
        ]
        accounts = {each.account_id for each in subjects}
        scopes = {each: others(each).scope_text for each in accounts}
        return Report(
            self._desired,
            replace(found, over_quota=over, fed_by_others=fed),
            groups=self._state.groups,
            sets={name: each.arn for name, each in self._state.permission_sets.items()},
            scopes=scopes,
        )

    def _with_former_names(self, state: model.CenterState) -> model.CurrentAccess:
        """``state.current`` with the usernames of users who had requested usernames at earlier runs."""
        read = {*state.current.usernames, *(each.user_id for each in state.usernames.values())}
        former = self._evidence.history.served_as_others(self._desired.claims, state) - read
        return replace(
            state.current, usernames={**self._reader.usernames(sorted(former)), **state.current.usernames}
        )

    def _fed_by_others(self, found: model.AccessPlan) -> str:
        if not creates_in_store(found):
            return ""
        names = external_names(self._state) or self._reader.store.external_names()
        return fed_by_others(names) if names else ""

    def check_creations(self, report: Report) -> None:
        """Raises IdentityCenterError if the plan creates users, and the caller may not; BotoCoreError."""
        creates = any((each.kind, each.action) == (model.USER, model.CREATE) for each in report.plan.work)
        if creates and (reason := self._reader.store.creation_refusal()):
            raise IdentityCenterError(
                f"no users can be created ({reason}), and nothing was touched: allow identitystore:CreateUser; or, if "
                "an identity provider or Active Directory feeds this identity store, set identity-source: external, so "
                "that no users, groups and memberships are created"
            )

    def apply(self, report: Report, journal: JournalWriter, options: ApplyOptions) -> Report:
        """Apply the plan. A failed change fails only the changes that need it."""
        center, people = self._center, report.plan.known_people
        changes = report.plan.changes
        recheck = Recheck(
            self._reader,
            self._desired,
            self._state,
            center.instance,
            people,
            changes,
            reviewed=not options.adopts,
            clock=options.clock,
        )
        context = WriterContext(
            center.clients,
            center.instance,
            journal,
            recheck,
            center.rate,
            center.backoff,
            recheck.before,
            center.caller,
        )
        ended = SingleWriter(context, report.plan.work, options).run()
        return replace(
            report,
            desired=self._desired,
            ended=ended,
            unexpected_members=recheck.unexpected_members_since(ended, options.stopped),
            changed_sets=recheck.changed_sets_since(ended, options.stopped),
        )
