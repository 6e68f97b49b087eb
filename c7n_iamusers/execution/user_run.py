# SPDX-License-Identifier: Apache-2.0
"""One action's run over several users: what it works with, and the outcome of each, which hides no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.client import Backoff, describe, error_code
from c7n_iamusers.execution.executor import Applied, CallFailed, Executor
from c7n_iamusers.execution.interruption import Interrupted, Interruption
from c7n_iamusers.execution.journal import JournalWriter
from c7n_iamusers.execution.outcomes import FAILED, SKIPPED, Outcome
from c7n_iamusers.execution.stores import Store

LOG = logging.getLogger("custodian.c7n_iamusers")
#: Makes what one user needs and gives status and reason; ``Applied`` counts the calls along.
Work = Callable[[Subject, Applied], tuple[str, str]]


@dataclass(frozen=True)
class Run:
    """One action's run over ``count`` users. ``callers``: on whose behalf, first who acts in the account.

    ``client``: of iam, for reading; what changes goes through ``executor``.
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
    """What becomes of one user; nothing is raised, so that no user hides another."""
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
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not hide the outcomes of the other users
        status, (reason, code) = FAILED, _told(subject, error)
        call = error.call.permission if isinstance(error, CallFailed) else ""
    if status == FAILED and applied.left:
        reason = f"{reason}; {applied.left}"
    return Outcome(subject.name, subject.arn, status, reason, applied.calls, clock() - started, code, call)


def _told(subject: Subject, error: Exception) -> tuple[str, str]:
    if isinstance(error, CallFailed):
        return f"{error}; run again once mended", error.code
    if isinstance(error, ClientError):
        return f"{subject}: {error}; nothing further was touched", error_code(error)
    if not isinstance(error, (BotoCoreError, IamUsersError)):
        LOG.error("%s", subject, exc_info=error)
        return f"{subject}: {error!r}", error_code(error)
    return describe(subject, error), error_code(error)
