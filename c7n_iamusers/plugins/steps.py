# SPDX-License-Identifier: Apache-2.0
"""The steps of ``notify-owners``: about which users each one sends a message, and what it says of them. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.notices.messages import part_of, subject_line
from c7n_iamusers.notices.notices import ANNOUNCED, INFORMED, Notices, due_for, reminder
from c7n_iamusers.plugins.news import is_new, news_line, news_of, was_skipped, was_stopped
from c7n_iamusers.plugins.resources import Resource, subject_of


@dataclass(frozen=True)
class Due:
    """A user whose owner has to be addressed.

    ``day``: of its deletion; of steps that announce nothing, that of the message. ``annotation``: what the template
    reads of the step, by key. ``news``: of ``step: inform``, what became of the user; else empty.
    """

    resource: Resource
    day: date
    annotation: Mapping[str, Any] = field(default_factory=dict)
    news: str = ""

    def __str__(self) -> str:
        return f"{self.resource['UserName']} ({self.news})" if self.news else str(self.resource["UserName"])


class Step(ABC):
    """``missed``: said of the users of a message that has no recipient; empty if the end of the policy names them.

    ``creator``: the address of who made the call that the message reports. ``event``: the id of that call's event.
    """

    missed = "These users were not announced"
    creator = ""
    event = ""

    @property
    @abstractmethod
    def name(self) -> str:
        """The step in the notices."""

    @abstractmethod
    def due(
        self, users: Sequence[Resource], notices: Notices, rules: Sequence[ExemptionRule], now: datetime
    ) -> list[Due]:
        """The ``users`` whose owners have to be addressed. ``rules``: the exemptions of all accounts."""

    @abstractmethod
    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """The subject of a message. ``users``: of all parts. ``counted``: not where each recipient gets other users."""


@dataclass(frozen=True)
class Announce(Step):
    """Of users without an announcement, for the day in so many ``days``."""

    days: int

    @property
    def name(self) -> str:
        """See Step."""
        return ANNOUNCED

    def due(
        self, users: Sequence[Resource], notices: Notices, rules: Sequence[ExemptionRule], now: datetime
    ) -> list[Due]:
        """See Step."""
        day = now.date() + timedelta(days=self.days)
        return [
            _announced(each, now, day, notices, rules, now)
            for each in users
            if notices.announcement(key := str(each["UserId"]), now, notices.lost_exemption(key, rules, now))
            is None
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        return _deletion(account, users, counted, part, parts)


@dataclass(frozen=True)
class Remind(Step):
    """Of users whose announced day is so many ``days`` ahead or less, once."""

    days: int

    @property
    def name(self) -> str:
        """See Step."""
        return reminder(self.days)

    def due(
        self, users: Sequence[Resource], notices: Notices, rules: Sequence[ExemptionRule], now: datetime
    ) -> list[Due]:
        """See Step."""
        by_id = {str(each["UserId"]): each for each in users}
        found = due_for(self.days, notices, [subject_of(each) for each in users], now, rules)
        return [
            _announced(by_id[user.unique_id], notice.time, notice.day, notices, rules, now)
            for user, notice in found
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        return _deletion(account, users, counted, part, parts, reminder=True)


@dataclass(frozen=True)
class Inform(Step):
    """Of what became of users, where it differs from what the last message of the ``policy`` said."""

    missed = ""
    policy: str

    @property
    def name(self) -> str:
        """See Step."""
        return INFORMED

    def every(self, users: Sequence[Resource], now: datetime) -> list[Due]:
        """All ``users``, with what became of them."""
        return [Due(each, now.date(), news=news_of(each)) for each in users]

    def due(
        self, users: Sequence[Resource], notices: Notices, rules: Sequence[ExemptionRule], now: datetime
    ) -> list[Due]:
        """See Step."""
        return [
            each
            for each in self.every(users, now)
            if not was_stopped(each.resource)
            and is_new(each.news, notices.said(key := str(each.resource["UserId"]), self.policy))
            and not (was_skipped(each.resource) and notices.is_before_day(key, now))
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        news, end = [each.news for each in users], part_of(part, parts)
        return news_line(account, news, users[0].day, self.policy, counted=counted, part=end)


def _announced(
    resource: Resource,
    announced: datetime,
    day: date,
    notices: Notices,
    rules: Sequence[ExemptionRule],
    now: datetime,
) -> Due:
    """A user, with what the template says of its announcement."""
    notice = {"announced": announced.date().isoformat(), "day": day.isoformat()}
    if lost := notices.lost_exemption(str(resource["UserId"]), rules, now):
        notice["was-exempt"] = str(lost)
    if former := notices.of_namesake(subject_of(resource)):
        notice["came-back"] = (
            f"came back or was restored: a user of this name was announced on {former.time.date()} for deletion on "
            f"{former.day}; this one has another unique id"
        )
    return Due(resource, day, {"notice": notice})


def _deletion(
    account: str, users: Sequence[Due], counted: bool, part: int, parts: int, *, reminder: bool = False
) -> str:
    number, days = len(users) if counted else None, [each.day for each in users]
    return subject_line(account, number, days, reminder=reminder, part=part, parts=parts)
