# SPDX-License-Identifier: Apache-2.0
"""Values as text: short lists, text from outside made safe to print, times in UTC, e-mail addresses, large JSON."""

from __future__ import annotations

import json
import logging
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

from dateutil.parser import isoparse

_FOLDED = str.maketrans(ascii_uppercase, ascii_lowercase)
_SHOWN = 3
_NOT_PLAIN = re.compile(r"[^ -~]")
#: Printable according to str.isprintable, but without a glyph: fillers, joiners, variation selectors.
_NO_GLYPH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def folded(text: str) -> str:
    """``text`` with A to Z in lower case and all other characters unchanged.

    ``str.casefold`` would make ``groß`` and ``gross`` equal, which are different domains with different owners.
    """
    found = text.translate(_FOLDED)
    # Usually equal. Returning the same object saves memory for 80,000 people.
    return text if found == text else found


def shown(texts: Sequence[str], limit: int = _SHOWN, comma: str = ", ") -> str:
    """The first ``limit`` of ``texts``, separated by ``comma``, and how many more there are."""
    more = len(texts) - limit
    return comma.join(texts[:limit]) + (f" and {more} more" if more > 0 else "")


def has_glyphs(text: str) -> bool:
    """Whether each character of ``text`` shows: none is a control, a zero-width or a filling character."""
    return not _NO_GLYPH.search(text) and not any(unicodedata.category(each)[0] == "C" for each in text)


#: Faults of one file in a message.
_MOST_FAULTS = 100


def joined(faults: Sequence[str]) -> str:
    """The first of ``faults``, each a part of a sentence, and how many more there are."""
    return shown(faults, _MOST_FAULTS, "; ")


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict, self.maxset = 3, 20, 20, 20, 20
        self.maxstring = self.maxother = 600

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write a number of thousands of digits
        return repr(x) if x.bit_length() < 256 else f"a number of {x.bit_length()} bits"


_SHORT = _Short()
_LONG = 1_000


def quoted(value: Any) -> str:
    """``value`` as Python writes it, for messages: cut off where it is long, is nested deeply or holds itself."""
    text = _SHORT.repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def visible(text: str) -> str:
    """``text`` with control characters and invisible characters escaped as JSON's ``\\uXXXX``.

    Escaped are C0, DEL and C1 controls, direction marks, zero-width characters, separators other than a space, and
    surrogates. Printed as they are, they could move the cursor or reverse the text, and so hide other output.
    """
    return _NOT_PLAIN.sub(_escaped, text)


def all_visible(value: Any) -> Any:
    """``value`` with every text in it made visible, keys too. Mappings become dicts; lists, tuples, iterators lists."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {all_visible(key): all_visible(each) for key, each in value.items()}
    return [all_visible(each) for each in value] if isinstance(value, list | tuple | Iterator) else value


if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class VisibleLog(_Adapter):
    """A logger whose every message is one visible line: nobody's name can forge a line, or move the cursor."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log ``msg % args``, made visible."""
        if self.isEnabledFor(level):
            self.logger.log(level, "%s", visible(str(msg) % args if args else str(msg)), **kwargs)


def visible_log(name: str) -> VisibleLog:
    """The logger ``name``, made visible."""
    return VisibleLog(logging.getLogger(name))


#: A spreadsheet evaluates a cell that begins with one of these characters, also as their full-width forms. Names in IAM
#: and tags can begin with them. Where it separates by semicolons or tabs, a part of a cell is a cell of its own, and
#: quotation marks around the whole don't help.
_FORMULA = re.compile('(^|[;\t\r\n])(?=[ "\xa0\u3000]*[=+@\uff1d\uff0b\uff0d\uff20-])|^(?=[\t\r])')


def cell(text: str) -> str:
    """``text`` as a cell of CSV that no spreadsheet evaluates, by whatever it separates cells."""
    return _FORMULA.sub(r"\1'", text)


def escaping(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say`` for lines with names from outside: they are made visible first."""
    return lambda line: say(visible(line))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable() and not _NO_GLYPH.match(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


#: Days are added to times and taken from them, and a datetime has the years 1 to 9999. AWS began after FIRST_YEAR.
FIRST_YEAR, LAST_YEAR = 2000, 8999


def moment(value: Any) -> datetime | None:
    """``value`` (a datetime or ISO 8601 text, UTC if it has no zone) as a datetime in UTC; None for anything else.

    Also for a time before FIRST_YEAR or after LAST_YEAR, which nobody writes who does not want to break something.
    """
    if isinstance(value, str):
        try:
            value = isoparse(value.strip())
        except (ValueError, OverflowError):
            return None
    if not isinstance(value, datetime) or not FIRST_YEAR <= value.year <= LAST_YEAR:
        return None
    return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)


def as_text(value: datetime | None) -> str | None:
    """``value`` in ISO 8601 to the second, such as 2026-01-31T12:00:00+00:00; None for None."""
    return value.isoformat(timespec="seconds") if value else None


#: RFC 5321 4.5.3.1: a path of 256 octets includes its angle brackets.
LONGEST = 254
_ATOM = r"[^@\s.,:;<>()\[\]{}\\\"\x00-\x1f\x7f-\x9f]+"
_LABEL = r"[^\W_](?:(?:[^\W_]|-)*[^\W_])?"
#: A dot-atom and a domain of several labels (RFC 5322, RFC 1123), in letters of any script (RFC 6531). The last label
#: begins with a letter. Braces make a variable.
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[^\W\d_].){_LABEL}")


def is_address(text: object, *, international: bool = False) -> bool:
    """Whether ``text`` is one e-mail address.

    ``international``: also one with other letters than those of ASCII. c7n-mailer can't send to such an address.
    """
    if not isinstance(text, str) or len(text) > LONGEST or not (international or text.isascii()):
        return False
    return bool(_ADDRESS.fullmatch(text))


def foreign_domain(address: str, domains: Iterable[str]) -> str:
    """The domain of ``address`` if it is none of ``domains``; empty if it is one, or if there are no ``domains``."""
    allowed, domain = {folded(each) for each in domains}, folded(address.rpartition("@")[2])
    return domain if allowed and domain not in allowed else ""


def json_pieces(data: Mapping[str, Any], sort_keys: bool = False) -> Iterator[bytes]:
    """The text of ``json.dumps(data, indent=1, default=str)`` in pieces: one for each element of a list or iterator."""
    if not data:
        yield b"{}"
        return
    for number, name in enumerate(sorted(data) if sort_keys else data):
        yield f"{',' if number else '{'}\n {json.dumps(name)}: ".encode()
        if isinstance(data[name], (list, Iterator)):
            yield from _rows(data[name], sort_keys)
        else:
            yield _indented(data[name], 1, sort_keys)
    yield b"\n}"


def _rows(rows: Iterable[Any], sort_keys: bool) -> Iterator[bytes]:
    before, after = b"[", b"[]"
    for row in rows:
        yield before + b"\n  " + _indented(row, 2, sort_keys)
        before, after = b",", b"\n ]"
    yield after


def _indented(value: Any, by: int, sort_keys: bool) -> bytes:
    text = json.dumps(value, indent=1, default=str, sort_keys=sort_keys)
    return text.replace("\n", "\n" + " " * by).encode()
