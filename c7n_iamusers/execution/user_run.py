# SPDX-License-Identifier: Apache-2.0
"""One action's run over several users: the objects that it works with, and the outcome of each user."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import Applied, CallFailed, Executor
from c7n_iamusers.execution.interruption import Interrupted, Interruption
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.outcomes import FAILED, SKIPPED, Outcome
from c7n_iamusers.execution.retries import Backoff, describe, error_code
from c7n_iamusers.execution.stores import Store

LOG = logging.getLogger("custodian.c7n_iamusers")
#: Processes one user and returns status and reason. It records the calls that it makes in ``Applied``.
Work = Callable[[Subject, Applied], tuple[str, str]]


@dataclass(frozen=True)
class Run:
    """One action's run over ``count`` users.

    ``client``: an IAM client for reading; changes go through ``executor``. ``callers``: ARNs of the principals behind
    the run; the first one acts in the account.
    """

    client: Any
    executor: Executor
    backoff: Backoff
    store: Store
    callers: tuple[str, ...]
    count: int
    journal: JournalWriter

    @property
    def account_id(self) -> str:
        """The account that the run acts in."""
        return self.callers[0].split(":")[4]


def outcome_of(
    subject: Subject, work: Work, interruption: Interruption, clock: Callable[[], float] = time.monotonic
) -> Outcome:
    """Process one user. An exception becomes the outcome ``failed``, so one user's failure does not affect others."""
    started, applied, code, call = clock(), Applied(), "", ""
    try:
        interruption.check()
        status, reason = work(subject, applied)
    except Interrupted as error:
        if not applied.calls:
            return Outcome(subject.name, subject.arn, SKIPPED, f"{error} before its turn: run again")
        status, reason, code = (
            FAILED,
            f"{subject}: {error} after {applied.calls} calls: run again",
            "Interrupted",
        )
    except Exception as error:  # noqa: BLE001  # any error of one user must leave the other users' outcomes intact
        status, (reason, code) = FAILED, _failure(subject, error)
        call = error.call.permission if isinstance(error, CallFailed) else ""
    if status == FAILED and applied.failure_note:
        reason = f"{reason}; {applied.failure_note}"
    return Outcome(subject.name, subject.arn, status, reason, applied.calls, clock() - started, code, call)


def _failure(subject: Subject, error: Exception) -> tuple[str, str]:
    if isinstance(error, CallFailed):
        return f"{error}; fix the cause and run again", error.code
    if isinstance(error, ClientError):
        return f"{subject}: {error}; nothing further was touched", error_code(error)
    if not isinstance(error, (BotoCoreError, IamUsersError)):
        LOG.error("%s", subject, exc_info=error)
        return f"{subject}: {error!r}", error_code(error)
    return describe(subject, error), error_code(error)
