# SPDX-License-Identifier: Apache-2.0
"""Values as text: short lists, text from outside made safe to print, cells of CSV."""

from __future__ import annotations

import logging
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

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


def counted(number: int, noun: str) -> str:
    """``1 account``, ``2 accounts``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
    """A logger whose every message is one visible line: no name in it can forge a line, or move the cursor."""

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
    """``text`` as a cell of CSV that no spreadsheet evaluates, whatever its separator is."""
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
