# SPDX-License-Identifier: Apache-2.0
"""What owners are told by recorded outcomes: what a killed run did, or what several policies did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import JournalReader
from c7n_iamusers.execution.outcomes import FAILED, SKIPPED, load_outcomes
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.lockout.journal_lines import history_of
from c7n_iamusers.notices.notices import ANNOUNCED, Notices
from c7n_iamusers.notices.owed import Owed, merged, owed, still_so
from c7n_iamusers.plugins.news import news_of
from c7n_iamusers.plugins.notice_steps import Denied, Due, Inform, on_record
from c7n_iamusers.plugins.resources import Resource
from c7n_iamusers.plugins.run_outputs import run_store, store_beside, why_in_no_quarantine
from c7n_iamusers.reasons import NO_QUARANTINE
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import visible_log

_LOG = visible_log("custodian.actions")
#: An older failure, or reason to leave a user alone, is not of this run, and may hold no more.
_OF_THIS_RUN = timedelta(days=1)
#: Of the evidence of an announcement, what a message shows.
_KEPT = ("kind", "replacement", "last_activity", "attachments", "findings", "key")


def news_on_record(
    manager: Any, others: Sequence[str], notices: Notices, step: Inform, now: datetime
) -> list[Due]:
    """The recorded outcomes that no message of the policy has told: its own, or else those of the policies ``others``.

    Raises OSError, ValueError where outcomes can't be read, PolicyExecutionError where others have no output.
    """
    if others:
        stores = [store_beside(manager, each) for each in others]
        for each, store in zip(others, stores, strict=True):
            if not isinstance(store, DirectoryStore) and not store.names(""):
                _LOG.warning(
                    "policy %s: policy %s has left nothing in this output: it has changed nobody yet, or its name is "
                    "misspelt",
                    *(manager.data.get("name"), each),
                )
    else:
        try:
            stores = [run_store(manager).store]
        except PolicyExecutionError:
            return []  # the policy changes nobody without an output that lasts
    found, known = merged(row for store in stores for row in load_outcomes(store)), _evidence(notices)
    late = owed(found, notices, step.policy, now)
    # stopped access is no news once it was given back, or the user is gone
    late = still_so(late, notices) if isinstance(step, Denied) else late
    since = _denied_since(stores, late) if isinstance(step, Denied) else {}
    done = [_changed(_resource(each, known), each, notices, step, now, since) for each in late]
    if not others:
        return done
    told = {each.user.unique_id for each in late}
    left = [Owed(_subject(row), now, row) for row in _with_earlier(stores, found, now)]
    # a user that the message already names waits for the next one
    rest = [_resource(each, known) for each in left if each.user.unique_id not in told]
    return [*done, *step.due(rest, notices, now)]


def _changed(
    resource: Resource,
    late: Owed,
    notices: Notices,
    step: Inform,
    now: datetime,
    since: Mapping[str, datetime],
) -> Due:
    due = Due(resource, late.time.date(), news=news_of(resource))
    return step.dated(due, notices, now, since.get(late.user.unique_id))


def _denied_since(stores: Sequence[Store], late: Sequence[Owed]) -> Mapping[str, datetime]:
    """Unique id -> since when the user is denied everything: a quarantine that deactivates keeps the days of its Deny.

    Raises OSError if a journal can't be read.
    """
    journals = JournalReader(lambda: stores)
    records = {each.user.unique_id: history_of(each.user, journals.of(each.user)).record for each in late}
    return {unique_id: record.since for unique_id, record in records.items() if record}


def _with_earlier(
    stores: Sequence[Store], rows: Iterable[Mapping[str, Any]], now: datetime
) -> list[Mapping[str, Any]]:
    """The rows of users that were left alone: that one is in no quarantine says less than why nothing put it there."""
    left = [row for row in rows if _is_left(row, now)]
    bare = any(row.get("code") in NO_QUARANTINE for row in left)
    earlier = (
        {key: why for store in stores for key, why in why_in_no_quarantine(store, _LOG).items()}
        if bare
        else {}
    )
    return [
        {**row, "earlier": why.for_owners} if (why := earlier.get(str(row["unique_id"]))) else row
        for row in left
    ]


def _is_left(row: Mapping[str, Any], now: datetime) -> bool:
    """Whether the user was left alone, or failed, in this run."""
    time = moment(row.get("time"))
    return time is not None and time >= now - _OF_THIS_RUN and row.get("status") in (FAILED, SKIPPED)


def _subject(row: Mapping[str, Any]) -> Subject:
    arn = str(row["arn"])
    return Subject(str(row.get("user") or arn.rpartition("/")[2]), arn, str(row["unique_id"]))


def _resource(each: Owed, known: Mapping[str, Mapping[str, Any]]) -> Resource:
    """The user, which may be gone, with the evidence of its announcement."""
    outcome = {key: value for key, value in each.outcome.items() if key != "history"}
    evidence = known.get(each.user.unique_id, {})
    return on_record(each.user, outcome, {key: evidence[key] for key in _KEPT if key in evidence})


def _evidence(notices: Notices) -> Mapping[str, Mapping[str, Any]]:
    """Unique id -> the evidence that its latest announcement with any has kept."""
    announced = (notice for notice in notices.all if notice.step == ANNOUNCED)
    return {user: evidence for notice in announced for user, evidence in notice.evidence.items()}
