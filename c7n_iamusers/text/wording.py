# SPDX-License-Identifier: Apache-2.0
"""Wording of messages: short lists, text from outside made safe to print, case-insensitive comparison."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from string import ascii_lowercase, ascii_uppercase

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


def shown(texts: Sequence[str], limit: int = _SHOWN) -> str:
    """The first ``limit`` of ``texts``, comma-separated, and how many more there are."""
    more = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {more} more" if more > 0 else "")


def visible(text: str) -> str:
    """``text`` with control characters and invisible characters escaped as JSON's ``\\uXXXX``.

    Escaped are C0, DEL and C1 controls, direction marks, zero-width characters, separators other than a space, and
    surrogates. Printed as they are, they could move the cursor or reverse the text, and so hide other output.
    """
    return _NOT_PLAIN.sub(_escaped, text)


#: A spreadsheet takes a cell that begins so for a formula; IAM's names and anybody's tags may.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """``text`` as a cell of CSV that no spreadsheet evaluates."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def escaping(say: Callable[[str], None]) -> Callable[[str], None]:
    """``say``, for lines that name what others have named."""
    return lambda line: say(visible(line))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable() and not _NO_GLYPH.match(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
