# SPDX-License-Identifier: Apache-2.0
"""The record of messages about IAM users: recipients, time, and day of the deletion. And the STOP file beside it.

c7n-mailer delivers later and elsewhere, and does not report errors, so no action can know that a mail arrived. A notice
proves only that a message with these addresses entered the queue. Tags are no proof: anybody with iam:TagUser writes
them. One file holds one message: ``<account id>/<time>-<step>-<digest>.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

from c7n_iamusers.exceptions import NoticesUnreadable, Stopped
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stores import Store, read_all
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.notices.exempted import Exempted, lost_exemption, parse_exempted
from c7n_iamusers.notices.exempted import place_of as exempted_place
from c7n_iamusers.text.documents import read_json
from c7n_iamusers.text.wording import as_text, moment

ANNOUNCED, INFORMED = "announced", "informed"
#: A user or credential was created, replaced or activated, or our Deny was removed.
CREATED, DENY_REMOVED = "created", "deny-removed"
#: The name of a file beside the notices. While it exists, no destructive action begins with another user.
STOP = "STOP"
#: The beginnings of names that count as it, such as STOP.txt, which an editor may make of it.
STOPS = (STOP, "Stop", "stop")
#: Days after the announced day for which an announcement counts. Later the user has to be announced again: people
#: forget, and the user may have been exempt in between.
LAPSE_DAYS = 90
_CLOCK_SKEW = timedelta(minutes=10)
#: What of a user changed when a rule no longer matches it.
_LOST = {"user": "name", "path": "path", "tag": "tag", "group": "membership"}


@dataclass(frozen=True)
class Notice:
    """One message about ``users`` of an account, as it entered the queue.

    ``step``: ``announced``; ``reminded-N``, N days before ``day``; ``informed``, of what became of the users;
    ``created`` or ``deny-removed``, of what was done to them; or ``access``, to a person who has access. ``day``: the
    first one, in UTC, on which the users may be deleted; of steps that announce nothing, that of the message.
    ``message_id``: the queue's answer. ``what``: of ``informed``, unique id -> what the message says of the user.
    ``event``: the id of the event (``CredentialEvent``) that the message reports; empty if it reports none.
    ``stop``: the first day, in UTC, on which their credentials may stop working, where the message says so.
    """

    account_id: str
    step: str
    time: datetime
    day: date
    addresses: tuple[str, ...]
    message_id: str
    policy: str
    users: tuple[Subject, ...]
    what: Mapping[str, str] = field(default_factory=dict)
    event: str = ""
    stop: date | None = None

    @property
    def name(self) -> str:
        """The name of its file. A message about users of several days has one file a day."""
        digest = hashlib.sha256(f"{self.message_id} {self.policy} {self.day}".encode()).hexdigest()[:12]
        return f"{self.account_id}/{self.time:%Y%m%dT%H%M%SZ}-{self.step}-{digest}.json"

    def as_json(self) -> bytes:
        """The content of its file."""
        users = [
            {
                **{"user": each.name, "arn": each.arn, "unique-id": each.unique_id},
                **({"what": self.what[each.unique_id]} if each.unique_id in self.what else {}),
            }
            for each in self.users
        ]
        data = {
            "account": self.account_id,
            "step": self.step,
            "time": as_text(self.time),
            "day": self.day.isoformat(),
            **({"credentials-stop": self.stop.isoformat()} if self.stop else {}),
            "addresses": list(self.addresses),
            "message-id": self.message_id,
            "policy": self.policy,
            "users": users,
            **({"event": self.event} if self.event else {}),
        }
        return json.dumps(data, indent=1).encode() + b"\n"


def parse_notice(content: bytes, account_id: str, now: datetime) -> Notice:
    """The notice in a file in the directory of ``account_id``. Raises ValueError if the content is not one."""
    data = read_json(content)
    if not isinstance(data, Mapping):
        raise ValueError("it is not a JSON object")
    time = moment(data.get("time"))
    if time is None:
        raise ValueError("it has no time")
    if time > now + _CLOCK_SKEW:
        raise ValueError(f"its time {as_text(time)} is in the future")
    if data.get("account") != account_id:
        raise ValueError(f"it is of account {data.get('account')}")
    day = date.fromisoformat(_text(data, "day"))
    if day < time.date():
        raise ValueError(f"its day {day} is before its time {as_text(time)}")
    addresses = data.get("addresses")
    if (
        not isinstance(addresses, list)
        or not addresses
        or not all(isinstance(each, str) for each in addresses)
    ):
        raise ValueError("it has no addresses")
    users = data.get("users")
    if not isinstance(users, list):
        raise ValueError("it has no users")
    words = (_text(data, "message-id"), _text(data, "policy"))
    subjects = tuple(map(_subject, users))
    what = {str(each["unique-id"]): _text(each, "what") for each in users if "what" in each}
    event = _text(data, "event") if "event" in data else ""
    stop = date.fromisoformat(_text(data, "credentials-stop")) if "credentials-stop" in data else None
    return Notice(
        account_id, _text(data, "step"), time, day, tuple(addresses), *words, subjects, what, event, stop
    )


def _subject(data: Any) -> Subject:
    if not isinstance(data, Mapping):
        raise ValueError("one of its users is not a JSON object")
    return Subject(_text(data, "user"), _text(data, "arn"), _text(data, "unique-id"))


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"it has no {key}")
    return value


class Notices:
    """The notices of one account, and which of its users were exempt then. ``place``: where they are, for people."""

    def __init__(self, notices: Iterable[Notice], place: str, exempted: Iterable[Exempted] = ()) -> None:
        self.place = place
        self._exempted: dict[str, list[Exempted]] = {}
        for each in exempted:
            self._exempted.setdefault(each.user.unique_id, []).append(each)
        self._by_user: dict[str, list[Notice]] = {}
        self._announced: dict[str, dict[str, Notice]] = {}
        for notice in sorted(notices, key=lambda each: each.time):
            for user in notice.users:
                self._by_user.setdefault(user.unique_id, []).append(notice)
                if notice.step == ANNOUNCED:
                    self._announced.setdefault(user.arn, {})[user.unique_id] = notice

    @classmethod
    def read(
        cls, store: Store, account_id: str, now: datetime, broken: Callable[[str], object] | None = None
    ) -> Notices:
        """All notices of an account: two lists, and one read a file. Raises NoticesUnreadable.

        ``broken``: called with what is wrong with a file, which then is left out. Only for messages on which no
        deletion rests.
        """
        notices, exempted = list[Notice](), list[Exempted]()
        try:
            own, exempt = directories(account_id)
            for name, content in _files(store, own):
                with _parsing(store, name, broken):
                    notices.append(parse_notice(content, account_id, now))
            for name, content in _files(store, exempt):
                with _parsing(store, name, broken):
                    exempted += parse_exempted(content, account_id)
        except OSError as error:
            raise NoticesUnreadable(
                f"the notices in {store.place(account_id)} can't be read: {error}"
            ) from error
        return cls(notices, store.place(account_id), exempted)

    def announcement(self, unique_id: str, now: datetime, lost: Exempted | None = None) -> Notice | None:
        """The latest announcement, if it has not lapsed; None if the user was not announced.

        Its owner relies on the day of which it heard last. ``lost``: see ``lost_exemption``. A user that was exempt
        after its announcement has to be announced again.
        """
        today = now.astimezone(timezone.utc).date()
        found = [each for each in self._by_user.get(unique_id, ()) if each.step == ANNOUNCED]
        if not found or today > found[-1].day + timedelta(days=LAPSE_DAYS):
            return None
        return found[-1] if lost is None or found[-1].time > lost.time else None

    def lost_exemption(
        self, unique_id: str, rules: Iterable[ExemptionRule], now: datetime
    ) -> Exempted | None:
        """When a user, which is not exempt now, was last exempt by one of ``rules`` that is still in force.

        ``rules``: of all accounts, since a rule for an account by its name no longer holds after that changed.
        """
        today = now.astimezone(timezone.utc).date()
        return lost_exemption(self._exempted.get(unique_id, ()), rules, today)

    def unrecorded(self, exempt: Iterable[tuple[Subject, ExemptionRule]], now: datetime) -> list[Exempted]:
        """The records to write about users that are exempt ``now``: those without one since their last message."""
        found = []
        for user, rule in exempt:
            new = Exempted.by(rule, user, now)
            since = max((each.time for each in self._by_user.get(user.unique_id, ())), default=None)
            known = [each.time for each in self._exempted.get(user.unique_id, ()) if each.rule == new.rule]
            if not known or (since is not None and max(known) < since):
                found.append(new)
        return found

    def of_namesake(self, user: Subject) -> Notice | None:
        """The latest announcement of another user that had the ARN of ``user``; None if there is none."""
        found = self._announced.get(user.arn, {}).items()
        others = [notice for unique_id, notice in found if unique_id != user.unique_id]
        return max(others, key=lambda each: each.time, default=None)

    def has(self, unique_id: str, step: str, since: datetime) -> bool:
        """Whether a message of ``step`` was sent about the user at ``since`` or later."""
        return any(each.step == step and each.time >= since for each in self._by_user.get(unique_id, ()))

    def reports(self, unique_id: str, event: str) -> bool:
        """Whether a message about the user reports the event with this id."""
        return bool(event) and any(each.event == event for each in self._by_user.get(unique_id, ()))

    def said(self, unique_id: str, policy: str) -> str | None:
        """What the last message of ``policy`` to inform said of the user; None if there was none."""
        found = [
            each
            for each in self._by_user.get(unique_id, ())
            if each.step == INFORMED and each.policy == policy
        ]
        return found[-1].what.get(unique_id) if found else None

    def is_before_day(self, unique_id: str, now: datetime) -> bool:
        """Whether the user is announced for a day that is yet to come."""
        notice = self.announcement(unique_id, now)
        return notice is not None and now.astimezone(timezone.utc).date() < notice.day


def directories(account_id: str) -> tuple[str, str]:
    """Below the place of the notices: the directory of an account's notices, and that of its exempt users."""
    return f"{account_id}/", exempted_place(account_id)


def _files(store: Store, place: str) -> Iterator[tuple[str, bytes]]:
    names = [each for each in store.names(place) if each.endswith(".json")]
    return ((name, content or b"") for name, content in read_all(store, names))


@contextmanager
def _parsing(store: Store, name: str, broken: Callable[[str], object] | None) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, RecursionError) as error:
        fault = f"{store.place(name)} is no notice: {error}. Find out who wrote it, move it away"
        if broken is None:
            raise NoticesUnreadable(f"{fault} and run again") from error
        broken(fault)


def notice_refusal(
    notices: Notices,
    unique_id: str,
    days: float,
    now: datetime,
    *,
    rules: Iterable[ExemptionRule] = (),
    before_day: bool = False,
    before_stop: bool = False,
) -> str | None:
    """Why a user may not be touched yet, ``days`` after its owners were addressed; None where it may.

    The user is not exempt. ``rules``: the exemptions of all accounts. ``before_day``: whether it may be touched before
    the announced day, which is that of its deletion. ``before_stop``: whether even before the day on which its
    credentials stop working, as its owners heard.
    """
    lost = notices.lost_exemption(unique_id, rules, now)
    notice = notices.announcement(unique_id, now, lost)
    if notice is None and lost:
        account = " or the name of its account in the accounts file" if lost.account else ""
        return (
            f"it was {lost}, a rule that is still in force and no longer matches it: restore its {_LOST[lost.field]}"
            f"{account}, or, if it may be deleted, announce it again by notify-owners, or remove the rule"
        )
    if notice is None:
        return (
            f"its owners were not addressed: {notices.place} has no announcement of it that still counts; run the "
            "policy with the action notify-owners"
        )
    said = f"announced on {notice.time:%Y-%m-%d} to {', '.join(notice.addresses)}"
    if now < notice.time + timedelta(days=days):
        return f"{said}, which is not yet {days:g} days ago"
    if not before_day and now.astimezone(timezone.utc).date() < notice.day:
        return f"{said} for {notice.day}, which is yet to come"
    if notice.stop and not before_stop and now.astimezone(timezone.utc).date() < notice.stop:
        return f"{said}, with {notice.stop} as the day on which its credentials stop working, which is yet to come"
    return None


def stops_in(store: Store) -> list[str]:
    """The names beside the notices that stop every destructive action. Raises OSError."""
    return store.beginning_with(*STOPS)


def check_stop(store: Store) -> None:
    """Raises Stopped if the STOP file exists, and NoticesUnreadable if that can't be read."""
    try:
        found = stops_in(store)
    except OSError as error:
        raise NoticesUnreadable(
            f"whether there is a file {store.place(STOP)} can't be read: {error}. The user was not touched: make it "
            "readable and run again"
        ) from error
    if found:
        raise Stopped(
            f"the file {store.place(found[0])} stops every destructive action: the user was not touched. Remove the "
            "file and run again"
        )


def due_for(
    step_days: int,
    notices: Notices,
    users: Sequence[Subject],
    now: datetime,
    rules: Sequence[ExemptionRule] = (),
) -> list[tuple[Subject, Notice]]:
    """The users to be reminded ``step_days`` days before their announced day, with their announcement.

    Users without an announcement, with a reminder of this step for it, or whose day is past are left out.
    """
    today = now.astimezone(timezone.utc).date()
    lost = ((user, notices.lost_exemption(user.unique_id, rules, now)) for user in users)
    found = ((user, notices.announcement(user.unique_id, now, since)) for user, since in lost)
    return [
        (user, notice)
        for user, notice in found
        if notice is not None
        and today <= notice.day <= today + timedelta(days=step_days)
        and not notices.has(user.unique_id, reminder(step_days), notice.time)
    ]


def reminder(days: int) -> str:
    """The step of a reminder that many days before the announced day."""
    return f"reminded-{days}"
