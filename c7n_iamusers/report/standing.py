# SPDX-License-Identifier: Apache-2.0
"""Where each user of a report stands: whose it is, for which day it is announced, and what is in the way. Pure.

What a later step said of a user last counts. If none did, or the day is yet to come, what the gates said at its
announcement counts, which its notice has kept. If a run has newer evidence, or nothing is kept, the evidence is
compared with what the announcement asks (``Asks``), as if nothing changed until then: an estimate, which no step rests
on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import chain

from c7n_iamusers import reasons
from c7n_iamusers.evidence.model import BEDROCK_API_KEY
from c7n_iamusers.execution.outcomes import DELETED, FAILED, QUARANTINED, RELEASED, SKIPPED
from c7n_iamusers.notices.notices import ANNOUNCED, OVERDUE, Notice, Notices
from c7n_iamusers.report.outputs import Asks, PolicyOutput
from c7n_iamusers.report.users import GONE, NO_SIGNS, STANDS, Signs, Standing, User, began, when
from c7n_iamusers.safeguards import forecast

#: What is in the way of a user that is still there, the owner's reasons first; empty for a user on its way.
IN_USE, NO_REPLACEMENT, TRUSTED, EXEMPT = "in use", "no replacement", "trusted by a role", "exempt"
LEFT_ALONE, TROUBLE, UNTOLD = "left alone", "failed", "not announced"
BLOCKS = (IN_USE, NO_REPLACEMENT, TRUSTED, EXEMPT, LEFT_ALONE, TROUBLE, UNTOLD)
#: Those for which a user is overdue after its day: what its owner can change.
_OF_OWNERS = frozenset({IN_USE, NO_REPLACEMENT, TRUSTED})
_BLOCK_OF = {forecast.IN_USE: IN_USE, forecast.REPLACE_FIRST: NO_REPLACEMENT}
_TRUST = frozenset({reasons.TRUSTED.code, reasons.TRUST_UNKNOWN.code})
#: A user that was left for one of these waits for its day, for its announcement, or for the step before.
_WAITING = frozenset(
    each.code
    for each in (
        *(reasons.NOT_ANNOUNCED, reasons.EXEMPT_SINCE_ANNOUNCED, reasons.MESSAGE_EXPIRED),
        *(reasons.MESSAGE_WAITS, reasons.ANNOUNCED_LATELY, reasons.BEFORE_ITS_DAY, reasons.BEFORE_ITS_STOP),
        *(reasons.BROWNOUT_NOT_ANNOUNCED, reasons.BEFORE_ITS_BROWNOUT),
        *(reasons.NOT_IN_QUARANTINE, reasons.NOTHING_TO_RELEASE, reasons.QUARANTINE_TOO_SHORT),
        # nobody is to get access for it: that keeps no step from taking it
        *(reasons.NO_WORKING_CREDENTIALS, reasons.ONE_SERVICE_CREDENTIALS, reasons.QUARANTINED),
    )
)
#: Why its person has no access through Identity Center yet.
_WITHOUT_ACCESS = frozenset(
    each.code
    for each in (
        *(reasons.AWAITED, reasons.USER_AWAITED, reasons.GROUP_AWAITED, reasons.MEMBERSHIP_AWAITED),
        *(reasons.CREDENTIALS_NOT_LISTED, reasons.CREDENTIALS_UNKNOWN, reasons.POLICIES_UNKNOWN),
        *(reasons.NOT_DERIVED, reasons.NOT_PROVEN, reasons.INVALID_PERSON, reasons.CONFLICT),
        *(reasons.NOT_PLANNED, reasons.LEFTOVERS, reasons.NOT_PROVISIONED),
        *(reasons.SPELLED_OTHERWISE, reasons.SPELLED_OTHERWISE_IN_GROUP),
    )
)
#: What became of a user since a time.
CHANGES = ("deleted", "gone", "denied", "released", "overdue", "failed", "announced", "new")


@dataclass(frozen=True)
class Belongs:
    """Whose an account is, by the accounts file: the address of its owner, and its organizational unit's path."""

    owner: str = ""
    ou: str = ""


@dataclass(frozen=True)
class Told:
    """``notices``: of each account and place that could be read. ``since``: what is later has changed; None: nothing.

    ``belongs``: account -> whose it is.
    """

    notices: Mapping[tuple[str, str], Notices]
    since: datetime | None
    belongs: Mapping[str, Belongs]


def stand(users: Iterable[User], asks: Mapping[str, Asks], told: Told, now: datetime) -> None:
    """Gives each of ``users`` its standing. ``asks``: of each account, by its latest announcing policy."""
    of_account: dict[str, list[Notices]] = {}
    for (account, _), notices in told.notices.items():
        of_account.setdefault(account, []).append(notices)
    announced = {
        account: _announced(chain.from_iterable(each.all for each in its))
        for account, its in of_account.items()
    }
    alike = dict[Standing, Standing]()
    for user in users:
        its = of_account.get(user.account, ())
        counting = (each.announcement(user.unique_id, now) for each in its)
        notice = max(filter(None, counting), key=lambda each: each.time, default=None)
        last = announced.get(user.account, {}).get(user.unique_id)
        standing = _standing(user, notice, last, its, asks.get(user.account, Asks()), told, now)
        # many users stand alike, and a report may be on 600,000
        user.standing, user.signs = alike.setdefault(standing, standing), NO_SIGNS


def asks_of(outputs: Iterable[PolicyOutput], account_of: Callable[[PolicyOutput], str]) -> dict[str, Asks]:
    """What the latest policy of each account that announces says of the later steps."""
    found = {}
    for output in sorted(outputs, key=began):
        for mail in output.mails:
            if mail.asks:
                found[account_of(output)] = mail.asks
    return found


def _announced(notices: Iterable[Notice]) -> dict[str, Notice]:
    """Unique id -> its latest announcement, whether it still counts or not."""
    ordered = sorted((each for each in notices if each.step == ANNOUNCED), key=lambda each: each.time)
    return {user.unique_id: notice for notice in ordered for user in notice.users}


def _standing(
    user: User,
    notice: Notice | None,
    last: Notice | None,
    its: Sequence[Notices],
    asks: Asks,
    told: Told,
    now: datetime,
) -> Standing:
    """``notice``: its announcement that counts. ``last``: its latest one."""
    today = now.astimezone(timezone.utc).date()
    belongs = told.belongs.get(user.account, Belongs())
    left = user.is_left()
    blocked = _blocked(user, notice, asks, now) if left else ""
    overdue = bool(left and notice and notice.day <= today and blocked in _OF_OWNERS)
    sent = {
        time
        for each in (its if overdue and last else ())
        for time in each.times(user.unique_id, OVERDUE, last.time if last else now, now)
    }
    changed = () if told.since is None else tuple(_changed(user, last, overdue, told.since))
    return Standing(
        owner=owner_of(belongs.owner, last),
        ou=belongs.ou,
        announced=last.time if last else None,
        planned=last.day if last else None,
        goes=_goes(user, notice, today) if notice and left and not blocked else None,
        blocked=blocked,
        until=max((each.expires for each in user.rules), default=None) if blocked == EXEMPT else None,
        overdue=overdue,
        mails=len(sent),
        changed=changed,
    )


def owner_of(of_account: str, last: Notice | None) -> str:
    """Who was told of a user or key by ``last``: the owner of its account if it is among them, else all of them."""
    if last is None or of_account in last.addresses:
        return of_account
    return ", ".join(sorted(last.addresses))


def _goes(user: User, notice: Notice, today: date) -> date:
    """As ``forecast``: on its day, and after the days under the Deny, which begin today at the earliest."""
    quiet = notice.day - notice.stop if notice.stop else timedelta(0)
    denied = (
        [when(each).date() for each in user.events if each["status"] == QUARANTINED] if user.stands() else []
    )
    begun = max(denied, default=max(today, notice.day - quiet))
    return max(today, notice.day, begun + quiet)


def _blocked(user: User, notice: Notice | None, asks: Asks, now: datetime) -> str:
    if user.is_exempt():
        return EXEMPT
    trouble, why = user.trouble(), user.explained()
    if trouble == reasons.IN_USE:
        return IN_USE
    if trouble or why["status"] == FAILED:
        return TROUBLE
    code = str(why["code"])
    if why["status"] == SKIPPED and code not in _WAITING:
        if code in _WITHOUT_ACCESS:
            return NO_REPLACEMENT
        return TRUSTED if code in _TRUST else _BLOCK_OF.get(forecast.group_of(code), LEFT_ALONE)
    if notice is None:
        return UNTOLD
    if user.judged_at <= notice.time and (kept := notice.evidence.get(user.unique_id, {})).get("group"):
        return _kept(str(kept["group"]), str(kept.get("code") or ""))
    first = now if user.quarantine() == STANDS else max(now, _midnight(notice.stop or notice.day))
    return _foreseen(user.signs, asks, first, user.quarantine() == STANDS)


def _kept(group: str, code: str) -> str:
    """What is in the way of a user by its announcement."""
    if group == forecast.GOES:
        return ""
    return TRUSTED if code in _TRUST else _BLOCK_OF.get(group, LEFT_ALONE)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)


def _foreseen(signs: Signs, asks: Asks, first: datetime, denied: bool) -> str:
    """By the evidence, in the order of the gates. ``first``: when it is denied or deleted first."""
    lacks = signs.access and asks.accepted and signs.access not in asks.accepted
    if signs.kind == BEDROCK_API_KEY or (signs.kind in forecast.PEOPLE and lacks):
        return NO_REPLACEMENT
    if signs.trusted and not asks.takes_trusted:
        return TRUSTED
    active = asks.active_within is not None and signs.used and not denied
    if active and signs.used and first - signs.used < timedelta(days=asks.active_within or 0):
        return IN_USE
    return ""


def _changed(user: User, last: Notice | None, overdue: bool, since: datetime) -> Iterator[str]:
    later = [each for each in user.events if when(each) > since]
    statuses = {each["status"] for each in later}
    event = user.event()
    if event["status"] == GONE and user.gone_since and user.gone_since > since:
        yield "gone"
    if last and last.time > since:
        yield "announced"
    if overdue and last and _midnight(last.day) > since:
        yield "overdue"
    if event["status"] == FAILED and when(event) > since:
        yield "failed"
    if since < user.first_seen:
        yield "new"
    yield from (change for status, change in _OF_STATUS.items() if status in statuses)


_OF_STATUS = {DELETED: "deleted", QUARANTINED: "denied", RELEASED: "released"}
