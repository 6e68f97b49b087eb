# SPDX-License-Identifier: Apache-2.0
"""Wildcard patterns as automata: finds a text that some patterns match and others do not. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from c7n_iamusers.policy_comparison.patterns import ANY, SEGMENT_ANY, SEGMENT_STAR, STAR, tokens, variables

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


def matches(patterns: frozenset[str], text: str) -> bool:
    """Whether any of ``patterns`` matches all of ``text``. A variable matches any text."""
    union = compiled(patterns)
    states = union.start
    for character in text:
        states = union.step(states, character)
    return bool(states & union.final)


#: The maximum steps for one pattern, and for one comparison; see ``Budget``. Real policies need far fewer. A policy
#: that needs more is undecided, instead of running for hours.
PATTERN_STEPS, QUESTION_STEPS = 200_000, 1_000_000
#: The states of an automaton that count as one more step: time grows with the states of large automata.
_BITS_A_STEP = 2048
#: Candidates for a character that no pattern has, which represents all such characters.
_OTHERS = "xyzqjkvw0123456789" + "".join(map(chr, range(0x100, 0x180)))


class TooComplex(Exception):
    """The comparison takes too many steps. The caller must assume the unsafe answer."""


class OutOfBudget(TooComplex):
    """The budget is used up, so every further comparison within it fails too."""


class Budget:
    """The steps for one comparison. Steps are counted, not timed, so every machine gives up at the same step.

    A cached result costs as many steps as it did at first, so no answer depends on earlier comparisons.
    """

    def __init__(self, steps: int | None = None) -> None:
        self.left = QUESTION_STEPS if steps is None else steps

    def spend(self, steps: int) -> None:
        """Use up ``steps``. Raises OutOfBudget if fewer are left."""
        self.left -= steps
        if self.left < 0:
            raise OutOfBudget


@dataclass(frozen=True)
class _Found:
    """The shortest text (None if there is none), and the steps it took. ``given_up``: there were too many."""

    text: str | None
    steps: int
    given_up: bool = False


@lru_cache(maxsize=4096)
def without_variables(patterns: frozenset[str]) -> frozenset[str]:
    """The patterns that have no variables."""
    return frozenset(each for each in patterns if not variables(each))


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
            continue  # every longer text is unwanted too
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
    prefix = _prefix(pattern)
    return frozenset(
        each for each, other in _prefixes(union) if prefix.startswith(other) or other.startswith(prefix)
    )


@lru_cache(maxsize=4096)
def _prefixes(union: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple((each, _prefix(each)) for each in union)


@lru_cache(maxsize=65536)
def _prefix(pattern: str) -> str:
    """The literal prefix of every text that ``pattern`` matches."""
    return "".join(takewhile(lambda token: len(token) == 1, tokens(pattern)))
