# SPDX-License-Identifier: Apache-2.0
"""Usernames and e-mail addresses that Unicode writes in several ways, or that look alike. Pure.

No page of AWS says whether Identity Center compares Unicode forms, so ``é`` as one character and as two could be one
user or two. A text in another form than NFKC is a fault, and two texts that differ only in case or look are a clash.
Looks are those of UTS #39 (Unicode Security Mechanisms, "Confusable Detection") for letters that Cyrillic and Greek
share with Latin. More letters are alike here than there, because a clash only asks for a person's decision.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from c7n_iamusers.text.wording import has_glyphs

#: Letters that look like Latin ones, in pairs: first by their capital, then by their small form.
_CAPITALS = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧЅІЈАВЕКМНОРСТУХҺ", "ABEZHIKMNOPTYXSIJABEKMHOPCTYXh")
_SMALL = str.maketrans("αγεικνορτυχωаегікмнопрсјтухѕһԁԛԝѵвьıɑɡ", "ayeikvoptuxwaerikmhonpcjtyxshdqwvbbiag")
_DOT_ABOVE = "\u0307"


def glyph_fault(text: str) -> str:
    """The fault of a text with invisible characters; empty for other texts."""
    return "" if has_glyphs(text) else f"has characters that don't show ({text!a}): write it without them"


def form_fault(text: str) -> str:
    """The fault of a text that Unicode can write in another way; empty for other texts."""
    normal = unicodedata.normalize("NFKC", text)
    if normal == text:
        return ""
    return (
        f"is {text!a}, which Unicode also writes as {normal!a}, so it could be one user or two: write it in "
        "the second form (NFKC)"
    )


def _caseless(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _look(text: str) -> str:
    drawn = unicodedata.normalize("NFKC", text).translate(_CAPITALS).casefold().translate(_SMALL)
    return unicodedata.normalize("NFKC", drawn.replace(_DOT_ABOVE, ""))


_FOLDS: tuple[Callable[[str], str], ...] = (_caseless, _look)


def lookalikes(texts: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Each of ``texts`` (``folded``) -> the others that differ only in case, form or look, if any.

    Two ASCII texts are never alike, so it keeps nothing for a fleet with only such texts.
    """
    plain: set[str] = set()
    others: set[str] = set()
    for text in texts:
        (plain if text.isascii() else others).add(text)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for fold in _FOLDS:
        alike: defaultdict[str, set[str]] = defaultdict(set)
        for text in others:
            alike[fold(text)].add(text)
        for look, same in alike.items():
            whole = same | ({look} & plain)
            for text in whole if len(whole) > 1 else ():
                found[text] |= whole - {text}
    return {text: frozenset(each) for text, each in found.items()}


def special(text: str) -> str:
    """The characters of ``text`` that are not ASCII, by code point and name."""
    found = sorted({each for each in text if not each.isascii()})
    return ", ".join(f"U+{ord(each):04X} {unicodedata.name(each, '')}".rstrip() for each in found)
