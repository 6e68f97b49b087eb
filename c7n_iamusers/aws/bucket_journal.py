# SPDX-License-Identifier: Apache-2.0
"""Journals in S3, which can't append: an object for each user of a run, or one for each stretch of a run."""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any

from c7n_iamusers.aws.journal import AFTER, journal_line, utc_now
from c7n_iamusers.aws.stores import Store
from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.model.calls import Subject


class BucketJournal:
    """Writes ``journal/<time of the run>-<random>/<user name>.<unique id>.jsonl`` to ``store``.

    S3 has acknowledged the line of a call before the call is made; the line after it goes with the next one. So
    what a crash can take away is the result of the very last call of a user, as in any journal. Each object is
    of one run and one user, hence no run ever touches another's. Safe for several threads.
    """

    def __init__(self, store: Store, now: Callable[[], datetime] = utc_now) -> None:
        self._store, self._now = store, now
        self._run = f"{now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._lock = threading.Lock()
        self._lines: defaultdict[Subject, bytes] = defaultdict(bytes)

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """See JournalWriter."""
        with self._lock:
            self._lines[subject] += journal_line(self._now(), subject, phase, entry)
            content = self._lines[subject]
        if phase == AFTER:
            return
        name = f"journal/{self._run}/{subject.name}.{subject.unique_id}.jsonl"
        try:
            self._store.replace(name, content)
        except OSError as error:
            raise JournalRefused(
                f"{subject}: the journal can't be written ({error}): nothing further was touched; let the role put "
                "objects there, and run again"
            ) from error


class SegmentedJournal:
    """Writes ``<place>/<time>-<random>/<number>.jsonl`` to ``store``: the journal of a run that one writer makes.

    An object holds the lines since the one before it, whoever they are about. S3 has acknowledged the line of a call
    before the call is made, so what a crash can take away are the results since the last call. In the order of their
    names the objects are the journal.
    """

    def __init__(self, store: Store, place: str, now: Callable[[], datetime] = utc_now) -> None:
        self._store, self._now = store, now
        self._place = f"{place}/{now():%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
        self._lock = threading.Lock()
        self._lines, self._number = b"", 0

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """See JournalWriter."""
        with self._lock:
            self._lines += journal_line(self._now(), subject, phase, entry)
            if phase != AFTER:
                self._put(str(subject))

    def _put(self, about: str) -> None:
        try:
            self._store.replace(f"{self._place}/{self._number:08}.jsonl", self._lines)
        except OSError as error:
            raise JournalRefused(
                f"{about}: the journal can't be written ({error}): nothing further was touched; let this session put "
                "objects there, and run again"
            ) from error
        self._lines, self._number = b"", self._number + 1

    def __enter__(self) -> SegmentedJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._lines:
                self._put("the last results")
        except JournalRefused:
            if kind is None:
                raise
