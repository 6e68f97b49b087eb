# SPDX-License-Identifier: Apache-2.0
"""What of the steps is due in an account today, and why not. Pure.

This only saves runs that would do nothing: each policy judges every user again, by its own gates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.cycle.steps import AFTER, DAILY, ON_DAY, Step
from c7n_iamusers.notices.delivery import EXPIRED, LEFT, WAITING
from c7n_iamusers.notices.notices import ANNOUNCED as ANNOUNCEMENT
from c7n_iamusers.notices.notices import Notices
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import counted

#: Beside a reading of the time by another clock: a step that begins a moment before a user is due would leave it to
#: the next day.
_SLACK = timedelta(minutes=30)


@dataclass(frozen=True)
class Announcements:
    """Of an account. ``first``: when the first one was told; None if none was. ``day``: the earliest announced day.

    ``mails``: state of its delivery -> number of messages. ``waiting``: since when the oldest one waits that is not
    known to have left its queue; None if none does.
    """

    first: datetime | None = None
    day: date | None = None
    mails: Mapping[str, int] = field(default_factory=dict)
    waiting: datetime | None = None


def announcements_of(notices: Notices, now: datetime) -> Announcements:
    """What the notices of an account say of its announcements and messages."""
    announced = [each for each in notices.all if each.step == ANNOUNCEMENT]
    states = [(notices.delivery(each, now).state, notices.told_at(each)) for each in notices.all]
    return Announcements(
        min((notices.told_at(each) for each in announced), default=None),
        min((each.day for each in announced), default=None),
        Counter(state for state, _ in states),
        min((at for state, at in states if state == WAITING), default=None),
    )


@dataclass(frozen=True)
class Account:
    """An account of the workspace. ``wave``: its number; None where the accounts file has no waves.

    ``announced``: None where its notices can't be read; ``fault`` says why. ``ran``: step -> when it last ended well
    there, of the steps with a pause or that run once.
    """

    account_id: str
    name: str
    wave: int | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    announced: Announcements | None = field(default_factory=Announcements)
    fault: str = ""
    ran: Mapping[str, datetime] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name} ({self.account_id})"


def not_due(step: Step, account: Account, now: datetime) -> str:
    """Why ``step`` has nothing to do in ``account`` yet, in words; empty if it is due."""
    if account.announced is None:
        return f"its notices can't be read: {account.fault}"
    last = account.ran.get(step.name)
    if step.once and last:
        return f"it ran on {last:%Y-%m-%d}, and runs once"
    if last and now + _SLACK < last + step.pause:
        return f"it ran on {last:%Y-%m-%d}, and is due again on {last + step.pause:%Y-%m-%d}"
    if step.due == DAILY:
        return ""
    if account.announced.first is None:
        return "nobody is announced yet"
    return _too_early(step, account, account.announced, now)


def _too_early(step: Step, account: Account, announced: Announcements, now: datetime) -> str:
    days = account.variables.get(step.days)
    if not isinstance(days, int | float) or isinstance(days, bool):
        return ""  # ANNOUNCED has no days; otherwise the policies state them, or preflight reports it
    assert step.due in (AFTER, ON_DAY)
    assert announced.first is not None
    first = announced.first + timedelta(days=days)
    if now + _SLACK < first:
        return f"due on {first:%Y-%m-%d} at the earliest"
    today = (now + _SLACK).astimezone(timezone.utc).date()
    if step.due == ON_DAY and announced.day and today < announced.day:
        return f"due on {announced.day} at the earliest"
    return ""


@dataclass(frozen=True)
class Due:
    """A step with the accounts in which it is due, and why it is not in the others: reason -> accounts."""

    step: Step
    accounts: tuple[Account, ...]
    waiting: Mapping[str, tuple[Account, ...]]


def due_today(steps: Iterable[Step], accounts: Iterable[Account], now: datetime) -> list[Due]:
    """Each of ``steps`` with the ``accounts`` in which it is due."""
    listed = list(accounts)
    return [_due(step, listed, now) for step in steps]


def _due(step: Step, accounts: Iterable[Account], now: datetime) -> Due:
    ready, waiting = list[Account](), dict[str, tuple[Account, ...]]()
    for each in accounts:
        if why := not_due(step, each, now):
            waiting[why] = (*waiting.get(why, ()), each)
        else:
            ready.append(each)
    return Due(step, tuple(ready), waiting)


@dataclass(frozen=True)
class Mails:
    """Numbers of messages: that have ``left`` the mailer's queue, that are ``waiting``, and that may have ``expired``.

    ``since``: when the oldest one began to wait.
    """

    left: int = 0
    waiting: int = 0
    expired: int = 0
    since: datetime | None = None

    def __str__(self) -> str:
        if not (self.left or self.waiting or self.expired):
            return "no message was sent yet"
        waits = (
            f"{self.waiting} not known to have left it, the oldest since {self.since:%Y-%m-%d %H:%M} UTC"
            if self.since
            else ""
        )
        lost = f"{self.expired} may have expired in it, and will be sent anew" if self.expired else ""
        return ", ".join(
            filter(None, (f"{counted(self.left, 'message')} known to have left the queue", waits, lost))
        )

    def as_data(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {**asdict(self), "since": as_text(self.since)}


def mails_of(accounts: Iterable[Account]) -> Mails:
    """What is known of the messages in the mailer's queue: whether whoever runs c7n-mailer did."""
    known = [each.announced for each in accounts if each.announced]
    totals = Counter[str]()
    for each in known:
        totals.update(each.mails)
    since = min((each.waiting for each in known if each.waiting), default=None)
    return Mails(totals[LEFT], totals[WAITING], totals[EXPIRED], since)
