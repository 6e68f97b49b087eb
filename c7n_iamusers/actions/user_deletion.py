# SPDX-License-Identifier: Apache-2.0
"""Deleting one user: read it live, guard, snapshot, plan, apply."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from c7n_iamusers.actions.user_records import Found, UserRecords
from c7n_iamusers.actions.user_run import Run
from c7n_iamusers.aws.executor import Applied, CallFailed
from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.key_use import read_key_use
from c7n_iamusers.aws.live_users import LiveUsers
from c7n_iamusers.aws.users import unassigned_mfa
from c7n_iamusers.decisions.deletion import DELETED_HERE, plan_deletion
from c7n_iamusers.decisions.deletion_guards import Guards, refusal
from c7n_iamusers.decisions.review import review_refusal
from c7n_iamusers.model.attachment_rows import AttachmentKind
from c7n_iamusers.model.attachments import ATTACHED_POLICY, GROUP, INLINE_POLICY, MFA_DEVICE, SWITCHABLE_KINDS
from c7n_iamusers.model.calls import Plan, Subject
from c7n_iamusers.model.deletion_plan import DeletionPlan, PlannedDeletion
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.outcome import DELETED, FAILED, SKIPPED
from c7n_iamusers.model.snapshot import Snapshot, known_attachments

LOG = logging.getLogger("custodian.c7n_iamusers")

#: What was attached while the plan ran, or is not gone everywhere yet, is read again so many times.
ROUNDS = 6


def judged_kinds(guards: Guards) -> frozenset[AttachmentKind]:
    """What the guards look at beside the user's own record: a change since, however late, must be seen."""
    groups = {GROUP} if any(rule.field == "group" for rule in guards.rules) else set()
    compromise = set() if guards.include_compromised else {ATTACHED_POLICY}
    held = {ATTACHED_POLICY, INLINE_POLICY, *SWITCHABLE_KINDS}
    quarantine = set() if guards.quarantined_for is None else held
    return frozenset(groups | compromise | quarantine)


@dataclass
class Boundaries:
    """Whether the role may set permissions boundaries, as far as the run has found out."""

    usable: bool = True


@dataclass(frozen=True)
class UserDeletion:
    """Deletes users of ``run``. ``reviewed``: only what stands in it, where there is one."""

    run: Run
    users: LiveUsers
    records: UserRecords
    guards: Guards
    reviewed: DeletionPlan | None = None
    boundaries: Boundaries = field(default_factory=Boundaries)
    now: Callable[[], datetime] = utc_now

    def delete(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        """Status and reason. Raises CallFailed, ClientError or an IamUsersError where it fails."""
        read, delays = self.users.read, self.run.backoff.delays()
        for remaining in reversed(range(ROUNDS)):
            user = read(evidence.name)
            if user is None:
                return self._gone(evidence) if applied.calls else (SKIPPED, "already gone")
            try:
                reason = self._delete(evidence, self.records.find(user), applied)
            except CallFailed as error:
                if not remaining or not self._goes_on(error, delays):
                    raise
                read = self.users.read_fully
                continue
            if reason and applied.calls:
                return FAILED, f"{evidence}: stopped after {applied.calls} calls: {reason}"
            if reason:
                return SKIPPED, reason
            return (DELETED, "") if DELETED_HERE in applied.values else self._gone(evidence)
        raise AssertionError("the last round returns or raises")

    def propose(self, evidence: Subject) -> PlannedDeletion:
        """What ``delete`` would do now, without doing any of it. Raises ClientError or SnapshotRefused."""
        user = self.users.read(evidence.name)
        if user is None:
            return PlannedDeletion(evidence, skipped="already gone")
        found = self.records.find(user)
        if reason := self._refusal(evidence, found):
            return PlannedDeletion(evidence, skipped=reason)
        held = {kind: count for kind, count in found.snapshot.user.counts().items() if count}
        return PlannedDeletion(evidence, found.snapshot.fingerprint, self._plan(found).calls, held)

    def _delete(self, evidence: Subject, found: Found, applied: Applied) -> str | None:
        """Why the user is left alone; None once it is gone."""
        if reason := self._refusal(evidence, found):
            return reason
        plan = self._plan(found)
        if self.reviewed is not None:
            planned = self.reviewed.of(found.user.subject)
            if reason := review_refusal(planned, found.snapshot, plan, found.earlier):
                return reason
        self.records.keep(found)
        self.run.executor.apply(plan, applied)
        return None

    def _gone(self, evidence: Subject) -> tuple[str, str]:
        """Nobody has the name any more, and it is not known to be by our doing."""
        if renamed := self.users.name_of(evidence.unique_id):
            return FAILED, f"{evidence}: renamed to {renamed} meanwhile; run again"
        return DELETED, ""

    def _goes_on(self, error: CallFailed, delays: Iterator[float]) -> bool:
        if error.code in ("DeleteConflict", "NoSuchEntity"):
            # Something was attached or the user went meanwhile, or a change has not spread yet: look again.
            self.run.backoff.sleep(next(delays))
            return True
        refused = error.code.startswith("AccessDenied")
        if error.call.operation != "PutUserPermissionsBoundary" or not refused:
            return False
        # Guardrails often keep boundaries to a few roles; nothing has been taken off the user yet.
        LOG.warning("no Deny-all by permissions boundary (%s): it goes on users as a policy instead", error)
        self.boundaries.usable = False
        return True

    def _refusal(self, evidence: Subject, found: Found) -> str | None:
        user = found.user
        keys = read_key_use(self.run.client, user, self.run.backoff) if self.guards.ask_key_use else ()
        return refusal(evidence, user, self.guards, self.now(), keys, begun=found.recorded)

    def _plan(self, found: Found) -> Plan:
        orphaned = self._orphaned_mfa(found.user, found.earlier)
        return plan_deletion(found.user, orphaned, self.boundaries.usable)

    def _orphaned_mfa(self, user: IamUser, earlier: Iterable[Snapshot]) -> list[Item]:
        """Devices of this user, by an earlier snapshot, that a stopped run deactivated and did not delete."""
        listed = {item["SerialNumber"] for item in user.attachments[MFA_DEVICE.name]}
        recorded = {item["SerialNumber"]: item for item in known_attachments(earlier, MFA_DEVICE.name)}
        missing = recorded.keys() - listed
        orphaned = missing & unassigned_mfa(self.run.client, self.run.backoff) if missing else set()
        return [recorded[serial] for serial in sorted(orphaned)]
