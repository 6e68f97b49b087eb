# SPDX-License-Identifier: Apache-2.0
"""Counts the steps of Python's backtracking matcher for an expression, and finds texts that make it take many.

``re`` counts nothing, and its time differs between machines. This matcher tries the same alternatives in the same order
over the tree that ``re`` parses, and counts each try.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as codes
    from re import _parser as parser
else:  # pragma: no cover
    import sre_constants as codes
    import sre_parse as parser

_UNENDING: Any = codes.MAXREPEAT


class TooManySteps(Exception):
    """The matcher was stopped."""


class Steps:
    """The matcher of one expression. ``most``: raises TooManySteps beyond it."""

    def __init__(self, pattern: str, flags: int, most: int) -> None:
        self._tree: Any = parser.parse(pattern, flags)
        self._flags, self._most = self._tree.state.flags, most
        self.count = 0

    def fullmatch(self, text: str) -> bool:
        """Whether the whole text matches."""
        return any(end == len(text) for end in self._sequence(list(self._tree), text, 0))

    def finditer(self, text: str) -> list[tuple[int, int]]:
        """Where it matches: tries from each place, behind what matched before, without empty matches."""
        found, at = [], 0
        while at <= len(text):
            end = next(self._sequence(list(self._tree), text, at), at)
            if end > at:
                found.append((at, end))
            at = max(end, at + 1)
        return found

    def _step(self) -> None:
        self.count += 1
        if self.count > self._most:
            raise TooManySteps

    def _sequence(self, items: list[Any], text: str, at: int) -> Iterator[int]:
        if not items:
            yield at
            return
        self._step()
        (code, value), rest = items[0], items[1:]
        for end in self._item(code, value, text, at):
            yield from self._sequence(rest, text, end)

    def _item(self, code: Any, value: Any, text: str, at: int) -> Iterator[int]:
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, body = value
            yield from self._repeat(least, most, list(body), text, at, code is codes.MAX_REPEAT)
        elif code is codes.BRANCH:
            for each in value[1]:
                yield from self._sequence(list(each), text, at)
        elif code is codes.SUBPATTERN:
            yield from self._sequence(list(value[3]), text, at)
        elif code in (codes.ASSERT, codes.ASSERT_NOT, codes.AT):
            if self._holds(code, value, text, at):
                yield at
        elif at < len(text) and self._matches(code, value, text[at]):
            yield at + 1

    def _holds(self, code: Any, value: Any, text: str, at: int) -> bool:
        if code is codes.AT:
            return self._is_at(value, text, at)
        return self._looks(value, text, at) == (code is codes.ASSERT)

    def _looks(self, value: Any, text: str, at: int) -> bool:
        direction, body = value
        begin = at if direction > 0 else at - body.getwidth()[0]
        return begin >= 0 and next(self._sequence(list(body), text, begin), None) is not None

    @staticmethod
    def _is_at(place: Any, text: str, at: int) -> bool:
        word = [
            0 <= each < len(text) and (text[each].isalnum() or text[each] == "_") for each in (at - 1, at)
        ]
        return {
            codes.AT_BEGINNING: at == 0,
            codes.AT_END: at == len(text),
            codes.AT_END_STRING: at == len(text),
            codes.AT_BOUNDARY: word[0] != word[1],
        }[place]

    def _repeat(
        self, least: int, most: Any, body: list[Any], text: str, at: int, greedy: bool
    ) -> Iterator[int]:
        if len(body) == 1 and _is_single(body[0]):
            yield from self._run(least, most, body[0], text, at, greedy)
            return
        # depth first without Python's recursion: each frame is (place, repetitions, the ends that are left)
        left = [(at, 0, self._sequence(body, text, at))]
        if not greedy and least == 0:
            yield at
        while left:
            begin, done, ends = left[-1]
            self._step()
            end = next(ends, None) if most is _UNENDING or done < most else None
            if end is None or (end == begin and done >= least):
                left.pop()
                if greedy and done >= least:
                    yield begin
                continue
            if not greedy and done + 1 >= least:
                yield end
            left.append((end, done + 1, self._sequence(body, text, end)))

    def _run(
        self, least: int, most: Any, single: tuple[Any, Any], text: str, at: int, greedy: bool
    ) -> Iterator[int]:
        end = at
        while (
            (most is _UNENDING or end - at < most) and end < len(text) and self._matches(*single, text[end])
        ):
            self._step()
            end += 1
        ends: Iterable[int] = range(at + least, end + 1)
        for each in reversed(list(ends)) if greedy else ends:
            self._step()
            yield each

    def _matches(self, code: Any, value: Any, character: str) -> bool:
        if code is codes.ANY:
            return character != "\n" or bool(self._flags & re.DOTALL)
        is_ascii = bool(self._flags & re.ASCII)
        if self._flags & re.IGNORECASE:
            return any(
                _matches(code, value, each, is_ascii) for each in (character.lower(), character.upper())
            )
        return _matches(code, value, character, is_ascii)


_SINGLE = (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN)
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    codes.CATEGORY_DIGIT: str.isdigit,
    codes.CATEGORY_NOT_DIGIT: lambda each: not each.isdigit(),
    codes.CATEGORY_SPACE: str.isspace,
    codes.CATEGORY_NOT_SPACE: lambda each: not each.isspace(),
    codes.CATEGORY_WORD: lambda each: each.isalnum() or each == "_",
    codes.CATEGORY_NOT_WORD: lambda each: not (each.isalnum() or each == "_"),
}


def _is_single(item: tuple[Any, Any]) -> bool:
    return item[0] in _SINGLE


def _matches(code: Any, value: Any, character: str, is_ascii: bool = False) -> bool:
    if code is codes.LITERAL:
        return bool(ord(character) == value)
    if code is codes.NOT_LITERAL:
        return bool(ord(character) != value)
    if code is codes.ANY:
        return True
    negated = value[0][0] is codes.NEGATE
    return any(_is_in(kind, given, character, is_ascii) for kind, given in value[negated:]) != negated


def _is_in(kind: Any, given: Any, character: str, is_ascii: bool) -> bool:
    if kind is codes.LITERAL:
        return bool(ord(character) == given)
    if kind is codes.RANGE:
        return bool(given[0] <= ord(character) <= given[1])
    if is_ascii and not character.isascii():
        return "NOT" in str(given)
    return _CATEGORIES[given](character)


#: Characters of every kind that the expressions tell apart.
ALPHABET = "aZ5_ \n=@.,:;/-+*?$&!%#|'\"\\(){}[]<>\0\u00e9\ue000\ue001"


def attacks(pattern: str, flags: int) -> list[tuple[str, str]]:
    """Beginnings and what to repeat behind them, which keep the expression busy as far as its parts show."""
    found: dict[tuple[str, str], None] = {("", each): None for each in ALPHABET}
    tree: Any = parser.parse(pattern, flags)
    for before, body in _repeats(list(tree), ""):
        for pump in body:
            found[before, pump] = None
            found["", before + pump] = None
    return list(found)


def _repeats(items: list[Any], before: str) -> Iterator[tuple[str, list[str]]]:
    """For each part that repeats: a text that leads to it, and texts that it can repeat."""
    for code, value in items:
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            yield before, _texts(list(value[2]))
            yield from _repeats(list(value[2]), before)
        elif code is codes.SUBPATTERN:
            yield from _repeats(list(value[3]), before)
        elif code is codes.BRANCH:
            for each in value[1]:
                yield from _repeats(list(each), before)
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            yield from _repeats(list(value[1]), before)
        before += _texts([(code, value)])[0]


def _texts(items: list[Any]) -> list[str]:
    """Short texts that match the parts: with each character of ALPHABET that fits one at the only place."""
    texts = [""]
    for code, value in items:
        texts = [text + more for text in texts for more in _texts_of(code, value)][:40]
    return texts


def _texts_of(code: Any, value: Any) -> list[str]:
    if code in _SINGLE:
        own = chr(value) if code is codes.LITERAL else ""
        return [each for each in dict.fromkeys(own + ALPHABET) if _matches(code, value, each)][:12] or [""]
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least = value[0] or (1 if value[1] == 1 else 0)
        return [each * least for each in _texts(list(value[2]))[:4]]
    if code is codes.SUBPATTERN:
        return _texts(list(value[3]))
    if code is codes.BRANCH:
        return [text for each in value[1] for text in _texts(list(each))[:4]]
    return [""]
