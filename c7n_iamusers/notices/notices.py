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
from typing import Any, TypeVar

from c7n_iamusers.exceptions import NoticesUnreadable, Stopped
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stores import Store, read_all
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.notices.exempted import DIRECTORY, Exempted, as_json, parse_exempted
from c7n_iamusers.notices.exempted import place_of as exempted_place
from c7n_iamusers.text.documents import LARGEST_RECORD, MOST_OF_RECORD, read_json
from c7n_iamusers.text.wording import as_text, is_address, moment

Parsed = TypeVar("Parsed")
ANNOUNCED, INFORMED = "announced", "informed"
#: A user or credential was created, replaced or activated, or our Deny was removed.
CREATED, DENY_REMOVED = "created", "deny-removed"
#: The name of a file beside the notices, or in an account's directory there. While it exists, no destructive action
#: begins with another user. Names that begin with it count too, in any case and with blanks before: an editor may make
#: STOP.txt of it.
STOP = "STOP"
#: Names of accounts' directories, from the first text up to the second one; no name of a STOP file lies between them.
_ACCOUNTS = ("0", ":")
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
    data = read_json(content, most=MOST_OF_RECORD)
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
        or not all(isinstance(each, str) and is_address(each) for each in addresses)
    ):
        raise ValueError("it has no addresses, or one that is no e-mail address")
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
    """The notices of one account, and which of its users were exempt then. ``place``: where they are, for people.

    ``recorded``: whether there is a record of who was exempt, be it of nobody. ``stop``: the STOP file of the account
    alone; empty if there is none.
    """

    def __init__(
        self,
        notices: Iterable[Notice],
        place: str,
        exempted: Iterable[Exempted] = (),
        recorded: bool = True,
        stop: str = "",
    ) -> None:
        self.place, self.recorded, self.stop = place, recorded, stop
        self._exempted: dict[str, list[Exempted]] = {}
        for each in sorted(exempted, key=lambda each: each.time):
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
        """All notices of an account: two lists, and one read for each file that this process does not know as it is.

        Raises NoticesUnreadable. ``broken``: called with what is wrong with a file, which then is left out. Only for
        messages on which no deletion rests.
        """
        own, exempt = directories(account_id)
        records = _Records(store, broken)
        notices, stops = records.read(own, lambda content: parse_notice(content, account_id, now))
        found, _ = records.read(exempt, lambda content: parse_exempted(content, account_id))
        exempted = (each for its in found for each in its)
        return cls(notices, store.place(account_id), exempted, bool(found), next(iter(stops), ""))

    def require_records(self) -> None:
        """Raises NoticesUnreadable if users are announced, and no record says who was exempt then."""
        if self._announced and not self.recorded:
            raise NoticesUnreadable(
                f"{self.place} has announcements, and there is no record of who was exempt then, which is written "
                f"before them to {DIRECTORY}/ beside it: somebody removed it. Bring it back, or move the announcements "
                "away, so that their users are announced anew"
            )

    def announcement(self, unique_id: str, now: datetime) -> Notice | None:
        """The latest announcement, if it has not lapsed; None if the user was not announced, or was exempt after it.

        Its owner relies on the day of which it heard last.
        """
        today = now.astimezone(timezone.utc).date()
        found = [each for each in self._by_user.get(unique_id, ()) if each.step == ANNOUNCED]
        if not found or (today - found[-1].day).days > LAPSE_DAYS:
            return None
        lost = self.exemption(unique_id)
        return found[-1] if lost is None or found[-1].time > lost.time else None

    def exemption(self, unique_id: str) -> Exempted | None:
        """When, and by which rule, the user was last exempt as far as is recorded."""
        return next(reversed(self._exempted.get(unique_id, ())), None)

    def unrecorded(self, exempt: Iterable[tuple[Subject, ExemptionRule]], now: datetime) -> list[Exempted]:
        """The records to write about users that are exempt ``now``: those without one since their last message."""
        found = []
        for user, rule in exempt:
            since = max((each.time for each in self._by_user.get(user.unique_id, ())), default=None)
            # the clock of whoever announced it may be ahead
            new = Exempted.by(rule, user, now if since is None else max(now, since))
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


def record_exempt(
    store: Store, account_id: str, exempt: Iterable[tuple[Subject, ExemptionRule]], now: datetime
) -> None:
    """Record who is exempt ``now``, where that is not known yet. Raises NoticesUnreadable, OSError."""
    notices = Notices.read(store, account_id, now)
    notices.require_records()
    if found := notices.unrecorded(exempt, now):
        # the clock of whoever announced one of them may be ahead
        latest = max(now, *(each.time for each in found))
        store.create(exempted_place(account_id, now), as_json(account_id, latest, found))


def directories(account_id: str) -> tuple[str, str]:
    """Below the place of the notices: the directory of an account's notices, and that of its exempt users."""
    return f"{account_id}/", exempted_place(account_id)


#: Of the directories read last: the place -> the name of each record -> its version and content. See ``_Records``.
_KNOWN: dict[str, dict[str, tuple[str, Any]]] = {}
_KNOWN_PLACES = 4


@dataclass(frozen=True)
class _Records:
    """Reads the records in ``store``. ``broken``: see Notices.read.

    All policies of the process share what was read: a name is read again once its version in the list has changed.
    """

    store: Store
    broken: Callable[[str], object] | None = None

    def read(self, directory: str, parse: Callable[[bytes], Parsed]) -> tuple[list[Parsed], list[str]]:
        """The records in ``directory``, in the order of their names; and its STOP files. Raises NoticesUnreadable."""
        try:
            found = self.store.entries(directory)
            stops = [self.store.place(f"{directory}{name}") for name in sorted(found) if is_stop(name)]
            versions = {f"{directory}{name}": found[name] for name in sorted(found) if not is_stop(name)}
            for fault in (self._fault(name) for name, version in versions.items() if not version):
                if self.broken is None:
                    raise OSError(f"{fault}, and move it away")
                self.broken(fault)
            return list(self._parsed(directory, versions, parse)), stops
        except OSError as error:
            raise NoticesUnreadable(
                f"the notices in {self.store.place(directory)} can't be read: {error}"
            ) from error

    def _fault(self, name: str) -> str:
        """What is wrong with what is no file, such as a link that leads nowhere: a record may be missing there."""
        return f"{self.store.place(name)} is a link or a directory, not a file of a run: find out who put it there"

    def _parsed(
        self, directory: str, versions: Mapping[str, str], parse: Callable[[bytes], Parsed]
    ) -> Iterator[Parsed]:
        key = self.store.place(directory)
        names = [each for each, version in versions.items() if version and each.endswith(".json")]
        before, known = _KNOWN.pop(key, {}), dict[str, tuple[str, Any]]()
        _KNOWN[key] = known
        while len(_KNOWN) > _KNOWN_PLACES:
            _KNOWN.pop(next(iter(_KNOWN)), None)
        known.update({each: before[each] for each in names if before.get(each, ("",))[0] == versions[each]})
        unknown = [each for each in names if each not in known]
        for name, content in read_all(self.store, unknown, LARGEST_RECORD):
            with _parsing(self.store, name, self.broken):
                known[name] = (versions[name], parse(content or b""))
        yield from (known[each][1] for each in names if each in known)


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
    before_day: bool = False,
    before_stop: bool = False,
) -> str | None:
    """Why a user may not be touched yet, ``days`` after its owners were addressed; None where it may.

    The user is not exempt. ``before_day``: whether it may be touched before the announced day, which is that of its
    deletion. ``before_stop``: whether even before the day on which its credentials stop working, as its owners heard.
    """
    notice, lost = notices.announcement(unique_id, now), notices.exemption(unique_id)
    if notice is None and lost:
        return (
            f"it was {lost}, and was not announced since: restore its {_LOST[lost.field]} or exempt it again if it is "
            "to stay; if it may be deleted, run the policy with the action notify-owners, which announces it anew"
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


def is_stop(name: str) -> bool:
    """Whether a file of this name is a STOP file."""
    return name.strip().casefold().startswith(STOP.casefold())


def stops_in(store: Store, place: str = "") -> list[str]:
    """The STOP files beside the notices, or in an account's directory ``place``. Raises OSError.

    Takes one call, or two where there are more than a thousand accounts.
    """
    found = store.entries(place, leap=_ACCOUNTS)
    return sorted(f"{place}{each}" for each in found if is_stop(each))


def check_stop(store: Store, place: str = "") -> None:
    """Raises Stopped if there is one (see ``stops_in``), and NoticesUnreadable if that can't be read."""
    try:
        found = stops_in(store, place)
    except OSError as error:
        raise NoticesUnreadable(
            f"whether there is a file {store.place(place + STOP)} can't be read: {error}. The user was not touched: "
            "make it readable and run again"
        ) from error
    if found:
        raise stopped(store.place(found[0]))


def stopped(file: str) -> Stopped:
    """The error that ``file`` causes."""
    return Stopped(
        f"the file {file} stops every destructive action: the user was not touched. Remove the file and run again"
    )


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
        and not notices.has(user.unique_id, reminder(step_days), notice.time)
    ]


def reminder(days: int) -> str:
    """The step of a reminder that many days before the announced day."""
    return f"reminded-{days}"
