# SPDX-License-Identifier: Apache-2.0
"""Messages that a policy holds for ``c7n-iamusers digest``, and the record of the digest that sent them. Pure.

A policy runs in one account, so it can't write one message about all accounts of an owner. With ``digest: true`` the
action ``notify-owners`` sends nothing: it writes what it would have sent to ``held/<account id>/<time>-<digest>.json``
and a notice that names this file. The command sends it, and writes ``<account id>/<time>-digest-<digest>.json`` among
the notices. Until then nobody is told, and no announcement counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeGuard

from c7n_iamusers.notices.mailer_texts import is_recipient
from c7n_iamusers.notices.stock_rows import ANNOTATION
from c7n_iamusers.text.addresses import is_address
from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.times import as_text, moment
from c7n_iamusers.text.validators import Shape, listing, mapping, maybe, record, text, whole

DIRECTORY = "held"
#: Takes the place of a notice's step in the record of a digest.
STEP = "digest"
#: What sends held messages, for people.
COMMAND = "c7n-iamusers digest"
#: A message that is held for longer is never sent, since what it says was decided then. The next run holds it anew.
HELD_FOR = timedelta(hours=12)
#: What a digest needs of an action.
OF_ACTION = ("account-name", "contact", "start-url")
_LONGEST, _MANY = 100_000, 10_000
#: The group of a user that is to be deleted: see ``safeguards.forecast``.
_GOES = "goes"
_OF_USER = ("UserName", "UserId", "Arn", "Path")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _day(value: Any, place: str) -> None:
    """A day, such as 2026-01-31."""
    _TEXT(value, place)
    try:
        if not _DAY.fullmatch(value):
            raise ValueError(value)
        date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{place} {value[:80]!r} is no day") from error


def _maybe(members: Mapping[str, Shape]) -> Shape:
    """Null, or an object with ``members``, each of which may be null, and others."""
    return maybe(record({}, {name: maybe(shape) for name, shape in members.items()}, others=True))


def _notice(value: Any, place: str) -> None:
    """What is announced of a user. One that goes has the day on which it is deleted."""
    _NOTICE(value, place)
    if value and value.get("group") == _GOES and value.get("deleted") is None:
        raise ValueError(f"{place} has no day of the deletion")


_TEXT = text(_LONGEST)
_NOTICE = _maybe(
    {
        **dict.fromkeys(("day", "denied", "deleted", "brownout", "denied-since", "deactivated"), _day),
        **dict.fromkeys(("group", "text", "was-exempt", "came-back"), _TEXT),
    }
)
_SAID, _STATE = _maybe({"text": _TEXT}), _maybe(dict.fromkeys(("status", "state", "reason"), _TEXT))
_FINDING = record(dict.fromkeys(("id", "severity", "text"), _TEXT), others=True)
#: What digests, and templates of mails, read of what is known of a user: one of another shape fails the mail of all.
_SHAPES: Mapping[str, Shape] = {
    "kind": _TEXT,
    "replacement": listing(_TEXT, _MANY),
    "findings": listing(_FINDING, _MANY),
    "last_activity": _maybe({"time": _TEXT}),
    "attachments": mapping(_TEXT, whole(0)),
    "attempts": _maybe({"attempts": listing(record({}, others=True), _MANY)}),
    **dict.fromkeys(("created", "used"), _SAID),
    **dict.fromkeys(("outcome", "provisioning", "identity-center"), _STATE),
    "notice": _notice,
}
_KNOWN = _maybe(_SHAPES)


def _users(account_id: str) -> Shape:
    arn = text(2048, rf"arn:[a-z-]+:iam::{account_id}:user/.+")
    return listing(
        record({"UserId": _TEXT, "UserName": _TEXT}, {"Arn": arn, ANNOTATION: _KNOWN}, others=True), _MANY
    )


@dataclass(frozen=True)
class HeldMessage:
    """What an action would have sent. ``to``: all its recipients. ``action``: OF_ACTION. ``users``: its resources."""

    account_id: str
    step: str
    to: tuple[str, ...]
    action: Mapping[str, str]
    users: tuple[Mapping[str, Any], ...]

    def as_json(self) -> bytes:
        """The content of its file."""
        data = {
            "account": self.account_id,
            "step": self.step,
            "to": list(self.to),
            "action": dict(self.action),
            "users": list(self.users),
        }
        return json.dumps(data, default=str).encode()

    def place(self, time: datetime) -> str:
        """The name of its file."""
        digest = hashlib.sha256(self.as_json()).hexdigest()[:12]
        return f"{DIRECTORY}/{self.account_id}/{time:%Y%m%dT%H%M%S%fZ}-{digest}.json"


def parse_held(content: bytes, account_id: str) -> HeldMessage:
    """The message in a file of ``account_id``. Raises ValueError if no run can have written it."""
    try:
        data = read_json(content)
    except NotInFormat as error:
        raise ValueError(str(error)) from error
    if not isinstance(data, Mapping) or data.get("account") != account_id:
        raise ValueError(f"it is no message of account {account_id}")
    step, to, action, users = (data.get(key) for key in ("step", "to", "action", "users"))
    if not isinstance(step, str) or not _texts(to) or not any(map(is_address, to)):
        raise ValueError("it has no step, or no recipients")
    if not all(map(is_recipient, to)):
        raise ValueError("one of its recipients is no single address, or of others' choice")
    if not isinstance(action, Mapping) or not all(isinstance(each, str) for each in action.values()):
        raise ValueError("its action is incomplete")
    _users(account_id)(users, "users")
    known = {key: action[key] for key in OF_ACTION if key in action}
    return HeldMessage(account_id, step, tuple(to or ()), known, tuple(map(_told, users or ())))


def _told(user: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a digest tells of a user. Nothing else is kept: whoever writes the file decides how much it has."""
    known = user.get(ANNOTATION)
    told = {key: user[key] for key in _OF_USER if key in user}
    return (
        told if known is None else {**told, ANNOTATION: {key: known[key] for key in _SHAPES if key in known}}
    )


@dataclass(frozen=True)
class DigestRecord:
    """A digest was put into ``queue`` (its URL) at ``time`` as ``message_ids``. ``held``: the names of the messages in
    it."""

    account_id: str
    time: datetime
    queue: str
    message_ids: tuple[str, ...]
    held: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its file."""
        digest = hashlib.sha256(" ".join(self.message_ids).encode()).hexdigest()[:12]
        return f"{self.account_id}/{self.time:%Y%m%dT%H%M%SZ}-{STEP}-{digest}.json"

    def as_json(self) -> bytes:
        """The content of its file."""
        data = {
            "account": self.account_id,
            "step": STEP,
            "time": as_text(self.time),
            "queue": self.queue,
            "message-ids": list(self.message_ids),
            "held": list(self.held),
        }
        return json.dumps(data, indent=1).encode() + b"\n"


def parse_digest(data: Mapping[str, Any], account_id: str) -> DigestRecord:
    """The digest in a record that is of STEP. Raises ValueError if no command can have written it."""
    time, queue = moment(data.get("time")), data.get("queue")
    ids, names = data.get("message-ids"), data.get("held")
    if time is None or not isinstance(queue, str) or not _texts(ids) or not _texts(names):
        raise ValueError("it has no time, queue, message-ids or held")
    return DigestRecord(account_id, time, queue, tuple(ids), tuple(names))


def is_place(name: str, account_id: str) -> bool:
    """Whether ``name`` is that of a held message of the account."""
    directory, account, *file = name.split("/")
    return (directory, account, len(file)) == (DIRECTORY, account_id, 1) and file[0].endswith(".json")


def _texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) and each for each in value)
