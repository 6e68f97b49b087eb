# SPDX-License-Identifier: Apache-2.0
"""Counts the calls in files: CloudTrail's log files, or what the query of ``athena_query.py`` returned. Pure.

A file is read piece by piece, whatever its size: what is kept is a tally within its bounds. Formats: "CloudTrail log
file examples" (``{"Records": [...]}``), several of them put together, or events one after another; of Athena its CSV
("Work with query results"), a list of objects, or what ``aws athena get-query-results`` prints. Each may be packed by
gzip.
"""

from __future__ import annotations

import csv
import re
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from c7n_iamusers.key_usage.model import CallGroup
from c7n_iamusers.key_usage.tally import Tally, time_of
from c7n_iamusers.text.documents import Lines, NotInFormat, next_json, skip

#: The columns of the query's result, in its order.
COLUMNS = (
    *("key_id", "service", "event", "region", "address", "user_agent"),
    *("calls", "denied", "first_call", "last_call"),
)
#: Characters of one event. CloudTrail's are up to 256 KB ("CloudTrail record contents"), 1 MB of EventBridge's.
_LONGEST_EVENT = 4 * 1024 * 1024
_TOO_LONG = f"has no value of JSON in {_LONGEST_EVENT} characters; a large result of the query is read as CSV"
#: Bytes that are unpacked at once.
_PIECE = 1 << 20
_GZIP, _MARK = 31, b"\x1f\x8b"
#: Before the events of a log file, and before the rows of a list.
_BEGINS = re.compile(r'(?:\{\s*"Records"\s*:\s*)?\[')
#: A number of calls.
_NUMBER = re.compile(r"[0-9]{1,18}")
#: What stands between events.
_BETWEEN = " \t\r\n,"
#: Characters that are looked at for the beginning, and faults that are told of a file.
_BEGINNING, _MOST_FAULTS = 1_000, 3
#: A file of hashes, which has no events ("CloudTrail digest file structure").
_DIGEST = "digestStartTime"


@dataclass
class Faults:
    """What of a file could not be read. ``number``: of faults; ``first``: the first of them, in words."""

    number: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        """One more."""
        self.number += 1
        if len(self.first) < _MOST_FAULTS:
            self.first.append(fault[:300])

    def __str__(self) -> str:
        more = self.number - len(self.first)
        return "; ".join([*self.first, *([f"{more} more like these"] if more > 0 else [])])


def count_events(pieces: Iterable[bytes], tally: Tally) -> Faults:
    """Count what a file has in ``tally``. ``pieces``: of the file. Returns what could not be read of it.

    What can be read is counted, whatever else the file has. Raises what ``pieces`` raises.
    """
    faults, unclear = Faults(), tally.unclear
    try:
        text = _decoded(_unpacked(iter(pieces)))
        first = next((piece for piece in text if piece.strip()), "")
        whole = _joined(chain((first,), text))
        if first.lstrip()[:1] in ("{", "["):
            _count_json(whole, tally, faults)
        elif first:
            _count_csv(whole, tally, faults)
        else:
            faults.add("it is empty, as no log file and no result is")
    except NotInFormat as error:
        faults.add(str(error))
    if tally.unclear > unclear:
        faults.add(f"{tally.unclear - unclear} events do not say whose call it was, or when")
    return faults


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, unpacked where the file is gzip. Raises NotInFormat."""
    first = next(pieces, b"")
    while len(first) < len(_MARK) and (more := next(pieces, b"")):
        first += more
    if not first.startswith(_MARK):
        yield from chain((first,), pieces)
        return
    reader = zlib.decompressobj(_GZIP)
    for packed in chain((first,), pieces):
        rest, piece = packed, b""
        while rest or len(piece) == _PIECE:
            try:
                piece = reader.decompress(rest, _PIECE)
            except zlib.error as error:
                raise NotInFormat(0, f"is damaged gzip: {error}") from error
            yield piece
            rest = reader.unconsumed_tail
            if reader.eof and (rest := reader.unused_data):  # another member
                reader = zlib.decompressobj(_GZIP)
    if not reader.eof:
        raise NotInFormat(0, "is damaged gzip: it was cut off")


def _decoded(pieces: Iterator[bytes]) -> Iterator[str]:
    decoder = getincrementaldecoder("utf-8-sig")()
    try:
        for piece in pieces:
            yield decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise NotInFormat(0, "is not UTF-8") from error


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    """Pieces of some length: what begins in one is read again with the next, and gzip may be of many tiny members."""
    held, size = list[str](), 0
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= _PIECE:
                yield "".join(held)
                held, size = [], 0
    except Exception:  # what was read before is counted all the same
        yield "".join(held)
        raise
    yield "".join(held)


def _count_json(text: Iterator[str], tally: Tally, faults: Faults) -> None:
    for number, value in enumerate(_Values(text).each(faults), 1):
        if isinstance(value, Mapping):
            _count_value(value, f"entry {number}", tally, faults)
        else:
            faults.add(f"entry {number} is no event and no row")


def _count_value(value: Mapping[str, Any], where: str, tally: Tally, faults: Faults) -> None:
    result, records = value.get("ResultSet"), value.get("Records")
    if isinstance(result, Mapping):
        _count_result(result.get("Rows"), tally, faults)
        if value.get("NextToken"):
            faults.add("it has NextToken, so the result has more rows: get all of them, or give the CSV")
    elif COLUMNS[0] in value:
        _count_row(value, where, tally, faults)
    elif isinstance(records, list):  # log files that were put together
        for record in records:
            tally.add(record)
    elif _DIGEST not in value:
        tally.add(value)


class _Values:
    """The values of JSON in ``text``, without holding more of it than one value."""

    def __init__(self, text: Iterator[str]) -> None:
        self._text, self._held, self._at, self._lines = text, "", 0, 0

    def each(self, faults: Faults) -> Iterator[Any]:
        """Events or rows, one after another. After one that can't be read, none is found any more."""
        number, begins = 0, None
        while self._next():
            if begins and self._held[self._at] == "]":
                self._close(begins[0])
                begins = None
            elif not begins and (begins := self._begins()):
                self._at = begins.end()
            else:
                try:
                    value = self._value()
                except NotInFormat as error:
                    faults.add(f"line {self._lines + error.line}, after entry {number}: {error.why}")
                    return
                number += 1
                yield value
        if begins:
            faults.add(f"after entry {number}: is cut off")

    def _begins(self) -> re.Match[str] | None:
        """The beginning of a log file, or of a list."""
        while len(self._held) - self._at < _BEGINNING and self._grow():
            pass
        return _BEGINS.match(self._held, self._at)

    def _close(self, begins: str) -> None:
        """Go behind the end of what began so."""
        self._at += 1
        if begins.startswith("{") and self._next() and self._held[self._at] == "}":
            self._at += 1

    def _value(self) -> Any:
        """The next value. Raises NotInFormat."""
        while True:
            try:
                value, self._at = next_json(self._held, self._at, Lines(self._held))
            except NotInFormat as error:
                if len(self._held) - self._at > _LONGEST_EVENT:
                    raise NotInFormat(error.line, f"{_TOO_LONG} ({error.why})") from error
                if not self._grow():
                    raise
            else:
                return value

    def _next(self) -> bool:
        """Go to the next value; whether there is one."""
        self._at = skip(self._held, self._at, _BETWEEN)
        while self._at == len(self._held) and self._grow():
            self._at = skip(self._held, self._at, _BETWEEN)
        return self._at < len(self._held)

    def _grow(self) -> bool:
        """Hold more of the text; whether there is more."""
        piece = next(filter(None, self._text), "")
        if not piece:
            return False
        self._lines += self._held.count("\n", 0, self._at)
        self._held, self._at = self._held[self._at :] + piece, 0
        return True


def _count_result(rows: Any, tally: Tally, faults: Faults) -> None:
    """The rows of ``aws athena get-query-results``: the first has the names of the columns."""
    cells = [
        [str(cell.get("VarCharValue", "")) for cell in _objects(row.get("Data"))] for row in _objects(rows)
    ]
    if _has_columns(cells[0] if cells else [], faults):
        for number, row in enumerate(cells[1:], 2):
            _count_row(dict(zip(cells[0], row, strict=False)), f"row {number}", tally, faults)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _count_csv(text: Iterator[str], tally: Tally, faults: Faults) -> None:
    reader = csv.reader(_lines(text))
    names = next(_rows(reader, faults), [])
    if not _has_columns(names, faults):
        return
    for cells in _rows(reader, faults):
        if cells:
            row = dict(zip(names, cells, strict=False)) if len(cells) == len(names) else {}
            _count_row(row, f"line {reader.line_num}", tally, faults)


def _rows(reader: Any, faults: Faults) -> Iterator[list[str]]:
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            faults.add(f"line {reader.line_num}: {error}")
            continue
        if cells is None:
            return
        yield cells


def _lines(text: Iterator[str]) -> Iterator[str]:
    """The lines of a text, each with its end. One that is longer than an event may be is in several parts."""
    held = ""
    for piece in text:
        *whole, held = (held + piece).split("\n")
        yield from (f"{line}\n" for line in whole)
        if len(held) > _LONGEST_EVENT:
            yield held
            held = ""
    if held:
        yield held


def _has_columns(names: list[str], faults: Faults) -> bool:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        faults.add(
            f"it lacks the columns {', '.join(missing)}: read the result of the query that "
            "c7n-iamusers usage --athena-query prints, or CloudTrail's log files"
        )
    return not missing


def _number(value: Any) -> int:
    """Raises ValueError for anything but a whole number."""
    if not _NUMBER.fullmatch(str(value)):
        raise ValueError(value)
    return int(value)


def _count_row(row: Mapping[str, Any], where: str, tally: Tally, faults: Faults) -> None:
    """Count one row of the query's result."""
    try:
        calls, denied = _number(row["calls"]), _number(row["denied"])
        first, last = time_of(str(row["first_call"])), time_of(str(row["last_call"]))
        if not row["key_id"] or first is None or last is None or not 0 <= denied <= calls or not calls:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        faults.add(f"{where} is no row of the query's result")
        return
    service, event, region, address, agent = (str(row.get(name) or "")[:1_000] for name in COLUMNS[1:6])
    group = CallGroup(service, event, region, address, agent, calls, denied, first, last)
    tally.add_group(str(row["key_id"]), group)
