# SPDX-License-Identifier: Apache-2.0
"""Putting one user into quarantine, and releasing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from c7n_iamusers.actions.user_records import UserRecords
from c7n_iamusers.actions.user_run import Run
from c7n_iamusers.aws.executor import Applied
from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.key_use import read_key_use
from c7n_iamusers.aws.users import read_user
from c7n_iamusers.decisions.deletion_guards import Guards, compromised, identity_refusal, refusal
from c7n_iamusers.decisions.own_traces import quarantine_of
from c7n_iamusers.decisions.quarantine import plan_quarantine, plan_release
from c7n_iamusers.decisions.quarantine_state import left_off
from c7n_iamusers.decisions.recent_use import use_since
from c7n_iamusers.model.attachments import LOGIN_PROFILE
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.iam_user import IamUser
from c7n_iamusers.model.key_use import KeyUse
from c7n_iamusers.model.outcome import QUARANTINED, RELEASED, SKIPPED, UNCHANGED
from c7n_iamusers.model.quarantine import Quarantine

_GONE = (SKIPPED, "already gone")


@dataclass(frozen=True)
class UserQuarantine:
    """Quarantines users of ``run`` for ``policy`` and ``reason``.

    Users are read by their own lists, all of them: a credential that a list of all users might miss would stay
    active unnoticed, where a deletion would run into it.
    """

    run: Run
    records: UserRecords
    guards: Guards
    policy: str
    reason: str
    now: Callable[[], datetime] = utc_now

    def quarantine(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """Status and reason. Raises CallFailed, ClientError or an IamUsersError where it fails."""
        user = read_user(self.run.client, evidence.name, self.run.backoff)
        if user is None:
            return _GONE
        keys = read_key_use(self.run.client, user, self.run.backoff)
        if reason := refusal(evidence, user, self.guards, self.now(), keys):
            return SKIPPED, reason
        planned = plan_quarantine(user, self.now(), self.policy, self.reason)
        if not planned.plan.calls:
            return UNCHANGED, _standing(user, planned.record, keys)
        self.records.keep(self.records.find(user))
        self.run.executor.apply(planned.plan, applied)
        return QUARANTINED, "; ".join([*_limits(user), *planned.notes])


@dataclass(frozen=True)
class UserRelease:
    """Releases users of ``run``. ``include_compromised``: also those of whom AWS saw a key leaked."""

    run: Run
    include_compromised: bool = False

    def release(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """Status and reason. Raises CallFailed or ClientError where it fails."""
        user = read_user(self.run.client, evidence.name, self.run.backoff)
        if user is None:
            return _GONE
        if reason := identity_refusal(evidence, user, self.run.callers):
            return SKIPPED, reason
        if not self.include_compromised and (reason := compromised(user)):
            return SKIPPED, reason
        record = quarantine_of(user)
        if record is None:
            return SKIPPED, "not in quarantine"
        keys = read_key_use(self.run.client, user, self.run.backoff)
        self.run.executor.apply(plan_release(user, record), applied)
        return RELEASED, "; ".join([*left_off(user, record), _standing(user, record, keys)])


def _standing(user: IamUser, record: Quarantine, keys: Sequence[KeyUse]) -> str:
    """Since when a user was in quarantine, and what was seen of it since."""
    use = use_since(user, keys, record.since)
    seen = f"{use}, in quarantine" if use else "AWS tells of no use since, which is no proof of rest"
    return f"in quarantine since {record.since:%Y-%m-%d %H:%M} UTC: {seen}"


def _limits(user: IamUser) -> list[str]:
    if not user.attachments[LOGIN_PROFILE.name]:
        return []
    return ["its console password still opens a session, in which the Deny-all leaves nothing allowed"]
