# SPDX-License-Identifier: Apache-2.0
"""The journal: a line before each mutating call and one after it, on disk before the call is made."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from c7n_iamusers.aws.stores import JOURNAL as JOURNAL
from c7n_iamusers.aws.stores import open_appending, sync_directory
from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.model.calls import Subject

#: The phases of a line: the snapshot of the user with its SHA-256, before a call, after it, what became of the user.
SNAPSHOT, BEFORE, AFTER, OUTCOME = "snapshot", "before", "after", "outcome"


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(timezone.utc)


def journal_line(time: datetime, subject: Subject, phase: str, entry: dict[str, Any]) -> bytes:
    """One line: time, user, arn, unique id, phase, and what the phase adds.

    ``before`` and ``after`` (JournaledCall writes them): service, operation, parameters; ``before`` also the call's
    notes if any; ``after`` also the result (``done``, ``gone``, ``adopted``, ``interrupted``, ``failed``,
    ``unknown``), the ids that were ``saved`` if any, the error ``code`` if any. ``snapshot``: its name and SHA-256.
    ``quarantine``: the record of what was active before. ``outcome``: a row of ``outcomes.json``.
    """
    who = {"user": subject.name, "arn": subject.arn, "unique_id": subject.unique_id}
    who = {"time": time.isoformat(), **who, "phase": phase}
    return (json.dumps({**who, **entry}, default=str) + "\n").encode()


class JournalWriter(Protocol):
    """What the executor writes to."""

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """One line; durable when this returns, unless it is of phase ``after``: that one may wait for the next.

        Raises JournalRefused where it can't be made durable.
        """


class Journal:
    """Appends to ``path``; safe for several threads, and for a file that an earlier run has begun."""

    def __init__(self, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        self._path, self._now = path, now
        self._lock = threading.Lock()
        self._file = open_appending(path)
        if not (size := self._file.tell()):
            sync_directory(path.parent)
        elif os.pread(self._file.fileno(), 1, size - 1) != b"\n":
            # A crash in mid-line: closing it keeps that remnant from swallowing the next entry.
            self._file.write(b"\n")

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """See JournalWriter; here every line is durable (fsync) when this returns."""
        line = journal_line(self._now(), subject, phase, entry)
        try:
            with self._lock:
                self._file.write(line)
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as error:
            raise JournalRefused(
                f"{subject}: the journal {self._path} can't be written ({error}): nothing further was touched; "
                "make room, and run again"
            ) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


class NoJournal:
    """For what only plans: no mutating call is made, so there is nothing to journal."""

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """Raises AssertionError, before the call that it would announce."""
        raise AssertionError(f"{subject}: nothing was to be touched, but it came to {entry.get('operation')}")

    def __enter__(self) -> NoJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass
