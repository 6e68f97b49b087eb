# SPDX-License-Identifier: Apache-2.0
"""Lists in sentences, and texts of others in ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from string import ascii_lowercase, ascii_uppercase

_FOLDED = str.maketrans(ascii_uppercase, ascii_lowercase)


def folded(text: str) -> str:
    """``text`` with A to Z in lower case and everything else as it is.

    ``str.casefold`` makes ``groß`` and ``gross`` the same, which are two domains, of two owners.
    """
    found = text.translate(_FOLDED)
    # Mostly the same: one object then, of 80,000 people.
    return text if found == text else found


_SHOWN = 3
_NOT_PLAIN = re.compile(r"[^ -~]")
#: Printable by Python's count and yet without a glyph: fillers, joiners, variation selectors.
_NO_GLYPH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def shown(texts: Sequence[str], limit: int = _SHOWN) -> str:
    """The first few of ``texts``, and how many more there are."""
    more = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {more} more" if more > 0 else "")


def visible(text: str) -> str:
    """``text`` with what a terminal obeys or doesn't show as JSON's ``\\uXXXX``, which a reader can see.

    That is: controls (C0, DEL, C1), marks of direction, characters of no width, separators other than a space,
    surrogates. A text that could move the cursor, or turn the writing round, hides what stands near it.
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
