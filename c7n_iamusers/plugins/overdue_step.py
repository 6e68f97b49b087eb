# SPDX-License-Identifier: Apache-2.0
"""The step ``overdue`` of messages to owners: who is still spared after the announced day. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.notices.notices import OVERDUE, Notices
from c7n_iamusers.plugins import subject_lines
from c7n_iamusers.plugins.notice_steps import Due, Step
from c7n_iamusers.plugins.resources import Resource
from c7n_iamusers.safeguards.forecast import IN_USE, REPLACE_FIRST

#: A run of the next week may begin some minutes earlier than the one before.
_EARLIER = timedelta(hours=1)


@dataclass
class Overdue(Step):
    """Says, once in ``every`` days, which users are in use, or lack a replacement, after their announced day.

    ``escalate_after``: after so many messages about a user, ``escalate_to`` is addressed too. ``late``: the users with
    so many messages, set by ``told_of``. Nothing else follows from being overdue.
    """

    every: float
    escalate_after: int
    escalate_to: tuple[str, ...] = ()
    late: Sequence[Resource] = ()

    missed = "Nobody was told that these users are overdue"
    name = OVERDUE

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step: all whose day has come, and about which no message was sent lately."""
        today, found = now.astimezone(timezone.utc).date(), list[Due]()
        for user in users:
            key = str(user["UserId"])
            notice = notices.announcement(key, now)
            if notice is None or today < notice.day:
                continue
            sent = notices.times(key, OVERDUE, notice.time, now)
            if sent and now - max(sent) < timedelta(days=self.every) - _EARLIER:
                continue
            told: dict[str, Any] = {
                "day": notice.day.isoformat(),
                "announced": notice.time.date().isoformat(),
            }
            told["overdue"] = len(sent) + 1
            # the day in the record is that of the message: an overdue user has none ahead
            found.append(Due(user, now.date(), {"notice": told}, str(len(sent) + 1)))
        return found

    def told_of(self, due: Sequence[Due]) -> list[Due]:
        """See Step: those that are spared for a reason that their owner can change."""
        found = [each for each in due if each.forecast and each.forecast.group in (IN_USE, REPLACE_FIRST)]
        self.late = [each.resource for each in found if int(each.news) > self.escalate_after]
        self.also = self.escalate_to if self.late else ()
        return found

    def subject(self, account: str, users: Sequence[Due], counted: bool) -> str:
        """See Step."""
        groups = [user.forecast.group if user.forecast else "" for user in users]
        message = max(int(user.news) for user in users)
        return subject_lines.of_overdue(account, groups, message, counted)
