# SPDX-License-Identifier: Apache-2.0
"""Deleting one user: read it live, check the guards, snapshot it, plan, apply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.deletion.plan import deletion_documents, orphan_calls, plan_deletion
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan, PlannedDeletion, review_refusal
from c7n_iamusers.exceptions import GateClosed, NotRestorable, ReadingOutdated, UserReplaced
from c7n_iamusers.execution.calls import DENIED, Plan, Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, Run, SubjectGone
from c7n_iamusers.execution.journal import DECISION, utc_now
from c7n_iamusers.execution.journaled_call import DONE, GONE, INTERRUPTED, UNKNOWN
from c7n_iamusers.execution.journaled_call import FAILED as FAILED_CALL
from c7n_iamusers.execution.outcomes import DELETED, FAILED, SKIPPED, failure_reason
from c7n_iamusers.iam.attachments import ACCESS_KEY, ATTACHMENT_KINDS, MFA_DEVICE
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.permissions import RIGHTS as RIGHTS_PERMISSIONS
from c7n_iamusers.iam.sign_in_sessions import NO_SESSIONS, SignInSessions
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.users import KeyUse, read_key_use, unassigned_mfa
from c7n_iamusers.lockout.applied_calls import CallHistory
from c7n_iamusers.lockout.deny_all import (
    BOUNDARY,
    PUT_BACK,
    deny_form,
    form_on,
    holds_inline,
    is_bare,
    is_bounded,
    is_denial,
    put_back,
)
from c7n_iamusers.lockout.lockout_state import own_deny
from c7n_iamusers.reasons import DONE as NOTHING_TO_SAY
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards import gate_readings, user_identity
from c7n_iamusers.safeguards.gate_readings import AskedOfUser, NoteExempt, before_first_change, note_nobody
from c7n_iamusers.safeguards.live_recheck import Recheck, no_recheck
from c7n_iamusers.safeguards.reasons_to_spare import Before, Guards, exempting_rule, left_alone, refusal
from c7n_iamusers.snapshots.snapshot import Snapshot, known_attachments
from c7n_iamusers.snapshots.user_records import RecordedUser, UserRecords
from c7n_iamusers.text.wording import visible_log

LOG = visible_log("custodian.c7n_iamusers")
StatusAndReason = tuple[str, Reason]
#: The results of calls that were applied, or may have been.
_MAYBE_APPLIED = (DONE, UNKNOWN, INTERRUPTED)


@dataclass(frozen=True)
class UserDeletion:
    """Deletes users of ``run``. ``reviewed``: if given, only what is in this plan.

    ``guards``: asked anew for each user, right before its first change; see Gates. ``recheck``: why the policy's filter
    no longer selects a user. ``adopt``: continue deletions that began with another output. ``note_exempt``: records
    that a user was exempt, which voids its announcement. ``spared``: unique id -> why an earlier step leaves the user
    alone. ``noted``: unique id -> what people are told of a user that is deleted all the same.

    A user whose deletion is unfinished is judged as it was before the deletion, and is never skipped: see RecordedUser.
    """

    run: Run
    users: LiveUsers
    records: UserRecords
    guards: Callable[[], Guards]
    reviewed: DeletionPlan | None = None
    recheck: Recheck = no_recheck
    adopt: bool = False
    sessions: SignInSessions = NO_SESSIONS
    now: Callable[[], datetime] = utc_now
    note_exempt: NoteExempt = note_nobody
    spared: Mapping[str, Reason] = field(default_factory=dict)
    noted: Mapping[str, Reason] = field(default_factory=dict)

    def delete(self, evidence: Subject, applied: Applied) -> StatusAndReason:
        """Delete one user. Returns status and reason. Raises CallFailed, ClientError or an IamUsersError."""
        if (reason := self.spared.get(evidence.unique_id)) and not self.records.began_deletion(evidence):
            return SKIPPED, reason
        deletion = _Deletion(self, evidence, applied)
        status, reason = deletion.run()
        noted = self.noted.get(evidence.unique_id) if status == DELETED else None
        return status, self.records.named_if_back(evidence, reason.and_also(deletion.sessions, noted))

    def propose(self, evidence: Subject) -> PlannedDeletion:
        """What ``delete`` would do now. Changes nothing. Raises ClientError or an IamUsersError."""
        if (reason := self.spared.get(evidence.unique_id)) and not self.records.began_deletion(evidence):
            return PlannedDeletion(evidence, skipped=reason)
        deletion = _Deletion(self, evidence, Applied())
        user = self.users.read(evidence.name)
        if user is None:
            return PlannedDeletion(evidence, skipped=deletion.absent()[1])
        found = self.records.find(user, adopted=self.adopt)
        if reason := deletion.refusal(found):
            if found.begun:
                raise GateClosed(deletion.unfinished(reason, found.begun))
            return PlannedDeletion(evidence, skipped=reason)
        try:
            found.snapshot.checked_json()
        except NotRestorable as error:
            return PlannedDeletion(evidence, skipped=failure_reason(evidence, error))
        held = {kind: count for kind, count in found.snapshot.user.counts().items() if count}
        calls, noted = deletion.plan(found).calls, self.noted.get(evidence.unique_id)
        return PlannedDeletion(evidence, found.snapshot.fingerprint, calls, held, noted=noted)


class _AnotherRound(Exception):
    """The user has to be read again."""


class _InDoubt(Exception):
    """The user has to be read again before its Deny is lifted."""


#: Why a user is left alone if every round ended like this.
_UNSETTLED: dict[type[Exception], Reason] = {
    user_identity.BoundaryChanged: reasons.BOUNDARY_KEEPS_CHANGING(),
    user_identity.DenyGone: reasons.DENY_KEEPS_GOING(),
    _InDoubt: reasons.LISTED_AND_GONE(),
}


@dataclass
class _Deletion:
    """One user's deletion, in one or more rounds.

    ``refused``: forms of the Deny that AWS refused for this user, with its error code. AWS may accept them for other
    users.

    ``undenied``: why the Deny that was lifted for DeleteUser could not be put on again; None if it was not needed.
    ``began``: when the user was read last, by the clock of the backoff. ``lifted``: somebody else took the Deny off.
    """

    of: UserDeletion
    evidence: Subject
    applied: Applied
    refused: dict[str, str] = field(default_factory=dict)
    found: RecordedUser | None = None
    sessions: Reason | None = None
    undenied: Reason | None = None
    began: float = 0.0
    lifted: bool = False
    guards: Callable[[], Guards] = field(init=False)

    def __post_init__(self) -> None:
        self.guards = AskedOfUser(self.of.guards, self.applied)

    def run(self) -> StatusAndReason:
        """Read, check, snapshot, plan and apply, in rounds, until the user is gone or left alone."""
        self.guards()  # under a STOP file, users are not even read
        delays, read = self.of.run.backoff.delays(), self.of.users.read
        while True:
            self.began = self.of.run.backoff.clock()
            user = read(self.evidence.name)
            read = self.of.users.read_fully
            try:
                outcome = self.absent() if user is None else self._round(user, delays)
            except SubjectGone:
                return self.absent()
            except UserReplaced as error:
                return FAILED, user_identity.handle_replacement(
                    self.of.run, error, self.evidence, self.applied
                )
            finally:
                self.applied.failure_note = self._failure_note()
            if outcome is not None:
                return outcome

    def _round(self, user: IamUser, delays: Iterator[float]) -> StatusAndReason | None:
        """The outcome; None if another round is needed."""
        if self.applied.calls and user.unique_id != self.evidence.unique_id:
            raise user_identity.user_replaced(self.evidence, user.unique_id)
        self.found = self.of.records.find(user, self.applied.made, self.of.adopt)
        self.of.records.note_lapse(self.found)
        try:
            reason = self._applied_or_refused(self.found, delays)
        except _AnotherRound:
            return None
        if reason and (rule := exempting_rule(self.found.whole, self.guards().rules, self.of.now())):
            self.of.note_exempt([(user.subject, rule)])
        if reason and self.applied.changed:
            calls = self.applied.calls
            return FAILED, reasons.STOPPED_HALF_WAY(user=self.evidence, calls=calls, why=reason)
        if reason and self.found.begun:
            return FAILED, self.unfinished(reason, self.found.begun)
        if reason:
            return left_alone(reason), reason
        return (DELETED, NOTHING_TO_SAY) if self.applied.ended("DeleteUser") == DONE else self.absent()

    def unfinished(self, reason: Reason, begun: str) -> Reason:
        """Why the deletion that began at ``begun`` is left unfinished."""
        return reasons.LEFT_UNFINISHED(user=self.evidence, begun=begun, why=reason)

    def _applied_or_refused(self, found: RecordedUser, delays: Iterator[float]) -> Reason | None:
        """Why the user is left alone; None if the plan was applied. Raises _AnotherRound where that may help."""
        try:
            return self._apply(found)
        except (GateClosed, NotRestorable) as error:
            return failure_reason(self.evidence, error)
        except (user_identity.BoundaryChanged, user_identity.DenyGone, _InDoubt) as error:
            self.lifted = isinstance(error, user_identity.DenyGone)
            if not self._pause(delays):
                return _UNSETTLED[type(error)]
        except ReadingOutdated:
            if next(delays, None) is None:
                raise
        except CallFailed as error:
            if not self._retries(error, delays):
                raise
        raise _AnotherRound

    def refusal(self, found: RecordedUser) -> Reason | None:
        """Why the user is left alone; None if it may be deleted. Raises SnapshotRefused; see require_whole."""
        user, guards, run = found.user, self.guards(), self.of.run
        asked = guards.ask_key_use or self.of.recheck is not no_recheck
        keys = read_key_use(run.client, user, run.backoff) if asked else ()
        # A run that passed these guards has removed everything, finally its Deny.
        emptied = self.applied.changed or (is_bare(user) and found.history.lifted_for_deletion())
        before = Before(found.whole, found.quarantine, found.broken, emptied)
        reason = refusal(self.evidence, user, guards, self.of.now(), keys, before)
        if reason or self.applied.changed:
            return reason
        if found.unread:
            return reasons.POLICIES_UNREAD(why=found.unread, permissions=", ".join(RIGHTS_PERMISSIONS))
        if found.begun_elsewhere and not self.of.adopt:
            return reasons.BEGUN_ELSEWHERE(begun=found.begun_elsewhere)
        found.require_whole(self.of.adopt)
        found.require_nothing_lost(self.of.adopt)
        if spared := self.of.spared.get(user.unique_id):
            return spared
        # What is gone is no longer used, and its use was judged when the deletion began.
        held = {str(item["AccessKeyId"]) for item in user.attachments[ACCESS_KEY.name]}
        listed = (str(item["AccessKeyId"]) for item in found.whole.attachments[ACCESS_KEY.name])
        return self.of.recheck(
            found.whole, (*keys, *(KeyUse(each, None) for each in listed if each not in held))
        )

    def plan(self, found: RecordedUser) -> Plan:
        """All calls of the deletion. Raises DenyRefused."""
        listed = {item["SerialNumber"] for item in found.user.attachments[MFA_DEVICE.name]}
        orphaned = self._orphaned_mfa(found.earlier, listed)
        return plan_deletion(
            found.user, self.of.now(), orphaned, found.quarantine, self.refused, found.snapshot
        )

    def absent(self) -> StatusAndReason:
        """The outcome if no user has the name any more, after ListUsers confirmed it."""
        ended = self.applied.ended("DeleteUser")
        if ended != DONE and (problem := user_identity.not_gone(self.of.run, self.evidence)):
            return FAILED, problem
        return self._outcome_of_absence(ended in (DONE, UNKNOWN))

    def _apply(self, found: RecordedUser) -> Reason | None:
        """Apply the plan. Returns why the user is left alone instead; None if the plan was applied."""
        if reason := self.refusal(found):
            return reason
        plan = self.plan(found)
        if self.of.reviewed is not None:
            planned = self.of.reviewed.of(found.user.subject)
            begun_on = found.earlier if found.begun else ()
            if reason := review_refusal(planned, found.snapshot, plan, begun_on):
                return reason
        self.of.records.keep(found)
        clock, now = self.of.run.backoff.clock, self.of.now
        if not self.applied.changed:
            reviewed = self.of.reviewed.file if self.of.reviewed else {}
            said = gate_readings.on_record(self.guards(), self.evidence, now(), reviewed)
            self.of.run.journal.write(self.evidence, DECISION, **said)
        self.applied.ask = before_first_change(
            self.evidence, found.whole, self.guards, self.began, clock, now
        )
        try:
            self._make_calls(found, plan)
        except Exception:
            self._put_deny_back(found)
            raise
        return None

    def _make_calls(self, found: RecordedUser, plan: Plan) -> None:
        """Apply ``plan``. Sign-in sessions end right after the Deny is on.

        What may deny the user something is removed only while the Deny is on, by a read right before each such call.

        Raises DenyGone; and _InDoubt, before the Deny is lifted, if AWS said that something is gone which it had just
        listed.
        """
        identify, executor = self._identify(found, plan), self.of.run.executor
        denying = sum(bool(deny_form(call)) for call in plan.calls[:1])
        executor.apply(Plan(plan.subject, plan.calls[:denying]), self.applied, identify, more=True)
        self.lifted = False
        if self.of.sessions.offered and not self.sessions:
            self.sessions = self.of.sessions.end(found.user, executor)
        removing, begun = _removing(plan, denying), self.applied.calls
        denied = self._denied_check(found, plan, denying)
        for part in Plan(plan.subject, plan.calls[denying:removing]).stretches():
            if DENIED in part.calls[0].checked:
                denied()
                executor.apply(part, self.applied, lambda: identify() and denied(), more=True)
            else:
                executor.apply(part, self.applied, identify, more=True)
        if any(result == GONE for _, result in self.applied.made[begun:]):
            raise _InDoubt
        executor.apply(Plan(plan.subject, plan.calls[removing:]), self.applied, identify)

    def _denied_check(self, found: RecordedUser, plan: Plan, denying: int) -> Callable[[], bool]:
        """A function that raises DenyGone unless the Deny of ``plan`` is on the user, or the one that it had."""
        form = deny_form(plan.calls[0]) if denying else form_on(found.user)

        def check() -> bool:
            user_identity.require_denied(self.of.run.client, self.of.run.backoff, found.user, form)
            return True

        return check

    def _identify(self, found: RecordedUser, plan: Plan) -> Callable[[], bool]:
        return user_identity.identity_check(
            self.of.run.client, self.of.run.backoff, self.evidence, found.user, plan, self.applied
        )

    def _retries(self, error: CallFailed, delays: Iterator[float]) -> bool:
        """True if another round may succeed after ``error``."""
        if error.code in ("DeleteConflict", "NoSuchEntity"):
            # Something was attached, or somebody deleted the user, or IAM is not consistent yet.
            return self._pause(delays)
        form = deny_form(error.call)
        if not form or error.code not in user_identity.FORM_REFUSED:
            return False
        LOG.info("%s: Deny-all in the form %s refused, trying the next form: %s", self.evidence, form, error)
        self.refused[form] = error.code
        return True

    def _put_deny_back(self, found: RecordedUser) -> None:
        """Put the Deny on again if it was lifted and DeleteUser then failed: a session may still be open.

        It has the purpose and the record that it had, so that a quarantine goes on.

        Raises UserReplaced if another user has the name now: the Deny may be on that one.
        """
        made = self.applied.made
        rest = made[:-1] if self.applied.ended("DeleteUser") in (FAILED_CALL, UNKNOWN, INTERRUPTED) else made
        lifts = [
            call for call, end in rest[-1:] if is_denial(call) and not deny_form(call) and end != FAILED_CALL
        ]
        if not lifts:
            return
        # Nothing else is left on the user, so there is room for the whole record.
        document = deletion_documents(self.of.now(), found.quarantine)[0]
        why = found.known.attached_for() if lifts[0].operation == "DetachUserPolicy" else ""
        put = put_back(found.user, lifts[0], document, why or "deletion")
        plan = Plan(self.evidence, (replace(put, notes={**put.notes, PUT_BACK: True}),))
        try:
            identify = self._identify(found, plan)
            if identify():
                self.of.run.executor.apply(plan, self.applied, identify, urgent=True)
        except UserReplaced:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, both failures are reported
            self.undenied = reasons.SESSION_STILL_OPEN(why=str(error))
            LOG.warning("%s: %s", self.evidence, self.undenied.text)

    def _outcome_of_absence(self, ours: bool) -> StatusAndReason:
        if ours:
            return DELETED, NOTHING_TO_SAY
        if at := self.of.records.deleted_by_us(self.evidence):
            self.applied.rests_on = at.isoformat()
            return DELETED, reasons.DELETED_EARLIER()
        calls = self.applied.calls
        self._delete_orphaned_mfa()
        if not calls:
            return SKIPPED, reasons.ALREADY_GONE()
        return SKIPPED, reasons.GONE_MEANWHILE(calls=calls)

    def _delete_orphaned_mfa(self) -> None:
        """Delete the user's virtual MFA devices that are assigned to nobody now. Somebody else deleted the user."""
        orphaned = self._orphaned_mfa(
            self.of.records.snapshots_of_deletion(self.evidence, self.applied.made), set()
        )
        plan = Plan(self.evidence, tuple(orphan_calls(self.evidence, orphaned)))
        self.of.run.executor.apply(plan, self.applied)

    def _orphaned_mfa(self, snapshots: Iterable[Snapshot], listed: set[Any]) -> list[Item]:
        """Virtual MFA devices in ``snapshots`` that are neither ``listed`` (serial numbers) nor assigned to anybody."""
        recorded = {item["SerialNumber"]: item for item in known_attachments(snapshots, MFA_DEVICE.name)}
        missing = recorded.keys() - listed
        client, backoff = self.of.run.client, self.of.run.backoff
        orphaned = missing & unassigned_mfa(client, backoff) if missing else set()
        return [recorded[serial] for serial in sorted(orphaned)]

    def _failure_note(self) -> Reason | None:
        """See Applied.failure_note."""
        found, made = self.found, self.applied.made
        if found is None or not (found.begun or made):
            return None
        denials = [bool(deny_form(call)) for call, end in made if is_denial(call) and end in _MAYBE_APPLIED]
        held = found.quarantine or holds_inline(found.user) or own_deny(found.user, found.known)
        bounded = is_bounded(found.user) or any(
            deny_form(call) == BOUNDARY and end in _MAYBE_APPLIED for call, end in made
        )
        on = not self.lifted and (bounded or (denials[-1] if denials else bool(held)))
        if not on and self.undenied:
            return self.undenied
        if not on and not found.begun:
            return None
        removed = _identities(found.whole) - _identities(found.user)
        removed |= set(CallHistory().with_calls(made, self.of.now()).removed())
        locked_out = reasons.QUARANTINED_HALF_WAY if found.quarantine else reasons.LOCKED_OUT_HALF_WAY
        state = locked_out if on else reasons.FREE_HALF_WAY
        return state(count=len(removed), name=self.evidence.name)

    def _pause(self, delays: Iterator[float]) -> bool:
        delay = next(delays, None)
        if delay is not None:
            self.of.run.backoff.sleep(delay)
        return delay is not None


def _removing(plan: Plan, denying: int) -> int:
    """The index in ``plan`` of the first call that ends or replaces the Deny. ``denying``: the calls that put it on."""
    ends = (
        number
        for number, call in enumerate(plan.calls)
        # A policy with our name and no purpose is somebody else's, and is removed as the user's own.
        if number >= denying and (call.operation == "DeleteUser" or (is_denial(call) and call.notes))
    )
    return next(ends, len(plan.calls))


def _identities(user: IamUser) -> set[tuple[str, str]]:
    """Kind and identifier of each attachment of ``user``."""
    kinds = [kind for kind in ATTACHMENT_KINDS if kind.removals]
    return {(kind.name, str(item[kind.identifier])) for kind in kinds for item in user.attachments[kind.name]}
