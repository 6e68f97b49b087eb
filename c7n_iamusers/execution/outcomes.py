# SPDX-License-Identifier: Apache-2.0
"""The outcome of each user: processing one, then the journal at once and ``outcomes.json`` within seconds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import IamUsersError, JournalRefused, RunLockLost
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import Applied, CallFailed
from c7n_iamusers.execution.interruption import Interrupted, Interruption
from c7n_iamusers.execution.journal import OUTCOME, JournalWriter, utc_now
from c7n_iamusers.execution.retries import error_code
from c7n_iamusers.execution.stores import Store, as_store
from c7n_iamusers.reasons import DONE, Reason
from c7n_iamusers.text.documents import MOST_JSON, NotInFormat, read_json
from c7n_iamusers.text.kept import Kept
from c7n_iamusers.text.wording import visible_log

LOG = visible_log("custodian.c7n_iamusers")
OUTCOMES = "outcomes.json"
#: Earlier outcomes that a row keeps, beside the last of each status. Without a limit, a user with a new reason each day
#: would let the file grow without end.
MOST_FORMER = 20
#: The members of a row, see ``Outcome.as_data``. Whatever else a file has there is not kept.
MEMBERS = (
    *("user", "arn", "unique_id", "status", "reason", "code", "also", "for_owners", "call", "error"),
    *("calls", "seconds", "time", "rests_on", "verdict", "scope", "history"),
)
DELETED = "deleted"
SKIPPED = "skipped"
FAILED = "failed"
PROVISIONED = "provisioned"
UNCHANGED = "unchanged"
PLANNED = "planned"
QUARANTINED = "quarantined"
#: Denied everything for some minutes.
BROWNED_OUT = "browned-out"
RELEASED = "released"
#: Made again by ``c7n-iamusers restore``, whose journal says so.
RESTORED = "restored"
#: Of an access key: parked, given back, deleted.
DEACTIVATED, ACTIVATED, RETIRED = "deactivated", "activated", "retired"
#: Outcomes that say that a user was changed. A run writes a line of each to its journal, also where it made no call.
CHANGED = frozenset({DELETED, QUARANTINED, BROWNED_OUT, RELEASED, RESTORED, DEACTIVATED, ACTIVATED, RETIRED})
STATUSES = CHANGED | {SKIPPED, FAILED, PROVISIONED, UNCHANGED, PLANNED}
_OF_PROVISIONING = frozenset({PROVISIONED, UNCHANGED, SKIPPED, FAILED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one user in one action.

    ``status``: one of this module's constants. ``calls``: the number of changing calls. ``seconds``: wall time.
    ``error`` and ``call``: AWS's error code, or the class of the error, and the failed call, such as
    ``iam:DeleteUser``. ``time``: ISO 8601 in UTC.
    ``rests_on``: the time of the journal line of the earlier change that the outcome reports. Empty if the outcome made
    calls, reports no change, or rests only on what the run saw.
    ``verdict``: how all access of the user's person compares with the user's permissions; empty if not compared.
    ``scope``: which policies of others count in the verdict, in words.
    """

    user: str
    arn: str
    status: str
    reason: Reason = DONE
    calls: int = 0
    seconds: float = 0.0
    error: str = ""
    call: str = ""
    unique_id: str = ""
    time: str = ""
    rests_on: str = ""
    verdict: str = ""
    scope: str = ""

    @classmethod
    def of(cls, subject: Subject, status: str, reason: Reason = DONE, **more: Any) -> Outcome:
        """The outcome of ``subject``. ``more``: further members, by name."""
        return cls(subject.name, subject.arn, status, reason, unique_id=subject.unique_id, **more)

    def at(self, time: datetime) -> Outcome:
        """The same outcome, with its time."""
        return replace(self, time=time.isoformat(timespec="microseconds"))

    def as_data(self) -> dict[str, Any]:
        """A row of ``outcomes.json``."""
        who = {"user": self.user, "arn": self.arn, "unique_id": self.unique_id}
        what = {"status": self.status, **self.reason.as_data(), "call": self.call, "error": self.error}
        row = {**who, **what, "calls": self.calls, "seconds": round(self.seconds, 3), "time": self.time}
        row |= {"rests_on": self.rests_on} if self.rests_on else {}
        return {**row, "verdict": self.verdict, "scope": self.scope} if self.verdict else row


#: Processes one user and returns status and reason. It records the calls that it makes in ``Applied``.
Work = Callable[[Subject, Applied], tuple[str, Reason]]


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
            return Outcome.of(subject, SKIPPED, reasons.BEFORE_ITS_TURN(signal=str(error)))
        status, reason = FAILED, reasons.INTERRUPTED(user=subject, signal=str(error), calls=applied.calls)
    except Exception as error:  # noqa: BLE001  # any error of one user must leave the other users' outcomes intact
        status, reason, code = FAILED, failure_reason(subject, error), error_code(error)
        if isinstance(error, CallFailed):
            code, call = error.code, error.call.permission
    if status == FAILED:
        reason = reason.and_also(applied.failure_note)
    calls, seconds = applied.calls, clock() - started
    rests_on = applied.rests_on if status in CHANGED and not calls else ""
    return Outcome.of(
        subject, status, reason, calls=calls, seconds=seconds, error=code, call=call, rests_on=rests_on
    )


def failure_reason(subject: Subject, error: Exception) -> Reason:
    """The reason of a user that failed with ``error``: the one in it, or else that of its class."""
    if isinstance(error, IamUsersError):
        return error.reason or reasons.of_class(type(error).__name__, subject, str(error))
    if isinstance(error, CallFailed):
        return reasons.CALL_FAILED(why=str(error))
    if isinstance(error, ClientError):
        return reasons.AWS_ERROR(user=subject, why=str(error))
    if isinstance(error, BotoCoreError):
        return reasons.AWS_UNREACHABLE(user=subject, why=str(error))
    LOG.error("%s", subject, exc_info=error)
    return reasons.FAILED_UNEXPECTEDLY(user=subject, why=repr(error))


def write_outcomes(output: Path | Store, outcomes: Iterable[Outcome]) -> None:
    """Merge ``outcomes`` into the ``outcomes.json`` of a directory or store, which others may write to.

    Raises OSError if it can't be written, ValueError if the existing one is invalid.
    """
    store, new = as_store(output), list(outcomes)
    place = store.place(OUTCOMES)
    store.update(OUTCOMES, lambda content: merged_outcomes(rows_of(place, content), new))


def load_outcomes(store: Store) -> list[dict[str, Any]]:
    """The rows of ``outcomes.json``; none if there is no such file.

    Raises OSError if it can't be read, ValueError if a run can't have written it.
    """
    return rows_of(store.place(OUTCOMES), store.read(OUTCOMES))


def rows_of(place: str, content: bytes | None) -> list[dict[str, Any]]:
    """The rows of the ``outcomes.json`` at ``place``, for errors. Raises ValueError if a run can't have written it."""
    try:
        rows: Any = read_json(content or b"[]", Kept(MEMBERS).of, MOST_JSON)
    except NotInFormat as error:
        raise ValueError(_invalid_file(place, str(error))) from error
    if not (isinstance(rows, list) and all(map(_is_row, rows))):
        raise ValueError(_invalid_file(place, "no list of users' outcomes"))
    found: list[dict[str, Any]] = rows
    return found


def merged_outcomes(earlier: Iterable[dict[str, Any]], outcomes: Iterable[Outcome]) -> bytes:
    """The content of ``outcomes.json``: a row with the latest outcome of each user, earlier ones under ``history``.

    An outcome that says the same as the row replaces it, so daily runs do not make the file grow. If a run was stopped
    before a user's turn, that says nothing about the user, so an earlier failure stays.
    """
    rows = list(earlier)
    place = {(row["arn"], row["unique_id"]): number for number, row in enumerate(rows)}
    for outcome in outcomes:
        key = outcome.arn, outcome.unique_id
        at = place.get(key)
        before = rows[at] if at is not None else None
        row = {**outcome.as_data()}
        if before and before.get("status") == FAILED and _before_its_turn(outcome):
            continue
        if before:
            former = {key: value for key, value in before.items() if key != "history"}
            same = all(former.get(key) == row[key] for key in ("status", "code", "reason"))
            if history := [*before.get("history", ()), *([] if same else [former])]:
                row["history"] = _kept(history)
        if at is None:
            at = len(rows)
            rows.append(row)
        rows[at] = row
        place[key] = at
    return json.dumps(rows, indent=2).encode()


def _kept(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    older, recent = history[:-MOST_FORMER], history[-MOST_FORMER:]
    last = {each.get("status"): each for each in older}
    return [*(each for each in older if last[each.get("status")] is each), *recent]


def _before_its_turn(outcome: Outcome) -> bool:
    return outcome.reason.code == reasons.BEFORE_ITS_TURN.code


def provisioned_fault(row: Mapping[str, Any]) -> str:
    """Why provisioning, which changes no IAM user, can't have written such a row; empty if it can."""
    if row.get("status") not in _OF_PROVISIONING:
        return f"it says that {row.get('arn')} is {row.get('status')}"
    return f"it has earlier outcomes of {row.get('arn')}" if row.get("history") else ""


_TEXTS_OF_ROW = (
    *("user", "arn", "unique_id", "status", "reason", "code", "for_owners"),
    *("call", "error", "time", "rests_on", "verdict"),
)


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and "arn" in row
        and "unique_id" in row
        and all(isinstance(row.get(name, ""), str) for name in _TEXTS_OF_ROW)
        and all(isinstance(row.get(name, []), list) for name in ("also", "history"))
    )


def _invalid_file(place: str, why: str) -> str:
    return f"{place} is not a file of outcomes ({why}), and is not overwritten: move it away"


class OutcomeWriter:
    """Writes ``outcomes.json`` of ``store``, at most once every ``seconds``. Thread-safe.

    If the run is killed, the journal still has the outcomes that were not written yet.
    Raises OSError if an earlier ``outcomes.json`` can't be read, ValueError if it is invalid.
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
        #: The rows when the run began.
        self.earlier: list[dict[str, Any]] = load_outcomes(store)
        self._unwritten: list[Outcome] = []
        self._lock, self._written = threading.Lock(), clock()

    def begin(self) -> None:
        """Create the file, so that an output in a bucket is found even if the run is killed. Raises OSError."""
        if not self.earlier:
            self._store.update(OUTCOMES, lambda held: held or merged_outcomes((), ()))

    def add(self, subject: Subject, outcome: Outcome) -> Outcome:
        """Record ``outcome`` with its time, and return that. What can't be written now is written by ``close``.

        An outcome with a time is in the journal already. The journal has no lines on users that are left alone.
        """
        is_journaled = bool(outcome.time)
        outcome = replace(outcome, unique_id=subject.unique_id)
        outcome = outcome if is_journaled else outcome.at(self._now())
        if not is_journaled and (outcome.calls or outcome.status in CHANGED):
            self._journal_it(subject, outcome)
        with self._lock:
            self._unwritten.append(outcome)
            if self._clock() - self._written >= self._seconds:
                self._try_to_write()
        return outcome

    def close(self) -> None:
        """Write all outcomes. Raises OSError."""
        with self._lock:
            self._write()

    def _journal_it(self, subject: Subject, outcome: Outcome) -> None:
        try:
            self._journal.write(subject, OUTCOME, **outcome.as_data())
        except (JournalRefused, RunLockLost) as error:
            LOG.error("%s", error)

    def _try_to_write(self) -> None:
        try:
            self._write()
        except OSError as error:
            LOG.warning("%s can't be written yet and is tried again: %s", self._store.place(OUTCOMES), error)
        self._written = self._clock()

    def _write(self) -> None:
        if self._unwritten:
            write_outcomes(self._store, self._unwritten)
            self._unwritten = []
