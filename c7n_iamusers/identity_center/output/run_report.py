# SPDX-License-Identifier: Apache-2.0
"""A run's plan and its results: outcomes, failures, and the data of an audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from c7n_iamusers import reasons
from c7n_iamusers.execution.outcomes import FAILED, PROVISIONED, SKIPPED, UNCHANGED, Outcome
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.output.reports import in_words
from c7n_iamusers.identity_center.planning import operations
from c7n_iamusers.identity_center.planning.account_provisioning import provisioning_key
from c7n_iamusers.identity_center.planning.changeset import (
    assignment_key,
    group_key,
    membership_key,
    set_key,
    user_key,
)
from c7n_iamusers.identity_center.planning.permission_sets import PERMISSION_SET_ARN
from c7n_iamusers.identity_center.writer import writer
from c7n_iamusers.identity_center.writer.writer import DONE, ChangeResult
from c7n_iamusers.policy_comparison.comparison import UNDECIDED, UNPROVEN, WIDER
from c7n_iamusers.reasons import Reason
from c7n_iamusers.text.wording import shown

#: A person in an account.
Place = tuple[model.PersonKey, str]


def refused_outcome(refusal: model.RefusedUser) -> Outcome:
    """The outcome of a refused user: SKIPPED for a decision about the user, FAILED if something is wrong."""
    status = SKIPPED if refusal.code in model.DECISIONS else FAILED
    return Outcome.of(refusal.subject, status, refusal.reason, verdict=refusal.verdict)


def _remedy(total: access_plan.TotalAccess, why_kept: str) -> str:
    """What to do about access beyond the IAM users'. ``why_kept``: why the run did not withdraw some."""
    further = [each for each in total.beyond if each.is_more and not each.consented]
    if why_kept:
        return f"the run did not withdraw it: {why_kept}"
    if all(each.ours and not each.shared for each in further):
        return (
            "no intents request it any more: run provision prune --unrequested, which ends it where requested access "
            "replaces it"
        )
    return "find out who gave it, and remove it or request it"


@dataclass(frozen=True)
class Report:
    """A plan and the results of its changes; no results if it was not applied.

    ``ended``: key of a change -> its result. ``unexpected_members``: people who joined groups during the run, in
    sentences. ``changed_sets``: permission sets that others changed during the run, in sentences. ``groups``: by name,
    the requested groups that existed before the run; ``sets``: by name, the ARNs of permission sets that did.
    ``scopes``: account id -> see ``Outcome.scope``.
    """

    desired: model.DesiredAccess
    plan: access_plan.AccessPlan
    ended: Mapping[str, ChangeResult] = field(default_factory=dict)
    unexpected_members: tuple[str, ...] = ()
    changed_sets: tuple[str, ...] = ()
    groups: Mapping[str, model.KnownGroup] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)

    def made(self, key: str, name: str) -> str:
        """An id of an object that the run made or found, by the key of its change; else empty."""
        ended = self.ended.get(key)
        return str(ended.values.get(name, "")) if ended and ended.status == DONE else ""

    def group_id(self, name: str) -> str:
        """The id of a requested group; empty if there is none."""
        known = self.groups.get(name)
        return known.group_id if known else self.made(group_key(name), operations.GROUP_ID)

    def lacks(self, group: str, grant: model.Grant) -> bool:
        """Whether the run could not assign the group of that name the grant."""
        ended = self.ended.get(assignment_key(group, grant))
        return ended is not None and ended.status != DONE

    def assignments(self) -> Iterator[tuple[str, model.Assignment]]:
        """Group id and assignment of all existing access that is requested for served users."""
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
        """The failures after the run, or of the plan if there are no results, in sentences.

        These are failed users, removals and checks, what forbids the plan, such as quotas, and people with more access
        than their IAM users. Users refused by a decision don't count, and neither does what ``accept`` names.
        """
        failed = {outcome.reason.text for _, outcome in self._outcomes() if outcome.status == FAILED}
        return sorted(failed.union(self.plan.obstacles, self.faults()))

    def faults(self) -> list[str]:
        """The failures that concern neither users nor the whole plan, in sentences."""
        lines = (
            f"{in_words(total, total.person[0])}: {_remedy(total, self._why_kept(total))}"
            for place, total in self.totals.items()
            if total.is_unaccepted or place in self._not_removed
        )
        return [
            *lines,
            *self._failed_for_nobody(),
            *self.unexpected_members,
            *self.changed_sets,
            *self.plan.leftovers,
        ]

    def _failed_for_nobody(self) -> Iterator[str]:
        """The failures of changes that serve no IAM user of the run, so that no outcome has them: removals, and changes
        in accounts without intents. Removals that were not begun, because a change that they need failed, are together.
        """
        failed = {key: each.reason for key, each in self.ended.items() if each.status == writer.FAILED}
        told = {key for keys in (self.plan.served.values() if failed else ()) for key in keys}
        told |= {each.key for found in self._not_removed.values() for each in found}
        yield from sorted({reason for key, reason in failed.items() if key not in told})
        left = defaultdict[str, list[str]](list)
        for change in self.plan.changes if self.ended else ():
            ended = self.ended.get(change.key)
            is_left = change.action == access_plan.REMOVE and ended and ended.status == writer.LEFT
            if is_left and change.key not in told:
                left[self._why(change.key)].append(f"{change.kind} {change.name}")
        yield from (f"not removed: {shown(sorted(found))}: {why}" for why, found in sorted(left.items()))

    def _why(self, key: str) -> str:
        """Why the change was not made."""
        ended = self.ended[key]
        return "the run was stopped: run again" if ended.code == writer.STOPPED else ended.reason

    def _why_kept(self, total: access_plan.TotalAccess) -> str:
        """Why the person still holds what the plan withdraws, by a removal or a narrower permission set; empty if it
        does not.
        """
        forms = (provisioning_key(each.set_name, total.account_id) for each in total.beyond)
        left = (each.key for each in self._not_removed.get((total.person, total.account_id), ()))
        return shown(sorted({self._why(key) for key in (*left, *self._earlier_forms.intersection(forms))}))

    def _outcomes(self) -> Iterator[tuple[str, Outcome]]:
        for refused in self.plan.refused:
            yield refused.place, refused_outcome(refused)
        for each in self.plan.missing:
            subject = each.claim.subject
            yield (
                each.claim.place,
                Outcome.of(subject, SKIPPED, reasons.AWAITED(user=subject, why=each.reason)),
            )
        yield from self._served()

    def _served(self) -> Iterator[tuple[str, Outcome]]:
        counted: set[str] = set()
        for claim, keys in self.plan.served.items():
            own = {user_key(claim.person), membership_key(claim.person, claim.group)} - counted
            counted |= own
            yield claim.place, self._outcome(claim, keys, own)

    def _outcome(self, claim: model.Claim, keys: tuple[str, ...], own: set[str]) -> Outcome:
        """``own``: the keys of changes only for this IAM user, which no other outcome has counted."""
        subject = claim.subject
        ended = [self.ended[key] for key in keys if key in self.ended]
        own_results = [self.ended[key] for key in own if key in self.ended]
        calls, seconds = (
            sum(result.calls for result in own_results),
            sum(result.seconds for result in own_results),
        )
        failure = next((each for each in ended if each.status != DONE), None)
        if failure:
            user = "" if failure.about == subject else f"{subject}: "
            left = self._left_behind(keys)
            reason = reasons.CHANGE_FAILED(user=user, why=failure.reason, left=left)
            return Outcome.of(subject, FAILED, reason, calls=calls, seconds=seconds, error=failure.code)
        status = PROVISIONED if any(each.calls for each in ended) else UNCHANGED
        total = self.totals.get((claim.person, claim.grant.account_id))
        verdict = total.verdict if total else claim.verdict
        return Outcome.of(
            subject, status, self._success_reason(claim), calls=calls, seconds=seconds, verdict=verdict
        )

    def _success_reason(self, claim: model.Claim) -> Reason:
        person, user = self.desired.people[claim.person], self.ended.get(user_key(claim.person))
        adopted = claim.person in self.plan.known_people or bool(user and user.adopted)
        who = (
            "the existing Identity Center user with that username and e-mail"
            if adopted
            else "a new Identity Center user"
        )
        holds = reasons.HAS_ACCESS(
            username=person.username, who=who, group=claim.group, grant=str(claim.grant)
        )
        place = claim.person, claim.grant.account_id
        if left := self._not_removed.get(place):
            further = shown(sorted(str(each.access) for each in left))
            why = shown(sorted({self._why(each.key) for each in left}))
            holds = holds.and_also(reasons.NOT_REMOVED(further=further, why=why))
        total = self.totals.get(place)
        if total is None or total.verdict not in UNPROVEN:
            return holds
        if more := [str(each) for each in total.beyond if each.is_more]:
            return holds.and_also(reasons.HOLDS_MORE(verdict=total.verdict, further=", ".join(more)))
        return holds.and_also(reasons.VERDICT(verdict=total.verdict))

    @cached_property
    def totals(self) -> Mapping[Place, access_plan.TotalAccess]:
        """The plan's totals, or, after a run, the ones that it left.

        Access that was not removed still counts. An account may keep an earlier form of a permission set, and AWS does
        not say what that allows.
        """
        planned = {(total.person, total.account_id): total for total in self.plan.totals}
        if not (self._not_removed or self._earlier_forms):
            return planned
        earlier = self._earlier_forms
        undecided = {
            (claim.person, claim.grant.account_id)
            for claim in (self.plan.served if earlier else ())
            if provisioning_key(claim.grant.permission_set, claim.grant.account_id) in earlier
            and self._was_in(claim)
        }
        found = dict(planned)
        for person, account in {**planned, **self._not_removed}:
            place = person, account
            total = planned.get(place) or access_plan.TotalAccess(person, account, "", userless=True)
            left = (each.access for each in self._not_removed.get(place, ()))
            beyond = tuple(
                replace(each, covered=False) if provisioning_key(each.set_name, account) in earlier else each
                for each in (*total.beyond, *left)
            )
            verdict = WIDER if any(each.is_more for each in beyond) else total.verdict
            if place in undecided and verdict != WIDER:
                verdict = UNDECIDED
            found[place] = replace(total, beyond=beyond, verdict=verdict)
        return found

    def _was_in(self, claim: model.Claim) -> bool:
        person, group = self.plan.known_people.get(claim.person), self.groups.get(claim.group)
        return bool(person and group and person.user_id in group.members)

    @cached_property
    def _not_removed(self) -> Mapping[Place, Sequence[access_plan.EndingAccess]]:
        """What people hold in an account because the run did not make the plan's removal."""
        found = defaultdict[Place, list[access_plan.EndingAccess]](list)
        for each in self.plan.ending if self.ended else ():
            if (ended := self.ended.get(each.key)) and ended.status != DONE:
                found[each.person, each.account_id].append(each)
        return dict(found)

    @cached_property
    def _earlier_forms(self) -> frozenset[str]:
        """The keys of changes that failed to provision a permission set to an account that has it."""
        return frozenset(
            change.key
            for change in (self.plan.changes if self.ended else ())
            if change.kind == model.PROVISIONING
            and (ended := self.ended.get(change.key))
            and ended.status in (writer.FAILED, writer.LEFT)
        )

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """Key of each change that creates something -> kind and name."""
        return {
            change.key: f"{change.kind} {change.name}"
            for change in self.plan.changes
            if change.calls and change.action in (access_plan.CREATE, access_plan.ASSIGN)
        }

    def _left_behind(self, keys: tuple[str, ...]) -> str:
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

    ``elsewhere``: managed groups with assignments in unread accounts, and these assignments. ``empty``: managed groups
    without requests and members.
    ``set_names``: of their permission sets, by ARN.
    """

    report: Report
    state: model.CenterState
    managed_sets: Collection[str]
    elsewhere: Sequence[model.KnownGroup] = ()
    set_names: Mapping[str, str] = field(default_factory=dict)
    empty: Sequence[model.KnownGroup] = ()
