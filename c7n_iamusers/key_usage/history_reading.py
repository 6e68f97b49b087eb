# SPDX-License-Identifier: Apache-2.0
"""How far CloudTrail's event history was read for a key, kept in a file so that a later run reads on. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from c7n_iamusers.key_usage.model import CallGroup, KeyUsage
from c7n_iamusers.key_usage.tally import Tally
from c7n_iamusers.text.documents import read_json
from c7n_iamusers.text.times import as_text, moment
from c7n_iamusers.text.wording import counted

#: What it is called in ``KeyUsage.source``, before its Region.
SOURCE = "CloudTrail's event history"
#: What such a file is, and its version.
_KIND, _VERSION = "event-history", 1
#: An account's id, a Region, and a key's id.
_Place = tuple[str, str, str]
_Kind = TypeVar("_Kind")
#: Of CallGroup.
_TEXTS = ("service", "event", "region", "address", "user_agent")


@dataclass(frozen=True)
class Reading:
    """What was read for ``key_id`` in ``region``, the newest events first.

    ``groups``, ``as_of``, ``since``: see KeyUsage. ``back_to``: the second (UTC) of the oldest event that was read;
    None if none was. ``ids``: of the events of that second. ``unclear``: events that can't be read. ``overfull``:
    there were more different calls than are kept. ``ended``: nothing is left to read. ``problem``: why a page could
    not be read, in words.
    """

    key_id: str
    region: str
    groups: tuple[CallGroup, ...] = ()
    as_of: datetime | None = None
    since: datetime | None = None
    back_to: datetime | None = None
    ids: tuple[str, ...] = ()
    unclear: int = 0
    overfull: bool = False
    ended: bool = False
    problem: str = ""

    @property
    def usage(self) -> KeyUsage:
        """What it says of the key."""
        unclear = f"{counted(self.unclear, 'event')} of it can't be read" if self.unclear else ""
        more = not self.ended or bool(self.unclear) or self.overfull
        source, more = f"{SOURCE} in {self.region}", more and self.as_of is not None
        why, back_to = self.problem or unclear, None if self.ended else self.back_to
        return KeyUsage(self.key_id, self.groups, source, self.as_of, self.since, more, why, back_to)

    def tally(self) -> Tally:
        """Its calls, to count others with them."""
        tally = Tally({self.key_id}, unclear=self.unclear)
        for group in self.groups:
            tally.add_group(self.key_id, group)
        return tally

    def with_calls(self, tally: Tally) -> Reading:
        """With the calls of ``tally``, which has those of this one too."""
        overfull = self.overfull or self.key_id in tally.overfull
        return replace(self, groups=tally.groups_of(self.key_id), unclear=tally.unclear, overfull=overfull)

    def with_events(self, events: Sequence[Mapping[str, Any]]) -> Reading:
        """Read back as far as ``events``, of LookupEvents, go."""
        seconds = {
            str(event["EventId"]): _second(event["EventTime"])
            for event in events
            if "EventId" in event and "EventTime" in event
        }
        if not seconds:
            return self
        oldest = min(seconds.values())
        ids = [name for name, second in seconds.items() if second == oldest]
        return replace(self, back_to=oldest, ids=(*(self.ids if self.back_to == oldest else ()), *ids))


def _second(time: datetime) -> datetime:
    """``time`` to the second, as a question has it; rounded up, so that no event of that second is left out."""
    found = moment(time)
    if found is None:
        raise ValueError(f"an event is of {time!r}")
    return found + timedelta(microseconds=-found.microsecond % 1_000_000)


def readings_as_json(readings: Mapping[_Place, Reading]) -> bytes:
    """A file of ``readings``: by account, Region and key."""
    found = [{"account": place[0], **_as_data(readings[place])} for place in sorted(readings)]
    return json.dumps({"kind": _KIND, "version": _VERSION, "readings": found}, indent=1).encode()


def _as_data(reading: Reading) -> dict[str, Any]:
    groups = [_with_texts(asdict(group)) for group in reading.groups]
    return {**_with_texts(asdict(replace(reading, groups=()))), "groups": groups}


def _with_texts(data: Mapping[str, Any]) -> dict[str, Any]:
    """With times as text. Why a call failed is not kept: the next run asks again."""
    found = {name: as_text(value) if isinstance(value, datetime) else value for name, value in data.items()}
    return {name: value for name, value in found.items() if name != "problem"}


def parse_readings(data: bytes) -> dict[_Place, Reading]:
    """What ``readings_as_json`` wrote. Raises ValueError, which says what is wrong, for anything else."""
    read = read_json(data)
    if not isinstance(read, dict) or read.get("kind") != _KIND:
        raise ValueError("it is no file of --resume: give a new name, or that of a former run")
    if read.get("version") != _VERSION:
        raise ValueError(f"it is of version {read.get('version')!r}, and this program reads {_VERSION}")
    found = [(_is(str, row["account"]), _reading(row)) for row in _is(list, read["readings"])]
    return {(account, each.region, each.key_id): each for account, each in found}


def _reading(row: Mapping[str, Any]) -> Reading:
    as_of, since, back_to = (_time(row[name]) for name in ("as_of", "since", "back_to"))
    return Reading(
        _is(str, row["key_id"]),
        _is(str, row["region"]),
        tuple(map(_group, _is(list, row["groups"]))),
        as_of,
        since,
        back_to,
        tuple(_is(str, each) for each in _is(list, row["ids"])),
        _is(int, row["unclear"]),
        _is(bool, row["overfull"]),
        _is(bool, row["ended"]),
    )


def _group(row: Mapping[str, Any]) -> CallGroup:
    first, last = (_time(row[name]) for name in ("first", "last"))
    if not first or not last:
        raise ValueError("it has calls without their time")
    members: dict[str, Any] = {name: _is(str, row[name]) for name in _TEXTS}
    members |= {name: _is(int, row[name]) for name in ("calls", "denied")}
    return CallGroup(**members, first=first, last=last)


def _is(kind: type[_Kind], value: Any) -> _Kind:
    if type(value) is not kind:
        raise ValueError(f"it has {value!r} where a {kind.__name__} belongs"[:300])
    return value


def _time(value: Any) -> datetime | None:
    found = moment(value)
    if value is not None and found is None:
        raise ValueError(f"it has {value!r} where a time belongs"[:300])
    return found
