# SPDX-License-Identifier: Apache-2.0
"""What owners are told by the outcomes on record: what a killed run did, or several policies, at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.outcomes import FAILED, SKIPPED, load_outcomes
from c7n_iamusers.notices.notices import ANNOUNCED, Notices
from c7n_iamusers.notices.owed import Owed, merged, owed, still_so
from c7n_iamusers.plugins.news import news_of
from c7n_iamusers.plugins.notice_steps import Denied, Due, Inform, on_record
from c7n_iamusers.plugins.resources import Resource
from c7n_iamusers.plugins.run_outputs import run_store, store_beside
from c7n_iamusers.text.times import moment

#: A reason to leave a user alone, or a failure, that is older is not of this run, and may hold no more.
_OF_THIS_RUN = timedelta(days=1)


def news_on_record(
    manager: Any, others: Sequence[str], notices: Notices, step: Inform, now: datetime
) -> list[Due]:
    """What is on record and no message of the policy says: of what it did, or else of what the policies ``others`` did.

    Raises OSError, ValueError where outcomes can't be read, PolicyExecutionError where others have no output.
    """
    if others:
        stores = [store_beside(manager, each) for each in others]
    else:
        try:
            stores = [run_store(manager).store]
        except PolicyExecutionError:
            return []  # the policy changes nobody without an output that lasts
    found = merged(row for store in stores for row in load_outcomes(store))
    late = owed(found, notices, step.policy, now)
    # that access has stopped is no news once it was given back, or the user is gone
    late = still_so(late, notices) if isinstance(step, Denied) else late
    done = [_changed(each, notices, step, now) for each in late]
    return [*done, *_left(found, late, notices, step, now)] if others else done


def _changed(late: Owed, notices: Notices, step: Inform, now: datetime) -> Due:
    resource = _resource(late, notices)
    return step.dated(Due(resource, late.time.date(), news=news_of(resource)), notices, now)


def _left(
    rows: Sequence[Mapping[str, Any]], late: Sequence[Owed], notices: Notices, step: Inform, now: datetime
) -> list[Due]:
    """Who was left alone, or failed; not whom the message says something else of, which the next one follows."""
    told = {each.user.unique_id for each in late}
    left = [Owed(_subject(row), now, row) for row in rows if _is_left(row, now)]
    return step.due(
        [_resource(each, notices) for each in left if each.user.unique_id not in told], notices, now
    )


def _is_left(row: Mapping[str, Any], now: datetime) -> bool:
    time = moment(row.get("time"))
    return time is not None and time >= now - _OF_THIS_RUN and row.get("status") in (FAILED, SKIPPED)


def _subject(row: Mapping[str, Any]) -> Subject:
    arn = str(row["arn"])
    return Subject(str(row.get("user") or arn.rpartition("/")[2]), arn, str(row["unique_id"]))


def _resource(each: Owed, notices: Notices) -> Resource:
    """The user, which may be gone, with the evidence of its announcement."""
    outcome = {key: value for key, value in each.outcome.items() if key != "history"}
    return on_record(each.user, outcome, _evidence(each.user.unique_id, notices))


def _evidence(unique_id: str, notices: Notices) -> Mapping[str, Any]:
    known: Sequence[Mapping[str, Any]] = [
        notice.evidence[unique_id]
        for notice in notices.all
        if notice.step == ANNOUNCED and unique_id in notice.evidence
    ]
    kept = ("kind", "replacement", "last_activity", "attachments", "findings")
    return {key: known[-1][key] for key in kept if key in known[-1]} if known else {}
