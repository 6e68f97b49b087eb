# SPDX-License-Identifier: Apache-2.0
"""One message about IAM users as a file: ``<account id>/<time>-<step>-<digest>.json``, written and read. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.notices import delivery, held
from c7n_iamusers.notices.delivery import QueueReading, parse_reading
from c7n_iamusers.notices.held import DigestRecord, parse_digest
from c7n_iamusers.text import validators
from c7n_iamusers.text.addresses import is_address
from c7n_iamusers.text.documents import MOST_OF_RECORD, read_json
from c7n_iamusers.text.times import CLOCKS_APART, as_text, moment

ANNOUNCED, INFORMED = "announced", "informed"
#: A user or credential was created, replaced or activated, or our Deny was removed.
CREATED, DENY_REMOVED = "created", "deny-removed"
#: Somebody signed in or called AWS as a user whose use is an alarm.
USED = "used"
#: The announced day has come, and the user is spared.
OVERDUE = "overdue"
_LONGEST, _MANY = 100_000, 10_000
#: An option in days takes a century at most.
_FARTHEST = timedelta(days=36_525)
_TEXT = validators.text(_LONGEST)
#: What an announcement keeps of its evidence: see ``evidence.assessment.frozen_evidence``.
_EVIDENCE = validators.record(
    {},
    {
        "kind": _TEXT,
        "replacement": validators.listing(_TEXT, _MANY),
        "last_activity": validators.record(
            {}, dict.fromkeys(("time", "by", "service", "region"), validators.maybe(_TEXT)), others=True
        ),
        "attachments": validators.mapping(_TEXT, validators.whole(0)),
        "findings": validators.listing(
            validators.record(dict.fromkeys(("id", "severity", "text"), _TEXT), others=True), _MANY
        ),
    },
    others=True,
)


@dataclass(frozen=True)
class Notice:
    """One message about ``users`` of an account, as it entered the queue, or as it is held for a digest.

    ``step``: ``announced``; ``reminded-N``, N days before ``day``; ``informed``, of what became of the users;
    ``created`` or ``deny-removed``, of what was done to them; ``used``, of an alarm; ``overdue``, after the announced
    day; or ``access``, to a person who has access. ``day``: the first one, in UTC, on which the users may be deleted;
    for steps that announce nothing, the message's own.
    ``message_id``: the queue's answer. ``what``: unique id -> what the message says of the user, of ``informed``; the
    number of the message, of ``overdue``.
    ``event``: the id of the event (``CredentialEvent``) that the message reports; empty if it reports none.
    ``stop``: the first day, in UTC, on which their credentials may stop working, if the message says so. ``brownout``:
    the first day, in UTC, on which they may be denied everything for some minutes, if it says so. ``evidence``: of an
    announcement, unique id -> why the user was unnecessary then (``frozen_evidence``), with ``group``, ``code`` and
    ``told``: what its owner was told of it. ``queue``: the URL of the queue; empty if no check needs it (``delivery:
    unchecked``). ``held``: the name of the file with the message, if a digest is to send it (``HeldMessage``); else
    empty.
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
    queue: str = ""
    brownout: date | None = None
    evidence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    held: str = ""

    @property
    def name(self) -> str:
        """The name of its file. A message about users of several days has one file a day."""
        digest = hashlib.sha256(
            f"{self.message_id or self.held} {self.policy} {self.day}".encode()
        ).hexdigest()[:12]
        return f"{self.account_id}/{self.time:%Y%m%dT%H%M%SZ}-{self.step}-{digest}.json"

    def as_json(self) -> bytes:
        """The content of its file."""
        users = [
            {
                **{"user": user.name, "arn": user.arn, "unique-id": user.unique_id},
                **({"what": self.what[user.unique_id]} if user.unique_id in self.what else {}),
                **({"evidence": self.evidence[user.unique_id]} if user.unique_id in self.evidence else {}),
            }
            for user in self.users
        ]
        data = {
            "account": self.account_id,
            "step": self.step,
            "time": as_text(self.time),
            "day": self.day.isoformat(),
            **({"credentials-stop": self.stop.isoformat()} if self.stop else {}),
            **({"brownout": self.brownout.isoformat()} if self.brownout else {}),
            "addresses": list(self.addresses),
            **({"held": self.held} if self.held else {"message-id": self.message_id}),
            **({"queue": self.queue} if self.queue else {"delivery": delivery.UNCHECKED}),
            "policy": self.policy,
            "users": users,
            **({"event": self.event} if self.event else {}),
        }
        return json.dumps(data, indent=1).encode() + b"\n"


def parse_record(content: bytes, account_id: str, now: datetime) -> Notice | QueueReading | DigestRecord:
    """The notice, the reading of a queue, or the record of a digest, in a file in the directory of ``account_id``.

    Raises ValueError if the content is none of them.
    """
    data = read_json(content, most=MOST_OF_RECORD)
    if not isinstance(data, Mapping):
        raise ValueError("it is not a JSON object")
    if data.get("account") != account_id:
        raise ValueError(f"it is of account {data.get('account')}")
    if data.get("step") == delivery.STEP:
        reading = parse_reading(data)
        _check_past(reading.time, now)
        return reading
    if data.get("step") == held.STEP:
        digest = parse_digest(data, account_id)
        _check_past(digest.time, now)
        return digest
    return _notice(data, account_id, now)


def _notice(data: Mapping[str, Any], account_id: str, now: datetime) -> Notice:
    time, day = _time_and_day(data, now)
    addresses, users = data.get("addresses"), data.get("users")
    if (
        not isinstance(addresses, list)
        or not addresses
        or not all(isinstance(address, str) and is_address(address) for address in addresses)
    ):
        raise ValueError("it has no addresses, or one that is no e-mail address")
    if not isinstance(users, list):
        raise ValueError("it has no users")
    kept = _text(data, "held") if "held" in data else ""
    if kept and not held.is_place(kept, account_id):
        raise ValueError(f"{kept} is no place of a held message")
    words = ("" if kept else _text(data, "message-id"), _text(data, "policy"))
    subjects = tuple(map(_subject, users))
    what = {str(user["unique-id"]): _text(user, "what") for user in users if "what" in user}
    event = _text(data, "event") if "event" in data else ""
    stop, brownout = (
        _near(date.fromisoformat(_text(data, key)), time) if key in data else None
        for key in ("credentials-stop", "brownout")
    )
    head = (account_id, _text(data, "step"), time, day, tuple(addresses), *words, subjects)
    evidence = {str(user["unique-id"]): _evidence(user) for user in users if "evidence" in user}
    return Notice(*head, what, event, stop, _queue(data), brownout, evidence, kept)


def _time_and_day(data: Mapping[str, Any], now: datetime) -> tuple[datetime, date]:
    time = moment(data.get("time"))
    if time is None:
        raise ValueError("it has no time")
    _check_past(time, now)
    day = _near(date.fromisoformat(_text(data, "day")), time)
    if day < time.date():
        raise ValueError(f"its day {day} is before its time {as_text(time)}")
    return time, day


def _near(day: date, time: datetime) -> date:
    """``day``. Raises ValueError if no run announces such a day: dates far away can't be counted with."""
    if abs(day - time.date()) > _FARTHEST:
        raise ValueError(f"its day {day} is more than {_FARTHEST.days} days from its time {as_text(time)}")
    return day


def _check_past(time: datetime, now: datetime) -> None:
    if time > now + CLOCKS_APART:
        raise ValueError(f"its time {as_text(time)} is in the future")


def _queue(data: Mapping[str, Any]) -> str:
    if "queue" not in data and data.get("delivery") == delivery.UNCHECKED:
        return ""
    return _text(data, "queue")


def _subject(data: Any) -> Subject:
    if not isinstance(data, Mapping):
        raise ValueError("one of its users is not a JSON object")
    return Subject(_text(data, "user"), _text(data, "arn"), _text(data, "unique-id"))


def _evidence(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Empty where it has another shape than an announcement gives it: its mail would fail, and so those of others."""
    value = data.get("evidence")
    if not isinstance(value, Mapping):
        raise ValueError("its evidence is not a JSON object")
    try:
        _EVIDENCE(value, "evidence")
    except ValueError:
        return {}
    return value


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"it has no {key}")
    return value
