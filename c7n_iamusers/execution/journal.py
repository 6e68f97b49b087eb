# SPDX-License-Identifier: Apache-2.0
"""The journal of a run: one line before each changing call, durable before the call is made, and one after it.

``Journal`` writes to a file, ``BucketJournal`` and ``SegmentedJournal`` to a store; ``JournalReader`` reads them.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.execution.calls import AFTER, BEFORE, TRIED, Subject, is_key_id
from c7n_iamusers.execution.journal_format import (
    LAST_WHOLE,
    PREVIOUS,
    last_line,
    last_whole,
    line_digest,
    line_in,
)
from c7n_iamusers.execution.journal_format import parsed as parsed
from c7n_iamusers.execution.journal_format import parsed_lines as parsed_lines
from c7n_iamusers.execution.locks import locked, require_in_place
from c7n_iamusers.execution.stores import (
    JOURNAL,
    DirectoryStore,
    Store,
    open_appending,
    others_may_write,
    sync_directory,
)
from c7n_iamusers.text.times import CLOCK_SKEW, moment

#: The prefix of BucketJournal's objects, one for each run and user.
BUCKET_JOURNALS = "journal/"
#: The journal of restorations, in the output of the run that they restore from.
RESTORE_JOURNAL = "restore-journal.jsonl"
Line = dict[str, Any]
#: The phases of a line, besides BEFORE and AFTER a call: the user's snapshot with its SHA-256, the user's outcome.
SNAPSHOT, OUTCOME = "snapshot", "outcome"
#: The phase of the line by which a person declares a snapshot gone for good: its name, and ``by`` whom.
GIVEN_UP = "given-up"
#: The phase of the line with the basis of a user's deletion.
DECISION = "decision"
#: The Ref that the CreateUser of a restoration saves: the new unique id. Its note TOKEN: the value of the new user's
#: tag RESTORED_FROM, which identifies the user if the answer of CreateUser was lost.
CREATED, TOKEN, RESTORED_FROM = "created-user", "token", "c7n-iamusers-restored-from"
#: How long a call may be tried.
TRYING = timedelta(hours=1)
#: The phases of lines that may be written with the next one: they announce no call.
_ANSWERS = frozenset({TRIED, AFTER, DECISION})


def utc_now() -> datetime:
    """The current time in UTC."""
    return datetime.now(timezone.utc)


def journal_line(
    time: datetime,
    subject: Subject,
    phase: str,
    entry: dict[str, Any],
    previous: str = "",
    whole: str | None = None,
) -> bytes:
    """One line: time, user, arn, unique_id, phase, previous, and the ``entry``, which depends on the phase.

    ``previous``: the SHA-256, in hex, of the line before, see ``journal_format``; empty for the first line. ``whole``:
    if that line is incomplete, the digest of the last whole one.

    ``before``, ``tried`` and ``after``, written by JournaledCall: service, operation, parameters. ``before`` adds
    ``notes`` of the call, ``after`` adds ``result`` (``done``, ``gone``, ``adopted``, ``interrupted``, ``failed``,
    ``unknown``) and ``saved`` ids. ``tried``, for each try that is repeated, and ``after`` add ``request_id`` of AWS's
    answer, the error ``code`` and HTTP ``status``, and the ``caller``'s ARN; each only if there is one. A line without
    a request id is of a try that AWS did not answer. ``snapshot``: its name and ``sha256``.
    ``quarantine``: the record of what was active before. ``lapsed``: what a run saw that contradicts the journal.
    ``given-up``: the name of a snapshot that is gone for good, and ``by``: see ``snapshots.before_deny.given_up``.
    ``decision``: see ``safeguards.gate_readings.on_record``.
    ``outcome``: a row of ``outcomes.json``.
    """
    who = {"user": subject.name, "arn": subject.arn, "unique_id": subject.unique_id}
    chain = {PREVIOUS: previous} if whole is None else {PREVIOUS: previous, LAST_WHOLE: whole}
    who = {"time": time.isoformat(), **who, "phase": phase, **chain}
    return (json.dumps({**who, **entry}, default=str) + "\n").encode()


class JournalWriter(Protocol):
    """What the executor writes to."""

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """Write one line, durably. One of ``tried``, ``after`` or ``decision`` may be written with the next one.

        Raises JournalRefused if it can't be made durable.
        """


class Journal:
    """Appends to the file ``path``, which an earlier run may have begun, and another process may write to. Thread-safe.

    ``copy``: called once a line that announces a call is durable; that call waits for it.
    """

    def __init__(
        self, path: Path, now: Callable[[], datetime] = utc_now, copy: Callable[[], object] = lambda: None
    ) -> None:
        self._path, self._now, self._copy = path, now, copy
        self._lock = threading.Lock()
        self._file = open_appending(path)
        #: Where our last line ended in the file, and its digest.
        self._end, self._previous = -1, ""
        if not self._file.tell():
            sync_directory(path.parent)

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """See JournalWriter. Every line is durable (fsync) when this returns.

        Raises RunLockLost before a call if the file was removed or replaced: its line would be in no file.
        """
        if phase not in _ANSWERS:
            self.require_in_place()
        try:
            with self._lock, locked(self._file.fileno()):
                self._append(subject, phase, entry)
        except OSError as error:
            raise JournalRefused(
                f"{subject}: the journal {self._path} can't be written ({error}): nothing further was touched; "
                "make room, and run again"
            ) from error
        if phase not in _ANSWERS:
            self._copy()

    def _append(self, subject: Subject, phase: str, entry: dict[str, Any]) -> None:
        descriptor = self._file.fileno()
        size, broken, whole = os.fstat(descriptor).st_size, False, None
        if size != self._end:  # our first line, or somebody else has written since
            last = last_line(descriptor, size)
            self._previous = line_digest(last) if size else ""
            # A crash left an incomplete line: end it, so that the next line stays readable.
            broken = bool(size) and not last.endswith(b"\n")
            if size and line_in(last) is None:
                whole = last_whole(descriptor, size - len(last))
        line = journal_line(self._now(), subject, phase, entry, self._previous, whole)
        content = (b"\n" if broken else b"") + line
        # unbuffered: a buffer would write a failed line with a later one
        written = 0
        while written < len(content):
            written += os.write(descriptor, content[written:])
        os.fsync(descriptor)
        self._end, self._previous = size + len(content), line_digest(line)

    def require_in_place(self) -> None:
        """Raises RunLockLost once the file was removed or replaced: the lines of this run would be lost with it."""
        require_in_place(self._path, self._file.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


class NoJournal:
    """The journal of a run that only plans and makes no changing call."""

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """Raises AssertionError, before the changing call is made."""
        raise AssertionError(f"{subject}: a run that only plans was about to call {entry.get('operation')}")

    def __enter__(self) -> NoJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class BucketJournal:
    """Writes ``journal/<time of the run>-<random>/<user name>.<unique id>.jsonl`` to ``store``. Thread-safe.

    S3 acknowledges the line before a call before the call is made. The line after it is put together with the next one,
    so a crash can lose the result of a user's last call. Each object belongs to one run and one user.
    ``renew``: called before each line is written; see UserLocks. ``follows``: gives the digest of an earlier run's last
    line on a user, for the first line of this run; empty if there is none.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime] = utc_now,
        renew: Callable[[Subject], object] = lambda _: None,
    ) -> None:
        self._store, self._now, self._renew = store, now, renew
        self.follows: Callable[[Subject], str] = lambda _: ""
        self._run = f"{now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._lock = threading.Lock()
        self._lines: defaultdict[Subject, bytes] = defaultdict(bytes)
        self._last: dict[Subject, str] = {}

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """See JournalWriter. Raises what ``renew`` raises."""
        self._renew(subject)
        with self._lock:
            previous = self._last[subject] if subject in self._last else self.follows(subject)
            line = journal_line(self._now(), subject, phase, entry, previous)
            self._last[subject] = line_digest(line)
            self._lines[subject] += line
            content = self._lines[subject]
        if phase in _ANSWERS:
            return
        name = f"{BUCKET_JOURNALS}{self._run}/{subject.file_name}.{subject.unique_id}.jsonl"
        _put(self._store, name, content, str(subject))


class SegmentedJournal:
    """Writes ``<place>/<time>-<random>/<number>.jsonl`` to ``store``: the journal of a run with a single writer.

    Each object holds the lines since the previous object, for all subjects. Sorted by name, the objects are the
    journal. S3 acknowledges the line before a call before the call is made, so a crash can lose the results since the
    last one.
    """

    def __init__(self, store: Store, place: str, now: Callable[[], datetime] = utc_now) -> None:
        self._store, self._now = store, now
        self._place = f"{place}/{now():%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
        self._lock = threading.Lock()
        self._lines, self._number, self._previous = b"", 0, ""

    def write(self, subject: Subject, phase: str, **entry: Any) -> None:
        """See JournalWriter."""
        with self._lock:
            line = journal_line(self._now(), subject, phase, entry, self._previous)
            self._previous = line_digest(line)
            self._lines += line
            if phase not in _ANSWERS:
                self._put(str(subject))

    def _put(self, about: str) -> None:
        _put(self._store, f"{self._place}/{self._number:08}.jsonl", self._lines, about)
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


def _put(store: Store, name: str, content: bytes, about: str) -> None:
    """Put an object of a journal. ``about``: what its last line is about. Raises JournalRefused."""
    try:
        store.replace(name, content)
    except OSError as error:
        raise JournalRefused(
            f"{about}: the journal can't be written ({error}): nothing further was touched; allow s3:PutObject there, "
            "and run again"
        ) from error


class JournalReader:
    """Reads the journals of ``stores``, each once, on first use. Thread-safe.

    Every method raises OSError if a journal can't be read. With ``alone``, also if others own it or can write to it: it
    proves nothing then.
    """

    def __init__(self, stores: Callable[[], Sequence[Store]], alone: bool = False) -> None:
        self._stores, self._lock, self._alone = stores, threading.Lock(), alone
        self._journals: list[_Journal] | None = None

    def load(self) -> None:
        """Read the journals now, so that lines which this run adds later are not taken for an earlier run's."""
        self._read()

    def of(self, subject: Subject) -> list[Line]:
        """All lines with the unique id of ``subject``."""
        return [line for journal in self._read() for line in journal.of(subject)]

    def last_digest(self, subject: Subject) -> str:
        """The digest of the last line about ``subject`` in the objects that were read; empty if there is none."""
        return next((found for journal in self._read() if (found := journal.last.get(subject.unique_id))), "")

    def by_store(self, subject: Subject) -> list[list[Line]]:
        """The same lines by the store that they are from, in the order of the stores."""
        return [journal.of(subject) for journal in self._read()]

    def of_namesakes(self, subject: Subject) -> list[Line]:
        """All lines of runs with the ARN of ``subject`` and another unique id: of users that had the name before."""
        return [line for journal in self._read() for line in journal.of_namesakes(subject)]

    def restoring(self, subject: Subject, token: str, created: datetime | None) -> str:
        """The place of the journal of an unfinished restoration that made the user; empty if there is none.

        ``token``: the value of the user's tag RESTORED_FROM. Anybody may have copied it. So it counts only for a user
        with the restored name, if ``created``, its CreateDate, is the time of a CreateUser without an answer in the
        journal.
        """
        found = [place for journal in self._read() if (place := journal.made(subject, token, created))]
        ended = any(journal.gave_all(subject) for journal in self._read())
        return "" if ended else next(iter(found), "")

    def lines(self) -> Iterator[Line]:
        """Every line of runs. Lines of restorations are left out; ``of`` has them."""
        for journal in self._read():
            yield from journal.lines()

    def _read(self) -> list[_Journal]:
        with self._lock:
            if self._journals is None:
                self._journals = [_Journal(store, self._alone) for store in self._stores()]
            return self._journals


class _Journal:
    """The journals of one store. The names of its objects are listed once, and found by unique id or by user name."""

    def __init__(self, store: Store, alone: bool) -> None:
        self._store, self._by_user = store, defaultdict[str, list[Line]](list)
        self._alone = alone
        #: Unique id -> the digest of its last line in the objects that were read.
        self.last: dict[str, str] = {}
        self._ids = defaultdict[str, set[str]](set)
        for line in self._lines(JOURNAL):
            if not is_key_id(line["unique_id"]):
                self._ids[line["arn"]].add(line["unique_id"])
            self._by_user[line["unique_id"]].append(line)
        self._restored = defaultdict[str, list[Line]](list)
        self._made, self._ended = set[str](), set[str]()
        self._creating: dict[str, Line] = {}
        #: Parameters of a CreateUser, as text -> the tokens of the unanswered ones, in order.
        self._unanswered = defaultdict[str, dict[str, None]](dict)
        for line in self._lines(RESTORE_JOURNAL):
            self._restored[line["unique_id"]].append(line)
            if line.get("operation") == "CreateUser":
                self._note_creation(line)
            if line.get("phase") == OUTCOME:
                self._ended |= set(map(str, line.get("made") or ()))
        self._objects = store.names(BUCKET_JOURNALS)
        self._by_id, self._by_name = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for name in self._objects:
            user, unique_id = user_of_object(name)
            self._by_id[unique_id].append(name)
            if not is_key_id(unique_id):
                self._by_name[user].append(name)

    def of(self, subject: Subject) -> list[Line]:
        own = self._by_id.get(subject.unique_id, ())
        put = [line for name in own for line in self._lines(name)]
        restored = self._restored.get(subject.unique_id, ())
        return [
            *self._by_user.get(subject.unique_id, ()),
            *put,
            *restored,
        ]

    def _note_creation(self, line: Line) -> None:
        """Note the user that a restoration made, or a CreateUser whose user is not known yet."""
        token = str((line.get("notes") or {}).get(TOKEN) or "")
        created = (line.get("saved") or {}).get(CREATED)
        asked = _asked(line)
        if line.get("phase") == BEFORE and token:
            if token in self._creating:
                self._unanswered[_asked(self._creating[token])].pop(token, None)
            self._creating[token] = line
            self._unanswered[asked][token] = None
        elif created:
            self._made.add(str(created))
        if line.get("phase") == AFTER and (created or line.get("result") == "failed"):
            answered = next(iter(self._unanswered[asked]), "")
            self._unanswered[asked].pop(answered, None)
            self._creating.pop(answered, None)

    def made(self, subject: Subject, token: str, created: datetime | None) -> str:
        """The place of the restoration's journal, if a restoration made the user; else empty."""
        begun = self._creating.get(token)
        unanswered = begun is not None and _is_of(begun, subject) and _is_at(begun, created)
        found = subject.unique_id in self._made or unanswered
        return self._store.place(RESTORE_JOURNAL) if found else ""

    def gave_all(self, subject: Subject) -> bool:
        """Whether a restoration of the user has ended."""
        return subject.unique_id in self._ended

    def of_namesakes(self, subject: Subject) -> Iterator[Line]:
        for other in self._ids.get(subject.arn, set()) - {subject.unique_id}:
            yield from (line for line in self._by_user[other] if line.get("arn") == subject.arn)
        for name in self._by_name.get(subject.file_name, ()):
            if user_of_object(name)[1] != subject.unique_id:
                yield from (line for line in self._lines(name) if line.get("arn") == subject.arn)

    def lines(self) -> Iterator[Line]:
        for lines in self._by_user.values():
            yield from lines
        for name in self._objects:
            yield from self._lines(name)

    def _lines(self, name: str) -> Iterator[Line]:
        store, why = self._store, ""
        content = store.read(name)
        if content is not None and self._alone and isinstance(store, DirectoryStore):
            why = others_may_write(store.directory, name)
        if why:
            raise OSError(f"{why}: find out who wrote to it, and make it this run's alone, or move it away")
        if content and name.startswith(BUCKET_JOURNALS):
            self.last[user_of_object(name)[1]] = line_digest(content.splitlines()[-1])
        return parsed(content or b"", store.place(name))


def _asked(line: Line) -> str:
    """The parameters of a call as text, equal for equal parameters."""
    return json.dumps(line.get("parameters"), sort_keys=True)


def _is_of(line: Line, subject: Subject) -> bool:
    """Whether the line is of a user with the name and the account of ``subject``."""
    return (line.get("user"), line["arn"].split(":")[4:5]) == (subject.name, [subject.account_id])


def _is_at(line: Line, time: datetime | None) -> bool:
    """Whether the call of the line was made at ``time``, by AWS's clock."""
    begun = moment(line.get("time"))
    return bool(time and begun and begun - CLOCK_SKEW <= time <= begun + TRYING)


def user_of_object(name: str) -> tuple[str, str]:
    """The user name and the unique id in the name of an object; empty texts where it is no run's."""
    user, _, unique_id = name.rpartition("/")[2].removesuffix(".jsonl").rpartition(".")
    return (user, unique_id) if user and name.endswith(".jsonl") else ("", "")
