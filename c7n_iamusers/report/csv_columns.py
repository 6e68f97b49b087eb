# SPDX-License-Identifier: Apache-2.0
"""A report's data as CSV: its columns, and a row for each user and access key. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from c7n_iamusers.text.wording import cell, visible

Row = Mapping[str, Any]


def finding_ids(user: Row) -> list[str]:
    return list(dict.fromkeys(finding["id"] for finding in user.get("findings", ())))


def _text(key: str) -> Callable[[Row, Row], str]:
    return lambda user, _: user.get(key) or ""


_COLUMNS: dict[str, Callable[[Row, Row], str]] = {
    "account": _text("account"),
    "account_name": lambda _, account: account.get("name", ""),
    "account_state": lambda _, account: account.get("state", ""),
    "user": _text("user"),
    "arn": _text("arn"),
    "unique_id": _text("unique_id"),
    "kind": _text("kind"),
    "severity": _text("severity"),
    "findings": lambda user, _: " ".join(finding_ids(user)),
    "created": _text("created"),
    "last_activity": lambda user, _: (user.get("last_activity") or {}).get("time") or "",
    "oldest_credential": _text("oldest_credential"),
    "priority": lambda user, _: str((user.get("priority") or {}).get("number", "")),
    "why_first": lambda user, _: (user.get("priority") or {}).get("text") or "",
    "replacement": lambda user, _: " ".join(user.get("replacement", ())),
    "status": _text("status"),
    "exempt": lambda user, _: "yes" if user.get("exempt") else "",
    "reason": _text("reason"),
    "code": _text("code"),
    "quarantine": _text("quarantine"),
    "policy": _text("policy"),
    "time": _text("time"),
    "last_seen": _text("last_seen"),
    "owner": _text("owner"),
    "ou": _text("ou"),
    "announced": _text("announced"),
    "planned": _text("planned"),
    "goes": _text("goes"),
    "blocked": _text("blocked"),
    "until": _text("until"),
    "overdue": lambda user, _: "yes" if user.get("overdue") else "",
    "key": _text("key"),
    "parked": _text("parked"),
}


def _of_key(key: Row) -> Row:
    """The row of an access key: what is not of the key is its user's, and ``key`` is its id."""
    same = (
        "account",
        "user",
        "arn",
        "kind",
        "created",
        "reason",
        "code",
        "policy",
        "time",
        "last_seen",
        "owner",
    )
    row = {name: key[name] for name in (*same, "announced", "planned", "key", "parked")}
    return {
        **row,
        "unique_id": key["user_id"],
        "status": key["state"],
        "last_activity": {"time": key["used"]},
    }


def render_csv(data: Row) -> Iterator[bytes]:
    """A row for each user and then for each access key, and for each account of which no users are known."""
    yield _line(_COLUMNS)
    names = {each["account"]: each for each in data["accounts"]}
    unseen = [each for each in data["accounts"] if each["state"] != "ran" and not each["users"]]
    keys = map(_of_key, data["keys"])
    for row in chain(({"account": each["account"]} for each in unseen), data["users"], keys):
        account = names.get(row["account"], {})
        values = (value(row, account) for value in _COLUMNS.values())
        yield _line(cell(visible(str(each))) for each in values)


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
