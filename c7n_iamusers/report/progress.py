# SPDX-License-Identifier: Apache-2.0
"""How far a fleet is: how many users are left, how many go when, who is in the way, and what changed. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.execution.outcomes import DELETED
from c7n_iamusers.report.accounts import ReportedAccount
from c7n_iamusers.report.standing import BLOCKS, CHANGES, EXEMPT
from c7n_iamusers.report.users import LAST, Row, User, when

#: By what those who are in the way are grouped.
OWNER, OU, ACCOUNT = "owner", "ou", "account"
#: The trend has no more days than these, today's included.
_LONGEST = 800


@dataclass(frozen=True)
class Progress:
    """The whole of it in JSON types, made of users that have their standing.

    ``totals``: see ``_totals``. ``days``: a point a day, until today. ``ahead``: a row for each announced day.
    ``coming``: a point for each later day. ``blocking``: OWNER, OU and ACCOUNT -> rows, the worst first. ``changed``:
    change -> how many users. ``since``: empty, or the time since when it counts.
    """

    today: date
    since: datetime | None
    totals: Row
    days: tuple[Row, ...]
    coming: tuple[Row, ...]
    ahead: tuple[Row, ...]
    blocking: Mapping[str, tuple[Row, ...]]
    changed: Mapping[str, int]

    def as_data(self) -> Row:
        """JSON types only."""
        return {
            "today": self.today.isoformat(),
            "since": self.since.isoformat(timespec="seconds") if self.since else "",
            "totals": dict(self.totals),
            "days": list(self.days),
            "coming": list(self.coming),
            "announced": list(self.ahead),
            "blocking": {key: list(rows) for key, rows in self.blocking.items()},
            "changed": dict(self.changed),
        }


def progress_of(
    accounts: Sequence[ReportedAccount], users: Sequence[User], since: datetime | None, now: datetime
) -> Progress:
    """The progress of ``users``, which are those of ``accounts``. ``since``: what changed later counts as changed."""
    today = now.astimezone(timezone.utc).date()
    changed = Counter(each for user in users for each in user.standing.changed)
    groups: dict[str, Callable[[User], str]] = {
        OWNER: lambda user: user.standing.owner,
        OU: lambda user: user.standing.ou,
        ACCOUNT: lambda user: user.account,
    }
    names = {each.id: each.name for each in accounts}
    days = tuple(_days(users, today))
    return Progress(
        today,
        since,
        _totals(users),
        days,
        tuple(_coming(users, days, today)),
        tuple(_announced(users)),
        {key: tuple(_blocking(users, of, names if key == ACCOUNT else {})) for key, of in groups.items()},
        {each: changed[each] for each in CHANGES if changed[each]},
    )


def _totals(users: Iterable[User]) -> Row:
    """How many are ``left``; of these ``on_the_way``, with the ``last`` day; for each of BLOCKS; and ``overdue``."""
    left = [each.standing for each in users if each.is_left()]
    going = [each.goes for each in left if each.goes]
    blocked = Counter(each.blocked for each in left if each.blocked)
    return {
        "left": len(left),
        "on_the_way": len(going),
        "first": min(going).isoformat() if going else "",
        "last": max(going).isoformat() if going else "",
        "blocked": {each: blocked[each] for each in BLOCKS},
        "overdue": sum(each.overdue for each in left),
    }


def _gone_on(user: User) -> date | None:
    """The day on which it was deleted, or missed; None if it is left."""
    if user.is_left():
        return None
    event = user.event()
    at = when(event) if event["status"] == DELETED else user.gone_since
    return _day(at) if at else None


def _day(at: datetime) -> date:
    return at.astimezone(timezone.utc).date() if at < LAST else date.max


def _sums(days: Iterable[date | None], first: date, last: date) -> list[int]:
    """How many of ``days`` are on each day from ``first`` to ``last`` or before."""
    counts = Counter(max(first, each) for each in days if each is not None)
    found, total = [], 0
    for number in range((last - first).days + 1):
        total += counts[first + timedelta(days=number)]
        found.append(total)
    return found


def _days(users: Sequence[User], today: date) -> Iterator[Row]:
    """How many were known, left, and to be left by what was announced, at the end of each day until today."""
    seen = [min(today, _day(each.first_seen)) for each in users]
    if not seen:
        return
    first = max(min(seen), today - timedelta(days=_LONGEST - 1))
    known = _sums(seen, first, today)
    gone = _sums(((day and min(day, today)) for day in map(_gone_on, users)), first, today)
    planned = _sums((each.standing.planned for each in users), first, today)
    for number, (all_, away, due) in enumerate(zip(known, gone, planned, strict=True)):
        day = first + timedelta(days=number)
        yield {"day": day.isoformat(), "known": all_, "left": all_ - away, "planned": max(0, all_ - due)}


def _coming(users: Sequence[User], days: Sequence[Row], today: date) -> Iterator[Row]:
    """After today: how many are left by what was announced, and by what is known now, on each day until the last."""
    plans = [each.standing for each in users]
    ends = [day for each in plans for day in (each.planned, each.goes) if day and day > today]
    if not ends or not days:
        return
    until = min(max(ends), today + timedelta(days=_LONGEST))
    goes = _sums((each.goes for each in plans), today, until)
    due = _sums((each.planned for each in plans if each.planned and each.planned > today), today, until)
    for number in range(1, len(goes)):
        day = today + timedelta(days=number)
        left, planned = days[-1]["left"] - goes[number], days[-1]["planned"] - due[number]
        yield {"day": day.isoformat(), "left": left, "planned": max(0, planned)}


def _announced(users: Iterable[User]) -> Iterator[Row]:
    """For each announced day: how many users it was announced for, and what became or becomes of these."""
    of_day: defaultdict[date, list[User]] = defaultdict(list)
    for user in users:
        if user.standing.planned:
            of_day[user.standing.planned].append(user)
    for day, found in sorted(of_day.items()):
        left = [each.standing for each in found if each.is_left()]
        goes = [each.goes for each in left if each.goes]
        blocked = Counter(each.blocked for each in left if each.blocked)
        yield {
            "day": day.isoformat(),
            "users": len(found),
            "gone": len(found) - len(left),
            "goes": len(goes),
            "last": max(goes).isoformat() if goes else "",
            "blocked": {each: blocked[each] for each in BLOCKS if blocked[each]},
            "overdue": sum(each.overdue for each in left),
        }


def _blocking(
    users: Iterable[User], group_of: Callable[[User], str], names: Mapping[str, str]
) -> Iterator[Row]:
    """A row for each group with users that something is in the way of, the one with the most first."""
    grouped: defaultdict[str, list[User]] = defaultdict(list)
    for user in users:
        if user.is_left():
            grouped[group_of(user)].append(user)

    def row(key: str, found: Sequence[User]) -> dict[str, Any]:
        blocked = Counter(each.standing.blocked for each in found if each.standing.blocked)
        ends = [each.standing.until for each in found if each.standing.until]
        return {
            "key": key,
            "name": names.get(key, ""),
            "left": len(found),
            "goes": sum(each.standing.goes is not None for each in found),
            "blocked": {each: blocked[each] for each in BLOCKS if blocked[each]},
            "until": min(ends).isoformat() if ends else "",
            "until_last": max(ends).isoformat() if ends else "",
            "overdue": sum(each.standing.overdue for each in found),
        }

    rows = (row(key, found) for key, found in grouped.items())
    yield from sorted((each for each in rows if each["blocked"]), key=_worst)


def _worst(row: Row) -> tuple[Any, ...]:
    """Exempt users come last: somebody decided about them."""
    blocked = sum(count for block, count in row["blocked"].items() if block != EXEMPT)
    return (-row["overdue"], -blocked, -row["left"], row["name"] or row["key"])
