# SPDX-License-Identifier: Apache-2.0
"""A report's data as one HTML page that needs nothing else, or as JSON. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from c7n_iamusers.evidence.seen_users import EXEMPT, LEFT_OUT
from c7n_iamusers.execution.outcomes import (
    ACTIVATED,
    BROWNED_OUT,
    DEACTIVATED,
    DELETED,
    FAILED,
    PLANNED,
    PROVISIONED,
    QUARANTINED,
    RELEASED,
    RETIRED,
    SKIPPED,
    UNCHANGED,
)
from c7n_iamusers.report.accounts import UNSEEN
from c7n_iamusers.report.burn_down import burn_down
from c7n_iamusers.report.checks import KINDS
from c7n_iamusers.report.comparisons import ALONE_IN_WORDS
from c7n_iamusers.report.csv_columns import finding_ids
from c7n_iamusers.report.embedding import EmbeddedUsers
from c7n_iamusers.report.key_states import STATES
from c7n_iamusers.report.standing import BLOCKS
from c7n_iamusers.report.users import FLAGGED, GONE, SEVERITIES, UNJUDGED
from c7n_iamusers.text.json_pieces import json_pieces
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import all_visible

Row = Mapping[str, Any]
_STATUSES = (
    FAILED,
    SKIPPED,
    FLAGGED,
    PLANNED,
    BROWNED_OUT,
    QUARANTINED,
    RELEASED,
    DEACTIVATED,
    ACTIVATED,
    PROVISIONED,
    UNCHANGED,
    LEFT_OUT,
    EXEMPT,
    GONE,
    RETIRED,
    DELETED,
)
_UNKNOWN = "not known"
_NEVER, _NONE = "never", "none active"
#: Up to so many days.
_ACTIVITY = ((14, "within 14 days"), (90, "within 90 days"), (365, "within a year"))
_LONG_AGO = "over a year ago"
_AGES = ((90, "up to 90 days"), (365, "up to a year"), (730, "up to 2 years"), (1825, "up to 5 years"))
_OLD = "over 5 years"
#: Where a report says when it was made: its page and its JSON, in so many bytes.
_MADE = re.compile(rb'(?:name="generated" content=|"generated": ?)"([\dT:+-]{19,25})"')
_HEAD = 2000
#: How many accounts are shown before the reader asks for more.
_SHOWN = 12
#: Rows of a table of those who are in the way: all others are counted in its last one.
_ROWS = 300


def render_json(data: Row) -> Iterator[bytes]:
    """Everything, as ASCII, so that no name can do anything to a terminal; in pieces, since it may be large."""
    yield from json_pieces(data)
    yield b"\n"


def render_html(data: Row) -> Iterator[bytes]:
    """The page. Needs jinja2, of the extra ``cli``."""
    from jinja2 import Environment, StrictUndefined

    seen = all_visible({key: value for key, value in data.items() if key not in ("users", "keys")})
    now = moment(seen["generated"])
    assert now  # it is the report's own
    users, counted = EmbeddedUsers(seen["accounts"]), _Charts()
    for each in data["users"]:
        user = all_visible(each)
        user |= _ages(user, now)
        users.add(user)
        counted.add(user)
    style, script = _asset("page.css"), _asset("page.js")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = template.from_string(_asset("page.html.j2")).generate(
        **{key: seen[key] for key in ("generated", "outputs", "totals", "accounts", "runs", "exemptions")},
        attention=_grouped(seen["attention"]),
        charts=counted.charts(),
        progress=seen["progress"],
        burn_down=burn_down(seen["progress"]["days"], seen["progress"]["coming"]),
        owner=seen.get("owner", ""),
        blocks=BLOCKS,
        keys=[all_visible(each) for each in islice(data["keys"], _ROWS)],
        states=STATES,
        rows=_ROWS,
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
        embedded=users.pieces(),
        not_compared=ALONE_IN_WORDS,
    )
    yield from (piece.encode() for piece in page)


def render_receipt(data: Row, template: str = "receipt.html.j2") -> bytes:
    """The page of a receipt. Needs jinja2, of the extra ``cli``."""
    page, style = _receipt_page(template)
    text: str = page.render(**all_visible(dict(data)), style=style, style_hash=_hash(style))
    return text.encode()


@cache
def _receipt_page(name: str) -> tuple[Any, str]:
    """The template and its style; there may be thousands of receipts."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    templates = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_asset),
    )
    return templates.get_template(name), _asset("page.css") + _asset("receipt.css")


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
        _Counts("Findings", "finding", finding_ids),
        _Counts("Kinds", "kind", lambda user: [user["kind"]]),
        _Counts("Last activity", "activity", lambda user: [user["activity"]], activity),
        _Counts("Oldest active credential", "age", lambda user: [user["age"]], ages),
    )


def made_at(content: bytes) -> datetime | None:
    """When a report was made, by its page or JSON; None if it does not say it in its first lines."""
    found = _MADE.search(content[:_HEAD])
    return moment(found[1].decode()) if found else None


class _Charts:
    """Counts users, of which there may be 600,000, one by one."""

    def __init__(self) -> None:
        self._counts = _counts()
        self._severity: dict[str, str] = {}

    def add(self, user: Row) -> None:
        for each in self._counts:
            each.add(user)
        self._severity |= {finding["id"]: finding["severity"] for finding in user["findings"]}

    def charts(self) -> list[Chart]:
        return [each.chart(self._severity) for each in self._counts]
