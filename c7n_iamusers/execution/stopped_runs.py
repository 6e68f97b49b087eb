# SPDX-License-Identifier: Apache-2.0
"""The outcomes that a stopped run did not write, and those that it could only call failures, from its journal. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers import reasons
from c7n_iamusers.execution.calls import AFTER, BEFORE, Subject
from c7n_iamusers.execution.journal import CREATED, OUTCOME
from c7n_iamusers.execution.outcomes import ACTIVATED, DEACTIVATED, DELETED, FAILED, RETIRED, Outcome
from c7n_iamusers.reasons import Reason, read_reason
from c7n_iamusers.text.times import moment

Line = Mapping[str, Any]
#: Results of a call that AWS may have applied.
_UNSURE = ("unknown", "interrupted")
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
    for key, its in _by_user(lines).items():
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
    for (arn, unique_id), its in _by_user(lines).items():
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


def _by_user(lines: Iterable[Line]) -> dict[tuple[str, str], list[Line]]:
    """ARN and unique id -> the lines of calls and outcomes, in the order of ``lines``."""
    users: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line.get("phase") in (BEFORE, AFTER, OUTCOME):
            users[line["arn"], line["unique_id"]].append(line)
    return users


def _shown_time(line: Line) -> str:
    return str(line.get("time"))[:19].replace("T", " ")


def _unanswered_deletion(lines: Iterable[Line]) -> Line | None:
    """The line of a DeleteUser with an unknown result; None if there is none."""
    unsure = (
        line for line in lines if line.get("operation") == "DeleteUser" and line.get("result") in _UNSURE
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
    made = _unsettled_call(lines) if subject.is_key else None
    if made and shown(subject, made):
        reason = reasons.KEY_BY_STOPPED_RUN(at=when)
        return Outcome.of(subject, _status_of_key(made), reason, calls=calls)
    note = note_on(subject, begun)
    if last.get("operation") == "DeleteUser":
        done = last.get("result") == "done"
        unsure = last["phase"] == BEFORE or last.get("result") in _UNSURE
        if done or (unsure and name_of(subject.unique_id) is None):
            reason = reasons.DELETED_BY_STOPPED_RUN(at=when).and_also(note)
            return Outcome.of(subject, DELETED, reason, calls=calls)
    reason = reasons.RUN_STOPPED(user=subject, at=when, calls=calls).and_also(note)
    return Outcome.of(subject, FAILED, reason, calls=calls)
