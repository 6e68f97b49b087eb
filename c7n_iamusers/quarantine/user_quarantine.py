# SPDX-License-Identifier: Apache-2.0
"""Putting one user into quarantine, and releasing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import GateClosed, NotRestorable, ReadingOutdated, UserReplaced
from c7n_iamusers.execution.calls import ApiCall, Plan, Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, Run, SubjectGone
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import (
    BROWNED_OUT,
    FAILED,
    QUARANTINED,
    RELEASED,
    SKIPPED,
    UNCHANGED,
    failure_reason,
)
from c7n_iamusers.iam.attachments import ACTIVE, INACTIVE, LOGIN_PROFILE
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.read_back import shows
from c7n_iamusers.iam.sign_in_sessions import NO_SESSIONS, SignInSessions
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse, read_key_use
from c7n_iamusers.lockout.applied_calls import History
from c7n_iamusers.lockout.deny_all import (
    DENY_ALL_NAME,
    FORMS,
    GONE_DENY,
    brownout_of,
    denies,
    deny_form,
    foreign_policies,
    is_bounded,
)
from c7n_iamusers.lockout.lockout_state import deletion_begun, deny_record_of, predated, switchable
from c7n_iamusers.lockout.quarantine_record import Quarantine, tagged_since
from c7n_iamusers.quarantine.plan import (
    QuarantinePlan,
    plan_brownout,
    plan_brownout_end,
    plan_quarantine,
    plan_release,
    record_to_release,
    still_denying,
    used_under_aws_deny_all,
)
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards import user_identity
from c7n_iamusers.safeguards.gates import AskedOfUser, NoteExempt, before_first_change, note_nobody
from c7n_iamusers.safeguards.guards import (
    Guards,
    Recheck,
    compromised,
    exempting_rule,
    identity_refusal,
    left_alone,
    no_recheck,
    quarantine_broken,
    quarantine_status,
    refusal,
)
from c7n_iamusers.snapshots.archive import RecordedUser, RecordStores, UserRecords, note_lapse
from c7n_iamusers.snapshots.lost_denies import lost_denies
from c7n_iamusers.text.wording import shown


@dataclass(frozen=True)
class _Turn:
    """One user's turn: ``user`` as read at ``began``. ``unfit``: forms of the Deny that don't fit on it."""

    evidence: Subject
    user: IamUser
    applied: Applied
    unfit: dict[str, str]
    guards: Callable[[], Guards]
    began: float


@dataclass(frozen=True)
class UserQuarantine:
    """Quarantines users of ``run`` for ``policy`` and ``reason``. ``keep``: only the Deny, credentials stay active.
    ``brownout``: a Deny that ends by itself after so many minutes, and no quarantine. ``caused``: the time of
    the event that asks for it. Users that a run changed since are left alone, as AWS can deliver an event again.
    ``new``: that event is their creation, so no earlier run can have put a Deny on them. ``guards``: asked anew for
    each user, right before its first change; see Gates.

    Each user's attachments are read from the user's own lists: a credential that a list of the account might miss would
    stay active unnoticed. ``recheck``: why the policy's filter no longer selects a user. ``refused``: forms of the Deny
    that the role may not use, with AWS's error code, as found out during the run. ``note_exempt``: records that a user
    was exempt, which voids its announcement. ``adopt``: also users under an AWSDenyAll that is not ours.
    """

    run: Run
    records: UserRecords
    guards: Callable[[], Guards]
    policy: str
    reason: str
    recheck: Recheck = no_recheck
    refused: dict[str, str] = field(default_factory=dict)
    keep: bool = False
    brownout: int | None = None
    caused: datetime | None = None
    new: bool = False
    sessions: SignInSessions = NO_SESSIONS
    now: Callable[[], datetime] = utc_now
    note_exempt: NoteExempt = note_nobody
    adopt: bool = False

    def quarantine(self, evidence: Subject, applied: Applied) -> tuple[str, Reason]:
        """Quarantine one user. Returns status and reason. Raises CallFailed, ClientError or an IamUsersError."""
        status, reason = self._in_forms(evidence, applied)
        return status, self.records.named_if_back(evidence, reason)

    def _in_forms(self, evidence: Subject, applied: Applied) -> tuple[str, Reason]:
        """The outcome, with the first form of the Deny that the role may use and that fits."""
        unfit, guards = dict[str, str](), AskedOfUser(self.guards, applied)
        guards()  # under a STOP file, users are not even read
        for remaining in reversed(range(len(FORMS) + 1)):
            began = self.run.backoff.clock()
            user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(evidence.name)
            if user is None:
                return _absent(self.run, evidence, applied)
            turn = _Turn(evidence, user, applied, unfit, guards, began)
            try:
                return self._noted(turn, self._quarantine(turn))
            except (GateClosed, NotRestorable) as error:
                return self._noted(turn, self._spared(turn, error))
            except SubjectGone:
                return _absent(self.run, evidence, applied)
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
        (turn.unfit if error.code == "LimitExceeded" else self.refused)[form] = error.code

    def _noted(self, turn: _Turn, outcome: tuple[str, Reason]) -> tuple[str, Reason]:
        """``outcome``; that the user is exempt is recorded."""
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
        found = self.records.find(user, applied.made, self.adopt)
        self.records.note_lapse(found)
        if left := self._left_to_others(evidence, found):
            return left
        found.require_whole(self.adopt)
        if self.brownout:
            return self._brown_out(turn, found, self.brownout)
        refused = {**turn.unfit, **self.refused}
        planned = plan_quarantine(user, self.now(), self.policy, self.reason, found.known, refused, self.keep)
        if not planned.plan.calls:
            return self._left(found, planned, keys)
        found.require_nothing_lost(self.adopt)
        self.records.keep(found)
        applied.ask = self._asked_before_change(turn)
        self.records.note_quarantine(evidence, planned.record)
        _apply(self.run, evidence, user, planned.plan, applied)
        kept = [reasons.CREDENTIALS_KEPT()] if self.keep else []
        sessions = None if planned.problem else self.sessions.end(user, self.run.executor)
        notes = [*kept, *_limits(user), *filter(None, [sessions]), *planned.notes]
        if planned.problem:
            off = ", ".join(planned.record.deactivated) or "none"
            return FAILED, reasons.DEACTIVATED_WITHOUT_DENY(why=planned.problem, which=off).and_also(*notes)
        if problem := self._undone(turn, planned.plan):
            return FAILED, problem.and_also(*notes)
        if found.broken:
            broken = quarantine_broken(user, found.broken)
            return FAILED, broken.and_also(reasons.QUARANTINED_AGAIN(), *notes)
        return QUARANTINED, reasons.joined(notes)

    def _undone(self, turn: _Turn, plan: Plan) -> Reason | None:
        """What AWS does not show of the quarantine after ``plan``; None if it shows all of it.

        Somebody may have released the user meanwhile. Raises SubjectGone.
        """
        after, unseen = read_back(self.run, turn.user, plan)
        if active := [] if self.keep else _active(after):
            return reasons.ACTIVE_UNDER_DENY(user=turn.evidence, which=", ".join(active))
        if not unseen:
            return None
        calls = ", ".join(call.permission for call in unseen)
        return reasons.QUARANTINE_NOT_SHOWN(user=turn.evidence, calls=calls)

    def _asked_before_change(self, turn: _Turn) -> Callable[[], None]:
        clock = self.run.backoff.clock
        return before_first_change(turn.evidence, turn.user, turn.guards, turn.began, clock, self.now)

    def _left_to_others(self, evidence: Subject, found: RecordedUser) -> tuple[str, Reason] | None:
        """The outcome for a user whose Deny-all, or its absence, is another run's or another person's work."""
        user, calls, caused = found.user, found.known.calls, self.caused
        untouched = self.new and not calls  # so a Deny-all on it is not ours
        if untouched and deny_record_of(user):
            return FAILED, reasons.UNEXPLAINED_DENY(user=evidence, policy=DENY_ALL_NAME)
        # one without a record is replaced
        if not untouched and found.begun:
            return FAILED, reasons.DELETION_IN_PROGRESS(user=evidence, begun=found.begun, name=user.name)
        if caused and any(each.answered and each.time >= caused for each in calls):
            return SKIPPED, reasons.CHANGED_SINCE_EVENT()
        return None

    def _refusal(
        self, evidence: Subject, user: IamUser, keys: Sequence[KeyUse], guards: Guards
    ) -> Reason | None:
        """Why the user is left alone; None if it may be quarantined. That its Deny was removed is said anyway."""
        reason = refusal(evidence, user, guards, self.now(), keys) or self.recheck(user, keys)
        if reason is None:
            return None
        found = self.records.find(user)
        self.records.note_lapse(found)
        if undone := found.broken:
            return quarantine_broken(user, undone).and_also(reasons.NOT_QUARANTINED_AGAIN(why=reason))
        return reason

    def _brown_out(self, turn: _Turn, found: RecordedUser, minutes: int) -> tuple[str, Reason]:
        user, applied = turn.user, turn.applied
        if found.quarantine:
            return UNCHANGED, reasons.IN_QUARANTINE_ALREADY(since=found.quarantine.since)
        if found.broken:
            return FAILED, quarantine_broken(user, found.broken)
        planned = plan_brownout(user, self.now(), minutes)
        if planned.problem:
            return SKIPPED, reasons.NO_BROWNOUT(why=planned.problem)
        if not planned.plan.calls:
            return UNCHANGED, reasons.IN_BROWNOUT(end=planned.brownout.end)
        self.records.keep(found)
        applied.ask = self._asked_before_change(turn)
        _apply(self.run, turn.evidence, user, planned.plan, applied)
        return BROWNED_OUT, reasons.BROWNED_OUT_UNTIL(end=planned.brownout.end)

    def _left(
        self, found: RecordedUser, planned: QuarantinePlan, keys: Sequence[KeyUse]
    ) -> tuple[str, Reason]:
        """The outcome of a plan without calls: the quarantine holds, or this plan is not what completes it."""
        if planned.problem:
            return FAILED, planned.problem
        if planned.lapsed:
            broken = quarantine_broken(found.user, planned.record)
            return left_alone(broken), broken.and_also(reasons.DEACTIVATE_TO_COMPLETE())
        off = [reasons.ALREADY_DEACTIVATED()] if self.keep and not planned.record.kept else []
        lost = [reasons.LOST_SINCE(lost=found.lost)] if found.lost else []
        status = quarantine_status(found.user, planned.record.since, keys)
        return UNCHANGED, reasons.joined([*planned.notes, *off, status, *lost])


def read_back(run: Run, user: IamUser, plan: Plan) -> tuple[IamUser, list[ApiCall]]:
    """The user as AWS shows it after ``plan``, and the calls of the plan that it does not show. Raises SubjectGone.

    IAM is eventually consistent, so it is read several times.
    """
    after, unseen = user, list(plan.calls)
    for delay in islice(run.backoff.delays(), _READS):
        found = LiveUsers(run.client, 1, run.backoff).read_fully(user.name)
        if found is None or found.unique_id != user.unique_id:
            raise SubjectGone
        after, unseen = found, [each for each in plan.calls if not shows(found, each, each.parameters)]
        if not unseen:
            break
        run.backoff.sleep(delay)
    return after, unseen


@dataclass(frozen=True)
class UserRelease:
    """Releases users of ``run``. ``include_compromised``: also those with a key that AWS reported as compromised."""

    run: Run
    stores: RecordStores
    include_compromised: bool = False
    now: Callable[[], datetime] = utc_now

    def release(self, evidence: Subject, applied: Applied) -> tuple[str, Reason]:
        """Release one user. Returns status and reason. Raises CallFailed or ClientError."""
        user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(evidence.name)
        if user is None:
            return _absent(self.run, evidence, applied)
        try:
            return self._release(evidence, user, applied)
        except SubjectGone:
            return _absent(self.run, evidence, applied)
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
        former = self.stores.former_boundary(user, history) if is_bounded(user) else None
        planned = plan_release(user, record, history, former)
        keys = read_key_use(self.run.client, user, self.run.backoff)
        used = used_under_aws_deny_all(record, history, keys)
        if problem := planned.problem or self._lost(user, record) or used:
            return FAILED, reasons.NOT_RELEASED(user=evidence, why=problem)
        if inactive := self._give_back(evidence, user, planned.plan, applied):
            return FAILED, reasons.ACTIVATION_NOT_SHOWN(user=evidence, calls=inactive)
        problems = self._problems(evidence, user, planned.plan)
        status = quarantine_status(user, record.since, keys)
        told = [*problems, *filter(None, [ended]), *planned.notes, status]
        return FAILED if problems else RELEASED, reasons.joined(told)

    def _lost(self, user: IamUser, record: Quarantine) -> Reason | None:
        """Why a Deny without a record of a deletion is not lifted; None if it may be."""
        if record.deny in ("none", GONE_DENY):
            return None
        snapshot = self.stores.snapshot_before(user, record.since)
        found = lost_denies(snapshot, user) if snapshot else []
        return reasons.LOST_IN_QUARANTINE(since=record.since, lost=shown(found)) if found else None

    def _end_brownout(
        self, evidence: Subject, user: IamUser, applied: Applied, ended: Reason | None
    ) -> tuple[str, Reason]:
        """The outcome if no record of a quarantine is known. ``ended``: the brownout to end, if any."""
        if ended:
            ending = plan_brownout_end(user)
            _apply(self.run, evidence, user, ending, applied)
            user, unseen = read_back(self.run, user, ending)
            if unseen:
                return FAILED, reasons.BROWNOUT_NOT_SHOWN(user=evidence)
        return self._without_record(evidence, user, ended)

    def _give_back(self, evidence: Subject, user: IamUser, plan: Plan, applied: Applied) -> str:
        """Apply ``plan``. The calls whose activations AWS does not show; the Deny is not lifted then."""
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
        if off := [each for each in _active(user) if each in _inactive(after)]:
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
        off = _inactive(user)
        what = "a tag says that it is in quarantine" if claimed else "AWSDenyAll is its permissions boundary"
        what += f", and {left}" if left and claimed else ""
        changed = "only its brownout was ended" if ended else "nothing was changed"
        inactive = ", ".join(off) or "no credential"
        return FAILED, reasons.NO_RECORD(user=evidence, what=what, changed=changed, inactive=inactive)


def _active(user: IamUser) -> list[str]:
    return [f"{kind.title} {item[kind.identifier]}" for kind, item in switchable(user, ACTIVE)]


def _inactive(user: IamUser) -> list[str]:
    return [f"{kind.title} {item[kind.identifier]}" for kind, item in switchable(user, INACTIVE)]


#: How often a user is read until AWS shows its quarantine or release.
_READS = 5


def _unreleasable(evidence: Subject, user: IamUser, history: History) -> Reason | None:
    """Why a release must change nothing; None if it may."""
    if begun := deletion_begun(user, history):
        return reasons.DELETION_BEGUN(user=evidence, begun=begun, name=user.name)
    if lifted := predated(user, history):
        return reasons.DENY_PUT_ON_SINCE(user=evidence, lifted=lifted)
    return None


def _apply(run: Run, evidence: Subject, user: IamUser, plan: Plan, applied: Applied) -> None:
    """Apply ``plan``. Raises CallFailed, ClientError, SubjectGone, BoundaryChanged or UserReplaced."""
    identify = user_identity.identity_check(run.client, run.backoff, evidence, user, plan, applied)
    run.executor.apply(plan, applied, identify)
    if not identify():
        raise SubjectGone


def _absent(run: Run, evidence: Subject, applied: Applied) -> tuple[str, Reason]:
    if problem := user_identity.not_gone(run, evidence):
        return FAILED, problem
    gone = reasons.GONE_MEANWHILE(calls=applied.calls) if applied.calls else reasons.ALREADY_GONE()
    return SKIPPED, gone


def _limits(user: IamUser) -> list[Reason]:
    return [reasons.SESSION_WORKS()] if user.attachments[LOGIN_PROFILE.name] else []
