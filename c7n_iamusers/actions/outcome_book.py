# SPDX-License-Identifier: Apache-2.0
"""The outcomes of a run as they come: in the journal at once, in ``outcomes.json`` within seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from c7n_iamusers.actions.run_output import add_outcomes, load_outcomes
from c7n_iamusers.aws.journal import OUTCOME, JournalWriter, utc_now
from c7n_iamusers.aws.stores import Store
from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.outcome import Outcome

LOG = logging.getLogger("custodian.c7n_iamusers")


class OutcomeBook:
    """Keeps ``outcomes.json`` of ``store``: not each outcome rewrites it, as that would cost more than deleting.

    A run that is killed loses from it at most what came within the last ``seconds``, and the journal has that.
    Raises OSError where an earlier ``outcomes.json`` can't be read, ValueError where it is of another kind. Safe
    for several threads.
    """

    def __init__(
        self,
        store: Store,
        journal: JournalWriter,
        seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._now = now
        self._store, self._journal = store, journal
        self._seconds, self._clock = seconds, clock
        #: What stood there when the run began.
        self.earlier: list[dict[str, Any]] = load_outcomes(store)
        self._unwritten: list[Outcome] = []
        self._lock, self._written = threading.Lock(), clock()

    def add(self, subject: Subject, outcome: Outcome) -> Outcome:
        """Note ``outcome``, which gets its time; what can't be noted now is tried again at the end."""
        time = self._now().isoformat(timespec="microseconds")
        outcome = replace(outcome, unique_id=subject.unique_id, time=time)
        if outcome.calls:  # the journal is about calls
            self._journal_it(subject, outcome)
        with self._lock:
            self._unwritten.append(outcome)
            if self._clock() - self._written >= self._seconds:
                self._try_to_write()
        return outcome

    def close(self) -> None:
        """Write everything. Raises OSError where that can't be done."""
        with self._lock:
            self._write()

    def _journal_it(self, subject: Subject, outcome: Outcome) -> None:
        try:
            self._journal.write(subject, OUTCOME, **outcome.as_data())
        except JournalRefused as error:
            LOG.error("%s", error)

    def _try_to_write(self) -> None:
        try:
            self._write()
        except OSError as error:
            LOG.warning("outcomes can't be written yet: %s", error)
        self._written = self._clock()

    def _write(self) -> None:
        if self._unwritten:
            add_outcomes(self._store, self._unwritten)
            self._unwritten = []
