# SPDX-License-Identifier: Apache-2.0
"""Messages about users to the owners of accounts: their steps, and what is told of a large user. Pure.

Each step of ``notify-owners`` says about which users it sends a message, and what the message says of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from c7n_iamusers.evidence.attempts import SIGN_IN
from c7n_iamusers.evidence.credential_events import credential_event
from c7n_iamusers.evidence.user_calls import user_call
from c7n_iamusers.notices.mailer_texts import headline, part_of, subject_line
from c7n_iamusers.notices.notices import ANNOUNCED, CREATED, DENY_REMOVED, INFORMED, USED, Notices
from c7n_iamusers.notices.owed import CHANGED, Owed, due_for, reminder
from c7n_iamusers.plugins.news import is_new, news_line, news_of, was_skipped, was_stopped
from c7n_iamusers.plugins.resources import ANNOTATION, FORMER_NAME, Resource, subject_of
from c7n_iamusers.text.addresses import foreign_domain, is_address
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import shown

#: Characters of a text, and members of a list, of a user that does not fit a message in full.
_LONGEST_TEXT, _LONGEST_LIST = 300, 10
_SHORTENED = "More is known of it than fits a message: the output of the policy has all of it."


def shortened(user: Due) -> Due:
    """``user`` with the beginnings of long texts and lists, and a finding that says so.

    Its tags stay whole: c7n-mailer looks for owners there.
    """
    resource = {key: value if key == "Tags" else _beginnings(value) for key, value in user.resource.items()}
    known = resource.get(ANNOTATION) or {}
    told = {"id": "shortened", "severity": "low", "text": _SHORTENED}
    findings = [*(known.get("findings") or ()), told]
    return replace(user, resource={**resource, ANNOTATION: {**known, "findings": findings}})


def _beginnings(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else f"{value[:_LONGEST_TEXT]}..."
    if isinstance(value, list | tuple):
        return [_beginnings(each) for each in value[:_LONGEST_LIST]]
    if isinstance(value, Mapping):
        return {key: _beginnings(each) for key, each in value.items()}
    return value


@dataclass(frozen=True)
class Due:
    """A user whose owner has to be addressed.

    ``day``: of its deletion; of steps that announce nothing, that of the message. ``annotation``: what the template
    reads of the step, by key. ``news``: of ``step: inform``, what became of the user; of ``step: used``, USED,
    FAILED_SIGN_IN or UNREAD; else empty.
    """

    resource: Resource
    day: date
    annotation: Mapping[str, Any] = field(default_factory=dict)
    news: str = ""

    def __str__(self) -> str:
        return f"{self.resource['UserName']} ({self.news})" if self.news else str(self.resource["UserName"])


def late_news(late: Owed) -> Due:
    """What an earlier run did to a user, which may be gone, and did not tell."""
    arn = late.user.arn
    path = f"/{arn.partition(':user/')[2]}".rpartition("/")[0] + "/"
    known = {"UserName": late.user.name, "UserId": late.user.unique_id, "Arn": arn, "Path": path}
    resource = {**known, ANNOTATION: {"outcome": dict(late.outcome)}}
    return Due(resource, late.time.date(), news=news_of(resource))


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
    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """The ``users`` whose owners have to be addressed."""

    @abstractmethod
    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """The subject of a message. ``users``: of all parts. ``counted``: not where each recipient gets other users."""


@dataclass(frozen=True)
class Announce(Step):
    """Announces the deletion of users, in so many ``days``, where no announcement is in force."""

    days: int

    @property
    def name(self) -> str:
        """See Step."""
        return ANNOUNCED

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        day = now.date() + timedelta(days=self.days)
        return [
            _announced(user, now, day, notices)
            for user in users
            if notices.announcement(str(user["UserId"]), now) is None
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        return _deletion(account, users, counted, part, parts)


@dataclass(frozen=True)
class Remind(Step):
    """Reminds once of users whose announced day is so many ``days`` ahead or less."""

    days: int

    @property
    def name(self) -> str:
        """See Step."""
        return reminder(self.days)

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        by_id = {str(resource["UserId"]): resource for resource in users}
        noticed = due_for(self.days, notices, [subject_of(resource) for resource in users], now)
        return [
            _announced(by_id[user.unique_id], notice.time, notice.day, notices) for user, notice in noticed
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        return _deletion(account, users, counted, part, parts, reminder=True)


@dataclass(frozen=True)
class Inform(Step):
    """Says what became of users, where it differs from what the last message of the ``policy`` said."""

    missed = ""
    policy: str

    @property
    def name(self) -> str:
        """See Step."""
        return INFORMED

    def every(self, users: Sequence[Resource], now: datetime) -> list[Due]:
        """All ``users``, with what became of them."""
        return [Due(user, now.date(), news=news_of(user)) for user in users]

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        return [
            user
            for user in self.every(users, now)
            if not was_stopped(user.resource)
            and self._is_new(user.news, key := str(user.resource["UserId"]), notices, now)
            and not (was_skipped(user.resource) and notices.is_before_day(key, now))
        ]

    def _is_new(self, news: str, key: str, notices: Notices, now: datetime) -> bool:
        """Also what was done again, such as a quarantine after a release, of which another policy told."""
        again = news in CHANGED and not notices.was_told(key, self.policy, news, now, now)
        return again or is_new(news, notices.said(key, self.policy, now))

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        news, end = [user.news for user in users], part_of(part, parts)
        return news_line(account, news, users[0].day, counted=counted, part=end)


def _announced(resource: Resource, announced: datetime, day: date, notices: Notices) -> Due:
    """A user, with what the template says of its announcement."""
    notice = {"announced": announced.date().isoformat(), "day": day.isoformat()}
    if lost := notices.exemption(str(resource["UserId"])):
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
    number, days = len(users) if counted else None, [user.day for user in users]
    return subject_line(account, number, days, reminder=reminder, part=part, parts=parts)


class Created(Step):
    """Says who created, replaced or activated a credential, or removed our Deny, by the call in an ``event``.

    Without an event, says what was created in the last ``days``.
    ``domains``: a caller whose session has the name of an address is addressed only if the address is of one of them.
    """

    missed = "These users were not reported"

    def __init__(self, days: int, event: Any = None, domains: Sequence[str] = ()) -> None:
        self._days = days
        self._call = credential_event(event)
        #: The event is of no call that succeeded.
        self._is_nothing = bool(event) and self._call is None
        name = self._call.session if self._call else ""
        if domains and is_address(name) and not foreign_domain(name, domains):
            self.creator = name
        self.event = self._call.id if self._call else ""

    @property
    def name(self) -> str:
        """See Step."""
        return DENY_REMOVED if self._call and self._call.removes_deny else CREATED

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        return [
            Due(user, now.date(), {"created": self._call.as_data(user) if self._call else {}})
            for user in users
            if self._is_new(user, notices, now)
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        what = f"{self._call.name} for" if self._call else "new long-term credentials of"
        noun = "IAM user" if len(users) == 1 else "IAM users"
        number = f"{len(users)} {noun}" if counted else "IAM users"
        return headline(f"{account}: {what} {number} on {users[0].day}{part_of(part, parts)}")

    def _is_new(self, resource: Resource, notices: Notices, now: datetime) -> bool:
        """Whether there is something to report of the user that no message reported."""
        key = str(resource["UserId"])
        if self._is_nothing:
            return False
        if self._call:
            kept = self._call.removes_deny and not self._call.removed_deny_of(resource)
            names = (str(resource["UserName"]), (resource.get(ANNOTATION) or {}).get(FORMER_NAME, ""))
            about = self._call.is_about(key, moment(resource.get("CreateDate")), *names)
            return about and not kept and not notices.reports(key, self._call.id)
        credentials = (resource.get(ANNOTATION) or {}).get("credentials") or ()
        times = (
            moment(resource.get("CreateDate")),
            *(moment(credential.get("created")) for credential in credentials),
        )
        newest = max(filter(None, times), default=None)
        if newest is None or newest < now - timedelta(days=self._days):
            return False
        return not notices.has(key, CREATED, newest, now)


#: What a message says of a user of which somebody failed to sign in. Anybody who knows an account's id and the name can
#: do that as often as it likes, so these are counted by themselves: they hide no call.
FAILED_SIGN_IN = "failed-sign-in"
#: The kind of a message that says that it is not known whether the user was used.
UNREAD = "unread"
#: Within so long after a message about a user, its further calls are not told; each sign-in is. So are failed ones.
_ALARM_PAUSE, _UNREAD_PAUSE = timedelta(hours=1), timedelta(days=1)


class Used(Step):
    """Says that somebody signed in or called AWS as users: by an ``event``'s call, or by the filter ``attempts``."""

    name = USED
    missed = "These users were used, and nobody was told"

    def __init__(self, event: Any = None) -> None:
        self._call, self._has_event = user_call(event), bool(event)
        self.event = self._call.id if self._call else ""

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        uses = ((user, *self._use(user, notices, now)) for user in users)
        return [Due(user, now.date(), {"used": {"text": text}}, kind) for user, kind, text in uses if text]

    def subject(self, account: str, users: Sequence[Due], counted: bool, part: int, parts: int) -> str:
        """See Step."""
        who = f" {shown([str(user.resource['UserName']) for user in users], 3)}" if counted else "s"
        happened = "may have been used" if all(user.news == UNREAD for user in users) else "used"
        return headline(
            f"ALARM: {account}: break-glass user{who} {happened} on {users[0].day}{part_of(part, parts)}"
        )

    def _use(self, resource: Resource, notices: Notices, now: datetime) -> tuple[str, str]:
        """USED, FAILED_SIGN_IN or UNREAD, and what is to be told of the user's use; empty if nothing is."""
        key, call = str(resource["UserId"]), self._call
        if not self._has_event:
            return _newest_untold(resource, notices, now)
        if call is None or not call.is_of(key, str(resource["UserName"])) or notices.reports(key, call.id):
            return USED, ""
        kind = FAILED_SIGN_IN if call.is_sign_in and call.error else USED
        told = notices.last(key, USED, kind)
        if told and now - told < _ALARM_PAUSE and not (call.is_sign_in and not call.error):
            return kind, ""
        return kind, str(call)


def _newest_untold(resource: Resource, notices: Notices, now: datetime) -> tuple[str, str]:
    """The newest attempt of the filter ``attempts`` since the last message of its kind; failed sign-ins come last."""
    heard = (resource.get(ANNOTATION) or {}).get("attempts") or {}
    attempts, unread = heard.get("attempts") or (), heard.get("unread") or ()
    # anybody can fail to sign in, or name a role's session as the user, so often that nothing else is read
    hidden = f". What else it did is not known: {unread[0]}" if unread else ""
    for kind in (USED, FAILED_SIGN_IN):
        of_kind = [attempt for attempt in attempts if _is_failed_sign_in(attempt) is (kind == FAILED_SIGN_IN)]
        newest: Mapping[str, Any] = max(of_kind, key=lambda attempt: str(attempt.get("time")), default={})
        time, told = moment(newest.get("time")), notices.last(str(resource["UserId"]), USED, kind)
        if time and (told is None or time > told):
            return kind, _heard(newest) + (hidden if kind == FAILED_SIGN_IN else "")
    told = notices.last(str(resource["UserId"]), USED, UNREAD)
    if unread and (told is None or now - told >= _UNREAD_PAUSE):
        return UNREAD, f"it is not known whether it was used: {unread[0]}"
    return USED, ""


def _is_failed_sign_in(attempt: Mapping[str, Any]) -> bool:
    return attempt.get("service") == SIGN_IN and bool(attempt.get("error"))


def _heard(attempt: Mapping[str, Any]) -> str:
    what = " ".join(str(attempt[key]) for key in ("service", "action") if attempt.get(key)) or "a call"
    what += f" from {attempt['address']}" if attempt.get("address") else ""
    ended = f", which failed: {attempt['error']}" if attempt.get("error") else ""
    return f"{what} on {str(attempt.get('time'))[:16].replace('T', ' ')} UTC{ended}"
