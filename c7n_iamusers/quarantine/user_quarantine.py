# SPDX-License-Identifier: Apache-2.0
"""Putting one user into quarantine or a brownout, and when that has to wait or is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import GateClosed, NotRestorable, ReadingOutdated, UserReplaced
from c7n_iamusers.execution.calls import Plan, Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, Run, SubjectGone
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import (
    BROWNED_OUT,
    FAILED,
    QUARANTINED,
    SKIPPED,
    UNCHANGED,
    failure_reason,
)
from c7n_iamusers.iam.attachments import ACTIVE, LOGIN_PROFILE
from c7n_iamusers.iam.live_users import LiveUsers, read_back
from c7n_iamusers.iam.sign_in_sessions import NO_SESSIONS, SignInSessions
from c7n_iamusers.iam.switchable import titles_of
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse, read_key_use
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, FORMS, deny_form
from c7n_iamusers.lockout.lockout_state import deny_record_of
from c7n_iamusers.quarantine.plan import QuarantinePlan, plan_brownout, plan_quarantine
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards import user_identity
from c7n_iamusers.safeguards.gate_readings import AskedOfUser, NoteExempt, before_first_change, note_nobody
from c7n_iamusers.safeguards.live_recheck import Recheck, no_recheck
from c7n_iamusers.safeguards.reasons_to_spare import (
    Guards,
    exempting_rule,
    left_alone,
    quarantine_broken,
    quarantine_status,
    refusal,
)
from c7n_iamusers.snapshots.user_records import RecordedUser, UserRecords
from c7n_iamusers.text.wording import shown


@dataclass(frozen=True)
class _Turn:
    """One user's turn: ``user`` as read at ``began``.

    ``refused``: forms of the Deny that AWS refused for this user, with its error code. AWS may accept them for other
    users.
    """

    evidence: Subject
    user: IamUser
    applied: Applied
    refused: dict[str, str]
    guards: Callable[[], Guards]
    began: float


@dataclass(frozen=True)
class UserQuarantine:
    """Quarantines users of ``run`` for ``policy`` and ``reason``. ``keep``: only the Deny, credentials stay active.
    ``aws_deny_all``: as AWSDenyAll, whatever inline Deny is there, without a tag. ``brownout``: a Deny that ends by
    itself after so many minutes, and no quarantine. ``caused``: the time of the event that asks for it. Users that a
    run changed since are left alone, as AWS can deliver an event again. ``new``: that event is their creation, so no
    earlier run can have put a Deny on them. ``guards``: asked anew for each user, right before its first change; see
    Gates.

    Each user's attachments are read from the user's own lists: a credential that a list of the account might miss would
    stay active unnoticed. ``recheck``: why the policy's filter no longer selects a user. ``note_exempt``: records that
    a user was exempt, which voids its announcement. ``adopt``: also users under an AWSDenyAll that is not ours.
    ``noted``: unique id -> what else people are told of a user that is put in quarantine.
    """

    run: Run
    records: UserRecords
    guards: Callable[[], Guards]
    policy: str
    reason: str
    recheck: Recheck = no_recheck
    keep: bool = False
    aws_deny_all: bool = False
    brownout: int | None = None
    caused: datetime | None = None
    new: bool = False
    sessions: SignInSessions = NO_SESSIONS
    now: Callable[[], datetime] = utc_now
    note_exempt: NoteExempt = note_nobody
    adopt: bool = False
    noted: Mapping[str, Reason] = field(default_factory=dict)

    def quarantine(self, evidence: Subject, applied: Applied) -> tuple[str, Reason]:
        """Quarantine one user. Returns status and reason. Raises CallFailed, ClientError or an IamUsersError."""
        status, reason = self._in_forms(evidence, applied)
        return status, self.records.named_if_back(evidence, reason)

    def _in_forms(self, evidence: Subject, applied: Applied) -> tuple[str, Reason]:
        """The outcome, with the first form of the Deny that the role may use and that fits."""
        refused, guards = dict[str, str](), AskedOfUser(self.guards, applied)
        guards()  # under a STOP file, users are not even read
        for remaining in reversed(range(len(FORMS) + 1)):
            began = self.run.backoff.clock()
            user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(evidence.name)
            if user is None:
                return user_identity.absent(self.run, evidence, applied)
            turn = _Turn(evidence, user, applied, refused, guards, began)
            try:
                return self._noted(turn, self._quarantine(turn))
            except (GateClosed, NotRestorable) as error:
                return self._noted(turn, self._spared(turn, error))
            except SubjectGone:
                return user_identity.absent(self.run, evidence, applied)
            except UserReplaced as error:
                return FAILED, user_identity.handle_replacement(self.run, error, evidence, applied)
            except user_identity.BoundaryChanged:
                continue
            except (ReadingOutdated, CallFailed) as error:
                self._raise_unless_retried(turn, error, remaining)
        return FAILED, reasons.DENY_KEEPS_CHANGING(user=evidence)

    def _raise_unless_retried(self, turn: _Turn, error: ReadingOutdated | CallFailed, remaining: int) -> None:
        """Raises ``error`` unless the user is to be read again, and tried in another form if this one is refused."""
        if isinstance(error, ReadingOutdated):
            if not remaining:
                raise error
            return
        form = deny_form(error.call)
        if not form or not remaining or error.code not in user_identity.FORM_REFUSED:
            raise error
        turn.refused[form] = error.code

    def _noted(self, turn: _Turn, outcome: tuple[str, Reason]) -> tuple[str, Reason]:
        """``outcome``, once the user's exemption, if any, is recorded."""
        if rule := exempting_rule(turn.user, turn.guards().rules, self.now()):
            self.note_exempt([(turn.user.subject, rule)])
        return outcome

    def _spared(self, turn: _Turn, why: Reason | GateClosed | NotRestorable) -> tuple[str, Reason]:
        """The outcome of a user that is left alone, maybe right before its first change."""
        reason = why if isinstance(why, Reason) else failure_reason(turn.evidence, why)
        if not turn.applied.changed:
            return FAILED if self.records.deletion_begun(turn.user) else left_alone(reason), reason
        stopped = reasons.STOPPED_HALF_WAY(user=turn.evidence, calls=turn.applied.calls, why=reason)
        return FAILED, stopped.and_also(reasons.MAYBE_DENIED())

    def _quarantine(self, turn: _Turn) -> tuple[str, Reason]:
        evidence, user, applied = turn.evidence, turn.user, turn.applied
        keys = read_key_use(self.run.client, user, self.run.backoff)
        if reason := self._refusal(evidence, user, keys, turn.guards()):
            return self._spared(turn, reason)
        recorded = self.records.find(user, applied.made, self.adopt)
        self.records.note_lapse(recorded)
        if left := self._left_to_others(evidence, recorded):
            return left
        recorded.require_whole(self.adopt)
        if self.brownout:
            return self._brown_out(turn, recorded, self.brownout)
        planned = plan_quarantine(
            *(user, self.now(), self.policy, self.reason, recorded.known, turn.refused),
            keep=self.keep,
            aws_deny_all=self.aws_deny_all,
        )
        if not planned.plan.calls:
            return self._left(turn, recorded, planned, keys)
        recorded.require_nothing_lost(self.adopt)
        self.records.keep(recorded)
        applied.ask = self._asked_before_change(turn)
        self.records.note_quarantine(evidence, planned.record)
        user_identity.apply_to_user(self.run, evidence, user, planned.plan, applied)
        kept = [reasons.CREDENTIALS_KEPT()] if self.keep else []
        sessions = None if planned.problem else self.sessions.end(user, self.run.executor)
        notes = [*kept, *_limits(user, not planned.problem), *filter(None, [sessions]), *planned.notes]
        if planned.problem:
            off = ", ".join(planned.record.deactivated) or "none"
            return FAILED, reasons.DEACTIVATED_WITHOUT_DENY(why=planned.problem, which=off).and_also(*notes)
        if problem := self._undone(turn, planned.plan):
            return FAILED, problem.and_also(*notes)
        if recorded.broken:
            broken = quarantine_broken(user, recorded.broken)
            return FAILED, broken.and_also(reasons.QUARANTINED_AGAIN(), *notes)
        return QUARANTINED, reasons.joined([*notes, *filter(None, [self.noted.get(evidence.unique_id)])])

    def _undone(self, turn: _Turn, plan: Plan) -> Reason | None:
        """What AWS does not show of the quarantine after ``plan``; None if it shows all of it.

        Somebody may have released the user meanwhile. Raises SubjectGone.
        """
        after, unseen = read_back(self.run, turn.user, plan)
        if active := [] if self.keep else titles_of(after, ACTIVE):
            return reasons.ACTIVE_UNDER_DENY(user=turn.evidence, which=", ".join(active))
        if not unseen:
            return None
        calls = ", ".join(call.permission for call in unseen)
        return reasons.QUARANTINE_NOT_SHOWN(user=turn.evidence, calls=calls)

    def _asked_before_change(self, turn: _Turn) -> Callable[[], None]:
        clock = self.run.backoff.clock
        return before_first_change(turn.evidence, turn.user, turn.guards, turn.began, clock, self.now)

    def _left_to_others(self, evidence: Subject, recorded: RecordedUser) -> tuple[str, Reason] | None:
        """The outcome for a user whose Deny-all, or its absence, is another run's or another person's work."""
        user, calls, caused = recorded.user, recorded.known.calls, self.caused
        untouched = self.new and not calls  # so a Deny-all on it is not ours
        if untouched and deny_record_of(user) and not self.aws_deny_all:
            return FAILED, reasons.UNEXPLAINED_DENY(user=evidence, policy=DENY_ALL_NAME)
        # one without a record is replaced
        if not untouched and recorded.begun:
            return FAILED, reasons.DELETION_IN_PROGRESS(user=evidence, begun=recorded.begun, name=user.name)
        if caused and any(call.answered and call.time >= caused for call in calls):
            return SKIPPED, reasons.CHANGED_SINCE_EVENT()
        return None

    def _refusal(
        self, evidence: Subject, user: IamUser, keys: Sequence[KeyUse], guards: Guards
    ) -> Reason | None:
        """Why the user is left alone; None if it may be quarantined. A removed Deny is reported anyway."""
        reason = refusal(evidence, user, guards, self.now(), keys) or self.recheck(user, keys)
        if reason is None:
            return None
        recorded = self.records.find(user)
        self.records.note_lapse(recorded)
        if undone := recorded.broken:
            return quarantine_broken(user, undone).and_also(reasons.NOT_QUARANTINED_AGAIN(why=reason))
        return reason

    def _brown_out(self, turn: _Turn, recorded: RecordedUser, minutes: int) -> tuple[str, Reason]:
        user, applied = turn.user, turn.applied
        if recorded.quarantine:
            return UNCHANGED, reasons.IN_QUARANTINE_ALREADY(since=recorded.quarantine.since)
        if recorded.broken:
            return FAILED, quarantine_broken(user, recorded.broken)
        planned = plan_brownout(user, self.now(), minutes)
        if planned.problem:
            return SKIPPED, reasons.NO_BROWNOUT(why=planned.problem)
        if not planned.plan.calls:
            if applied.changed:  # by this run, whose call had no answer until the user was read again
                return BROWNED_OUT, reasons.BROWNED_OUT_UNTIL(end=planned.brownout.end)
            return UNCHANGED, reasons.IN_BROWNOUT(end=planned.brownout.end)
        self.records.keep(recorded)
        applied.ask = self._asked_before_change(turn)
        user_identity.apply_to_user(self.run, turn.evidence, user, planned.plan, applied)
        if self.now() >= planned.brownout.end:
            return FAILED, reasons.BROWNOUT_PASSED(user=turn.evidence, end=planned.brownout.end)
        return BROWNED_OUT, reasons.BROWNED_OUT_UNTIL(end=planned.brownout.end)

    def _left(
        self, turn: _Turn, recorded: RecordedUser, planned: QuarantinePlan, keys: Sequence[KeyUse]
    ) -> tuple[str, Reason]:
        """The outcome of a plan without calls: the quarantine holds, or this plan is not what completes it.

        It may be this run's own, whose call had no answer until the user was read again.
        """
        if planned.problem:
            return FAILED, planned.problem
        if planned.lapsed:
            broken = quarantine_broken(recorded.user, planned.record)
            return left_alone(broken), broken.and_also(reasons.DEACTIVATE_TO_COMPLETE())
        off = [reasons.ALREADY_DEACTIVATED()] if self.keep and not planned.record.kept else []
        lost = [reasons.LOST_SINCE(lost=shown([*map(str, recorded.lost)]))] if recorded.lost else []
        status = quarantine_status(recorded.user, planned.record.since, keys)
        own = QUARANTINED if turn.applied.changed else UNCHANGED
        return own, reasons.joined([*planned.notes, *off, status, *lost])


def _limits(user: IamUser, denied: bool) -> list[Reason]:
    """What of ``user`` still works. ``denied``: whether the Deny-all is on it."""
    password = bool(user.attachments[LOGIN_PROFILE.name])
    if not denied:
        what = "its console password and its open sessions" if password else "its open sessions"
        return [reasons.NOTHING_DENIED(what=what)]
    return [reasons.SESSION_WORKS()] if password else []
