# SPDX-License-Identifier: Apache-2.0
"""A report's data as one HTML page that needs nothing else, as JSON, or as CSV. Pure."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any

from c7n_iamusers.evidence.seen_users import EXEMPT, LEFT_OUT
from c7n_iamusers.execution.outcomes import (
    BROWNED_OUT,
    DELETED,
    FAILED,
    PLANNED,
    PROVISIONED,
    QUARANTINED,
    RELEASED,
    SKIPPED,
    UNCHANGED,
)
from c7n_iamusers.report.accounts import UNSEEN
from c7n_iamusers.report.checks import KINDS
from c7n_iamusers.report.users import FLAGGED, GONE, SEVERITIES, UNJUDGED
from c7n_iamusers.text.json_pieces import json_pieces
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import all_visible, cell, visible

Row = Mapping[str, Any]
_STATUSES = (
    FAILED,
    SKIPPED,
    FLAGGED,
    PLANNED,
    BROWNED_OUT,
    QUARANTINED,
    RELEASED,
    PROVISIONED,
    UNCHANGED,
    LEFT_OUT,
    EXEMPT,
    GONE,
    DELETED,
)
_UNKNOWN = "not known"
_NEVER, _NONE = "never", "none active"
#: Up to so many days.
_ACTIVITY = ((14, "within 14 days"), (90, "within 90 days"), (365, "within a year"))
_LONG_AGO = "over a year ago"
_AGES = ((90, "up to 90 days"), (365, "up to a year"), (730, "up to 2 years"), (1825, "up to 5 years"))
_OLD = "over 5 years"
#: How many accounts are shown before the reader asks for more.
_SHOWN = 12


def render_json(data: Row) -> Iterator[bytes]:
    """Everything, as ASCII, so that no name can do anything to a terminal; in pieces, since it may be large."""
    yield from json_pieces(data)
    yield b"\n"


def render_csv(data: Row) -> Iterator[bytes]:
    """A row for each user, and for each account of which no users are known."""
    yield _line(_COLUMNS)
    names = {each["account"]: each for each in data["accounts"]}
    unseen = [each for each in data["accounts"] if each["state"] != "ran" and not each["users"]]
    for row in chain(({"account": each["account"]} for each in unseen), data["users"]):
        account = names.get(row["account"], {})
        values = (value(row, account) for value in _COLUMNS.values())
        yield _line(cell(visible(str(each))) for each in values)


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


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
    "findings": lambda user, _: " ".join(_ids(user)),
    "created": _text("created"),
    "last_activity": lambda user, _: (user.get("last_activity") or {}).get("time") or "",
    "oldest_credential": _text("oldest_credential"),
    "replacement": lambda user, _: " ".join(user.get("replacement", ())),
    "status": _text("status"),
    "exempt": lambda user, _: "yes" if user.get("exempt") else "",
    "reason": _text("reason"),
    "code": _text("code"),
    "quarantine": _text("quarantine"),
    "policy": _text("policy"),
    "time": _text("time"),
    "last_seen": _text("last_seen"),
}


def render_html(data: Row) -> Iterator[bytes]:
    """The page. Needs jinja2, of the extra ``cli``."""
    from jinja2 import Environment, StrictUndefined

    seen = all_visible({key: value for key, value in data.items() if key != "users"})
    now = moment(seen["generated"])
    assert now  # it is the report's own
    users = _Users(seen["accounts"])
    for each in data["users"]:
        user = all_visible(each)
        users.add({**user, **_ages(user, now)})
    style, script = _asset("page.css"), _asset("page.js")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = template.from_string(_asset("page.html.j2")).generate(
        **{key: seen[key] for key in ("generated", "outputs", "totals", "accounts", "runs", "exemptions")},
        attention=_grouped(seen["attention"]),
        charts=users.charts(),
        columns=_columns(seen["runs"]),
        widest=max((each["users"] for each in seen["accounts"]), default=0) or 1,
        statuses=_STATUSES,
        severities=SEVERITIES,
        unseen=UNSEEN,
        shown=_SHOWN,
        expected=seen["expected"],
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        embedded=users.embedded(),
    )
    yield from (piece.encode() for piece in page)


def render_receipt(data: Row) -> bytes:
    """The page of a receipt. Needs jinja2, of the extra ``cli``."""
    page, style = _receipt_page()
    text: str = page.render(**all_visible(dict(data)), style=style, style_hash=_hash(style))
    return text.encode()


@cache
def _receipt_page() -> tuple[Any, str]:
    """The template and its style; there may be thousands of receipts."""
    from jinja2 import Environment, StrictUndefined

    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return template.from_string(_asset("receipt.html.j2")), _asset("page.css") + _asset("receipt.css")


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a page's Content-Security-Policy names what may run in it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _grouped(attention: Iterable[Row]) -> dict[str, list[Row]]:
    """By their kind, each of which is a heading of the page."""
    kinds: dict[str, list[Row]] = {each: [] for each in KINDS}
    for each in attention:
        kinds[each["kind"]].append(each)
    return kinds


def _ages(user: Row, now: datetime) -> dict[str, str]:
    """Of its last activity and of its oldest credential, as of when it was last seen."""
    seen = moment(user["last_seen"]) or now
    activity = user["last_activity"] or {}
    used, created = moment(activity.get("time")), moment(user["oldest_credential"])
    return {
        "activity": _age(seen, used, _ACTIVITY, _LONG_AGO) or _without_use(user, activity),
        "age": _age(seen, created, _AGES, _OLD) or _without_credential(user),
    }


def _age(seen: datetime, at: datetime | None, steps: Sequence[tuple[int, str]], older: str) -> str:
    if at is None:
        return ""
    return next((name for days, name in steps if (seen - at).days <= days), older)


def _without_use(user: Row, activity: Row) -> str:
    return _UNKNOWN if user["severity"] == UNJUDGED or activity.get("unknown") or not activity else _NEVER


def _without_credential(user: Row) -> str:
    credentials = user["credentials"]
    inactive = credentials is not None and all(each.get("active") is False for each in credentials)
    return _NONE if inactive and not user["unread"] else _UNKNOWN


@dataclass(frozen=True)
class Bar:
    """A line of a chart: users that are still there, and all of them. ``filter``: what it selects in the table."""

    label: str
    left: int
    total: int
    severity: str = ""


@dataclass(frozen=True)
class Chart:
    """Bars, the scale of which ends at ``widest``. ``filter``: the member of a user that the labels are of."""

    title: str
    filter: str
    bars: tuple[Bar, ...]

    @property
    def widest(self) -> int:
        """At least 1, to divide by."""
        return max([1, *(bar.total for bar in self.bars)])


@dataclass(frozen=True)
class _Counts:
    """What a chart counts. ``filter``: see Chart. ``order``: of labels; others follow, from large to small."""

    title: str
    filter: str
    labels_of: Callable[[Row], Iterable[str]]
    order: Sequence[str] = ()
    total: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    def add(self, user: Row) -> None:
        labels = tuple(self.labels_of(user))
        self.total.update(labels)
        if user["left"]:
            self.left.update(labels)

    def chart(self, severity: Mapping[str, str]) -> Chart:
        known = [label for label in self.order if label in self.total]
        others = sorted(self.total.keys() - set(self.order), key=lambda label: (-self.total[label], label))
        bars = (
            Bar(
                label,
                self.left[label],
                self.total[label],
                severity.get(label, "") if self.filter == "finding" else "",
            )
            for label in (*known, *others)
        )
        return Chart(self.title, self.filter, tuple(bars))


def _counts() -> tuple[_Counts, ...]:
    activity = (*(name for _, name in _ACTIVITY), _LONG_AGO, _NEVER, _UNKNOWN)
    ages = (*(name for _, name in _AGES), _OLD, _NONE, _UNKNOWN)
    return (
        _Counts("Outcomes", "status", lambda user: [user["status"]], _STATUSES),
        _Counts("Findings", "finding", _ids),
        _Counts("Kinds", "kind", lambda user: [user["kind"]]),
        _Counts("Last activity", "activity", lambda user: [user["activity"]], activity),
        _Counts("Oldest active credential", "age", lambda user: [user["age"]], ages),
    )


def _ids(user: Row) -> list[str]:
    return list(dict.fromkeys(finding["id"] for finding in user.get("findings", ())))


def _columns(runs: Sequence[Row]) -> list[dict[str, Any]]:
    """Where each run stands, in an area of 1000 by 200."""
    step = 1000 / max(1, len(runs) - 1)
    highest = max([1, *(each["known"] for each in runs)])
    return [
        {
            "x": round(number * step, 1),
            "known": round(200 * each["known"] / highest, 1),
            "left": round(200 * each["left"] / highest, 1),
            "run": each,
        }
        for number, each in enumerate(runs)
    ]


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

    def numbers(self, values: Iterable[Any] | None) -> list[int]:
        return [self.number(each) for each in values or ()]


class _Users:
    """The users of the page, of which there may be 600,000: counted for the charts, and held as JSON.

    A user is a list, and what many users share stands in a table, so that thousands of users stay a page.
    """

    def __init__(self, accounts: Sequence[Row]) -> None:
        self._accounts = accounts
        self._place = {each["account"]: number for number, each in enumerate(accounts)}
        self._table = _Table()
        self._users: list[str] = []
        self._counts = _counts()
        self._severity: dict[str, str] = {}

    def add(self, user: Row) -> None:
        for each in self._counts:
            each.add(user)
        self._severity |= {finding["id"]: finding["severity"] for finding in user["findings"]}
        self._users.append(_embeddable(_packed(user, self._place[user["account"]], self._table)))

    def charts(self) -> list[Chart]:
        return [each.chart(self._severity) for each in self._counts]

    def embedded(self) -> Iterator[Any]:
        """JSON that can't end the element it stands in, in pieces. ``page.js`` reads it."""
        from markupsafe import Markup

        accounts = _embeddable([[each["account"], each["name"]] for each in self._accounts])
        yield Markup(f'{{"accounts":{accounts},"users":[')
        for number, each in enumerate(self._users):
            yield Markup(f",{each}" if number else each)
        yield Markup(f'],"values":{_embeddable(self._table.values)}}}')


def _embeddable(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _packed(user: Row, account: int, table: _Table) -> list[Any]:
    findings = [[each["id"], each["severity"], each["text"]] for each in user["findings"]]
    outcomes = [_outcome(each, table) for each in user["outcomes"]]
    credentials = [
        [each.get("title"), each.get("active"), _day(each.get("created")), _used(each)]
        for each in user["credentials"] or ()
    ]
    held = {kind: count for kind, count in (user["attachments"] or {}).items() if count}
    shared = ("kind", "severity", "status", "policy", "quarantine", "activity", "age")
    return [
        account,
        user["user"],
        user["arn"],
        user["unique_id"],
        _day(user["created"]),
        _minute(user["last_seen"]),
        _day(user["oldest_credential"]),
        table.numbers(user[key] for key in shared),
        table.number(user["reason"]),
        _minute(user["time"]),
        _activity(user["last_activity"] or {}, table),
        table.numbers(user["reasons"]),
        table.numbers(findings),
        table.numbers(user["unknown_findings"]),
        table.numbers(user["replacement"]),
        credentials,
        table.number(held),
        table.numbers(user["unread"]),
        table.numbers(user["trusted_by"]),
        table.number(_sources(user["sources"] or {})),
        table.number(user["identity-center"]),
        outcomes,
    ]


def _outcome(event: Row, table: _Table) -> list[Any]:
    code = " ".join(each for each in (event["code"], event["call"], event["error"]) if each)
    return [_minute(event["time"]), *table.numbers((event["policy"], event["status"], event["reason"], code))]


def _activity(activity: Row, table: _Table) -> list[Any]:
    by = " ".join(str(activity[key]) for key in ("by", "service", "region") if activity.get(key))
    return [_minute(activity.get("time")), table.number(by), table.numbers(activity.get("unknown"))]


def _sources(sources: Row) -> list[list[str]]:
    return [
        [name, str(each.get("source", "")), _minute(each.get("time")), str(each.get("problem", ""))]
        for name, each in sources.items()
        if isinstance(each, Mapping)
    ]


def _used(credential: Row) -> str:
    used = credential.get("used")
    return _NEVER if used is False else _day(used)


def _minute(time: Any) -> str:
    return str(time or "")[:16]


def _day(time: Any) -> str:
    return str(time or "")[:10]
