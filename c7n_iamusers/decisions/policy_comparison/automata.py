# SPDX-License-Identifier: Apache-2.0
"""Unions of wildcard patterns as automata. Pure.

A union is a nondeterministic automaton whose set of states is one integer, a bit a state: state i of a
pattern means that i of its tokens are matched, and a star makes a state loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from c7n_iamusers.decisions.policy_comparison.patterns import ANY, SEGMENT_ANY, SEGMENT_STAR, STAR, tokens

#: What some wildcards don't match.
COLON = ":"


@dataclass(frozen=True)
class Union:
    """A union of patterns as masks over its states; ``moves``: character -> states that it leads one further.

    ``loops`` and ``any_moves`` are those of any character, ``segment_loops`` and ``segment_moves`` of any but a colon.
    """

    start: int
    loops: int
    final: int
    any_moves: int
    segment_loops: int
    segment_moves: int
    moves: dict[str, int]

    def step(self, states: int, character: str) -> int:
        """The states after one more character."""
        moves, loops = self.moves.get(character, 0) | self.any_moves, self.loops
        if character != COLON:
            moves, loops = moves | self.segment_moves, loops | self.segment_loops
        return (states & moves) << 1 | states & loops

    def next_characters(self, states: int, alphabet: str) -> Iterable[str]:
        """Those of ``alphabet`` that lead anywhere."""
        if states & (self.loops | self.any_moves | self.segment_loops | self.segment_moves):
            return alphabet
        return [character for character, mask in self.moves.items() if states & mask]


@lru_cache(maxsize=4096)
def compiled(patterns: frozenset[str]) -> Union:
    """The automaton of a union of patterns; a variable in one matches anything."""
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
    return Union(start, loops, final, any_moves, segment_loops, segment_moves, moves)


def matches(patterns: frozenset[str], text: str) -> bool:
    """Whether any of ``patterns`` matches all of ``text``; a variable in one matches anything."""
    union = compiled(patterns)
    states = union.start
    for character in text:
        states = union.step(states, character)
    return bool(states & union.final)
