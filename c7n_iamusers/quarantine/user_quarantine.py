# SPDX-License-Identifier: Apache-2.0
"""Putting one user into quarantine, and releasing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, takewhile

from c7n_iamusers.exceptions import GateClosed, NotRestorable, ReadingOutdated, UserReplaced
from c7n_iamusers.execution.calls import ApiCall, Plan, Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, Run, SubjectGone
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import BROWNED_OUT, FAILED, QUARANTINED, RELEASED, SKIPPED, UNCHANGED
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
from c7n_iamusers.lockout.lockout_state import deletion_begun, deny_record_of, lapses, predated, switchable
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
from c7n_iamusers.safeguards import user_identity
from c7n_iamusers.safeguards.gates import AskedOfUser, NoteExempt, before_first_change, note_nobody
from c7n_iamusers.safeguards.guards import (
    Guards,
    Recheck,
    compromised,
    exempting_rule,
    identity_refusal,
    no_recheck,
    quarantine_broken,
    quarantine_status,
    refusal,
    refused_status,
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

    def quarantine(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """Quarantine one user. Returns status and reason. Raises CallFailed, ClientError or an IamUsersError."""
        status, reason = self._in_forms(evidence, applied)
        return status, self.records.named_if_back(evidence, reason)

    def _in_forms(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
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
                return self._noted(turn, self._spared(turn, str(error)))
            except SubjectGone:
                return _absent(self.run, evidence, applied)
            except UserReplaced as error:
                return FAILED, user_identity.handle_replacement(self.run, error, evidence, applied)
            except user_identity.BoundaryChanged:
                continue
            except (ReadingOutdated, CallFailed) as error:
                self._raise_unless_retried(turn, error, remaining)
        return (
            FAILED,
            f"{evidence}: its permissions boundary or its inline Deny-all keeps changing: find out who changes it, and "
            "run again",
        )

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

    def _noted(self, turn: _Turn, outcome: tuple[str, str]) -> tuple[str, str]:
        """``outcome``; that the user is exempt is recorded."""
        if rule := exempting_rule(turn.user, turn.guards().rules, self.now()):
            self.note_exempt([(turn.user.subject, rule)])
        return outcome

    def _spared(self, turn: _Turn, reason: str) -> tuple[str, str]:
        """The outcome of a user that is left alone for ``reason``, maybe right before its first change."""
        if not turn.applied.changed:
            return FAILED if self.records.deletion_begun(turn.user) else refused_status(reason), reason
        unsure = "no answer says whether our Deny-all is on it: look, and release it"
        return FAILED, f"{turn.evidence}: stopped after {turn.applied.calls} calls: {reason}; {unsure}"

    def _quarantine(self, turn: _Turn) -> tuple[str, str]:
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
        kept = ["its credentials are kept active under the Deny-all"] if self.keep else []
        denied = not planned.problem
        sessions = self.sessions.end(user, self.run.executor) if denied else ""
        notes = "; ".join([*kept, *_limits(user), *([sessions] if sessions else []), *planned.notes])
        if problem := self._undone(turn, planned.plan) if denied else "":
            return FAILED, f"{problem}; {notes}"
        if denied and found.broken:
            broken = quarantine_broken(found.broken, planned.lapsed)
            return FAILED, f"{broken}. It was put in quarantine again, and the days count from now; {notes}"
        if denied:
            return QUARANTINED, notes
        off = ", ".join(planned.record.deactivated) or "none"
        return (
            FAILED,
            f"{planned.problem}. Its active credentials were deactivated all the same: {off}; {notes}",
        )

    def _undone(self, turn: _Turn, plan: Plan) -> str:
        """What AWS does not show of the quarantine after ``plan``, in words; empty if it shows all of it.

        Somebody may have released the user meanwhile. Raises SubjectGone.
        """
        after, unseen = read_back(self.run, turn.user, plan)
        if active := [] if self.keep else _active(after):
            return (
                f"{turn.evidence}: {', '.join(active)} is active under its Deny-all: somebody made or activated it "
                "during this run: run again"
            )
        if not unseen:
            return ""
        calls = ", ".join(call.permission for call in unseen)
        return (
            f"{turn.evidence}: it is not in quarantine as it should be: AWS does not show what {calls} changed: was it "
            "released during this run? Look, then quarantine it again, or release it and activate its credentials"
        )

    def _asked_before_change(self, turn: _Turn) -> Callable[[], None]:
        clock = self.run.backoff.clock
        return before_first_change(turn.evidence, turn.user, turn.guards, turn.began, clock, self.now)

    def _left_to_others(self, evidence: Subject, found: RecordedUser) -> tuple[str, str] | None:
        """The outcome for a user whose Deny-all, or its absence, is another run's or another person's work."""
        user, calls, caused = found.user, found.known.calls, self.caused
        untouched = self.new and not calls  # so a Deny-all on it is not ours
        if untouched and deny_record_of(user):
            return FAILED, (
                f"{evidence}: no journal here shows that this tool put {DENY_ALL_NAME} on this new user, although that "
                "says so: find out who did, remove it, and quarantine the user"
            )
        # one without a record is replaced
        if not untouched and found.begun:
            return FAILED, (
                f"{evidence}: a deletion of it began {found.begun} and is in progress or was stopped: finish it by its "
                f"policy, or run c7n-iamusers restore OUTPUT --user {user.name}"
            )
        if caused and any(each.answered and each.time >= caused for each in calls):
            return SKIPPED, "a run changed it since the event: one that is delivered again changes nothing"
        return None

    def _refusal(
        self, evidence: Subject, user: IamUser, keys: Sequence[KeyUse], guards: Guards
    ) -> str | None:
        """Why the user is left alone; None if it may be quarantined. That its Deny was removed is said anyway."""
        reason = refusal(evidence, user, guards, self.now(), keys) or self.recheck(user, keys)
        if reason is None:
            return None
        found = self.records.find(user)
        self.records.note_lapse(found)
        if undone := found.broken:
            gone = quarantine_broken(undone, lapses(user, undone))
            return f"{gone}. It was not put in quarantine again: {reason}"
        return reason

    def _brown_out(self, turn: _Turn, found: RecordedUser, minutes: int) -> tuple[str, str]:
        user, applied = turn.user, turn.applied
        if found.quarantine:
            since = f"{found.quarantine.since:%Y-%m-%d %H:%M} UTC"
            return UNCHANGED, f"in quarantine since {since}: its Deny-all does not end by itself"
        if found.broken:
            return FAILED, quarantine_broken(found.broken, lapses(user, found.broken))
        planned = plan_brownout(user, self.now(), minutes)
        until = f"until {planned.brownout.end:%Y-%m-%d %H:%M:%S} UTC"
        if planned.problem:
            return SKIPPED, f"no brownout: {planned.problem}"
        if not planned.plan.calls:
            return UNCHANGED, f"in a brownout {until}"
        self.records.keep(found)
        applied.ask = self._asked_before_change(turn)
        _apply(self.run, turn.evidence, user, planned.plan, applied)
        return BROWNED_OUT, f"{until}, when its Deny-all ends by itself"

    def _left(self, found: RecordedUser, planned: QuarantinePlan, keys: Sequence[KeyUse]) -> tuple[str, str]:
        """The outcome of a plan without calls: the quarantine holds, or this plan is not what completes it."""
        if planned.problem:
            return FAILED, planned.problem
        if planned.lapsed:
            how = "a quarantine with credentials: deactivate completes it, and the days count anew"
            reason = f"{quarantine_broken(planned.record, planned.lapsed)}; {how}"
            return refused_status(reason), reason
        off = ""
        if self.keep and not planned.record.kept:
            off = "its credentials are deactivated already, and credentials: keep activates none (release does); "
        lost = [f"since then it has lost {found.lost}{_LOST}"] if found.lost else []
        status = quarantine_status(found.user, planned.record.since, keys)
        return UNCHANGED, "; ".join([*planned.notes, off + status, *lost])


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

    def release(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """Release one user. Returns status and reason. Raises CallFailed or ClientError."""
        user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(evidence.name)
        if user is None:
            return _absent(self.run, evidence, applied)
        try:
            return self._release(evidence, user, applied)
        except SubjectGone:
            return _absent(self.run, evidence, applied)
        except user_identity.BoundaryChanged:
            return (
                FAILED,
                f"{evidence}: its permissions boundary or its inline Deny-all was changed during this run, outside it: "
                "check it, and run again",
            )
        except UserReplaced as error:
            return FAILED, user_identity.handle_replacement(self.run, error, evidence, applied)

    def _release(self, evidence: Subject, user: IamUser, applied: Applied) -> tuple[str, str]:
        if reason := identity_refusal(evidence, user, self.run.callers):
            return SKIPPED, reason
        if not self.include_compromised and (reason := compromised(user)):
            return SKIPPED, reason
        history = self.stores.known_history(user, (), self.now())
        note_lapse(self.run.journal, user, history, self.now())
        if problem := _unreleasable(user, history):
            return FAILED, f"{evidence}: {problem}. Nothing was changed"
        record = record_to_release(user, history, self.now())
        ended = ""
        if brownout := brownout_of(user):
            ended = f"from its brownout until {brownout.end:%Y-%m-%d %H:%M:%S} UTC"
        if record is None:
            return self._end_brownout(evidence, user, applied, ended)
        former = self.stores.former_boundary(user, history) if is_bounded(user) else None
        planned = plan_release(user, record, history, former)
        keys = read_key_use(self.run.client, user, self.run.backoff)
        used = used_under_aws_deny_all(record, history, keys)
        if problem := planned.problem or self._lost(user, record) or used:
            return FAILED, f"{evidence}: {problem}"
        if inactive := self._give_back(evidence, user, planned.plan, applied):
            return (
                FAILED,
                f"{evidence}: AWS does not show what {inactive} activated: its Deny-all stays on: run again",
            )
        problems = self._problems(evidence, user, planned.plan)
        notes = [*([ended] if ended else []), *planned.notes, quarantine_status(user, record.since, keys)]
        return FAILED if problems else RELEASED, "; ".join([*problems, *notes])

    def _lost(self, user: IamUser, record: Quarantine) -> str:
        """Why a Deny without a record of a deletion is not lifted, in words; empty if it may be."""
        if record.deny in ("none", GONE_DENY):
            return ""
        snapshot = self.stores.snapshot_before(user, record.since)
        found = lost_denies(snapshot, user) if snapshot else []
        return (
            f"since its quarantine of {record.since:%Y-%m-%d %H:%M} UTC it has lost {shown(found)}, which may have "
            "denied it something: a deletion with another output may have begun: restore it from that output "
            "(c7n-iamusers restore --user), or find out who removed this and put it back. Nothing was changed"
            if found
            else ""
        )

    def _end_brownout(
        self, evidence: Subject, user: IamUser, applied: Applied, ended: str
    ) -> tuple[str, str]:
        """The outcome if no record of a quarantine is known. ``ended``: the brownout to end, in words, if any."""
        if ended:
            ending = plan_brownout_end(user)
            _apply(self.run, evidence, user, ending, applied)
            user, unseen = read_back(self.run, user, ending)
            if unseen:
                return FAILED, f"{evidence}: AWS does not show that its brownout is over: run again"
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

    def _problems(self, evidence: Subject, user: IamUser, plan: Plan) -> list[str]:
        """What of the release AWS does not show after ``plan``, in words. Raises SubjectGone."""
        after, unseen = read_back(self.run, user, plan)
        problems = []
        if left := still_denying(after):
            problems.append(
                f"{evidence}: {left}: {_NOT_OURS}. All else was undone, but for what is named here"
            )
        if unseen:
            calls = ", ".join(call.permission for call in unseen)
            problems.append(f"{evidence}: AWS does not show what these calls changed: {calls}: run again")
        if off := [each for each in _active(user) if each in _inactive(after)]:
            problems.append(
                f"{evidence}: {', '.join(off)} was deactivated by others during this run, maybe by a quarantine: ask "
                "who did, and activate it by hand, as no Deny-all is left that says what was active"
            )
        return problems

    def _without_record(self, evidence: Subject, user: IamUser, ended: str) -> tuple[str, str]:
        """The outcome if no record of a quarantine is known. ``ended``: the brownout that was ended, in words."""
        claimed = tagged_since(user.tags)
        left = still_denying(user)
        if claimed is None and not is_bounded(user):
            if left and ended:
                return FAILED, f"{evidence}: {left}: {_NOT_OURS}. Only its brownout was ended"
            if left:
                status = FAILED if any(map(denies, foreign_policies(user))) else SKIPPED
                return status, f"not in quarantine by the records here, and {left}: {_NOT_OURS}"
            return (RELEASED, ended) if ended else (UNCHANGED, "not in quarantine")
        off = _inactive(user)
        what = "a tag says that it is in quarantine" if claimed else "AWSDenyAll is its permissions boundary"
        what += f", and {left}" if left and claimed else ""
        changed = "only its brownout was ended" if ended else "nothing was changed"
        return FAILED, (
            f"{evidence}: {what}, and neither its Deny-all nor an available journal says what was active before, so "
            f"{changed}. The record is in the output of the quarantine's run (journal.jsonl): name that by "
            f"record-from. If it is lost, activate by hand what the user needs, and then remove the Deny-all. "
            f"Inactive now: {', '.join(off) or 'no credential'}"
        )


def _active(user: IamUser) -> list[str]:
    return [f"{kind.title} {item[kind.identifier]}" for kind, item in switchable(user, ACTIVE)]


def _inactive(user: IamUser) -> list[str]:
    return [f"{kind.title} {item[kind.identifier]}" for kind, item in switchable(user, INACTIVE)]


#: How often a user is read until AWS shows its quarantine or release.
_READS = 5
#: What it means that a user in quarantine lacks what may have denied it something.
_LOST = (
    ", which may have denied it something: a deletion with another output may be half-way; neither a deletion nor a "
    "release goes on before that is settled"
)
#: What to do about a Deny that a release leaves on.
_NOT_OURS = (
    "no record here shows that this tool put it on, so it stays: if it did, name the output of that run by record-from "
    "and release again; else ask who did"
)


def _unreleasable(user: IamUser, history: History) -> str:
    """Why a release must change nothing; empty if it may."""
    if begun := deletion_begun(user, history):
        return (
            f"a deletion of it began {begun}, and a release does not restore what that removed: run "
            f"c7n-iamusers restore OUTPUT --user {user.name}"
        )
    if lifted := predated(user, history):
        return (
            f"this tool lifted its inline Deny-all at {lifted:%Y-%m-%d %H:%M} UTC, and somebody put one on since, with "
            "an earlier time: find out who, and remove it by hand"
        )
    return ""


def _apply(run: Run, evidence: Subject, user: IamUser, plan: Plan, applied: Applied) -> None:
    """Apply ``plan``. Raises CallFailed, ClientError, SubjectGone, BoundaryChanged or UserReplaced."""
    identify = user_identity.identity_check(run.client, run.backoff, evidence, user, plan, applied)
    run.executor.apply(plan, applied, identify)
    if not identify():
        raise SubjectGone


def _absent(run: Run, evidence: Subject, applied: Applied) -> tuple[str, str]:
    if problem := user_identity.not_gone(run, evidence):
        return FAILED, problem
    after = f": deleted outside this run, after {applied.calls} of its calls" if applied.calls else ""
    return SKIPPED, f"already gone{after}"


def _limits(user: IamUser) -> list[str]:
    if not user.attachments[LOGIN_PROFILE.name]:
        return []
    return ["its console password still works, and the Deny-all denies everything in that session"]
