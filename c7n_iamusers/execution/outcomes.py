# SPDX-License-Identifier: Apache-2.0
"""The outcome of each user: in the journal at once, in ``outcomes.json`` within seconds, completed after a kill."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from c7n_iamusers.exceptions import JournalRefused
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import OUTCOME, JournalWriter, utc_now
from c7n_iamusers.execution.stores import JOURNAL as JOURNAL
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.text.moments import moment

OUTCOMES = "outcomes.json"


def write_outcomes(place: Path | Store, outcomes: Iterable[Outcome]) -> None:
    """Merge ``outcomes`` into the ``outcomes.json`` of a directory or store.

    Raises OSError where it can't be written, ValueError where the one that is there can't be read.
    """
    store = DirectoryStore(place) if isinstance(place, Path) else place
    add_outcomes(store, outcomes)


def add_outcomes(store: Store, outcomes: Iterable[Outcome]) -> None:
    """Merge ``outcomes`` into the ``outcomes.json`` of ``store``, whoever else writes to it. Raises as above."""
    new = list(outcomes)
    store.update(OUTCOMES, lambda content: merged_outcomes(_rows(store, content), new))


def load_outcomes(store: Store) -> list[dict[str, Any]]:
    """The rows of ``outcomes.json``, none where there is no such file.

    Raises OSError where it can't be read, ValueError where it is not one that a run left.
    """
    return _rows(store, store.read(OUTCOMES))


def _rows(store: Store, content: bytes | None) -> list[dict[str, Any]]:
    try:
        rows: Any = json.loads(content or b"[]")
    except ValueError as error:
        raise ValueError(_foreign(store, str(error))) from error
    if not (isinstance(rows, list) and all(map(_is_row, rows))):
        raise ValueError(_foreign(store, "no list of users' outcomes"))
    found: list[dict[str, Any]] = rows
    return found


def merged_outcomes(earlier: Iterable[dict[str, Any]], outcomes: Iterable[Outcome]) -> bytes:
    """The content of ``outcomes.json``: the latest outcome of each user, earlier ones under its ``history``.

    A user is one unique id. A row, or an outcome, without one (of the version before, or of a provisioning) is of
    whoever has the ARN.
    """
    rows = list(earlier)
    place = {(row["arn"], row.get("unique_id", "")): number for number, row in enumerate(rows)}
    latest = {row["arn"]: number for number, row in enumerate(rows)}
    for outcome in outcomes:
        arn, unique_id = outcome.arn, outcome.unique_id
        at = place.get((arn, unique_id), place.get((arn, "")) if unique_id else latest.get(arn))
        before = rows[at] if at is not None else None
        row = {**outcome.as_data()}
        if before:
            row["unique_id"] = unique_id or before.get("unique_id", "")
            former = {key: value for key, value in before.items() if key != "history"}
            row["history"] = [*before.get("history", ()), former]
        if at is None:
            at = len(rows)
            rows.append(row)
        rows[at] = row
        place[arn, row["unique_id"]] = latest[arn] = at
    return json.dumps(rows, indent=2).encode()


def _is_row(row: object) -> bool:
    return (
        isinstance(row, dict) and isinstance(row.get("arn"), str) and isinstance(row.get("history", []), list)
    )


def _foreign(store: Store, why: str) -> str:
    return f"{store.place(OUTCOMES)} is not a file of outcomes ({why}), and is not overwritten: move it away"


DELETED = "deleted"
SKIPPED = "skipped"
FAILED = "failed"
PROVISIONED = "provisioned"
UNCHANGED = "unchanged"
PLANNED = "planned"
QUARANTINED = "quarantined"
RELEASED = "released"


@dataclass(frozen=True)
class Outcome:
    """``status``: one of this module's constants; ``calls``: mutating calls made; ``seconds``: wall time.

    ``code``: of the error, ``call``: that failed, such as ``iam:DeleteUser``, where one did. ``unique_id``: of the
    user; ``time``: when this was found, ISO 8601 in UTC.
    """

    user: str
    arn: str
    status: str
    reason: str = ""
    calls: int = 0
    seconds: float = 0.0
    code: str = ""
    call: str = ""
    unique_id: str = ""
    time: str = ""

    def as_data(self) -> dict[str, Any]:
        """A row of ``outcomes.json``."""
        who = {"user": self.user, "arn": self.arn, "unique_id": self.unique_id}
        what = {"status": self.status, "reason": self.reason, "call": self.call, "code": self.code}
        return {**who, **what, "calls": self.calls, "seconds": round(self.seconds, 3), "time": self.time}


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


Line = Mapping[str, Any]
_CALLS = ("before", "after")
_NEVER = datetime.min.replace(tzinfo=timezone.utc)


def missing_outcomes(
    lines: Iterable[Line], rows: Iterable[Mapping[str, Any]], name_of: Callable[[str], str | None]
) -> Iterator[tuple[Subject, Outcome]]:
    """The outcomes of users on whom a run began and that stand in no row since, by the ``lines`` of its journal.

    ``rows``: of ``outcomes.json``. ``name_of``: unique id -> the name of the user that has it now, None where there is
    none; asked only where an answer of DeleteUser is missing.
    """
    told = {(row["arn"], row.get("unique_id", "")): moment(row.get("time")) or _NEVER for row in rows}
    users: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.get("phase") in (*_CALLS, OUTCOME) and line.get("unique_id"):
            users[str(line.get("arn")), str(line["unique_id"])].append(line)
    for key, its in users.items():
        # An outcome's line has the time of its row; lines of the same moment stay as they were written.
        its.sort(key=lambda line: moment(line.get("time")) or _NEVER)
        if told.get(key, _NEVER) < (moment(its[-1].get("time")) or _NEVER):
            subject = Subject(str(its[-1].get("user")), *key)
            yield subject, _outcome(subject, its, name_of)


def _outcome(subject: Subject, lines: list[Line], name_of: Callable[[str], str | None]) -> Outcome:
    last, calls = lines[-1], sum(line["phase"] == "before" for line in lines)
    if last["phase"] == OUTCOME:
        status, reason = str(last.get("status")), str(last.get("reason"))
        return Outcome(subject.name, subject.arn, status, reason, calls=int(last.get("calls", calls)))
    when = str(last.get("time"))[:19].replace("T", " ")
    if last.get("operation") == "DeleteUser":
        done = last.get("result") == "done"
        unsure = last["phase"] == "before" or last.get("result") in ("unknown", "interrupted")
        if done or (unsure and name_of(subject.unique_id) is None):
            return Outcome(
                subject.name, subject.arn, DELETED, f"by a run that was stopped at {when} UTC", calls
            )
    reason = (
        f"{subject}: a run that began on it was stopped at {when} UTC, after {calls} calls: run again, or look at "
        "the journal; where it was being deleted, it is locked out by our Deny-all until then"
    )
    return Outcome(subject.name, subject.arn, FAILED, reason, calls)
