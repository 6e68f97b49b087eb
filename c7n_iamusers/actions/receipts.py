# SPDX-License-Identifier: Apache-2.0
"""Rows for users whose outcome an earlier run did not get to write: it was killed, or its disk was full."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from c7n_iamusers.aws.journal import OUTCOME
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.moments import moment
from c7n_iamusers.model.outcome import DELETED, FAILED, Outcome

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
