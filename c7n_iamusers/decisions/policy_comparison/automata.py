# SPDX-License-Identifier: Apache-2.0
"""Unions of wildcard patterns as automata. Pure.

A union is a nondeterministic automaton whose set of states is one integer, a bit a state: state i of a
pattern means that i of its tokens are matched, and a star makes a state loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from c7n_iamusers.decisions.policy_comparison.patterns import ANY, STAR, tokens


@dataclass(frozen=True)
class Union:
    """A union of patterns as masks over its states; ``moves``: character -> states that it leads one further."""

    start: int
    loops: int
    final: int
    any_moves: int
    moves: dict[str, int]

    def step(self, states: int, character: str) -> int:
        """The states after one more character."""
        moved = states & (self.moves.get(character, 0) | self.any_moves)
        return moved << 1 | states & self.loops

    def next_characters(self, states: int, alphabet: str) -> Iterable[str]:
        """Those of ``alphabet`` that lead anywhere."""
        if states & (self.loops | self.any_moves):
            return alphabet
        return [character for character, mask in self.moves.items() if states & mask]


@lru_cache(maxsize=4096)
def compiled(patterns: frozenset[str]) -> Union:
    """The automaton of a union of patterns; a variable in one matches anything."""
    start = loops = final = any_moves = 0
    moves: dict[str, int] = {}
    state = 1
    for pattern in sorted(patterns):
        start |= state
        for token in tokens(pattern):
            if token == STAR:
                loops |= state
                continue
            if token == ANY:
                any_moves |= state
            else:
                moves[token] = moves.get(token, 0) | state
            state <<= 1
        final |= state
        state <<= 1
    return Union(start, loops, final, any_moves, moves)


def matches(patterns: frozenset[str], text: str) -> bool:
    """Whether any of ``patterns`` matches all of ``text``; a variable in one matches anything."""
    union = compiled(patterns)
    states = union.start
    for character in text:
        states = union.step(states, character)
    return bool(states & union.final)
