# SPDX-License-Identifier: Apache-2.0
"""Putting one user into quarantine, and releasing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from c7n_iamusers.exceptions import GateClosed, UserReplaced
from c7n_iamusers.execution.calls import ApiCall, Plan, Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, Run, SubjectGone
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.outcomes import BROWNED_OUT, FAILED, QUARANTINED, RELEASED, SKIPPED, UNCHANGED
from c7n_iamusers.iam.attachments import INACTIVE, LOGIN_PROFILE
from c7n_iamusers.iam.deny_all import (
    DENY_ALL_NAME,
    FORMS,
    brownout_of,
    denies,
    deny_form,
    foreign_policies,
    inline_deny_all,
    is_bounded,
    quarantine_of_tags,
)
from c7n_iamusers.iam.history import History
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.own_changes import deletion_begun, deny_record_of, lapses, predated, switchable
from c7n_iamusers.iam.read_back import shows
from c7n_iamusers.iam.signin_sessions import NO_SESSIONS, SignInSessions
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.users import KeyUse, read_key_use
from c7n_iamusers.quarantine.plan import (
    QuarantinePlan,
    plan_brownout,
    plan_brownout_end,
    plan_quarantine,
    plan_release,
    record_to_release,
    still_denying,
)
from c7n_iamusers.safeguards import identity
from c7n_iamusers.safeguards.gates import AskedOfUser
from c7n_iamusers.safeguards.guards import (
    Guards,
    Recheck,
    compromised,
    identity_refusal,
    no_recheck,
    quarantine_broken,
    quarantine_status,
    raise_closed,
    refusal,
    refused_status,
)
from c7n_iamusers.snapshots.archive import RecordedUser, RecordStores, UserRecords


@dataclass(frozen=True)
class UserQuarantine:
    """Quarantines users of ``run`` for ``policy`` and ``reason``. ``keep``: only the Deny, credentials stay active.
    ``brownout``: a Deny that ends by itself after so many minutes, and no quarantine. ``caused``: the time of
    the event that asks for it. Users that a run changed since are left alone, as AWS can deliver an event again.
    ``new``: that event is their creation, so no earlier run can have put a Deny on them. ``guards``: asked anew for
    each user, right before its first change; see Gates.

    Each user's attachments are read from the user's own lists: a credential that a list of the account might miss would
    stay active unnoticed. ``recheck``: why the policy's filter no longer selects a user. ``refused``: forms of the Deny
    that the role may not use, with AWS's error code, as found out during the run.
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

    def quarantine(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """Quarantine one user. Returns status and reason. Raises CallFailed, ClientError or an IamUsersError."""
        status, reason = self._in_forms(evidence, applied)
        return status, self.records.named_if_back(evidence, reason)

    def _in_forms(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """The outcome, with the first form of the Deny that the role may use and that fits."""
        unfit, guards = dict[str, str](), AskedOfUser(self.guards, applied)
        guards()  # under a STOP file, users are not even read
        for remaining in reversed(range(len(FORMS) + 1)):
            user = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(evidence.name)
            if user is None:
                return _absent(self.run, evidence, applied)
            try:
                return self._unless_closed(evidence, user, applied, unfit, guards)
            except SubjectGone:
                return _absent(self.run, evidence, applied)
            except identity.BoundaryChanged:
                continue
            except UserReplaced as error:
                return FAILED, identity.handle_replacement(self.run, error, evidence, applied)
            except CallFailed as error:
                form = deny_form(error.call)
                if not form or not remaining or error.code not in identity.FORM_REFUSED:
                    raise
                (unfit if error.code == "LimitExceeded" else self.refused)[form] = error.code
        return (
            FAILED,
            f"{evidence}: its permissions boundary or its inline Deny-all keeps changing: find out who changes it, and "
            "run again",
        )

    def _unless_closed(
        self,
        evidence: Subject,
        user: IamUser,
        applied: Applied,
        unfit: dict[str, str],
        guards: Callable[[], Guards],
    ) -> tuple[str, str]:
        """As ``_quarantine``; the outcome if somebody spared the user right before its first change."""
        try:
            return self._quarantine(evidence, user, applied, unfit, guards)
        except GateClosed as error:
            if not applied.changed:
                return SKIPPED, str(error)
            unsure = "no answer says whether our Deny-all is on it: look, and release it"
            return FAILED, f"{evidence}: stopped after {applied.calls} calls: {error}; {unsure}"

    def _quarantine(
        self,
        evidence: Subject,
        user: IamUser,
        applied: Applied,
        unfit: dict[str, str],
        guards: Callable[[], Guards],
    ) -> tuple[str, str]:
        keys = read_key_use(self.run.client, user, self.run.backoff)
        if reason := self._refusal(evidence, user, keys, guards()):
            return refused_status(reason), reason
        found = self.records.find(user, applied.made)
        if left := self._left_to_others(evidence, found):
            return left
        if self.brownout:
            return self._brown_out(evidence, found, self.brownout, applied, guards)
        refused = {**unfit, **self.refused}
        planned = plan_quarantine(user, self.now(), self.policy, self.reason, found.known, refused, self.keep)
        if not planned.plan.calls:
            return self._left(user, planned, keys)
        self.records.keep(found)
        applied.ask = lambda: raise_closed(evidence, user, guards(), self.now())
        self.records.note_quarantine(evidence, planned.record)
        _apply(self.run, evidence, user, planned.plan, applied)
        kept = ["its credentials are kept active under the Deny-all"] if self.keep else []
        denied = not planned.problem
        sessions = self.sessions.end(user, self.run.executor) if denied else ""
        notes = "; ".join([*kept, *_limits(user), *([sessions] if sessions else []), *planned.notes])
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

    def _left_to_others(self, evidence: Subject, found: RecordedUser) -> tuple[str, str] | None:
        """The outcome for a user whose Deny-all, or its absence, is another run's or another person's work."""
        user, calls, caused = found.user, found.known.calls, self.caused
        forged = self.new and not calls and inline_deny_all(user) is not None
        if forged and deny_record_of(user):
            return FAILED, (
                f"{evidence}: no journal here shows that this tool put {DENY_ALL_NAME} on this new user, although that "
                "says so: find out who did, remove it, and quarantine the user"
            )
        # one without a record is replaced
        if not forged and (begun := deletion_begun(user, found.known)):
            return (
                SKIPPED,
                f"a deletion of it began {begun} and is in progress or was stopped: its Deny-all stays on",
            )
        if caused and any(each.answered and each.time >= caused for each in calls):
            return SKIPPED, "a run changed it since the event: one that is delivered again changes nothing"
        return None

    def _refusal(
        self, evidence: Subject, user: IamUser, keys: Sequence[KeyUse], guards: Guards
    ) -> str | None:
        """Why the user is left alone; None if it may be quarantined. That its Deny was removed is said anyway."""
        reason = refusal(evidence, user, guards, self.now(), keys) or self.recheck(user, keys)
        if reason and (undone := self.records.find(user).broken):
            gone = quarantine_broken(undone, lapses(user, undone))
            return f"{gone}. It was not put in quarantine again: {reason}"
        return reason

    def _brown_out(
        self,
        evidence: Subject,
        found: RecordedUser,
        minutes: int,
        applied: Applied,
        guards: Callable[[], Guards],
    ) -> tuple[str, str]:
        user = found.user
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
        applied.ask = lambda: raise_closed(evidence, user, guards(), self.now())
        _apply(self.run, evidence, user, planned.plan, applied)
        return BROWNED_OUT, f"{until}, when its Deny-all ends by itself"

    def _left(self, user: IamUser, planned: QuarantinePlan, keys: Sequence[KeyUse]) -> tuple[str, str]:
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
        return UNCHANGED, off + quarantine_status(user, planned.record.since, keys)


@dataclass(frozen=True)
class UserRelease:
    """Releases users of ``run``. ``include_compromised``: also those with a key that AWS reported as compromised.

    ``trust_tags``: use the tags as the record if neither the Deny nor a journal has one.
    """

    run: Run
    stores: RecordStores
    include_compromised: bool = False
    trust_tags: bool = False
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
        except identity.BoundaryChanged:
            return (
                FAILED,
                f"{evidence}: its permissions boundary or its inline Deny-all was changed during this run, outside it: "
                "check it, and run again",
            )
        except UserReplaced as error:
            return FAILED, identity.handle_replacement(self.run, error, evidence, applied)

    def _release(self, evidence: Subject, user: IamUser, applied: Applied) -> tuple[str, str]:
        if reason := identity_refusal(evidence, user, self.run.callers):
            return SKIPPED, reason
        if not self.include_compromised and (reason := compromised(user)):
            return SKIPPED, reason
        history = self.stores.known_history(user, (), self.now())
        if problem := _unreleasable(user, history):
            return FAILED, f"{evidence}: {problem}. Nothing was changed"
        brownout = brownout_of(user)
        record = record_to_release(user, history, self.now(), self.trust_tags)
        ended = f"from its brownout until {brownout.end:%Y-%m-%d %H:%M:%S} UTC" if brownout else ""
        if record is None:
            if brownout:
                ending = plan_brownout_end(user)
                _apply(self.run, evidence, user, ending, applied)
                user, unseen = self._read_back(user, ending)
                if unseen:
                    return FAILED, f"{evidence}: AWS does not show that its brownout is over: run again"
            return self._without_record(evidence, user, ended)
        former = self.stores.former_boundary(user, history) if is_bounded(user) else None
        planned = plan_release(user, record, history, former, self.trust_tags)
        if planned.problem:
            return FAILED, f"{evidence}: {planned.problem}"
        keys = read_key_use(self.run.client, user, self.run.backoff)
        _apply(self.run, evidence, user, planned.plan, applied)
        problems = self._problems(evidence, user, planned.plan)
        notes = [*([ended] if ended else []), *planned.notes, quarantine_status(user, record.since, keys)]
        return FAILED if problems else RELEASED, "; ".join([*problems, *notes])

    def _problems(self, evidence: Subject, user: IamUser, plan: Plan) -> list[str]:
        """What of the release AWS does not show after ``plan``, in words. Raises SubjectGone."""
        after, unseen = self._read_back(user, plan)
        problems = []
        if left := still_denying(after):
            problems.append(
                f"{evidence}: {left}: {_NOT_OURS}. All else was undone, but for what is named here"
            )
        if unseen:
            calls = ", ".join(call.permission for call in unseen)
            problems.append(f"{evidence}: AWS does not show what these calls changed: {calls}: run again")
        return problems

    def _read_back(self, user: IamUser, plan: Plan) -> tuple[IamUser, list[ApiCall]]:
        """The user as AWS shows it after ``plan``, and the calls of the plan that it does not show. Raises SubjectGone.

        IAM is eventually consistent, so it is read several times.
        """
        after, unseen = user, list(plan.calls)
        for delay, _ in zip(self.run.backoff.delays(), range(_READS), strict=False):
            found = LiveUsers(self.run.client, 1, self.run.backoff).read_fully(user.name)
            if found is None or found.unique_id != user.unique_id:
                raise SubjectGone
            after, unseen = found, [each for each in plan.calls if not shows(found, each, each.parameters)]
            if not unseen:
                break
            self.run.backoff.sleep(delay)
        return after, unseen

    def _without_record(self, evidence: Subject, user: IamUser, ended: str) -> tuple[str, str]:
        """The outcome if no record of a quarantine is known. ``ended``: the brownout that was ended, in words."""
        claimed = quarantine_of_tags(user.tags)
        left = still_denying(user)
        if claimed is None and not is_bounded(user):
            if left and ended:
                return FAILED, f"{evidence}: {left}: {_NOT_OURS}. Only its brownout was ended"
            if left:
                status = FAILED if any(map(denies, foreign_policies(user))) else SKIPPED
                return status, f"not in quarantine by the records here, and {left}: {_NOT_OURS}"
            return (RELEASED, ended) if ended else (SKIPPED, "not in quarantine")
        off = [f"{kind.title} {item[kind.identifier]}" for kind, item in switchable(user, INACTIVE)]
        what = "a tag says that it is in quarantine" if claimed else "AWSDenyAll is its permissions boundary"
        what += f", and {left}" if left and claimed else ""
        changed = "only its brownout was ended" if ended else "nothing was changed"
        return FAILED, (
            f"{evidence}: {what}, and neither its Deny-all nor an available journal says what was active before, so "
            f"{changed}. The record is in the output of the quarantine's run (journal.jsonl): name that by "
            f"record-from; or use the tags by trust-tags: true, which anybody with iam:TagUser can forge. "
            f"Inactive now: {', '.join(off) or 'no credential'}"
        )


#: How often a user is read until AWS shows its release.
_READS = 5
#: What to do about a Deny that a release leaves on.
_NOT_OURS = (
    "no record here shows that this tool put it on, so it stays: if it did, name the output of that run by record-from "
    "and release again; else ask who did"
)


def _unreleasable(user: IamUser, history: History) -> str:
    """Why a release must change nothing; empty if it may."""
    if (begun := deletion_begun(user)) or history.deletion_unfinished():
        return (
            f"a deletion of it began {begun or 'before'}, and a release does not restore what that removed: run "
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
    identify = identity.identity_check(run.client, run.backoff, evidence, user, plan, applied)
    run.executor.apply(plan, applied, identify)
    if not identify():
        raise SubjectGone


def _absent(run: Run, evidence: Subject, applied: Applied) -> tuple[str, str]:
    if problem := identity.not_gone(run, evidence):
        return FAILED, problem
    after = f": deleted outside this run, after {applied.calls} of its calls" if applied.calls else ""
    return SKIPPED, f"already gone{after}"


def _limits(user: IamUser) -> list[str]:
    if not user.attachments[LOGIN_PROFILE.name]:
        return []
    return ["its console password still works, and the Deny-all denies everything in that session"]
