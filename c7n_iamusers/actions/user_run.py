# SPDX-License-Identifier: Apache-2.0
"""What the actions on users share: several users at a time, each by itself, every outcome noted and told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError
from c7n.utils import local_session

from c7n_iamusers.actions.acting_region import idle_region
from c7n_iamusers.actions.max_resources import enforce_max_resources
from c7n_iamusers.actions.outcome_book import OutcomeBook
from c7n_iamusers.actions.receipts import missing_outcomes
from c7n_iamusers.actions.run_output import fail_at_the_end
from c7n_iamusers.actions.run_store import RunStore, run_store
from c7n_iamusers.aws.callers import callers
from c7n_iamusers.aws.executor import Applied, CallFailed, Executor
from c7n_iamusers.aws.interruption import Interrupted, Interruption
from c7n_iamusers.aws.journal import JOURNAL, JournalWriter
from c7n_iamusers.aws.journal_reader import JournalReader
from c7n_iamusers.aws.journaled_call import SINGLE_TRY
from c7n_iamusers.aws.live_users import LiveUsers
from c7n_iamusers.aws.retries import Backoff, describe, error_code
from c7n_iamusers.aws.stores import DirectoryStore, Store
from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.model.annotation import annotate, subject_of
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.outcome import FAILED, SKIPPED, Outcome
from c7n_iamusers.policy_errors import unreadable

LOG = logging.getLogger("custodian.c7n_iamusers")
Resource = dict[str, Any]
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


class UserAction(BaseAction):  # type: ignore[misc]  # c7n is untyped
    """An action that deals with each user by itself; ``prepare`` gives what is done to one."""

    max_workers = 8

    def prepare(self, run: Run) -> Work:
        """What is done to a user. Raises PolicyExecutionError where nothing can be done to any."""
        raise NotImplementedError

    def process(self, resources: list[Resource]) -> None:
        """Deal with each user. Raises PolicyExecutionError where that can't be done safely, before any is touched."""
        if idle := idle_region(self.manager):
            self.log.info("%s: %s", self.type, idle)
            return
        enforce_max_resources(self.manager, len(resources))
        target = run_store(self.manager)
        with Interruption() as interruption:
            try:
                outcomes = self._run(target, resources, interruption)
            except (OSError, ValueError) as error:
                raise PolicyExecutionError(
                    f"policy {self.manager.data.get('name')}: account {self.manager.config.account_id}: {error}. "
                    f"Make {target.store} readable and writable, move a broken file away, and run again"
                ) from error
        interruption.follow()
        fail_at_the_end(self.manager, self.type, outcomes)

    def tools(self, store: Store, journal: JournalWriter, interruption: Interruption, count: int) -> Run:
        """What a run over ``count`` users works with. Raises PolicyExecutionError where nobody knows who acts."""
        region, session = self.manager.config.region, local_session(self.manager.session_factory)
        # One connection a worker, which the default of 10 would have them wait for.
        config = Config(max_pool_connections=self.max_workers)
        client = session.client("iam", region, config=config)
        writer = session.client("iam", region, config=config.merge(SINGLE_TRY))
        backoff = Backoff(sleep=interruption.sleep)
        executor = Executor({"iam": writer}, journal, backoff, before_each=interruption.check)
        with unreadable(self.manager, "who is acting", "sts:GetCallerIdentity"):
            found = callers(self.manager.session_factory, session, region)
        for untold in found.unknown:
            _warn_once(
                f"on whose behalf the run acts is not wholly known ({untold}): if it is an IAM user, exempt it"
            )
        return Run(client, executor, backoff, store, found.arns, count, journal)

    def spared(self, resource: Mapping[str, Any]) -> str | None:
        """Why a user is left alone by what an earlier action found out; None where nothing speaks against it."""
        return None

    def _run(self, target: RunStore, resources: list[Resource], interruption: Interruption) -> list[Outcome]:
        with target.journal() as journal:
            book = OutcomeBook(target.store, journal)
            self._settle(target.store, book, journal)
            work = self.prepare(self.tools(target.store, journal, interruption, len(resources)))
            with self.executor_factory(max_workers=self.max_workers) as pool:
                deal = partial(self._deal, book, work, interruption)
                outcomes = list(pool.map(deal, resources))
            self.tell(resources, outcomes)
            book.close()
        return outcomes

    def settle(self) -> None:
        """Write the rows that earlier runs of this output did not get to write, in case this run selects nobody."""
        try:
            target = run_store(self.manager)
        except PolicyExecutionError:
            return  # the run will say so, should it have anything to do
        if isinstance(target.store, DirectoryStore) and not (target.store.directory / JOURNAL).exists():
            return
        try:
            with target.journal() as journal:
                book = OutcomeBook(target.store, journal)
                self._settle(target.store, book, journal)
                book.close()
        except (OSError, ValueError) as error:
            self.log.warning("%s: outcomes of earlier runs can't be completed: %s", self.type, error)

    def _settle(self, store: Store, book: OutcomeBook, journal: JournalWriter) -> None:
        def name_of(unique_id: str) -> str | None:
            client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
            with unreadable(self.manager, "which users there are", "iam:ListUsers"):
                return LiveUsers(client, 1, Backoff()).name_of(unique_id)

        lines = JournalReader(lambda: [store]).lines()
        for subject, outcome in missing_outcomes(lines, book.earlier, name_of):
            self.log.info("%s: %s %s %s", self.type, outcome.arn, outcome.status, outcome.reason)
            book.add(subject, outcome)

    def _deal(self, book: OutcomeBook, work: Work, interruption: Interruption, resource: Resource) -> Outcome:
        subject = subject_of(resource)
        reason = self.spared(resource)
        if reason is not None:
            return book.add(subject, Outcome(subject.name, subject.arn, SKIPPED, reason))
        return book.add(subject, outcome_of(subject, work, interruption))

    def tell(self, resources: Sequence[Resource], outcomes: Sequence[Outcome]) -> None:
        """Note each outcome on its resource and in the log."""
        for resource, outcome in zip(resources, outcomes, strict=True):
            annotate(resource, "outcome", outcome.as_data())
            self.log.info("%s: %s %s %s", self.type, outcome.arn, outcome.status, outcome.reason)


@cache
def _warn_once(text: str) -> None:
    """Not for each action and account of a process."""
    LOG.warning(text)


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
