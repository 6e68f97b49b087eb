# SPDX-License-Identifier: Apache-2.0
"""What owners have not been told yet, by the outcomes and notices on record, and the users to remind them of. Pure.

A run may end between an outcome and its message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.outcomes import CHANGED, DELETED, RELEASED, RESTORED
from c7n_iamusers.notices.notices import LAPSE_DAYS, Notice, Notices
from c7n_iamusers.text.times import moment

#: Older changes are not made up for: the policy told nobody by then.
_REMEMBERED = timedelta(days=LAPSE_DAYS)


@dataclass(frozen=True)
class Owed:
    """What became of ``user`` at ``time``, which no message has said. ``outcome``: its row, without earlier ones."""

    user: Subject
    time: datetime
    outcome: Mapping[str, Any]

    @property
    def status(self) -> str:
        """One of CHANGED."""
        return str(self.outcome["status"])


def owed(rows: Iterable[Mapping[str, Any]], notices: Notices, policy: str, now: datetime) -> list[Owed]:
    """What ``policy`` did to users by its outcomes, and never told. ``rows``: of its ``outcomes.json``.

    The last change of each user counts. Old changes are left out. A message that may have expired told nobody.
    """
    found = []
    for row in rows:
        changes = [each for each in (*row.get("history", ()), row) if each.get("status") in CHANGED]
        time = moment(changes[-1].get("time")) if changes else None
        unique_id = str(row.get("unique_id") or "")
        if time is None or not unique_id or time < now - _REMEMBERED:
            continue
        last = {key: value for key, value in changes[-1].items() if key != "history"}
        if not notices.was_told(unique_id, policy, str(last["status"]), time, now):
            user = Subject(
                str(row.get("user") or str(row["arn"]).rpartition("/")[2]), str(row["arn"]), unique_id
            )
            found.append(Owed(user, time, last))
    return found


def merged(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One row for each user of the ``outcomes.json`` of several policies: its latest outcome, and all earlier ones.

    They are in the order of the ARNs: outcomes are in that of a run's threads.
    """
    by_user = dict[tuple[str, str], list[Mapping[str, Any]]]()
    for row in rows:
        latest = {key: value for key, value in row.items() if key != "history"}
        key = str(row["arn"]), str(row["unique_id"])
        by_user.setdefault(key, []).extend((*row.get("history", ()), latest))
    never = datetime.min.replace(tzinfo=timezone.utc)
    ordered = (
        sorted(its, key=lambda each: moment(each.get("time")) or never) for _, its in sorted(by_user.items())
    )
    return [{**its[-1], "history": its[:-1]} for its in ordered]


def still_so(late: Iterable[Owed], notices: Notices) -> list[Owed]:
    """Those of ``late`` for which no later message of any policy says that the user was given back or deleted."""
    return [
        each
        for each in late
        if not notices.heard(each.user.unique_id, (RELEASED, RESTORED, DELETED), each.time)
    ]


def due_for(
    step_days: int, notices: Notices, users: Sequence[Subject], now: datetime
) -> list[tuple[Subject, Notice]]:
    """The users to be reminded ``step_days`` days before their announced day, with their announcement.

    Users without an announcement, with a reminder of this step for it, or whose day is past are left out.
    """
    today = now.astimezone(timezone.utc).date()
    found = ((user, notices.announcement(user.unique_id, now)) for user in users)
    return [
        (user, notice)
        for user, notice in found
        if notice is not None
        and today <= notice.day <= today + timedelta(days=step_days)
        and not notices.has(user.unique_id, reminder(step_days), notice.time, now)
    ]


def reminder(days: int) -> str:
    """The step of a reminder that many days before the announced day."""
    return f"reminded-{days}"
