# SPDX-License-Identifier: Apache-2.0
"""Deleting one user: read it live, guard, snapshot, plan, apply."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from c7n_iamusers.actions.identification import OTHER_FORM, BoundaryChanged, identified, spare
from c7n_iamusers.actions.live_judgement import Judge, no_judgement
from c7n_iamusers.actions.user_records import Found, UserRecords
from c7n_iamusers.actions.user_run import Run
from c7n_iamusers.aws.executor import DONE, Applied, CallFailed, SubjectGone
from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.key_use import read_key_use
from c7n_iamusers.aws.live_users import LiveUsers
from c7n_iamusers.aws.users import unassigned_mfa
from c7n_iamusers.decisions.deletion import deletion_documents, orphan_calls, plan_deletion
from c7n_iamusers.decisions.deletion_guards import Guards, refusal
from c7n_iamusers.decisions.deny_all import BOUNDARY, deny_form, is_bare, is_denial, put_again
from c7n_iamusers.decisions.review import review_refusal
from c7n_iamusers.exceptions import Stranger
from c7n_iamusers.model.attachments import MFA_DEVICE
from c7n_iamusers.model.calls import Plan, Subject
from c7n_iamusers.model.deletion_plan import DeletionPlan, PlannedDeletion
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.outcome import DELETED, FAILED, SKIPPED
from c7n_iamusers.model.quarantine import QUARANTINE_TAG
from c7n_iamusers.model.snapshot import known_attachments

LOG = logging.getLogger("custodian.c7n_iamusers")
Outcome = tuple[str, str]

#: So many looks, ever further apart, until AWS's lists agree that a user is gone.
LOOKS = 6


@dataclass(frozen=True)
class UserDeletion:
    """Deletes users of ``run``. ``reviewed``: only what stands in it, where there is one.

    ``judge``: why a user is no longer one that the policy's filter selects. ``adopt``: carry on deletions that were
    begun with another output. ``refused``: the forms of the Deny that the role may not use, as found out.
    """

    run: Run
    users: LiveUsers
    records: UserRecords
    guards: Guards
    reviewed: DeletionPlan | None = None
    judge: Judge = no_judgement
    adopt: bool = False
    refused: set[str] = field(default_factory=set)
    now: Callable[[], datetime] = utc_now

    def delete(self, evidence: Subject, applied: Applied) -> Outcome:
        """Status and reason. Raises CallFailed, ClientError or an IamUsersError where it fails."""
        return _Deletion(self, evidence, applied).run_to_its_end()

    def propose(self, evidence: Subject) -> PlannedDeletion:
        """What ``delete`` would do now, without doing any of it. Raises ClientError or an IamUsersError."""
        deletion = _Deletion(self, evidence, Applied())
        user = self.users.read(evidence.name)
        if user is None:
            return PlannedDeletion(evidence, skipped=deletion.absent()[1])
        found = self.records.find(user, adopted=self.adopt)
        if reason := deletion.refusal(found):
            return PlannedDeletion(evidence, skipped=reason)
        held = {kind: count for kind, count in found.snapshot.user.counts().items() if count}
        return PlannedDeletion(evidence, found.snapshot.fingerprint, deletion.plan(found).calls, held)


@dataclass
class _Deletion:
    """One user's deletion, over as many rounds as it takes. ``refused``: forms of the Deny that don't fit on it."""

    of: UserDeletion
    evidence: Subject
    applied: Applied
    refused: set[str] = field(default_factory=set)
    found: Found | None = None

    def run_to_its_end(self) -> Outcome:
        """Rounds of reading, judging, recording and applying, until the user is gone or left alone."""
        delays, read = self.of.run.backoff.delays(), self.of.users.read
        while True:
            user = read(self.evidence.name)
            read = self.of.users.read_fully
            try:
                outcome = self.absent() if user is None else self._round(user, delays)
            except SubjectGone:
                return self.absent()
            except Stranger as error:
                return FAILED, spare(self.of.run, error, self.evidence, self.applied)
            finally:
                self.applied.left = self._left()
            if outcome is not None:
                return outcome

    def _round(self, user: IamUser, delays: Iterator[float]) -> Outcome | None:
        """What became of the user; None where another round is needed."""
        if self.applied.calls and user.unique_id != self.evidence.unique_id:
            raise Stranger(f"{self.evidence}: the name belongs to another user by now", user.unique_id)
        self.found = self.of.records.find(user, self.applied.made, self.of.adopt)
        try:
            reason = self._apply(self.found)
        except BoundaryChanged:
            if self._pause(delays):
                return None
            reason = "somebody keeps changing its permissions boundary"
        except CallFailed as error:
            self._deny_again(error)
            if not self._goes_on(error, delays):
                raise
            return None
        if reason and self.applied.calls:
            return FAILED, f"{self.evidence}: stopped after {self.applied.calls} calls: {reason}"
        if reason:
            return SKIPPED, reason
        return (DELETED, "") if self.applied.ended("DeleteUser") == DONE else self.absent()

    def refusal(self, found: Found) -> str | None:
        """Why the user is left alone; None where it is to go."""
        user, guards = found.user, self.of.guards
        run = self.of.run
        asked = guards.ask_key_use or self.of.judge is not no_judgement
        keys = read_key_use(run.client, user, run.backoff) if asked else ()
        emptied = bool(self.applied.calls) or _emptied(found)
        reason = refusal(
            self.evidence, user, guards, self.of.now(), keys, quarantine=found.quarantine, emptied=emptied
        )
        if reason or self.applied.calls:
            return reason
        if found.begun_elsewhere and not self.of.adopt:
            return (
                f"a deletion of it was begun {found.begun_elsewhere} with another output, and is under way or was "
                "stopped: run that policy again with that output; only where that is lost: adopt: true"
            )
        return self.of.judge(user, keys)

    def plan(self, found: Found) -> Plan:
        """Every call. Raises DenyRefused."""
        orphaned = self._orphaned_mfa(found)
        return plan_deletion(found.user, self.of.now(), orphaned, found.quarantine, self._forms_refused)

    def absent(self) -> Outcome:
        """Nobody has the name any more: what that means, after AWS's lists were asked too."""
        evidence, ours = self.evidence, self.applied.ended("DeleteUser") == DONE
        for delay in self._looks():
            name = None if ours else self.of.users.name_of(evidence.unique_id)
            if name is None:
                return self._gone(ours)
            if name != evidence.name:
                return FAILED, f"{evidence}: renamed to {name} meanwhile; run again"
            # The list is stale, or GetUser was: neither is believed alone.
            self.of.run.backoff.sleep(delay)
        return FAILED, f"{evidence}: GetUser does not find it, and ListUsers still does: run again"

    def _apply(self, found: Found) -> str | None:
        """Why the user is left alone; None once the plan is applied."""
        if reason := self.refusal(found):
            return reason
        plan = self.plan(found)
        if self.of.reviewed is not None:
            planned = self.of.reviewed.of(found.user.subject)
            begun_on = found.earlier if found.history.deeds else ()
            if reason := review_refusal(planned, found.snapshot, plan, begun_on):
                return reason
        self.of.records.keep(found)
        self.of.run.executor.apply(plan, self.applied, self._identify(found, plan))
        return None

    def _identify(self, found: Found, plan: Plan) -> Callable[[], bool]:
        binding = [call for call in plan.calls if deny_form(call) == BOUNDARY]

        def bound() -> bool:
            return bool(binding) and binding[0] not in (call for call, _ in self.applied.made)

        return identified(self.of.run, self.evidence, found.user, bound)

    def _goes_on(self, error: CallFailed, delays: Iterator[float]) -> bool:
        if error.code in ("DeleteConflict", "NoSuchEntity"):
            # Something was attached or the user went meanwhile, or a change has not spread yet: look again.
            return self._pause(delays)
        form = deny_form(error.call)
        if not form or error.code not in OTHER_FORM:
            return False
        if error.code == "LimitExceeded":
            self.refused.add(form)
        else:
            LOG.warning("no Deny-all in the form %s (%s): the next form is tried", form, error)
            self.of.refused.add(form)
        return True

    def _deny_again(self, error: CallFailed) -> None:
        """DeleteUser failed after the Deny came off: a session that is open must not get anything of it."""
        lifts = [call for call, _ in self.applied.made[-2:-1] if is_denial(call) and not deny_form(call)]
        if error.call.operation != "DeleteUser" or not lifts or self.found is None:
            return
        document = deletion_documents(self.of.now(), self.found.quarantine)[-1]
        plan = Plan(self.evidence, (put_again(self.found.user, lifts[0], document, "deletion"),))
        try:
            self.of.run.executor.apply(plan, self.applied, self._identify(self.found, plan))
        except (CallFailed, SubjectGone) as second:
            LOG.warning("%s: the Deny-all could not be put back: %s", self.evidence, second)

    def _gone(self, ours: bool) -> Outcome:
        if ours:
            return DELETED, ""
        if self.of.records.deleted(self.evidence):
            return DELETED, "by an earlier run, which did not get to say so"
        calls = self.applied.calls
        if not calls:
            return SKIPPED, "already gone"
        self._clear_orphans()
        return SKIPPED, f"already gone: deleted outside this run, after {calls} of its calls"

    def _clear_orphans(self) -> None:
        """Deletes virtual MFA devices of the user that nobody has now, whoever deleted it."""
        if self.found is not None:
            orphaned = self._orphaned_mfa(self.found, gone=True)
            plan = Plan(self.evidence, tuple(orphan_calls(self.evidence, orphaned)))
            self.of.run.executor.apply(plan, self.applied)

    def _orphaned_mfa(self, found: Found, gone: bool = False) -> list[Item]:
        """Devices of this user, by its snapshots, that a stopped run deactivated and did not delete."""
        listed = set() if gone else {item["SerialNumber"] for item in found.user.attachments[MFA_DEVICE.name]}
        snapshots = [*found.earlier, *([found.snapshot] if gone else ())]
        recorded = {item["SerialNumber"]: item for item in known_attachments(snapshots, MFA_DEVICE.name)}
        missing = recorded.keys() - listed
        client, backoff = self.of.run.client, self.of.run.backoff
        orphaned = missing & unassigned_mfa(client, backoff) if missing else set()
        return [recorded[serial] for serial in sorted(orphaned)]

    def _left(self) -> str:
        """The state that a failure now would leave the user in."""
        on, taken = False, 0
        for call, result in self.applied.made:
            if result not in (DONE, "unknown", "interrupted"):
                continue
            if is_denial(call):
                on = bool(deny_form(call))
            else:
                taken += 1
        if not on:
            return ""
        return (
            f"it is locked out by our Deny-all, and {taken} of its attachments are removed: run again to finish, or "
            f"c7n-iamusers restore OUTPUT --user {self.evidence.name} gives back what was removed and lifts the Deny"
        )

    def _pause(self, delays: Iterator[float]) -> bool:
        delay = next(delays, None)
        if delay is not None:
            self.of.run.backoff.sleep(delay)
        return delay is not None

    def _looks(self) -> list[float]:
        delays = self.of.run.backoff.delays()
        return [delay for delay, _ in zip(delays, range(LOOKS), strict=False)]

    @property
    def _forms_refused(self) -> frozenset[str]:
        return frozenset(self.refused | self.of.refused)


def _emptied(found: Found) -> bool:
    """True where an earlier run removed everything, its Deny at last, and nobody has released the user since."""
    lifted = [each for each in found.history.deeds if each.operation == "DeleteUserPolicy"]
    return bool(
        found.history.denied_here() and lifted and is_bare(found.user) and QUARANTINE_TAG in found.user.tags
    )
