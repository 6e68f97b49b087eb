# SPDX-License-Identifier: Apache-2.0
"""Which messages of functions in member accounts c7n-mailer may get, and which parts of them. Pure.

c7n-mailer evaluates the subject of a message as a template outside any sandbox (``utils.get_message_subject``), opens
the template that the message names, prints values unescaped in its own templates, and writes to the message's
recipients. Whoever administers a member account controls what its function sends. So each message is made anew: each
value is checked and copied by name, facts about the account come from the accounts file, and a message with anything
else is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from c7n_iamusers.notices.stock_rows import CREATED, USED, plain
from c7n_iamusers.notices.templates import STOCK
from c7n_iamusers.text.addresses import foreign_domain, is_address
from c7n_iamusers.text.documents import MOST_OF_RECORD, NotInFormat, inflated, read_json
from c7n_iamusers.text.validators import Shape, account_id, listing, one_of, record, text, whole
from c7n_iamusers.text.wording import all_visible, visible

#: Bytes of a message as it is in the queue ("Amazon SQS message quotas"), and unpacked.
LARGEST_BODY, LARGEST_MESSAGE = 1024 * 1024, 4 * 1024 * 1024
#: What c7n puts into a message at most (c7n/actions/notify.py), and room for its attributes.
MOST_SENT = 262_144 - 256
_MOST_USERS, _LONGEST, _MOST_RECIPIENTS = 5_000, 4_000, 20
#: The steps of functions: a new credential, and the use of a user that nobody should use.
_STEPS = (CREATED, USED)
#: Their mails, and c7n-mailer's own; the same for Slack.
_MAIL = (*(f"iam-users-{step}.html" for step in _STEPS), "default", "default.html")
_SLACK = ("slack_iam_users", "slack_default")
#: A recipient that c7n-mailer looks up by the account's id in its own configuration.
_LOOKED_UP = "account-emails"
_SLACK_CHANNEL = re.compile(r"slack://(webhook/)?#.+|https://hooks\.slack\.com/.+")
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:.+")

#: What a value becomes in the message for c7n-mailer. Raises ValueError with the value's place.
_Copy = Callable[[Any, str], Any]


@dataclass(frozen=True)
class Addressed:
    """What the accounts file says of an account: its ``name``, the texts of its variables, and domains of addresses."""

    name: str
    variables: frozenset[str]
    domains: tuple[str, ...] = ()

    def may_get(self, recipient: str) -> bool:
        """Whether the operator named the recipient, or the domain of its address."""
        if recipient == _LOOKED_UP:
            return True
        if recipient in self.variables:
            return is_address(recipient) or is_in_slack(recipient) or bool(_TOPIC.fullmatch(recipient))
        return bool(self.domains) and is_address(recipient) and not foreign_domain(recipient, self.domains)


def is_in_slack(recipient: str) -> bool:
    """Whether c7n-mailer posts to ``recipient`` in Slack: a channel, a webhook, or a person by an address."""
    of_person = recipient.startswith("slack://") and is_address(recipient.removeprefix("slack://"))
    return of_person or bool(_SLACK_CHANNEL.fullmatch(recipient))


def forwarded(body: str, accounts: Mapping[str, Addressed], sent: datetime) -> str:
    """The body for c7n-mailer's queue of a message ``body`` in the functions' queue. ``sent``: when it was put there.

    Raises ValueError, with the fault, for a message that no function of ours can have sent.
    """
    given = _unpacked(body)
    _ENVELOPE(given, "the message")
    account_id = given["account_id"]
    if (account := accounts.get(account_id)) is None:
        raise ValueError(f"account {account_id} is not in the accounts file")
    action = _action(given["action"], account)
    is_stock = action["template"] in STOCK
    users = _list(_ROW if is_stock else _USER, _MOST_USERS)(given["resources"], "resources")
    made = {
        "event": None,
        "account": plain(visible(account.name)),
        "account_id": account_id,
        "region": given["region"],
        "execution_start": sent.timestamp(),
        "policy": {"name": given["policy"]["name"], "resource": "aws.iam-user", "actions": []},
        "action": action,
        "resources": users,
    }
    if all_visible(made) != made:
        raise ValueError("has a control character, or another invisible one")
    body = packed(made)
    if len(body) > MOST_SENT:
        raise ValueError(f"has {len(body)} bytes, and c7n-mailer's queue takes {MOST_SENT}")
    return body


def _unpacked(body: str) -> Any:
    if len(body) > LARGEST_BODY:
        raise ValueError(f"has more than {LARGEST_BODY} bytes")
    try:
        content = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not base64") from error
    try:
        return read_json(inflated(content, LARGEST_MESSAGE), most=MOST_OF_RECORD)
    except NotInFormat as error:
        raise ValueError(f"can't be read: {error}") from error


def packed(message: Mapping[str, Any]) -> str:
    """As c7n's ``notify`` packs a message."""
    return base64.b64encode(zlib.compress(json.dumps(message).encode())).decode()


def _action(given: Any, account: Addressed) -> dict[str, Any]:
    made: dict[str, Any] = {"template": "default", **_ACTION(given, "action")}
    for key in ("to", "cc"):
        for each in made.get(key, ()):
            if not account.may_get(each):
                raise ValueError(
                    f"action.{key}: {each[:80]!r} is neither in a variable of the account, nor an address of "
                    "email_domain or --email-domain"
                )
    for key in ("account-name", "contact"):
        if key in made and made[key] not in account.variables:
            raise ValueError(f"action.{key}: {made[key][:80]!r} is not a variable of the account")
    if not any(map(is_address, made["to"])):
        raise ValueError("action.to has no e-mail address")
    return made


def _as_is(shape: Shape) -> _Copy:
    def copy(value: Any, place: str) -> Any:
        shape(value, place)
        return value

    return copy


def _object(required: Mapping[str, _Copy], optional: Mapping[str, _Copy] | None = None) -> _Copy:
    """The named members of an object, and no others. One that is null counts as missing."""
    known = {**required, **(optional or {})}

    def copy(value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"{place} must be an object, not {type(value).__name__}")
        if missing := [key for key in required if value.get(key) is None]:
            raise ValueError(f"{place} lacks {', '.join(missing)}")
        return {
            key: each(value[key], f"{place}.{key}")
            for key, each in known.items()
            if value.get(key) is not None
        }

    return copy


def _list(entry: _Copy, longest: int) -> _Copy:
    def copy(value: Any, place: str) -> list[Any]:
        listing(lambda *_: None, longest)(value, place)
        return [entry(each, f"{place}[{number}]") for number, each in enumerate(value)]

    return copy


def _counts(value: Any, place: str) -> dict[str, int]:
    if not isinstance(value, dict) or len(value) > _MOST_RECIPIENTS:
        raise ValueError(f"{place} must be an object of at most {_MOST_RECIPIENTS} kinds")
    for key, number in value.items():
        text(40, r"[a-z-]+")(key, f"a key of {place}")
        whole(0)(number, f"{place}.{key}")
    return dict(value)


_TEXT = _as_is(text(_LONGEST))
#: Without what Jinja, HTML or JSON would read: ``plain`` leaves none of it but ``&``.
_PLAIN = _as_is(text(_LONGEST, r"""[^\x00-\x1f{}<>"'\\]*"""))
_NAME = _as_is(text(64, r"[\w+=,.@-]+"))
_NUMBER = _as_is(whole(1))

_ENVELOPE = record(
    {
        "account_id": account_id,
        "region": text(32, r"[a-z0-9-]+"),
        # where a subject is missing, c7n-mailer evaluates the name
        "policy": record({"name": text(128, r"[A-Za-z][A-Za-z0-9_-]*")}, others=True),
        "action": record({}, others=True),
        "resources": listing(record({}, others=True), _MOST_USERS),
    },
    others=True,
)
_ACTION = _object(
    {
        "type": _as_is(one_of("notify-owners")),
        "step": _as_is(one_of(*_STEPS)),
        "to": _list(_TEXT, _MOST_RECIPIENTS),
        "subject": _as_is(text(500, r"[^\x00-\x1f{}]+")),
        "violation_desc": _PLAIN,
        "action_desc": _PLAIN,
        "part": _NUMBER,
        "parts": _NUMBER,
        "users": _NUMBER,
    },
    {
        "cc": _list(_TEXT, _MOST_RECIPIENTS),
        "template": _as_is(one_of(*_MAIL)),
        "slack_template": _as_is(one_of(*_SLACK)),
        "template_format": _as_is(one_of("html", "plain")),
        "priority_header": _as_is(one_of(*range(1, 6), *map(str, range(1, 6)))),
        "slack_msg_color": _as_is(text(20, r"#?[A-Za-z0-9]+")),
        "account-name": _TEXT,
        "contact": _TEXT,
    },
)
#: What these mails and slack_iam_users read of a user.
_KNOWN = _object(
    {},
    {
        "created": _object({}, {"text": _TEXT}),
        "would-be-exempt": _TEXT,
        "used": _object({}, {"text": _TEXT}),
        "outcome": _object({"status": _TEXT}, {"reason": _TEXT}),
        "findings": _list(_object({"text": _TEXT}), 1_000),
        "attachments": _counts,
        "unread": _list(_as_is(text(40)), 100),
    },
)
_USER = _object({"UserName": _NAME, "c7n:IamUser": _KNOWN}, {"Path": _as_is(text(512))})
#: The columns of ``stock_rows``.
_ROW = _object(
    {
        "UserName": _NAME,
        "Path": _PLAIN,
        "Deletion on or after": _PLAIN,
        "What is known": _PLAIN,
        "Kind": _PLAIN,
        "Findings": _PLAIN,
        "Last seen": _PLAIN,
    }
)
