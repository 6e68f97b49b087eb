# SPDX-License-Identifier: Apache-2.0
"""Putting one user into quarantine, and releasing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from c7n_iamusers.exceptions import UserReplaced
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, SubjectGone
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import FAILED, QUARANTINED, RELEASED, SKIPPED, UNCHANGED
from c7n_iamusers.execution.user_run import Run
from c7n_iamusers.iam.attachments import INACTIVE, LOGIN_PROFILE
from c7n_iamusers.iam.deny_all import FORMS, deny_form, is_bounded
from c7n_iamusers.iam.history import History
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.own_changes import deletion_begun, quarantine_of, switchable
from c7n_iamusers.iam.quarantine_record import Quarantine, quarantine_of_tags
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import read_key_use
from c7n_iamusers.quarantine.plan import plan_quarantine, plan_release
from c7n_iamusers.safeguards.guards import Guards, compromised, identity_refusal, refusal, standing
from c7n_iamusers.safeguards.identity import OTHER_FORM, BoundaryChanged, gone, identify_for, spare
from c7n_iamusers.safeguards.live_judgement import Judge, no_judgement
from c7n_iamusers.snapshots.archive import RecordPlaces, UserRecords


@dataclass(frozen=True)
class UserQuarantine:
    """Quarantines users of ``run`` for ``policy`` and ``reason``.

    Users are read by their own lists, all of them: a credential that a list of all users might miss would stay
    active unnoticed, where a deletion would run into it. ``refused``: the forms of the Deny that the role may not
    use, as found out. ``judge``: why a user is no longer one that the policy's filter selects.
    """

    run: Run
    records: UserRecords
    guards: Guards
    policy: str
    reason: str
    judge: Judge = no_judgement
    refused: set[str] = field(default_factory=set)
    now: Callable[[], datetime] = utc_now

    def quarantine(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """Status and reason. Raises CallFailed, ClientError or an IamUsersError where it fails."""
        unfit: set[str] = set()
        for remaining in reversed(range(len(FORMS) + 1)):
            user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(evidence.name)
            if user is None:
                return _absent(self.run, evidence, applied)
            try:
                return self._quarantine(evidence, user, applied, unfit)
            except SubjectGone:
                return _absent(self.run, evidence, applied)
            except BoundaryChanged:
                continue
            except UserReplaced as error:
                return FAILED, spare(self.run, error, evidence, applied)
            except CallFailed as error:
                form = deny_form(error.call)
                if not form or not remaining or error.code not in OTHER_FORM:
                    raise
                (unfit if error.code == "LimitExceeded" else self.refused).add(form)
        return FAILED, f"{evidence}: somebody keeps changing its permissions boundary: run again"

    def _quarantine(
        self, evidence: Subject, user: IamUser, applied: Applied, unfit: set[str]
    ) -> tuple[str, str]:
        keys = read_key_use(self.run.client, user, self.run.backoff)
        if reason := refusal(evidence, user, self.guards, self.now(), keys) or self.judge(user, keys):
            return SKIPPED, reason
        if begun := deletion_begun(user):
            return (
                SKIPPED,
                f"a deletion of it is under way or was stopped, begun {begun}: its Deny-all stands",
            )
        found = self.records.find(user, applied.made)
        refused = frozenset(unfit | self.refused)
        planned = plan_quarantine(user, self.now(), self.policy, self.reason, found.known, refused)
        if not planned.plan.calls:
            return UNCHANGED, standing(user, planned.record.since, keys)
        self.records.keep(found)
        self.records.note_quarantine(evidence, planned.record)
        identify = identify_for(self.run, evidence, user, planned.plan, applied)
        self.run.executor.apply(planned.plan, applied, identify)
        if not identify():
            raise SubjectGone
        told = "; ".join([*_limits(user), *planned.notes])
        if not planned.problem:
            return QUARANTINED, told
        off = ", ".join(planned.record.deactivated) or "none"
        return (
            FAILED,
            f"{planned.problem}. Its active credentials were switched off all the same: {off}; {told}",
        )


@dataclass(frozen=True)
class UserRelease:
    """Releases users of ``run``. ``include_compromised``: also those of whom AWS saw a key leaked.

    ``trust_tags``: where neither Deny nor journal has the record, take what the tags say for it.
    """

    run: Run
    places: RecordPlaces
    include_compromised: bool = False
    trust_tags: bool = False
    now: Callable[[], datetime] = utc_now

    def release(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """Status and reason. Raises CallFailed or ClientError where it fails."""
        user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(evidence.name)
        if user is None:
            return _absent(self.run, evidence, applied)
        try:
            return self._release(evidence, user, applied)
        except SubjectGone:
            return _absent(self.run, evidence, applied)
        except BoundaryChanged:
            return (
                FAILED,
                f"{evidence}: its permissions boundary was changed outside this tool: look at it, run again",
            )
        except UserReplaced as error:
            return FAILED, spare(self.run, error, evidence, applied)

    def _release(self, evidence: Subject, user: IamUser, applied: Applied) -> tuple[str, str]:
        if reason := identity_refusal(evidence, user, self.run.callers):
            return SKIPPED, reason
        if not self.include_compromised and (reason := compromised(user)):
            return SKIPPED, reason
        history = self.places.known_history(user, (), self.now())
        if (begun := deletion_begun(user)) or history.deletion_unfinished():
            return FAILED, (
                f"{evidence}: a deletion of it was begun {begun or 'before'}, so there is more to give back than a "
                f"release does: c7n-iamusers restore OUTPUT --user {evidence.name}. Nothing was changed"
            )
        record = self._record(user, history)
        if record is None:
            return self._without_record(evidence, user)
        keys = read_key_use(self.run.client, user, self.run.backoff)
        former = self.places.former_boundary(user, history) if is_bounded(user) else None
        planned = plan_release(user, record, history, former, self.trust_tags)
        if planned.problem:
            return FAILED, f"{evidence}: {planned.problem}"
        identify = identify_for(self.run, evidence, user, planned.plan, applied)
        self.run.executor.apply(planned.plan, applied, identify)
        if not identify():
            raise SubjectGone
        return RELEASED, "; ".join([*planned.notes, standing(user, record.since, keys)])

    def _record(self, user: IamUser, history: History) -> Quarantine | None:
        if found := quarantine_of(user, history):
            return found
        claimed = quarantine_of_tags(user.tags)
        if claimed and history.quarantine:
            # The Deny was removed outside this tool: then nothing is switched on, but it is said what is off.
            return history.quarantine
        if claimed and self.trust_tags:
            return claimed
        ours = history.boundary_deny() and is_bounded(user)
        return Quarantine(self.now(), "", "", (), "boundary", known=False) if ours else None

    def _without_record(self, evidence: Subject, user: IamUser) -> tuple[str, str]:
        claimed = quarantine_of_tags(user.tags)
        if claimed is None and not is_bounded(user):
            return SKIPPED, "not in quarantine"
        off = [f"{kind.title} {item[kind.identifier]}" for kind, item in switchable(user, INACTIVE)]
        what = "a tag says that it is in quarantine" if claimed else "AWSDenyAll is its permissions boundary"
        return FAILED, (
            f"{evidence}: {what}, and neither its Deny-all nor a journal at hand tells what was active before, so "
            f"nothing was changed. The record lies in the output of the quarantine's run (journal.jsonl): name that by "
            f"record-from; or trust-tags: true takes the tags' word for it, which whoever may tag it can forge. "
            f"Inactive now: {', '.join(off) or 'no credential'}"
        )


def _absent(run: Run, evidence: Subject, applied: Applied) -> tuple[str, str]:
    if problem := gone(run, evidence):
        return FAILED, problem
    after = f": deleted outside this run, after {applied.calls} of its calls" if applied.calls else ""
    return SKIPPED, f"already gone{after}"


def _limits(user: IamUser) -> list[str]:
    if not user.attachments[LOGIN_PROFILE.name]:
        return []
    return ["its console password still opens a session, in which the Deny-all leaves nothing allowed"]
