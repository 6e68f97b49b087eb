# SPDX-License-Identifier: Apache-2.0
"""Locks on users in an output in a bucket. There, a lock does not end with the process that holds it.

A lock is an object, ``locks/<unique id>.json``. Conditional writes put and renew it, so if two take it, one is refused.
It counts for LEASE after its last renewal, and is renewed before changing calls. A killed process leaves it; a process
slower than LEASE makes no further call once somebody else has taken it. It is never deleted, only marked as free: runs
need no permission to delete.

A run takes over the lock of another run at once, so that it carries on what a killed one left. A restoration excludes
runs and other restorations. A run takes the lock right before its first changing call, so that skipped users cost
nothing. If a restoration of a user has ended since the run read it, the user is left alone.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.exceptions import JournalRefused, RunLockLost, UserInUse
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.times import CLOCKS_APART, moment
from c7n_iamusers.text.wording import visible_log

#: The prefix of the objects.
LOCKS = "locks/"
#: How long a lock counts, and when it is renewed, before the next call. A call with its reads takes some minutes if AWS
#: throttles, and the clocks of two machines that AWS serves differ by up to ten.
LEASE, _RENEWAL = timedelta(minutes=15), timedelta(minutes=1)

log = visible_log("c7n_iamusers.lock")
_TOKEN = secrets.token_hex(8)


def _this_process() -> str:
    """The id of this process, which a forked one does not share."""
    return f"{_TOKEN}-{os.getpid()}"


@dataclass(frozen=True)
class UserLocks:
    """The locks in ``store`` of one process. Thread-safe, as long as one thread works on a user.

    ``what``: who holds them, see ``locks.holder_of``. ``alone``: whether a lock excludes everybody, or only holders
    that ask for that. ``process``: its id, since ``--give-back`` restores and then releases a user.
    """

    store: Store
    what: str
    alone: bool = False
    now: Callable[[], datetime] = utc_now
    process: str = field(default_factory=_this_process)
    _id: str = field(default_factory=lambda: secrets.token_hex(8))
    _began: dict[str, datetime] = field(default_factory=dict)
    _renewed: dict[str, datetime] = field(default_factory=dict)

    @contextmanager
    def held(self, subject: Subject) -> Iterator[None]:
        """Hold the lock on ``subject``: at once if ``alone``, else from the first ``renew`` on. Raises as ``renew``."""
        self._began[subject.unique_id] = self.now()
        try:
            if self.alone:
                self.renew(subject)
            yield
        finally:
            del self._began[subject.unique_id]
            if subject.unique_id in self._renewed:
                self._free(subject)

    def renew(self, subject: Subject) -> None:
        """Take the lock, or renew it, unless that was done lately; call it before each changing call.

        Raises UserInUse if somebody else has it, RunLockLost if somebody took it over, JournalRefused if it can't be
        put.
        """
        renewed = self._renewed.get(subject.unique_id)
        if renewed is None and subject.unique_id in self._began:
            self._write(subject, self._taken)
        elif renewed and self.now() - renewed >= _RENEWAL:
            self._write(subject, self._kept)

    def _write(self, subject: Subject, change: Callable[[Subject, bytes | None, datetime], bytes]) -> None:
        now = self.now()
        try:
            self.store.update(_name(subject), lambda held: change(subject, held, now))
        except OSError as error:
            raise JournalRefused(
                f"{subject}: its lock can't be put ({error}): nothing further was touched; allow s3:GetObject and "
                "s3:PutObject there, and run again"
            ) from error
        self._renewed[subject.unique_id] = now

    def _free(self, subject: Subject) -> None:
        del self._renewed[subject.unique_id]
        try:
            self.store.update(_name(subject), lambda held: self._kept(subject, held))
        except RunLockLost:
            pass  # it is another's now
        except OSError as error:
            log.warning(
                "%s: its lock stays for %s minutes: %s", subject, LEASE // timedelta(minutes=1), error
            )

    def _taken(self, subject: Subject, held: bytes | None, now: datetime) -> bytes:
        other = _fields(held)
        until, freed = moment(other.get("until")), moment(other.get("freed"))
        holder = str(other.get("holder") or "somebody")[:200]
        restored = freed and other.get("alone") is True and other.get("process") != self.process
        if freed and restored and not self.alone and freed > self._began[subject.unique_id] - CLOCKS_APART:
            raise UserInUse(
                f"{holder} gave it back at {freed:%H:%M} UTC, after this run had begun with it, or just before: run "
                "again in some minutes"
            )
        free = held is None or other.get("until") == "" or bool(until and until <= now)
        excluded = self.alone or other.get("alone") is not False
        if not free and excluded and other.get("id") != self._id:
            raise UserInUse(
                f"{holder} works on it: {_patience(until, now)}. Its lock is "
                f"{self.store.place(_name(subject))}: whoever removes it must know that nothing works on the user"
            )
        return self._content(now + LEASE)

    def _kept(self, subject: Subject, held: bytes | None, now: datetime | None = None) -> bytes:
        """The new content; without ``now``, that of a free lock."""
        if _fields(held).get("id") != self._id:
            raise RunLockLost(
                f"its lock {self.store.place(_name(subject))} was removed or taken over, so somebody else may work on "
                "it: nothing further was changed. Run again"
            )
        return self._content(now + LEASE if now else None)

    def _content(self, until: datetime | None) -> bytes:
        """The content; without ``until``, that of a free lock."""
        shown = until.isoformat(timespec="seconds") if until else ""
        writer = {"id": self._id, "holder": self.what, "alone": self.alone, "process": self.process}
        freed = {} if until else {"freed": self.now().isoformat(timespec="seconds")}
        return json.dumps({**writer, "until": shown, **freed}).encode()


def _patience(until: datetime | None, now: datetime) -> str:
    """For how long somebody may have to wait, in words. A run's lock counts for LEASE, by its own clock."""
    ends = f"{until:%Y-%m-%d %H:%M} UTC" if until else ""
    if until is None or until > now + LEASE + CLOCKS_APART:
        return f"it says {ends or 'no time'} as its end, and no run writes such a lock: find out who wrote it"
    return f"wait until it has ended, or until {ends} if it was killed, and try again"


def _name(subject: Subject) -> str:
    return f"{LOCKS}{subject.unique_id}.json"


def _fields(content: bytes | None) -> dict[str, Any]:
    """The fields of a lock's content; none if no run wrote it."""
    try:
        found = read_json(content or b"{}")
    except NotInFormat:
        return {}
    return found if isinstance(found, dict) else {}
