# SPDX-License-Identifier: Apache-2.0
"""Deleting one user: read it live, guard, snapshot, plan, apply. Errors end up in its outcome, never beyond it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.aws.executor import Applied, CallFailed, Executor
from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.aws.snapshots import SnapshotDirectory
from c7n_iamusers.aws.users import read_user, unassigned_mfa
from c7n_iamusers.decisions.deletion import plan_deletion
from c7n_iamusers.decisions.deletion_guards import refusal
from c7n_iamusers.decisions.deny_all import DENY_ALL_NAME
from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.model.attachments import MFA_DEVICE
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.exemption import ExemptionRule
from c7n_iamusers.model.iam_user import IamUser, Item
from c7n_iamusers.model.outcome import DELETED, FAILED, SKIPPED, Outcome

LOG = logging.getLogger("custodian.c7n_iamusers")

#: What was attached while the plan ran, or is not gone everywhere yet, is read again so many times.
ROUNDS = 4


@dataclass(frozen=True)
class UserDeletion:
    """Deletes users through ``executor``. ``caller_arn``: who is acting, in which account."""

    client: Any
    executor: Executor
    snapshots: SnapshotDirectory
    backoff: Backoff
    rules: Sequence[ExemptionRule]
    caller_arn: str
    clock: Callable[[], float] = time.monotonic

    def __call__(self, evidence: Subject) -> Outcome:
        """The outcome for the user that ``evidence`` names; nothing is raised, so no user hides another."""
        started, applied = self.clock(), Applied()
        code = ""
        try:
            status, reason = self._delete(evidence, applied)
        except CallFailed as error:
            status, reason, code = FAILED, f"{error}; run again once mended", error.code
        except ClientError as error:
            status, reason, code = (
                FAILED,
                f"{evidence}: {error}; nothing further was touched",
                error_code(error),
            )
        except (BotoCoreError, IamUsersError) as error:
            status, reason, code = FAILED, f"{evidence}: {error}", type(error).__name__
        except Exception as error:  # whatever it is, it must not hide the outcomes of the other users
            LOG.exception("composite-delete: %s", evidence)
            status, reason, code = FAILED, f"{evidence}: {error!r}", type(error).__name__
        seconds = self.clock() - started
        return Outcome(evidence.name, evidence.arn, status, reason, applied.calls, seconds, code)

    def _delete(self, evidence: Subject, applied: Applied) -> tuple[str, str]:
        delays = self.backoff.delays()
        for remaining in reversed(range(ROUNDS)):
            user = read_user(self.client, evidence.name, self.backoff)
            if user is None:
                return (DELETED, "") if applied.calls else (SKIPPED, "already gone")
            today = datetime.now(timezone.utc).date()
            if reason := refusal(evidence, user, self.caller_arn, self.rules, today):
                return SKIPPED, reason
            try:
                return self._apply(user, applied)
            except CallFailed as error:
                # Something was attached meanwhile, or its removal has not spread yet: look again.
                if error.code != "DeleteConflict" or not remaining:
                    raise
                self.backoff.sleep(next(delays))
        raise AssertionError("the last round returns or raises")

    def _apply(self, user: IamUser, applied: Applied) -> tuple[str, str]:
        plan = plan_deletion(user, self._orphaned_mfa(user))
        self.snapshots.save(user, passing=frozenset({DENY_ALL_NAME}))
        self.executor.apply(plan, applied)
        return DELETED, ""

    def _orphaned_mfa(self, user: IamUser) -> list[Item]:
        """Devices of this user, by an earlier snapshot, that a stopped run deactivated and did not delete."""
        listed = {item["SerialNumber"] for item in user.attachments[MFA_DEVICE.name]}
        recorded = {item["SerialNumber"]: item for item in self.snapshots.recorded(user, MFA_DEVICE.name)}
        missing = recorded.keys() - listed
        orphaned = missing & unassigned_mfa(self.client, self.backoff) if missing else set()
        return [recorded[serial] for serial in sorted(orphaned)]
