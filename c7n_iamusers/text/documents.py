# SPDX-License-Identifier: Apache-2.0
"""Text and JSON from files that others may have written, within bounds and in linear time. Pure.

Refuses what programs read in different ways: a key that is given twice, NaN, half a character. Every refusal is a
NotInFormat, which names the line and the bound; the caller names the file.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

#: Bytes of a file of a run, uncompressed: several times what the largest account needs.
LARGEST = 512 * 1024 * 1024
#: Bytes of packed data, uncompressed: so many, or so many times the packed bytes, whichever is more. JSON, CSV and logs
#: of runs grow 10 to 60 times, those of users from one template 120 times; a file that is made to fill the memory grows
#: 1,000 times.
LARGEST_PACKED, MOST_TIMES = 64 * 1024 * 1024, 300
#: Bytes of a file, URL or object that a person names, uncompressed.
LARGEST_GIVEN = 128 * 1024 * 1024
#: Objects and lists within each other.
DEEPEST = 64
#: Values, with each alias and merge of YAML counted as what it stands for.
MOST_VALUES = 1_000_000
#: Brackets, commas and colons of JSON in a file of a run, a brace counted as two: each stands for about 60 bytes in
#: memory. 5,000 users, 1,500 policies with 5 versions and 1,000 roles, all as large as the default quotas allow ("IAM
#: and AWS STS quotas", IAM User Guide), have about 7 million. A line of a journal has 30.
MOST_JSON = 12_000_000
#: The same in what a person names. 600,000 rows of 6 columns have 8 million.
MOST_JSON_GIVEN = 9_000_000
#: Bytes of a snapshot, a notice, or who was exempt, and brackets, commas and colons there. A snapshot of a user with 20
#: policies of 6,144 characters, and 10 groups with as many, has 1.7 MB. A notice to 5,000 users, the quota of an
#: account, whose paths are 510 characters that JSON writes as six each, has 17 MB and 50,000 commas and colons; who was
#: exempt of them, 29.
LARGEST_RECORD, MOST_OF_RECORD = 32 * 1024 * 1024, 500_000
#: Bytes of a line of a journal. One with an inline policy of Identity Center has 40 KB (32,768 characters, escaped).
LONGEST_LINE = 1024 * 1024
#: Bytes of a lock, which names its holder and an output.
LARGEST_LOCK = 64 * 1024
#: Characters of a number.
LONGEST_NUMBER = 40

#: Byte order marks. UTF-32 comes before UTF-16, whose mark is a prefix of it.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAVE_AS = "save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
TOO_DEEP = f"is nested too deeply: at most {DEEPEST} lists and objects may be within each other"
NO_MEMORY = "needs more memory than this process may use: find out what it is, or run where there is more"
_GZIP_MARK = b"\x1f\x8b"
_PIECE = 1024 * 1024
#: zlib's ``wbits`` for gzip.
_GZIP = 31


class NotInFormat(ValueError):
    """The text is not in its format, or beyond a bound. ``line``: where, counted from 1; 0 where that is not known.

    ``why``: what is wrong, without its place.
    """

    def __init__(self, line: int, text: str, column: int = 0) -> None:
        place = f"line {line}, column {column}: " if column else f"line {line}: " if line else ""
        super().__init__(place + text)
        self.line, self.why = line, text


def unpacked(data: bytes, largest: int = LARGEST_GIVEN) -> bytes:
    """``data``, uncompressed where it is gzip. Raises NotInFormat, also if it has more than ``largest`` bytes."""
    return inflated(data, largest, _GZIP) if data.startswith(_GZIP_MARK) else data


def inflated(data: bytes, largest: int, wbits: int = zlib.MAX_WBITS) -> bytes:
    """Compressed ``data`` unpacked. ``wbits``: of zlib; its own format by default. Raises NotInFormat as above."""
    try:
        return b"".join(_pieces(data, largest, wbits))
    except MemoryError:
        raise NotInFormat(0, NO_MEMORY) from None


def pieces(data: bytes, largest: int) -> Iterator[bytes]:
    """``data``, uncompressed where it is gzip, piece by piece, so that it is never whole in memory.

    Raises NotInFormat as ``unpacked``, after the pieces within ``largest``.
    """
    return _pieces(data, largest, _GZIP) if data.startswith(_GZIP_MARK) else iter((data,))


def _pieces(data: bytes, largest: int, wbits: int) -> Iterator[bytes]:
    what, reader = "gzip" if wbits == _GZIP else "zlib", zlib.decompressobj(wbits)
    bound = min(largest, max(LARGEST_PACKED, MOST_TIMES * len(data)))
    left, rest = bound, data
    while not reader.eof:
        most = min(left + 1, _PIECE)
        try:
            piece = reader.decompress(rest, most)
        except zlib.error as error:
            raise NotInFormat(0, f"is not {what}: {error}") from error
        left, rest = left - len(piece), reader.unconsumed_tail
        if left < 0:
            raise NotInFormat(0, f"is not read: it has more than {bound} bytes when it is unpacked")
        yield piece
        if not rest and len(piece) < most:
            break
    if not reader.eof or reader.unused_data:
        raise NotInFormat(
            0, f"is damaged {what}: it was cut off" if not reader.eof else f"has more after its {what}"
        )


def decoded(data: bytes) -> str:
    """The text in ``data``: UTF-8, or the encoding of its byte order mark. Raises NotInFormat for any other."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding and b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise NotInFormat(line, f"has a NUL, so it is probably UTF-16 without a byte order mark: {_SAVE_AS}")
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        # Don't guess Windows-1252: it decodes nearly every byte, so a wrong guess would go unnoticed.
        problem = f"is damaged {encoding}" if encoding else "is not UTF-8, probably Windows-1252 (cp1252)"
        raise NotInFormat(line, f"{problem}: {_SAVE_AS}") from error
    except MemoryError:
        raise NotInFormat(0, NO_MEMORY) from None


def as_text(data: str | bytes) -> str:
    """``data`` as text, without a byte order mark. Raises NotInFormat."""
    return decoded(data) if isinstance(data, bytes) else data.lstrip("\ufeff")


class _Refused(ValueError):
    """What one of the decoder's hooks refuses."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set[str]()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"duplicate key {twice[:80]!r} in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _Refused(f"has a number of more than {LONGEST_NUMBER} characters")
    return int(text)


def _float(text: str) -> float:
    found = float(text) if len(text) <= LONGEST_NUMBER else float("nan")
    if not isfinite(found):
        raise _Refused(f"has a number that is too large, or has more than {LONGEST_NUMBER} characters")
    return found


def _constant(text: str) -> Any:
    raise _Refused(f"has {text}, which is no number in JSON")


def _decoder(hook: Callable[[dict[str, Any]], Any] | None = None) -> json.JSONDecoder:
    pairs: Callable[[list[tuple[str, Any]]], Any] = _without_duplicates
    if hook is not None:
        pairs = lambda found: hook(_without_duplicates(found))  # noqa: E731  # a def would need a name of its own
    return json.JSONDecoder(
        object_pairs_hook=pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant
    )


_DECODER = _decoder()
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(
    data: str | bytes, hook: Callable[[dict[str, Any]], Any] | None = None, most: int = MOST_JSON_GIVEN
) -> Any:
    """The value in JSON. ``hook``: makes the result of each object. ``most``: see check_json. Raises NotInFormat."""
    text = as_text(data)
    check_json(text, most)
    decoder = _decoder(hook) if hook else _DECODER
    value, at = _next_value(decoder, text, skip(text, 0), Lines(text))
    if (end := skip(text, at)) != len(text):
        raise NotInFormat(text.count("\n", 0, end) + 1, "has more after its JSON")
    return value


def check_json(text: str | bytes, most: int = MOST_JSON_GIVEN) -> None:
    """Raises NotInFormat if JSON may have more values than fit into memory, before it is decoded.

    Brackets, commas and colons are counted outside of texts: names and paths, which people choose, may be full of them.
    """
    if len(text) > most // 2 and _weight(text) > most and _outside_texts(text, most) > most:
        raise _too_many(most)


def check_json_lines(content: bytes, most: int = MOST_JSON) -> None:
    """The same for JSON values, one a line. A string ends with its line, so an unclosed one hides nothing in the
    next."""
    if len(content) <= most // 2 or _weight(content) <= most:
        return
    found = 0
    for line in io.BytesIO(content):
        found += _outside_texts(line, most)
        if found > most:
            raise _too_many(most)


def most_json_of(packed: bytes) -> int:
    """``most`` for a run's file as it is stored, gzip or not: packed data may not take much more memory."""
    return min(MOST_JSON, max(_MOST_JSON_PACKED, _MOST_JSON_TIMES * len(packed)))


#: Users from one template have 4 for each packed byte.
_MOST_JSON_PACKED, _MOST_JSON_TIMES = 1_000_000, 20


def _too_many(most: int) -> NotInFormat:
    return NotInFormat(
        0,
        f"has more than {most} brackets, commas and colons: find out what it is, and split it if it is right",
    )


def _outside_texts(text: str | bytes, most: int) -> int:
    """How many there are; counting ends beyond ``most``."""
    found, in_text = 0, False
    for block in _blocks(text):
        without_escapes = block.replace(r"\\", "").replace(r"\"", "")
        parts = without_escapes.split('"')
        found += _weight("".join(parts[in_text::2]))
        in_text ^= len(parts) % 2 == 0
        if found > most:
            break
    return found


#: Characters that are searched together. What Python makes of a block takes up to 60 times its size.
_BLOCK = 1 << 16


def _blocks(text: str | bytes) -> Iterator[str]:
    """``text`` in blocks, none of which ends within an escape. Of bytes each is a character."""
    at = 0
    while at < len(text):
        end = at + _BLOCK
        while text[end - 1 : end] in ("\\", b"\\"):
            end += 1
        block = text[at:end]
        yield block if isinstance(block, str) else block.decode("latin-1")
        at = end


def _weight(text: str | bytes) -> int:
    if isinstance(text, str):
        return text.count(",") + text.count("[") + text.count(":") + 2 * text.count("{")
    return text.count(b",") + text.count(b"[") + text.count(b":") + 2 * text.count(b"{")


def json_values(text: str) -> Iterator[Any]:
    """Consecutive values of JSON, such as pages that were appended to a file. Raises NotInFormat."""
    check_json(text, MOST_JSON)
    at, lines = skip(text, 0, _BETWEEN), Lines(text)
    while at < len(text):
        value, at = _next_value(_DECODER, text, at, lines)
        yield value
        at = skip(text, at, _BETWEEN)


def next_json(text: str, at: int, lines: Lines) -> tuple[Any, int]:
    """The value of JSON at ``at``, and where it ends. Raises NotInFormat."""
    return _next_value(_DECODER, text, at, lines)


def _next_value(decoder: json.JSONDecoder, text: str, at: int, lines: Lines) -> tuple[Any, int]:
    try:
        value, end = decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise NotInFormat(error.lineno, error.msg, error.colno) from error
    except _Refused as error:
        raise NotInFormat(lines.at(at), str(error)) from error
    except RecursionError as error:
        raise NotInFormat(lines.at(at), TOO_DEEP) from error
    except MemoryError:
        raise NotInFormat(lines.at(at), NO_MEMORY) from None
    _check_depth(value, at, lines)
    if _HALF.search(text, at, end):
        _check_characters(value, at, lines)
    return value, end


class Lines:
    """The lines of places in ``text`` that are asked for in ascending order, in linear time."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._line = text, 0, 1

    def at(self, place: int) -> int:
        """The line of ``place``, counted from 1."""
        self._line += self._text.count("\n", self._at, place)
        self._at = max(self._at, place)
        return self._line


#: What stands between values of JSON.
_SPACE = " \t\r\n"
#: Pages that were put together by hand may have commas too.
_BETWEEN = _SPACE + ","


def skip(text: str, at: int, space: str = _SPACE) -> int:
    """The place of the first character from ``at`` on that is not in ``space``."""
    while at < len(text) and text[at] in space:
        at += 1
    return at


def _below(value: Any) -> Iterable[Any]:
    """The members of a list or mapping; nothing for any other value."""
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _check_depth(value: Any, at: int, lines: Lines) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        level = [each for nested in level for each in _below(nested) if isinstance(each, dict | list)]
        if not level:
            return
    raise NotInFormat(lines.at(at), TOO_DEEP)


def _check_characters(value: Any, at: int, lines: Lines) -> None:
    """JSON can escape half a character, which no encoding can write."""
    left = [value]
    while left:
        each = left.pop()
        left += each.keys() if isinstance(each, dict) else ()
        left += _below(each)
        if isinstance(each, str) and not each.isascii() and _SURROGATE.search(each):
            raise NotInFormat(lines.at(at), "has half a character (a surrogate)")


_SURROGATE = re.compile("[\ud800-\udfff]")


def check_values(value: Any, below: Callable[[Any], Iterable[Any]] = _below) -> None:
    """Raises NotInFormat if ``value`` holds itself, is nested too deeply, or has too many values.

    Values that several places share, as aliases of YAML do, count at each. ``below``: the values in a value.
    """
    _Weighing(below).weighed(value, 0)


class _Weighing:
    """Counts the values in a value, each one that is shared only once."""

    def __init__(self, below: Callable[[Any], Iterable[Any]]) -> None:
        self._below = below
        #: id of a value -> how many values are in it, and how deep they are; None while these are counted
        self._known: dict[int, tuple[int, int] | None] = {}

    def weighed(self, value: Any, depth: int) -> tuple[int, int]:
        members = self._below(value)
        if not members:
            return 1, 0
        found = self._known[id(value)] if id(value) in self._known else self._counted(value, members, depth)
        if found is None:
            raise NotInFormat(0, "has an alias within its own anchor, so it never ends")
        if depth + found[1] > DEEPEST:
            raise NotInFormat(0, TOO_DEEP)
        return found

    def _counted(self, value: Any, members: Iterable[Any], depth: int) -> tuple[int, int]:
        if depth > DEEPEST:
            raise NotInFormat(0, TOO_DEEP)
        self._known[id(value)] = None
        count, height = 1, 0
        for member in members:
            inner, below = self.weighed(member, depth + 1)
            count, height = count + inner, max(height, below)
        if count > MOST_VALUES:
            raise NotInFormat(0, f"has more than {MOST_VALUES} values, those of aliases and merges counted")
        self._known[id(value)] = count, height + 1
        return count, height + 1
