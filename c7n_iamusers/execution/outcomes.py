# SPDX-License-Identifier: Apache-2.0
"""The outcome of each user: processing one, then the journal at once and ``outcomes.json`` within seconds.

After a run was killed, ``missing_outcomes`` derives the missing rows from its journal.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers import reasons
from c7n_iamusers.exceptions import IamUsersError, JournalRefused, RunLockLost
from c7n_iamusers.execution.calls import AFTER, BEFORE, Subject
from c7n_iamusers.execution.executor import Applied, CallFailed
from c7n_iamusers.execution.interruption import Interrupted, Interruption
from c7n_iamusers.execution.journal import CREATED as CREATED
from c7n_iamusers.execution.journal import OUTCOME, JournalWriter, utc_now
from c7n_iamusers.execution.retries import error_code
from c7n_iamusers.execution.stores import Store, as_store
from c7n_iamusers.reasons import DONE, Reason, read_reason
from c7n_iamusers.text.documents import MOST_JSON, NotInFormat, read_json
from c7n_iamusers.text.kept import Kept
from c7n_iamusers.text.times import moment
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


Line = Mapping[str, Any]
_NEVER = datetime.min.replace(tzinfo=timezone.utc)


#: A user and the lines before the calls that a stopped run made on it -> a note; None if there is none.
NoteOn = Callable[[Subject, Sequence[Line]], Reason | None]


#: An access key and the line before its last call -> whether AWS shows the effect of that call.
Shown = Callable[[Subject, Line], bool]


def missing_outcomes(
    lines: Iterable[Line],
    rows: Sequence[Mapping[str, Any]],
    name_of: Callable[[str], str | None],
    note_on: NoteOn = lambda *_: None,
    shown: Shown = lambda *_: False,
) -> Iterator[tuple[Subject, Outcome]]:
    """The outcomes that a killed run did not write, from the ``lines`` of its journal.

    An outcome with a line in the journal is that line, with its time. Others have no time, and the calls since the last
    outcome. If DeleteUser had no answer, the run could only report a failure: the user is deleted if ListUsers does not
    list it. So it is with an access key that AWS did not show changed at the end of the run.

    ``lines``: in the order in which they were written. Times don't show that order: a clock may be set back during a
    run. ``rows``: of ``outcomes.json``. ``name_of``: unique id -> the user's current name, None if there is no such
    user; called only if the response of DeleteUser is missing. ``note_on``: called for users without an outcome's line.
    ``shown``: called for access keys without one, and for those of a call that AWS did not refuse, with outcome failed.
    """
    written = {(row["arn"], row["unique_id"]): moment(row.get("time")) or _NEVER for row in rows}
    known = {
        (row["arn"], row["unique_id"], str(each.get("time")))
        for row in rows
        for each in (row, *row.get("history", ()))
        if isinstance(each, Mapping)
    }
    failed = {(row["arn"], row["unique_id"]) for row in rows if row.get("status") == FAILED}
    users: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.get("phase") in (BEFORE, AFTER, OUTCOME):
            users[line["arn"], line["unique_id"]].append(line)
    for key, its in users.items():
        subject, last = Subject(str(its[-1].get("user")), *key), its[-1]
        # an outcome's line has the time of its row
        is_known = last["phase"] == OUTCOME and (*key, str(last.get("time"))) in known
        if not is_known and written.get(key, _NEVER) < (moment(last.get("time")) or _NEVER):
            yield subject, _outcome(subject, its, name_of, note_on, shown)
        elif key in failed and (sent := _unanswered_deletion(its)) and name_of(subject.unique_id) is None:
            reason = reasons.DELETED_WITHOUT_ANSWER(at=_shown_time(sent))
            yield subject, Outcome.of(subject, DELETED, reason, rests_on=str(sent.get("time")))
        elif key in failed and subject.is_key and (made := _unsettled_call(its)) and shown(subject, made):
            reason = reasons.KEY_SHOWN_LATER(at=_shown_time(made))
            yield subject, Outcome.of(subject, _status_of_key(made), reason, rests_on=str(made.get("time")))


def unfinished_restorations(lines: Iterable[Line]) -> Iterator[tuple[str, Outcome]]:
    """The outcomes of users that a restoration changed and left unfinished, from the ``lines`` of its journal.

    Each is of the existing user, which may have been created anew, and comes with the unique id of the user that is
    restored.
    """
    users: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.get("phase") in (BEFORE, AFTER, OUTCOME):
            users[line["arn"], line["unique_id"]].append(line)
    for (arn, unique_id), its in users.items():
        its.sort(key=lambda line: moment(line.get("time")) or _NEVER)
        ended = [number for number, line in enumerate(its, 1) if line["phase"] == OUTCOME]
        since = its[ended[-1] :] if ended else its
        calls = sum((line["phase"] == BEFORE) - (line.get("result") == FAILED) for line in since)
        if calls <= 0:
            continue
        made = [line["saved"][CREATED] for line in its if CREATED in (line.get("saved") or {})]
        subject = Subject(str(its[-1].get("user")), arn, str(made[-1] if made else unique_id))
        reason = reasons.RESTORATION_UNFINISHED(user=subject, at=_shown_time(since[-1]), calls=calls)
        yield unique_id, Outcome.of(subject, FAILED, reason, calls=calls, time=str(since[-1].get("time")))


def _shown_time(line: Line) -> str:
    return str(line.get("time"))[:19].replace("T", " ")


def _unanswered_deletion(lines: Iterable[Line]) -> Line | None:
    """The line of a DeleteUser with an unknown result; None if there is none."""
    unsure = (
        line
        for line in lines
        if line.get("operation") == "DeleteUser" and line.get("result") in ("unknown", "interrupted")
    )
    return next(unsure, None)


def _unsettled_call(lines: Sequence[Line]) -> Line | None:
    """The line before the last call that AWS did not refuse, if all outcomes since are failures; else None."""
    found = earlier = None
    for line in lines:
        if line.get("phase") == BEFORE:
            found, earlier = line, found
        elif line.get("phase") == AFTER and line.get("result") == FAILED:
            found = earlier
        elif line.get("phase") == OUTCOME and line.get("status") != FAILED:
            found = earlier = None
    return found


def _begun(lines: Sequence[Line]) -> Line | None:
    """The line before the last call; None if there is none."""
    return next((line for line in reversed(lines) if line.get("phase") == BEFORE), None)


def _status_of_key(line: Line) -> str:
    """The outcome of an access key once the call of ``line`` has its effect."""
    if line.get("operation") == "DeleteAccessKey":
        return RETIRED
    status = (line.get("parameters") or {}).get("Status")
    return DEACTIVATED if status == "Inactive" else ACTIVATED


def _outcome(
    subject: Subject,
    lines: list[Line],
    name_of: Callable[[str], str | None],
    note_on: NoteOn,
    shown: Shown,
) -> Outcome:
    last = lines[-1]
    if last["phase"] == OUTCOME:
        names = ("calls", "seconds", "error", "call", "time", "rests_on")
        more = {name: last[name] for name in names if name in last}
        return Outcome.of(subject, str(last.get("status")), read_reason(last), **more)
    ended = [number for number, line in enumerate(lines, 1) if line["phase"] == OUTCOME]
    begun = [line for line in lines[ended[-1] if ended else 0 :] if line["phase"] == BEFORE]
    when, calls = _shown_time(last), len(begun)
    made = _begun(lines) if subject.is_key and last.get("result") != FAILED else None
    if made and shown(subject, made):
        reason = reasons.KEY_BY_STOPPED_RUN(at=when)
        return Outcome.of(subject, _status_of_key(made), reason, calls=calls)
    note = note_on(subject, begun)
    if last.get("operation") == "DeleteUser":
        done = last.get("result") == "done"
        unsure = last["phase"] == BEFORE or last.get("result") in ("unknown", "interrupted")
        if done or (unsure and name_of(subject.unique_id) is None):
            reason = reasons.DELETED_BY_STOPPED_RUN(at=when).and_also(note)
            return Outcome.of(subject, DELETED, reason, calls=calls)
    reason = reasons.RUN_STOPPED(user=subject, at=when, calls=calls).and_also(note)
    return Outcome.of(subject, FAILED, reason, calls=calls)
