# SPDX-License-Identifier: Apache-2.0
"""Releasing one user from quarantine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import UserReplaced
from c7n_iamusers.execution.calls import Plan, Subject
from c7n_iamusers.execution.executor import Applied, Run, SubjectGone
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import FAILED, RELEASED, SKIPPED, UNCHANGED
from c7n_iamusers.iam.attachments import ACTIVE, INACTIVE
from c7n_iamusers.iam.live_users import LiveUsers, read_back
from c7n_iamusers.iam.switchable import titles_of
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import read_key_use
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import GONE_DENY, INLINE, brownout_of, denies, foreign_policies, is_bounded
from c7n_iamusers.lockout.lockout_state import deletion_begun, foreign_deny, predated
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord, tagged_since
from c7n_iamusers.quarantine.plan import plan_brownout_end
from c7n_iamusers.quarantine.release_plan import (
    plan_release,
    record_to_release,
    still_denying,
    used_under_aws_deny_all,
)
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards import user_identity
from c7n_iamusers.safeguards.reasons_to_spare import compromised, identity_refusal, quarantine_status
from c7n_iamusers.snapshots.user_records import RecordStores, note_lapse
from c7n_iamusers.text.wording import shown


@dataclass(frozen=True)
class UserRelease:
    """Releases users of ``run``. ``include_compromised``: also those with a key that AWS reported as compromised.

    ``adopt``: also those that have lost something in quarantine, unless it may have denied them something.
    """

    run: Run
    stores: RecordStores
    include_compromised: bool = False
    adopt: bool = False
    now: Callable[[], datetime] = utc_now

    def release(self, evidence: Subject, applied: Applied) -> tuple[str, Reason]:
        """Release one user. Returns status and reason. Raises CallFailed or ClientError."""
        user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(evidence.name)
        if user is None:
            return user_identity.absent(self.run, evidence, applied)
        try:
            return self._release(evidence, user, applied)
        except SubjectGone:
            return user_identity.absent(self.run, evidence, applied)
        except user_identity.BoundaryChanged:
            return FAILED, reasons.DENY_CHANGED(user=evidence)
        except UserReplaced as error:
            return FAILED, user_identity.handle_replacement(self.run, error, evidence, applied)

    def _release(self, evidence: Subject, user: IamUser, applied: Applied) -> tuple[str, Reason]:
        if reason := identity_refusal(evidence, user, self.run.callers):
            return SKIPPED, reason
        if not self.include_compromised and (reason := compromised(user)):
            return SKIPPED, reason
        history = self.stores.known_history(user, (), self.now())
        note_lapse(self.run.journal, user, history, self.now())
        if problem := _unreleasable(evidence, user, history):
            return FAILED, problem
        record = record_to_release(user, history, self.now())
        brownout = brownout_of(user)
        ended = reasons.BROWNOUT_ENDED(end=brownout.end) if brownout else None
        if record is None:
            return self._end_brownout(evidence, user, applied, ended)
        former = self.stores.former_boundary(user, history)
        if former.disputed and is_bounded(user):
            return FAILED, former.disputed
        planned = plan_release(user, record, history, former.items)
        keys = read_key_use(self.run.client, user, self.run.backoff)
        used = used_under_aws_deny_all(record, history, keys)
        if problem := self._half_deleted(user, record, history) or planned.problem or used:
            return FAILED, reasons.NOT_RELEASED(user=evidence, why=problem)
        if inactive := self._give_back(evidence, user, planned.plan, applied):
            return FAILED, reasons.ACTIVATION_NOT_SHOWN(user=evidence, calls=inactive)
        problems = self._problems(evidence, user, planned.plan)
        status = quarantine_status(user, record.since, keys)
        told = [*problems, *filter(None, [ended]), *planned.notes, status]
        return FAILED if problems else RELEASED, reasons.joined(told)

    def _half_deleted(self, user: IamUser, record: QuarantineRecord, history: CallHistory) -> Reason | None:
        """Why the Deny stays on a user that may be half deleted; None if it may be lifted."""
        if record.deny in ("none", GONE_DENY):
            return None
        if missing := self.stores.on_record(user).incomplete(user.subject):
            return missing
        lost = self.stores.lost(user, record, history)
        if found := [str(each) for each in lost if each.may_deny or not self.adopt]:
            kind = reasons.DENY_LOST_IN_QUARANTINE if lost[0].may_deny else reasons.LOST_IN_QUARANTINE
            return kind(since=record.since, lost=shown(found))
        foreign = foreign_deny(user, history) if record.deny == INLINE else ""
        unsure = foreign and not self.stores.snapshot_before(user, record.since)
        return reasons.DENY_BESIDE(deny=foreign) if unsure else None

    def _end_brownout(
        self, evidence: Subject, user: IamUser, applied: Applied, ended: Reason | None
    ) -> tuple[str, Reason]:
        """The outcome if no record of a quarantine is known. ``ended``: the brownout to end, if any."""
        if ended:
            ending = plan_brownout_end(user)
            user_identity.apply_to_user(self.run, evidence, user, ending, applied)
            user, unseen = read_back(self.run, user, ending)
            if unseen:
                return FAILED, reasons.BROWNOUT_NOT_SHOWN(user=evidence)
        return self._without_record(evidence, user, ended)

    def _give_back(self, evidence: Subject, user: IamUser, plan: Plan, applied: Applied) -> str:
        """Apply ``plan``. Returns the calls whose activations AWS does not show; then the Deny is not lifted."""
        identify = user_identity.identity_check(
            self.run.client, self.run.backoff, evidence, user, plan, applied
        )
        switches = tuple(takewhile(lambda call: "Status" in call.parameters, plan.calls))
        self.run.executor.apply(Plan(plan.subject, switches), applied, identify, more=True)
        _, unseen = read_back(self.run, user, Plan(plan.subject, switches)) if switches else (user, [])
        if unseen:
            return ", ".join(call.permission for call in unseen)
        self.run.executor.apply(Plan(plan.subject, plan.calls[len(switches) :]), applied, identify)
        if not identify():
            raise SubjectGone
        return ""

    def _problems(self, evidence: Subject, user: IamUser, plan: Plan) -> list[Reason]:
        """What of the release AWS does not show after ``plan``. Raises SubjectGone."""
        after, unseen = read_back(self.run, user, plan)
        problems = []
        if left := still_denying(after):
            problems.append(reasons.STILL_DENIED(user=evidence, left=left))
        if unseen:
            calls = ", ".join(call.permission for call in unseen)
            problems.append(reasons.RELEASE_NOT_SHOWN(user=evidence, calls=calls))
        if off := [
            credential for credential in titles_of(user, ACTIVE) if credential in titles_of(after, INACTIVE)
        ]:
            problems.append(reasons.DEACTIVATED_BY_OTHERS(user=evidence, which=", ".join(off)))
        return problems

    def _without_record(self, evidence: Subject, user: IamUser, ended: Reason | None) -> tuple[str, Reason]:
        """The outcome if no record of a quarantine is known. ``ended``: the brownout that was ended, if any."""
        claimed = tagged_since(user.tags)
        left = still_denying(user)
        if claimed is None and not is_bounded(user):
            if left and ended:
                return FAILED, reasons.ONLY_BROWNOUT_ENDED(user=evidence, left=left)
            if left:
                status = FAILED if any(map(denies, foreign_policies(user))) else SKIPPED
                return status, reasons.DENIED_BY_OTHERS(left=left)
            return (RELEASED, ended) if ended else (UNCHANGED, reasons.NOTHING_TO_RELEASE())
        off = titles_of(user, INACTIVE)
        what = "a tag says that it is in quarantine" if claimed else "AWSDenyAll is its permissions boundary"
        what += f", and {left}" if left and claimed else ""
        changed = "only its brownout was ended" if ended else "nothing was changed"
        inactive = ", ".join(off) or "no credential"
        return FAILED, reasons.NO_RECORD(user=evidence, what=what, changed=changed, inactive=inactive)


def _unreleasable(evidence: Subject, user: IamUser, history: CallHistory) -> Reason | None:
    """Why a release must change nothing; None if it may."""
    if begun := deletion_begun(user, history):
        return reasons.DELETION_BEGUN(user=evidence, begun=begun, name=user.name)
    if lifted := predated(user, history):
        return reasons.DENY_PUT_ON_SINCE(user=evidence, lifted=lifted)
    return None
