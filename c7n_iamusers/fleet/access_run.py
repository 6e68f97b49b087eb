# SPDX-License-Identifier: Apache-2.0
"""One run for a desired access: read once, plan, apply, and say of each IAM user how it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from c7n_iamusers.aws.center_reader import CenterReader
from c7n_iamusers.aws.journal import JournalWriter
from c7n_iamusers.decisions.access_plan import Evidence, plan_access
from c7n_iamusers.decisions.changes import membership_key, user_key
from c7n_iamusers.decisions.earlier_names import with_earlier_names
from c7n_iamusers.decisions.quotas import quota_faults
from c7n_iamusers.decisions.terraform import Existing
from c7n_iamusers.fleet.center import Center
from c7n_iamusers.fleet.second_look import SecondLook
from c7n_iamusers.identity_center.writer.change import WriterContext
from c7n_iamusers.identity_center.writer.writer import DONE, ApplyOptions, Ended, SingleWriter
from c7n_iamusers.model.access import Claim, DesiredAccess, PersonKey
from c7n_iamusers.model.access_plan import (
    CREATE,
    PERMISSION_SET,
    AccessPlan,
    CenterState,
    Choices,
    Total,
)
from c7n_iamusers.model.access_proof import UNPROVEN
from c7n_iamusers.model.outcome import FAILED, PROVISIONED, SKIPPED, UNCHANGED, Outcome


@dataclass(frozen=True)
class Report:
    """A plan, and how each of its changes that was begun has ended: none where it was not applied."""

    desired: DesiredAccess
    plan: AccessPlan
    ended: Mapping[str, Ended] = field(default_factory=dict)

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

    def look_at_everybody(self) -> tuple[Report, CenterState]:
        """The same, with what everybody holds in all accounts that have anything of ours."""
        accounts = self._reader.permission_sets.accounts_of_ours()
        report = self._planned(self._reader.read(self._desired, accounts, everybody=True))
        return report, self._state

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
        center = self._center
        context = WriterContext(
            center.clients,
            center.instance,
            journal,
            SecondLook(self._reader, self._desired, self._state, center.instance),
            center.rate,
            center.backoff,
        )
        return Report(self._desired, report.plan, SingleWriter(context, report.plan.work, options).run())
