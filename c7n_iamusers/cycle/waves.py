# SPDX-License-Identifier: Apache-2.0
"""Waves: which accounts take part in the cycle, by the records of earlier cycles' checks. Pure.

The first wave is open from the beginning. The next one opens when the checks of all open ones have been clean for so
many days, and stays open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.text.documents import NotInFormat, read_json
from c7n_iamusers.text.times import as_text, moment
from c7n_iamusers.text.validators import mapping, maybe, one_of, record, text
from c7n_iamusers.text.wording import visible

#: The tag of an account with the number of its wave.
TAG = "wave:"
_NUMBER = re.compile(r"[1-9][0-9]{0,3}|0", re.ASCII)
#: The longest time between two cycles whose checks count as one clean time: nobody looks at a check that did not run.
LONGEST_GAP = timedelta(days=4)
_SCHEMA = 1


def wave_of(tags: Iterable[str]) -> int | None:
    """The number in an account's tags; None if there is none. Raises ValueError for two, and for no number."""
    found = {each.removeprefix(TAG) for each in tags if each.startswith(TAG)}
    if not found:
        return None
    if len(found) > 1 or not _NUMBER.fullmatch(min(found)):
        raise ValueError(
            f"it has the tags {', '.join(f'{TAG}{each}' for each in sorted(found))}: give one, with a whole number"
        )
    return int(min(found))


def check_waves(waves: Mapping[str, int | None]) -> None:
    """Raises ValueError if some accounts (name -> wave) have a wave and others none: these would never take part."""
    without = sorted(name for name, wave in waves.items() if wave is None)
    if without and len(without) != len(waves):
        raise ValueError(
            f"{', '.join(without[:5])}{' and others' if len(without) > 5 else ''} have no tag {TAG}N, and others do: "
            "give each account a wave, or none"
        )


@dataclass(frozen=True)
class Record:
    """What a cycle leaves: where the next one goes on. ``began``, ``ended``: None while it runs, or if it was killed.

    ``opened``: wave -> when it opened. ``clean``: wave -> since when its checks are clean, if they are. ``checked``:
    when the last whole cycle ended. ``ran``: step -> account -> when it last ended well there, of the steps with a
    pause or that run once. ``blocked``: account -> why, of this cycle.
    """

    began: datetime
    ended: datetime | None = None
    opened: Mapping[int, datetime] = field(default_factory=dict)
    clean: Mapping[int, datetime] = field(default_factory=dict)
    checked: datetime | None = None
    ran: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    blocked: Mapping[str, str] = field(default_factory=dict)

    def closed(self, now: datetime) -> Record:
        """The record of a cycle that was no whole one, so that its checks say nothing of the waves."""
        return replace(self, ended=now)

    def as_json(self) -> bytes:
        """The content of its file."""
        data = {
            "schema": _SCHEMA,
            "began": as_text(self.began),
            "ended": as_text(self.ended),
            "opened": {str(wave): as_text(at) for wave, at in self.opened.items()},
            "clean": {str(wave): as_text(at) for wave, at in self.clean.items()},
            "checked": as_text(self.checked),
            "ran": {step: {each: as_text(at) for each, at in of.items()} for step, of in self.ran.items()},
            "blocked": {account: visible(why)[:_LONGEST_WHY] for account, why in self.blocked.items()},
        }
        return json.dumps(data, indent=1).encode() + b"\n"


#: Characters of a record of why an account is blocked.
_LONGEST_WHY = 1_000
_TIME, _SHORT = text(40), text(_LONGEST_WHY)
_WAVES = mapping(text(4, _NUMBER.pattern), _TIME)
_RECORD = record(
    {
        "schema": one_of(_SCHEMA),
        "began": _TIME,
        "ended": maybe(_TIME),
        "opened": _WAVES,
        "clean": _WAVES,
        "checked": maybe(_TIME),
        "ran": mapping(_SHORT, mapping(_SHORT, _TIME)),
        "blocked": mapping(_SHORT, _SHORT),
    }
)


def parse_record(content: bytes) -> Record:
    """The record in a file. Raises ValueError if a cycle can't have written it."""
    data = read_json(content)
    _RECORD(data, "it")
    return Record(
        _at(data["began"]),
        data["ended"] and _at(data["ended"]),
        {int(wave): _at(at) for wave, at in data["opened"].items()},
        {int(wave): _at(at) for wave, at in data["clean"].items()},
        data["checked"] and _at(data["checked"]),
        {step: {each: _at(at) for each, at in of.items()} for step, of in data["ran"].items()},
        data["blocked"],
    )


def _at(value: Any) -> datetime:
    found = moment(value)
    if found is None:
        raise NotInFormat(0, f"has the time {value!r}, which is none")
    return found


@dataclass(frozen=True)
class Waves:
    """``open``: those that take part. ``opens``: the next one, None if there is none. ``why``: why it does not yet."""

    open: tuple[int, ...]
    opens: int | None = None
    why: str = ""


def open_waves(known: Iterable[int], last: Record | None, now: datetime, clean_days: float) -> Waves:
    """Which of the ``known`` waves are open, by the ``last`` record; at most one more than then."""
    waves = sorted(set(known))
    opened = [wave for wave in waves if last and wave in last.opened] or waves[:1]
    # a wave that was put before an open one is open, too
    taken = tuple(wave for wave in waves if wave <= max(opened))
    rest = [wave for wave in waves if wave not in taken]
    if not rest:
        return Waves(taken)
    if why := _not_clean(taken, last, now, clean_days):
        return Waves(taken, rest[0], why)
    return Waves(
        (*taken, rest[0]), rest[1] if rest[1:] else None, f"wave {rest[0]} opened today" if rest[1:] else ""
    )


def _not_clean(taken: Sequence[int], last: Record | None, now: datetime, clean_days: float) -> str:
    if last is None or last.checked is None:
        return "no cycle has checked the open ones yet"
    if now - last.checked > LONGEST_GAP:
        return f"the open ones were checked last on {last.checked:%Y-%m-%d}"
    if unclean := [wave for wave in taken if wave not in last.clean]:
        return f"the last check of wave {', '.join(map(str, unclean))} was not clean"
    since = max(last.clean[wave] for wave in taken)
    if now < since + timedelta(days=clean_days):
        return f"the checks are clean since {since:%Y-%m-%d}, and must be for {clean_days:g} days"
    return ""


def begun(waves: Waves, last: Record | None, now: datetime) -> Record:
    """The record of a cycle that begins ``now``, with what the ``last`` one knew."""
    opened = {wave: (last.opened.get(wave, now) if last else now) for wave in waves.open}
    if last is None:
        return Record(now, opened=opened)
    return Record(now, None, opened, last.clean, last.checked, last.ran)


def ended(
    record: Record, waves: Mapping[str, int | None], blocked: Mapping[str, str], now: datetime
) -> Record:
    """``record`` after a whole cycle. ``waves``: account -> its wave. ``blocked``: account -> why; empty for all."""
    unclean = set(record.opened) if "" in blocked else {waves.get(each) for each in blocked}
    gap = record.checked is None or record.began - record.checked > LONGEST_GAP
    since = {} if gap else record.clean
    clean = {wave: since.get(wave, now) for wave in record.opened if wave not in unclean}
    return replace(record, ended=now, clean=clean, checked=now, blocked=dict(blocked))


def ran(record: Record, step: str, accounts: Iterable[str], now: datetime) -> Record:
    """``record`` with a step that ended well in these ``accounts``."""
    of_step = {**record.ran.get(step, {}), **dict.fromkeys(accounts, now)}
    return replace(record, ran={**record.ran, step: of_step})
