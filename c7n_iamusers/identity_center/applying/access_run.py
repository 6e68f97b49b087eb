# SPDX-License-Identifier: Apache-2.0
"""One run: read the state, plan, apply with rechecks after conflicts, record, and report each user's outcome."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import JournalWriter, utc_now
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.identity_center import access_plan, model, object_records
from c7n_iamusers.identity_center.applying import groups_before, served_users
from c7n_iamusers.identity_center.applying.feeding import (
    creates_in_store,
    external_names,
    fed_by_others,
    groups_per_person_faults,
)
from c7n_iamusers.identity_center.applying.recheck import Recheck, writer_context
from c7n_iamusers.identity_center.applying.run_records import RUNS, RunDirectory, unfinished
from c7n_iamusers.identity_center.applying.run_results import overall_result
from c7n_iamusers.identity_center.aws import in_parallel
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.output.reports import unreviewed_texts
from c7n_iamusers.identity_center.output.run_report import AuditData, Report
from c7n_iamusers.identity_center.output.terraform import leftover_policies
from c7n_iamusers.identity_center.output.terraform_ownership import Existing, Ours, planned_as_ours
from c7n_iamusers.identity_center.planning.plan import plan_access
from c7n_iamusers.identity_center.planning.plan_input import PlanEvidence
from c7n_iamusers.identity_center.planning.quotas import quota_faults
from c7n_iamusers.identity_center.planning.replacements import MembershipUsers, RunHistory
from c7n_iamusers.identity_center.writer.writer import ApplyOptions, SingleWriter
from c7n_iamusers.reasons import LEFTOVERS
from c7n_iamusers.text.wording import shown


class AccessRun:
    """A run that gives ``center`` the desired access."""

    def __init__(
        self,
        center: Center,
        desired: model.DesiredAccess,
        evidence: PlanEvidence | None = None,
        choices: access_plan.Choices | None = None,
    ) -> None:
        self._center, self._desired = center, desired
        self._evidence, self._choices = evidence or PlanEvidence(), choices or access_plan.Choices()
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
        """The plan on the state that was read, without the memberships ``expired``: see PlanEvidence."""
        self._evidence = replace(self._evidence, expired=expired)
        return self._planned(self._state)

    @property
    def history(self) -> RunHistory:
        """The records of what earlier runs made."""
        return self._evidence.history

    @property
    def membership_users(self) -> MembershipUsers:
        """The IAM users of those memberships read that earlier runs made."""
        return self._evidence.history.membership_users(self._state)

    @property
    def reviewed_groups(self) -> frozenset[str]:
        """The names of the groups whose members were read."""
        known = (*self._state.groups.values(), *self._state.current.groups.values())
        return frozenset(each.name for each in known)

    def existing(self, ours: Ours) -> tuple[Report, Existing]:
        """The plan, and what of the desired access exists. Raises as ``plan`` does.

        ``ours``: what runs created. It also refuses users whose permission set has policies that Terraform would leave,
        or an earlier form in an account, which Terraform would not provision.
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
                left = LEFTOVERS(user=claim.subject, why=reason)
                refused.append(model.RefusedUser(claim.subject, left, claim.place))
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
                    "it: run provision apply first, if it made the set, or remove it"
                )
        for grant in grants:
            known = state.permission_sets.get(grant.permission_set)
            if known and grant.account_id in known.stale:
                return (
                    f"account {grant.account_id} has an earlier form of permission set {grant.permission_set}, whose "
                    "content AWS does not tell, and Terraform would give it as it is: run provision apply first"
                )
        return ""

    def read_for_audit(self, emptied: Callable[[Collection[str]], frozenset[str]]) -> AuditData:
        """The plan and the access of all people, including other accounts with managed permission sets.

        ``emptied``: which of these other accounts are ``emptied``, see PlanEvidence.
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
            each.group_id: each
            for each in in_parallel(lambda group: self._whole(group, in_progress), others)
            if each
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
        arns = {assignment.permission_set_arn for group in elsewhere for assignment in group.assignments} - {
            ""
        }
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

    def _whole(self, group: model.KnownGroup, in_progress: model.InProgress) -> model.KnownGroup | None:
        known = self._reader.store.with_members(group)
        return self._with_all_assignments(known, in_progress) if known else None

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
            (change.kind, change.action) == (model.PERMISSION_SET, access_plan.CREATE)
            for change in found.changes
        )
        sets = self._reader.permission_sets.count() if creates else 0
        over = quota_faults(self._desired, self._state, found.work, sets, self._evidence.quotas)
        over += groups_per_person_faults(
            found, self._state, self._reader.store.groups_of, self._evidence.quotas.groups_per_person
        )
        fed = "" if as_is or self._evidence.source_is_stated else self._fed_by_others(found)
        others = self._evidence.proofs.others
        subjects = [
            *(claim.subject for claim in self._desired.claims),
            *(each.subject for each in found.refused),
        ]
        accounts = {subject.account_id for subject in subjects}
        scopes = {account: others(account).scope_text for account in accounts}
        return Report(
            self._desired,
            replace(found, over_quota=over, fed_by_others=fed),
            groups=self._state.groups,
            sets={name: each.arn for name, each in self._state.permission_sets.items()},
            scopes=scopes,
        )

    def _with_former_names(self, state: model.CenterState) -> model.CurrentAccess:
        """``state.current`` with the usernames of those users who had requested usernames in earlier runs."""
        read = {*state.current.usernames, *(username.user_id for username in state.usernames.values())}
        former = self._evidence.history.served_as_others(self._desired.claims, state) - read
        return replace(
            state.current, usernames={**self._reader.usernames(sorted(former)), **state.current.usernames}
        )

    def _fed_by_others(self, found: access_plan.AccessPlan) -> str:
        if not creates_in_store(found):
            return ""
        names = external_names(self._state) or self._reader.store.external_names()
        return fed_by_others(names) if names else ""

    def check_creations(self, report: Report) -> None:
        """Raises IdentityCenterError if the plan creates users and the caller may not; BotoCoreError."""
        creates = any(
            (each.kind, each.action) == (model.USER, access_plan.CREATE) for each in report.plan.work
        )
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
            clock=options.clock,
            unreviewed=unreviewed_texts(report.plan) if options.adopts else None,
        )
        context = writer_context(center, journal, recheck)
        ended = SingleWriter(context, report.plan.work, options).run()
        return replace(
            report,
            desired=self._desired,
            ended=ended,
            unexpected_members=recheck.unexpected_members_since(ended, options.stopped),
            changed_sets=recheck.changed_sets_since(ended, options.stopped),
        )


def check_applicable(report: Report) -> None:
    """Raises IdentityCenterError if something forbids the plan as a whole."""
    if report.plan.obstacles:
        raise IdentityCenterError("; ".join(report.plan.obstacles))


def apply_and_record(
    run: AccessRun,
    report: Report,
    center: Center,
    output: Store,
    options: ApplyOptions,
    now: Callable[[], datetime] = utc_now,
) -> tuple[Report, tuple[str, str] | None]:
    """Apply the plan. Returns the report, and place and SHA-256 of the run's result; None if there was nothing to do.

    Raises IdentityCenterError before the first change if a quota forbids the plan, or if it creates users and an
    identity provider must do that, or the caller may not; OSError and JournalRefused if something can't be recorded.
    The journal then has all calls made so far.
    """
    check_applicable(report)
    killed = unfinished(output)
    nothing_to_do = not (report.plan.work or killed)
    if nothing_to_do and not _is_unrecorded(report, run.history):
        return report, None
    run.check_creations(report)
    directory = RunDirectory.begin(output, now())
    directory.check_resumed(center.instance)
    earlier = groups_before.read(output, [f"{RUNS}/{each}" for each in directory.resumed])
    served = directory.resumed_users()
    groups_before.record(output, f"{RUNS}/{directory.time}", report)
    served_users.record(output, f"{RUNS}/{directory.time}", report)
    with directory.journal() as journal:
        report = run.apply(report, journal, options)
    created, removed = object_records.CreatedObjects(), object_records.RemovedObjects()
    for line in directory.lines():
        created.add(line)
        removed.add(line)
    digest = directory.finish(
        overall_result(report, created, removed, center.instance, now(), earlier, served)
    )
    # A run that only records IAM users has nothing to undo.
    return report, None if nothing_to_do else (output.place(directory.result), digest)


def _is_unrecorded(report: Report, history: RunHistory) -> bool:
    """Whether memberships serve IAM users, or groups have requested assignments, without a run's record of that.

    Without one, a pruning or an undo would end the access that replaces theirs, or keep it forever.
    """
    recorded = history.assignments or frozenset()
    return any(assignment not in recorded for assignment in report.assignments()) or any(
        (history.users_of(object_records.membership_of(row), row["id"]) or {}).get(arn) != unique_id
        for row in served_users.rows(report, {})
        for arn, unique_id in row["users"].items()
    )
