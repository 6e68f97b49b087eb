# SPDX-License-Identifier: Apache-2.0
"""Messages about users to the owners of accounts: their steps, and how a large user is shortened. Pure.

Each step of ``notify-owners`` decides about which users it sends a message, and what the message says of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.evidence.assessment import frozen_evidence
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.outcomes import BROWNED_OUT, CHANGED, QUARANTINED
from c7n_iamusers.iam.accounts import detail_attachments
from c7n_iamusers.iam.attachments import ATTACHMENT_KINDS
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.lockout_state import quarantine_of
from c7n_iamusers.notices.notices import ANNOUNCED, INFORMED, Notice, Notices
from c7n_iamusers.notices.owed import due_for, reminder
from c7n_iamusers.plugins import subject_lines
from c7n_iamusers.plugins.news import DEACTIVATED, is_new, news_of, was_skipped, was_stopped
from c7n_iamusers.plugins.resources import ANNOTATION, Resource, subject_of
from c7n_iamusers.reasons import (
    DEACTIVATED_WITHOUT_DENY,
    KEY_BY_STOPPED_RUN,
    KEY_NOT_PROVEN_OURS,
    KEY_SHOWN_LATER,
    QUARANTINED_AGAIN,
    codes_of,
)
from c7n_iamusers.safeguards.forecast import GOES, IN_USE, REPLACE_FIRST, STAYS, Forecast
from c7n_iamusers.text.times import moment

#: For a user that does not fit a message in full: characters of a text, and members of a list.
_LONGEST_TEXT, _LONGEST_LIST = 300, 10
#: The codes of outcomes of access keys that are inactive, and not proven to be so by this tool.
_NOT_DELETED = frozenset(each.code for each in (KEY_BY_STOPPED_RUN, KEY_SHOWN_LATER, KEY_NOT_PROVEN_OURS))
_NO_MORE: Mapping[str, Any] = {}
_KINDS = tuple(kind.name for kind in ATTACHMENT_KINDS)
#: What an announcement keeps of the forecast, and its name there.
_KEPT = (("group", "group"), ("code", "code"), ("told", "text"))
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

    ``day``: of its deletion; in steps that announce nothing, of the message. ``annotation``: the step's data for the
    template, by key. ``news``: in ``step: inform``, what became of the user; in ``step: used``, what ``use_step`` says;
    else empty. ``forecast``: in an announcement or a reminder. ``step``: in the notices, if not the message's.
    ``said``: what the subject says of it in place of ``news``.
    """

    resource: Resource
    day: date
    annotation: Mapping[str, Any] = field(default_factory=dict)
    news: str = ""
    forecast: Forecast | None = None
    step: str = ""
    said: str = ""

    def __str__(self) -> str:
        return f"{self.resource['UserName']} ({self.news})" if self.news else str(self.resource["UserName"])


def on_record(user: Subject, outcome: Mapping[str, Any], known: Mapping[str, Any] = _NO_MORE) -> Resource:
    """A user that is not read now, with its ``outcome`` and what else is ``known`` of it."""
    path = f"/{user.arn.partition(':user/')[2]}".rpartition("/")[0] + "/"
    names = {"UserName": user.name, "UserId": user.unique_id, "Arn": user.arn, "Path": path}
    names |= {"AccessKeyId": user.unique_id} if user.is_key else {}
    return {**names, ANNOTATION: {**known, "outcome": dict(outcome)}}


class Step(ABC):
    """``missed``: begins the error on a message without a recipient; empty if the error names no users.

    ``creator``: the address of the caller that the message reports. ``event``: the id of that call's event. ``also``:
    further addresses that get the message.
    """

    missed = "These users were not announced"
    creator = ""
    event = ""
    also: Sequence[str] = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """The step in the notices."""

    @abstractmethod
    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """The ``users`` whose owners have to be addressed."""

    def told_of(self, due: Sequence[Due]) -> list[Due]:
        """Those of ``due`` that the message is about, with their forecasts; by default all."""
        return [*due]

    def brownout(self, now: datetime) -> date | None:
        """The first day of a brownout, in a message sent ``now``; None if it names none."""
        return None

    def evidence(self, users: Sequence[Resource]) -> Mapping[str, Mapping[str, Any]]:
        """The evidence, and the forecast, that the record of a message keeps; nothing by default.

        Unique id -> ``frozen_evidence``, with ``group``, ``code`` (of its reason) and ``told`` of the forecast.
        """
        return {}

    def stop(self, day: date) -> date | None:
        """The day on which credentials stop working, in a message about users of ``day``; None if it names none."""
        return None

    @abstractmethod
    def subject(self, account: str, users: Sequence[Due], counted: bool) -> str:
        """The subject of a message. ``users``: of all parts. ``counted``: False if each recipient gets other users."""


@dataclass(frozen=True)
class Announce(Step):
    """Announces the deletion, in ``days`` days, of users without an announcement in force.

    ``quiet``: days before it on which they are denied everything; None if the announcement names no Deny.
    ``dark_after``: days until they may be denied everything for some minutes; None if it names no brownout.
    """

    days: int
    quiet: float | None = None
    dark_after: float | None = None

    @property
    def name(self) -> str:
        """See Step."""
        return ANNOUNCED

    def brownout(self, now: datetime) -> date | None:
        """See Step."""
        return None if self.dark_after is None else (now + timedelta(days=self.dark_after)).date()

    def stop(self, day: date) -> date | None:
        """See Step."""
        return _stop(day, self.quiet)

    def evidence(self, users: Sequence[Resource]) -> Mapping[str, Mapping[str, Any]]:
        """See Step."""
        found = dict[str, Mapping[str, Any]]()
        for user in users:
            known = user.get(ANNOTATION) or {}
            notice = known.get("notice") or {}
            told = {name: notice[key] for name, key in _KEPT if key in notice}
            found[subject_of(user).unique_id] = {**frozen_evidence(known), **told}
        return found

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        day, dark = now.date() + timedelta(days=self.days), self.brownout(now)
        told = {"brownout": dark.isoformat()} if dark else {}
        return [
            _announced(user, now, day, notices, told)
            for user in users
            if notices.announcement(subject_of(user).unique_id, now) is None
        ]

    def subject(self, account: str, users: Sequence[Due], counted: bool) -> str:
        """See Step."""
        return _deletion(account, users, counted)


@dataclass(frozen=True)
class Remind(Step):
    """Reminds once of users whose announced day is so many ``days`` ahead or less. ``quiet``: see Announce.

    ``again``: days before the announced day of a second reminder; None if there is none.
    """

    days: int
    quiet: float | None = None
    again: int | None = None

    @property
    def name(self) -> str:
        """See Step."""
        return reminder(self.days)

    def stop(self, day: date) -> date | None:
        """See Step."""
        return _stop(day, self.quiet)

    def due(self, users: Sequence[Resource], notices: Notices, now: datetime) -> list[Due]:
        """See Step."""
        by_id = {subject_of(resource).unique_id: resource for resource in users}
        subjects, found = [subject_of(resource) for resource in users], dict[str, Due]()
        for days in sorted({self.days, self.days if self.again is None else self.again}):
            for user, notice in due_for(days, notices, subjects, now):
                told = _evidence_in(notice, user)
                due = _announced(by_id[user.unique_id], notice.time, notice.day, notices, told)
                found[user.unique_id] = replace(due, step=reminder(days))
            # the last reminder says all that an earlier one would
            today = now.astimezone(timezone.utc).date()
            subjects = [
                each for each in subjects if not _is_within(notices, each, today + timedelta(days=days), now)
            ]
        return [found[key] for key in by_id if key in found]

    def subject(self, account: str, users: Sequence[Due], counted: bool) -> str:
        """See Step."""
        return _deletion(account, users, counted, reminder=True)


def _is_within(notices: Notices, user: Subject, last: date, now: datetime) -> bool:
    notice = notices.announcement(user.unique_id, now)
    return notice is not None and notice.day <= last


def _evidence_in(notice: Notice, user: Subject) -> Mapping[str, Any]:
    """The evidence of the announcement: a later message shows what is known now beside it."""
    found = notice.evidence.get(user.unique_id)
    return {"evidence": found} if found else {}


def _stop(day: date, quiet: float | None) -> date | None:
    return None if quiet is None else day - timedelta(days=quiet)


@dataclass(frozen=True)
class Inform(Step):
    """Says what became of users, where it differs from what the last message of the ``policy`` said.

    ``quiet``: days for which an inactive access key must be so before its deletion; None if that is not known.
    """

    missed = ""
    policy: str
    quiet: float | None = None

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
            self.dated(user, notices, now)
            for user in self.every(users, now)
            if not was_stopped(user.resource)
            and self._is_new(user.news, key := subject_of(user.resource).unique_id, notices, now)
            and not (was_skipped(user.resource) and notices.is_before_day(key, now))
        ]

    def dated(self, due: Due, notices: Notices, now: datetime, since: datetime | None = None) -> Due:
        """``due`` with the days that the message says of it. ``since``: of its Deny, where the journal says that.

        An inactive key is deleted on its announced day, and after the days for which it must be inactive. One that is
        not proven to be made inactive by this tool is not deleted.
        """
        user = subject_of(due.resource)
        notice = notices.announcement(user.unique_id, now) if user.is_key else None
        code = ((due.resource.get(ANNOTATION) or {}).get("outcome") or {}).get("code")
        if notice is None or due.news.partition(":")[0] != DEACTIVATED or code in _NOT_DELETED:
            return due
        quiet = ((_outcome_time(due.resource) or now) + timedelta(days=self.quiet or 0)).date()
        return replace(due, annotation={"notice": {"day": max(notice.day, quiet, now.date()).isoformat()}})

    def _is_new(self, news: str, key: str, notices: Notices, now: datetime) -> bool:
        """True, too, for what was done again, such as a quarantine after a release that another policy told."""
        again = news in CHANGED and not notices.was_told(key, self.policy, news, now, now)
        return again or is_new(news, notices.said(key, self.policy, now))

    def subject(self, account: str, users: Sequence[Due], counted: bool) -> str:
        """See Step."""
        news = [user.news for user in users]
        return subject_lines.of_news(account, news, users[0].day, counted=counted, noun=_noun(users))


@dataclass(frozen=True)
class Denied(Inform):
    """Says whose access the policy has just stopped, by the outcomes of ``quarantine``.

    ``quiet``: days under the Deny before the deletion; None if the message speaks of no day.
    """

    def every(self, users: Sequence[Resource], now: datetime) -> list[Due]:
        """See Inform: those of the ``users`` whose access was stopped, even if not in full."""
        return super().every([each for each in users if _is_stopped(each)], now)

    def dated(self, due: Due, notices: Notices, now: datetime, since: datetime | None = None) -> Due:
        """See Inform. The deletion comes on the announced day, and after the days under the Deny."""
        dark, done = _is_brownout(due.resource), _outcome_time(due.resource) or now
        begun = (None if dark else since or _denied_before(due.resource)) or done
        told: dict[str, Any] = {"denied-since": begun.date().isoformat()}
        if begun.date() < done.date():
            told |= {"deactivated": done.date().isoformat()}
        notice = notices.announcement(subject_of(due.resource).unique_id, now)
        if notice and not dark:
            quiet = (begun + timedelta(days=self.quiet or 0)).date()
            told |= {"day": max(notice.day, quiet, now.date()).isoformat()}
        news = DEACTIVATED if "deactivated" in told and due.news == QUARANTINED else due.news
        return replace(due, annotation={"notice": told}, said=news)

    def subject(self, account: str, users: Sequence[Due], counted: bool) -> str:
        """See Step."""
        news = [user.said or user.news for user in users]
        return subject_lines.of_news(account, news, users[0].day, counted=counted)


def _is_brownout(resource: Resource) -> bool:
    outcome: Mapping[str, Any] = (resource.get(ANNOTATION) or {}).get("outcome") or {}
    return outcome.get("status") == BROWNED_OUT


def _is_stopped(resource: Resource) -> bool:
    outcome = (resource.get(ANNOTATION) or {}).get("outcome") or {}
    stopped = {DEACTIVATED_WITHOUT_DENY.code, QUARANTINED_AGAIN.code}
    return outcome.get("status") in (QUARANTINED, BROWNED_OUT) or not stopped.isdisjoint(codes_of(outcome))


def _denied_before(resource: Resource) -> datetime | None:
    """Since when the user is denied everything, by the Deny that was on it before this run; None if there was none."""
    held = quarantine_of(IamUser(resource, {**dict.fromkeys(_KINDS, ()), **detail_attachments(resource)}))
    return held.since if held else None


def _outcome_time(resource: Resource) -> datetime | None:
    return moment(((resource.get(ANNOTATION) or {}).get("outcome") or {}).get("time"))


def _announced(
    resource: Resource, announced: datetime, day: date, notices: Notices, told: Mapping[str, Any] = _NO_MORE
) -> Due:
    """A user, with the data of its announcement for the template, and what else is ``told``."""
    notice = {"announced": announced.date().isoformat(), "day": day.isoformat(), **told}
    if lost := notices.exemption(subject_of(resource).unique_id):
        notice["was-exempt"] = str(lost)
    if former := notices.of_namesake(subject_of(resource)):
        notice["came-back"] = (
            f"came back or was restored: a user of this name was announced on {former.time.date()} for deletion on "
            f"{former.day}; this one has another unique id"
        )
    return Due(resource, day, {"notice": notice})


def _deletion(account: str, users: Sequence[Due], counted: bool, *, reminder: bool = False) -> str:
    days, noun = [user.day for user in users], _noun(users)
    if not counted:
        return subject_lines.of_deletion(account, None, days, reminder=reminder, noun=noun)
    fates = [user.forecast or Forecast(GOES) for user in users]
    groups = Counter(fate.group for fate in fates)
    stops = {fate.denied for fate in fates if fate.group == GOES}
    return subject_lines.of_deletion(
        account,
        groups[GOES],
        [fate.deleted or user.day for user, fate in zip(users, fates, strict=True) if fate.group == GOES]
        or days,
        stop=next(iter(stops)) if len(stops) == 1 else None,
        others=(groups[IN_USE], groups[REPLACE_FIRST], groups[STAYS]),
        reminder=reminder,
        noun=noun,
    )


def _noun(users: Sequence[Due]) -> str:
    return subject_lines.KEY if subject_of(users[0].resource).is_key else subject_lines.USER
