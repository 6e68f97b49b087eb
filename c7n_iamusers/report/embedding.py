# SPDX-License-Identifier: Apache-2.0
"""The users of a report's page as JSON in it: what the table shows and filters, and the details, compressed. Pure.

``page.js`` reads it. Thousands of users stay a page: a user is a list, what many users share stands in a table once,
and details are unpacked when somebody asks for them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
#: Users whose details are compressed together.
CHUNK = 200
#: Of zlib: raw deflate, as DecompressionStream("deflate-raw") reads it.
_RAW = -15
#: Members of a user whose values many users share, in the order in which ``page.js`` takes them.
_SHARED = (
    *("kind", "severity", "status", "policy", "quarantine", "activity", "age"),
    *("owner", "ou", "planned", "goes", "blocked", "until", "overdue"),
)


class _Table:
    """Values, each held once; what refers to one is its number."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        key = json.dumps(value, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value)
        return self._numbers[key]

    def numbers(self, values: Iterable[Any]) -> list[int]:
        return [self.number(each) for each in values]


class EmbeddedUsers:
    """``accounts``: those of the report, in its order."""

    def __init__(self, accounts: Sequence[Row]) -> None:
        self._accounts = accounts
        self._place = {each["account"]: number for number, each in enumerate(accounts)}
        self._table = _Table()
        self._users: list[str] = []
        self._details: list[str] = []
        self._chunk = _Chunk()

    def add(self, user: Row) -> None:
        """The next user, as ``User.as_data`` has it, with ``activity`` and ``age``; its texts have to be visible."""
        self._users.append(_embeddable(_listed(user, self._place[user["account"]], self._table)))
        self._chunk.add(_detail(user))
        if self._chunk.users == CHUNK:
            self._close()

    def pieces(self) -> Iterator[Any]:
        """JSON that can't end the element it stands in, in pieces."""
        from markupsafe import Markup

        self._close()
        accounts = _embeddable([[each["account"], each["name"]] for each in self._accounts])
        yield Markup(f'{{"accounts":{accounts},"chunk":{CHUNK},"users":[')
        for number, each in enumerate(self._users):
            yield Markup(f",{each}" if number else each)
        yield Markup(f'],"details":{json.dumps(self._details)},"values":{_embeddable(self._table.values)}}}')

    def _close(self) -> None:
        if self._chunk.users:
            self._details.append(self._chunk.packed())
            self._chunk = _Chunk()


class _Chunk:
    """Details of users, compressed one by one: what is held of each is little."""

    def __init__(self) -> None:
        self.users = 0
        self._squeeze = zlib.compressobj(9, zlib.DEFLATED, _RAW)
        self._packed: list[bytes] = []

    def add(self, detail: Row) -> None:
        text = ("," if self.users else "[") + json.dumps(detail, separators=(",", ":"))
        self._packed.append(self._squeeze.compress(text.encode()))
        self.users += 1

    def packed(self) -> str:
        """A list of the details. Nothing can be added any more."""
        end = self._squeeze.compress(b"]") + self._squeeze.flush()
        return base64.b64encode(b"".join((*self._packed, end))).decode()


def unpacked_details(chunk: str) -> list[dict[str, Any]]:
    """The details of a chunk of users, as ``page.js`` unpacks them."""
    found: list[dict[str, Any]] = json.loads(zlib.decompress(base64.b64decode(chunk), _RAW))
    return found


def _embeddable(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _listed(user: Row, account: int, table: _Table) -> list[Any]:
    """What the table of users shows, sorts and filters."""
    above = user["arn"].removesuffix(user["user"])
    return [
        account,
        user["user"],
        table.number(above) if above != user["arn"] else user["arn"],
        user["unique_id"],
        table.numbers(user[key] for key in _SHARED),
        table.number(user["reason"]),
        _minute((user["last_activity"] or {}).get("time")),
        table.numbers(dict.fromkeys(each["id"] for each in user["findings"])),
        table.numbers(user["changed"]),
        (user["priority"] or {}).get("number", 0),
    ]


def _detail(user: Row) -> dict[str, Any]:
    """What is shown of a user once it is unfolded."""
    activity = user["last_activity"] or {}
    return {
        "created": _day(user["created"]),
        "seen": _minute(user["last_seen"]),
        "oldest": _day(user["oldest_credential"]),
        "announced": _day(user["announced"]),
        "mails": user["overdue_mails"],
        "by": " ".join(str(activity[key]) for key in ("by", "service", "region") if activity.get(key)),
        "unsure": [*(activity.get("unknown") or ())],
        "reasons": user["reasons"],
        "findings": [[each["id"], each["severity"], each["text"]] for each in user["findings"]],
        "unknown": user["unknown_findings"],
        "replacement": user["replacement"],
        "credentials": [
            [each.get("title"), each.get("active"), _day(each.get("created")), _used(each)]
            for each in user["credentials"] or ()
        ],
        "held": {kind: count for kind, count in (user["attachments"] or {}).items() if count},
        "unread": user["unread"],
        "trusted": user["trusted_by"] or [],
        "first": _first(user["priority"]),
        "calls": _calls(user),
        "breaks": [f"{each['resource']} ({each['where']})" for each in user["named_by"] or ()],
        "sources": _sources(user["sources"] or {}),
        "center": user["identity-center"],
        "outcomes": [
            [
                _minute(each["time"]),
                *(each[key] for key in ("policy", "status", "reason")),
                " ".join(said for said in (each["code"], each["call"], each["error"]) if said),
            ]
            for each in user["outcomes"]
        ],
    }


def _first(priority: Row | None) -> str:
    """Which of the flagged users of its run it is, by what is to be done first, and why."""
    return f"Priority {priority['number']} of {priority['of']}: {priority['text']}" if priority else ""


def _calls(user: Row) -> list[str]:
    """Who calls with each access key, where that was asked."""
    return [f"{key['id']}: {key['text']}" for key in user["usage"] or ()]


def _sources(sources: Row) -> list[list[str]]:
    return [
        [name, str(each.get("source", "")), _minute(each.get("time")), str(each.get("problem", ""))]
        for name, each in sources.items()
        if isinstance(each, Mapping)
    ]


def _used(credential: Row) -> str:
    used = credential.get("used")
    return "never" if used is False else _day(used)


def _minute(time: Any) -> str:
    return str(time or "")[:16]


def _day(time: Any) -> str:
    return str(time or "")[:10]
