# SPDX-License-Identifier: Apache-2.0
"""Patterns of actions and resources: syntax, sets, and automata that find texts that only some match. Pure.

All texts have the syntax of version 2012-10-17: ``${key}`` is a variable, and ``${*}``, ``${?}``, ``${$}`` are the
literal characters (IAM User Guide, "Variables and tags"; "Version"). Sets of actions or resources are elements of
policies, and intersections and differences of elements.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile

from c7n_iamusers.policy_comparison.budgets import Budget, TooComplex

#: A key, which may be followed by spaces, and a default. The parts can't overlap, so that the time for unterminated
#: text grows only with its length.
_VARIABLE = re.compile(r"\$\{\s*([^{}*?$,\s][^{},]*)(?:,\s*'((?:[^']|'')*)'\s*)?\}")
#: Private-use characters, which IAM does not allow in policies: the wildcards of ``within_segments``.
_SEGMENT_STAR, _SEGMENT_ANY = "\ue000", "\ue001"
#: Another such character, which stands for an unknown one in ``matched_by``.
_UNKNOWN = "\ue002"
_TOKEN = re.compile(rf"\$\{{([*?$])\}}|(\*+)|(\?)|({_SEGMENT_STAR})|({_SEGMENT_ANY})|(.)", re.DOTALL)
#: What to keep; stars not followed by a colon or the end; a question mark.
_IN_SEGMENT = re.compile(r"(\$\{[^{}]*\})|(?<!\*)(\*+)(?![:*])(?=[\s\S])|(\?)")
_ARN_FIELDS = 6

#: The tokens of wildcards; all other tokens are single literal characters. The last two match no colon.
ANY, STAR, SEGMENT_ANY, SEGMENT_STAR = "any", "star", "any but a colon", "star without colons"


def as_2012(text: str) -> str:
    """Text of a 2008-10-17 policy, which has no variables and escapes, in the syntax of 2012-10-17."""
    return text.replace("${", "${$}{")


def escaped(value: str) -> str:
    """``value`` as literal text of a pattern."""
    return re.sub(r"[*?$]", lambda found: f"${{{found.group()}}}", value)


@lru_cache(maxsize=65536)
def variables(text: str) -> frozenset[str]:
    """The keys, in lower case, of the variables in ``text``."""
    return frozenset(_key(found) for found in _VARIABLE.finditer(text))


@lru_cache(maxsize=65536)
def required(text: str) -> frozenset[str]:
    """The keys, in lower case, of the variables in ``text`` that have no default."""
    return frozenset(_key(found) for found in _VARIABLE.finditer(text) if found.group(2) is None)


def _key(found: re.Match[str]) -> str:
    return found.group(1).rstrip().lower()


def substituted(text: str, value: Callable[[str, str | None], str | None]) -> str:
    """``text`` with each variable replaced by ``value(key, default)``, unless that is None.

    ``key``: in lower case. ``default``: None if the variable has no default.
    """

    def replaced(found: re.Match[str]) -> str:
        default = found.group(2)
        new = value(_key(found), None if default is None else default.replace("''", "'"))
        return found.group() if new is None else new

    return _VARIABLE.sub(replaced, text)


def tokens(pattern: str) -> list[str]:
    """The literal characters and wildcards of ``pattern``. A variable is a STAR, because its value is unknown."""
    return [_token(found) for found in _TOKEN.finditer(_VARIABLE.sub("*", pattern))]


def _token(found: re.Match[str]) -> str:
    literal, star, question, segment_star, segment_question, character = found.groups()
    if segment_star or segment_question:
        return SEGMENT_STAR if segment_star else SEGMENT_ANY
    return STAR if star else ANY if question else literal or character


def has_reserved(text: str) -> bool:
    """Whether ``text`` has one of the private-use characters that this module reserves."""
    return not {_SEGMENT_STAR, _SEGMENT_ANY, _UNKNOWN}.isdisjoint(text)


@lru_cache(maxsize=65536)
def within_segments(pattern: str) -> str:
    """An ARN pattern by the stricter interpretation: only a ``*`` at the end of a segment matches colons.

    The IAM User Guide ("IAM JSON policy elements: Resource") says that wildcards apply within segments, and that a
    ``*`` at the end of a segment can match beyond its colon. By the other interpretation every wildcard matches colons.
    """
    return _IN_SEGMENT.sub(_within, pattern)


def _within(found: re.Match[str]) -> str:
    kept, star, _ = found.groups()
    return kept or (_SEGMENT_STAR if star else _SEGMENT_ANY)


def without_colons(pattern: str) -> str:
    """``pattern`` with stars that never match a colon."""
    return pattern.replace("*", _SEGMENT_STAR)


def characters(count: int) -> str:
    """The pattern of ``count`` characters without colons."""
    return _SEGMENT_ANY * count


def complete_arn(pattern: str) -> str:
    """An ARN pattern with fewer than six fields, with ``*`` for the missing fields, as AWS interprets it."""
    if not pattern.startswith("arn:"):
        return pattern
    # a colon inside a variable, such as ${aws:username}, does not separate fields
    fields = _VARIABLE.sub("", pattern).count(":") + 1
    return pattern + ":*" * max(0, _ARN_FIELDS - fields)


#: The character that segment wildcards do not match.
COLON = ":"


@dataclass(frozen=True)
class Automaton:
    """The nondeterministic automaton of a union of patterns. Each member is a bit mask of states.

    ``moves``: character -> the states that it advances. ``loops``, ``any_moves``: the states that any character keeps
    or advances. ``segment_loops``, ``segment_moves``: the same for any character except a colon.
    """

    start: int
    loops: int
    final: int
    any_moves: int
    segment_loops: int
    segment_moves: int
    moves: dict[str, int]

    def step(self, states: int, character: str) -> int:
        """The states after ``character``."""
        moves, loops = self.moves.get(character, 0) | self.any_moves, self.loops
        if character != COLON:
            moves, loops = moves | self.segment_moves, loops | self.segment_loops
        return (states & moves) << 1 | states & loops

    def next_characters(self, states: int, alphabet: str) -> Iterable[str]:
        """The characters of ``alphabet`` that lead to a state."""
        if states & (self.loops | self.any_moves | self.segment_loops | self.segment_moves):
            return alphabet
        return [character for character, mask in self.moves.items() if states & mask]


@lru_cache(maxsize=4096)
def compiled(patterns: frozenset[str]) -> Automaton:
    """The automaton of a union of patterns. A variable matches any text."""
    start = final = 0
    moves: dict[str, int] = {}
    state = 1
    for pattern in sorted(patterns):
        start |= state
        for token in tokens(pattern):
            moves[token] = moves.get(token, 0) | state
            if token not in (STAR, SEGMENT_STAR):
                state <<= 1
        final |= state
        state <<= 1
    loops, any_moves, segment_loops, segment_moves = (
        moves.pop(token, 0) for token in (STAR, ANY, SEGMENT_STAR, SEGMENT_ANY)
    )
    return Automaton(start, loops, final, any_moves, segment_loops, segment_moves, moves)


@lru_cache(maxsize=4096)
def matches(patterns: frozenset[str], text: str) -> bool:
    """Whether any of ``patterns`` matches all of ``text``. A variable matches any text."""
    union = compiled(patterns)
    states = union.start
    for character in text:
        states = union.step(states, character)
    return bool(states & union.final)


#: The maximum steps for one pattern; see ``Budget``.
PATTERN_STEPS = 200_000
#: The states of an automaton that count as one more step: time grows with the states of large automata.
_BITS_A_STEP = 2048
#: Candidates for a character that no pattern has, which represents all such characters.
_OTHERS = "xyzqjkvw0123456789" + "".join(map(chr, range(0x100, 0x180)))


@dataclass(frozen=True)
class _Found:
    """The shortest text (None if there is none), and the steps it took. ``given_up``: there were too many."""

    text: str | None
    steps: int
    given_up: bool = False


@lru_cache(maxsize=4096)
def without_variables(patterns: frozenset[str]) -> frozenset[str]:
    """The patterns that have no variables."""
    return frozenset(pattern for pattern in patterns if not variables(pattern))


@lru_cache(maxsize=4096)
def in_order(patterns: frozenset[str]) -> tuple[str, ...]:
    """``patterns``, sorted. Cached."""
    return tuple(sorted(patterns))


def example(
    pattern: str, within: tuple[frozenset[str], ...], without: frozenset[str], budget: Budget
) -> str | None:
    """The shortest text that ``pattern`` and each union of ``within`` match and none of ``without`` matches, or None.

    A variable can have any value. So it is a star in ``pattern`` and ``within``, and a pattern with a variable in
    ``without`` excludes only ``pattern`` itself. Raises TooComplex.
    """
    budget.spend(1 + (sum(map(len, within)) + len(without)) // 8)
    if pattern in without:
        return None
    near = tuple(_near(pattern, union) for union in within)
    found = _example(pattern, near, _near(pattern, without_variables(without)))
    budget.spend(found.steps)
    if found.given_up:
        raise TooComplex
    return found.text


@lru_cache(maxsize=65536)
def _example(pattern: str, within: tuple[frozenset[str], ...], without: frozenset[str]) -> _Found:
    wanted = [compiled(frozenset({pattern})), *map(compiled, within)]
    return _shortest(wanted, compiled(without))


def _shortest(wanted: list[Automaton], unwanted: Automaton) -> _Found:
    alphabet = _alphabet([*wanted, unwanted])
    start = (tuple(union.start for union in wanted), unwanted.start)
    seen, queue, steps = {start}, deque([("", start)]), 0
    weight = 1 + sum(union.final.bit_length() for union in (*wanted, unwanted)) // _BITS_A_STEP
    while queue:
        text, (states, bad) = queue.popleft()
        if bad & unwanted.final & unwanted.loops:
            continue  # every longer text is unwanted, too
        if not bad & unwanted.final and _final(wanted, states):
            return _Found(text, steps)
        for character in wanted[0].next_characters(states[0], alphabet):
            steps += weight
            following = tuple(_steps(wanted, states, character))
            state = (following, unwanted.step(bad, character))
            if all(following) and state not in seen:
                seen.add(state)
                queue.append((text + character, state))
        if steps > PATTERN_STEPS:
            return _Found(None, steps, given_up=True)
    return _Found(None, steps)


def _final(unions: list[Automaton], states: tuple[int, ...]) -> bool:
    return all(union.final & state for union, state in zip(unions, states, strict=True))


def _steps(unions: list[Automaton], states: tuple[int, ...], character: str) -> Iterator[int]:
    return (union.step(state, character) for union, state in zip(unions, states, strict=True))


def _alphabet(unions: list[Automaton]) -> str:
    known = {COLON}.union(*(union.moves for union in unions))
    other = next(character for character in _OTHERS if character not in known)
    return other + "".join(sorted(known))


def _near(pattern: str, union: frozenset[str]) -> frozenset[str]:
    """The patterns of ``union`` that can match a text of ``pattern``, by their literal prefixes."""
    prefix = literal_prefix(pattern)
    return frozenset(
        each for each, other in _prefixes(union) if prefix.startswith(other) or other.startswith(prefix)
    )


@lru_cache(maxsize=4096)
def _prefixes(union: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple((each, literal_prefix(each)) for each in union)


@lru_cache(maxsize=65536)
def literal_prefix(pattern: str) -> str:
    """The literal prefix of every text that ``pattern`` matches."""
    return "".join(takewhile(lambda token: len(token) == 1, tokens(pattern)))


#: The patterns of every possible action (service and name) and every possible resource.
ACTIONS, RESOURCES = "?*:?*", "?*"


@lru_cache(maxsize=65536)
def matched_by(pattern: str, union: frozenset[str]) -> frozenset[bool]:
    """Whether the texts of ``pattern`` match a pattern of ``union``: True for some or all, and False for the others.

    Neither has variables. The answers may include False even if all texts match. Raises TooComplex.
    """
    found = tokens(pattern)
    if STAR in found or ANY in found:
        inside = example(pattern, (union,), frozenset(), Budget()) if union else None
        outside = example(pattern, (), union, Budget())
        return frozenset(hit for hit, text in ((True, inside), (False, outside)) if text is not None)
    # Only wildcards match the unknown characters, and they match any others as well.
    if matches(union, "".join(each if len(each) == 1 else _UNKNOWN for each in found)):
        return frozenset({True})
    near = frozenset(each for each in union if all(_occurs(part, found) for part in _literals(each)))
    if not near or example(pattern, (near,), frozenset(), Budget()) is None:
        return frozenset({False})
    return frozenset({True, False})


def _literals(pattern: str) -> list[str]:
    """The texts between the wildcards of ``pattern``, which are in each text that it matches."""
    marked = "".join(token if len(token) == 1 else _UNKNOWN for token in tokens(pattern))
    return [each for each in marked.split(_UNKNOWN) if each]


def _occurs(part: str, found: list[str]) -> bool:
    """Whether a text of the tokens ``found``, which have a fixed length, can contain ``part``."""
    return any(
        all(
            one == character or (one == SEGMENT_ANY and character != COLON)
            for one, character in zip(found[at:], part, strict=False)
        )
        for at in range(len(found) - len(part) + 1)
    )


@dataclass(frozen=True)
class Element:
    """An Action or Resource element, or, ``negated``, a NotAction or NotResource element."""

    patterns: frozenset[str]
    negated: bool = False

    @property
    def has_all(self) -> bool:
        """Whether it is, or has, a single ``*``, which every text matches."""
        return not self.negated and "*" in self.patterns

    def matches(self, text: str) -> bool:
        """Whether the element applies to ``text`` for every value of its variables."""
        if self.negated:
            return not matches(self.patterns, text)
        return matches(without_variables(self.patterns), text)

    def includes(self, other: Element) -> bool:
        """Whether the two lists of patterns alone show that everything in ``other`` is in this."""
        if self.negated != other.negated:
            return False
        return self.patterns <= other.patterns if self.negated else self.patterns >= other.patterns


@dataclass(frozen=True)
class Sample:
    """A ``text`` of a language, and the ``pattern`` that it was found with."""

    text: str
    pattern: str


@dataclass(frozen=True)
class Language:
    """The texts that ``universe`` and every union of ``within`` match, and no pattern of ``without`` matches."""

    universe: str
    within: tuple[frozenset[str], ...] = ()
    without: frozenset[str] = frozenset()

    def cut_to(self, element: Element) -> Language:
        """The texts that are also in ``element``."""
        return self._excluding(element.patterns) if element.negated else self._including(element.patterns)

    def cut_off(self, element: Element) -> Language:
        """The texts that are not in ``element``."""
        return self._including(element.patterns) if element.negated else self._excluding(element.patterns)

    def sample(self, budget: Budget) -> Sample | None:
        """A text of the language; None if it is empty. Raises TooComplex."""
        if not self.without.isdisjoint(("*", self.universe)):
            return None
        universe = frozenset({self.universe})
        narrowest = min(self.within, key=_breadth, default=universe)
        others = tuple(union for union in self.within if union != narrowest)
        for pattern in in_order(narrowest):
            text = example(pattern, (universe, *others), self.without, budget)
            if text is not None:
                return Sample(text, pattern)
        return None

    def contains(self, text: str) -> bool:
        """Whether ``text`` is in the language for every value of its variables."""
        unions = (frozenset({self.universe}), *self.within)
        return all(Element(union).matches(text) for union in unions) and not matches(self.without, text)

    def _including(self, patterns: frozenset[str]) -> Language:
        return self if patterns in self.within else replace(self, within=(*self.within, patterns))

    def _excluding(self, patterns: frozenset[str]) -> Language:
        return replace(self, without=self.without | patterns)


def _breadth(union: frozenset[str]) -> tuple[bool, int]:
    """The cost of trying every pattern. Unions with variables come first, because their patterns must be tried."""
    return len(without_variables(union)) == len(union), len(union)
