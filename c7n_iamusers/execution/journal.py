# SPDX-License-Identifier: Apache-2.0
"""The journal: a line before each changing call and one after it, durable before the call; and its readers."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stores import JOURNAL as JOURNAL
from c7n_iamusers.execution.stores import Store, open_appending, sync_directory

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


#: Where BucketJournal puts its objects, one for each run and user.
BUCKET_JOURNALS = "journal/"
#: Of a run's output: what restorations from it did.
RESTORE_JOURNAL = "restore-journal.jsonl"
Line = dict[str, Any]


class JournalReader:
    """The lines about one user in the journals of ``stores``, which are read once each, when first asked for.

    Safe for several threads. Raises OSError where a journal can't be read: what it holds must not be taken for lost.
    """

    def __init__(self, stores: Callable[[], Sequence[Store]]) -> None:
        self._stores, self._lock = stores, threading.Lock()
        self._journals: list[_Journal] | None = None

    def load(self) -> None:
        """Read them now, before a run adds lines of its own, which are not to be taken for an earlier run's."""
        self._read()

    def of(self, subject: Subject) -> list[Line]:
        """All lines about the user of this unique id or, where a line has none, of this ARN."""
        return [line for journal in self._read() for line in journal.of(subject)]

    def lines(self) -> Iterator[Line]:
        """Every line of runs; what restorations did is in ``of`` only."""
        for journal in self._read():
            yield from journal.lines()

    def _read(self) -> list[_Journal]:
        with self._lock:
            if self._journals is None:
                self._journals = [_Journal(store) for store in self._stores()]
            return self._journals


class _Journal:
    def __init__(self, store: Store) -> None:
        self._store, self._by_user = store, defaultdict[str, list[Line]](list)
        for line in parsed(store.read(JOURNAL) or b""):
            self._by_user[str(line.get("unique_id") or line.get("arn"))].append(line)
        self._restored = defaultdict[str, list[Line]](list)
        for line in parsed(store.read(RESTORE_JOURNAL) or b""):
            self._restored[str(line.get("unique_id"))].append(line)
        self._objects = store.names(BUCKET_JOURNALS)

    def of(self, subject: Subject) -> list[Line]:
        own = [name for name in self._objects if name.endswith(f".{subject.unique_id}.jsonl")]
        put = [line for name in own for line in parsed(self._store.read(name) or b"")]
        restored = self._restored.get(subject.unique_id, ())
        return [
            *self._by_user.get(subject.unique_id, ()),
            *self._by_user.get(subject.arn, ()),
            *put,
            *restored,
        ]

    def lines(self) -> Iterator[Line]:
        for lines in self._by_user.values():
            yield from lines
        for name in self._objects:
            yield from parsed(self._store.read(name) or b"")


def parsed(content: bytes) -> Iterable[Line]:
    """The lines of a journal; one that a crash has torn is left out, those around it hold."""
    for text in content.splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            yield line


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
