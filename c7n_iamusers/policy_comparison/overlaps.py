# SPDX-License-Identifier: Apache-2.0
"""Whether one pattern of resources overlaps, or covers, the ARNs of one type. Pure.

Both take one step for each character or wildcard of the leading pattern, because an ARN's pattern has no branches.
Variables match any text for an overlap, and nothing for a cover.
"""

from __future__ import annotations

from functools import lru_cache

from c7n_iamusers.policy_comparison.patterns import (
    ANY,
    SEGMENT_ANY,
    SEGMENT_STAR,
    STAR,
    Automaton,
    compiled,
    tokens,
    variables,
)

_STARS, _ANYS = frozenset({STAR, SEGMENT_STAR}), frozenset({ANY, SEGMENT_ANY})


@lru_cache(maxsize=65536)
def overlap(pattern: str, kind: str) -> bool:
    """Whether a text matches both. ``kind``: a pattern too, such as of all roles; see ``without_colons``."""
    other = compiled(frozenset({kind}))
    states = other.start
    for token in _tokens(pattern):
        if token in _STARS:
            states = _any_text(other, states)
        elif token in _ANYS:
            states = (states & ~other.final) << 1 | states & (other.loops | other.segment_loops)
        else:
            states = other.step(states, token)
        if not states:
            return False
    return bool(states & other.final)


def _any_text(automaton: Automaton, states: int) -> int:
    """The states after any text: the first and all behind it, because a single pattern's states are in one row."""
    return (automaton.final << 1) - 1 & ~((states & -states) - 1)


@lru_cache(maxsize=65536)
def covers(pattern: str, kind: str) -> bool:
    """Whether ``pattern`` matches every text of ``kind``.

    Also False if only texts that are no ARNs don't match, such as one with an account of eleven digits.
    """
    if variables(pattern):
        return False
    other = compiled(frozenset({_in_order(pattern)}))
    states = other.start
    for token in _tokens(kind):
        if token in _STARS:
            states &= other.loops  # a text of any length, also none
        elif token in _ANYS:
            states = (states & other.any_moves) << 1 | states & other.loops
        else:
            states = other.step(states, token)
        if not states:
            return False
    return bool(states & other.final)


def _in_order(pattern: str) -> str:
    """``pattern`` with the stars behind the question marks of the same row, which matches the same texts."""
    found: list[str] = []
    star = False
    for token in (*_tokens(pattern), ""):
        if token in _STARS:
            star = True
            continue
        if star and token not in _ANYS:
            found.append("*")
            star = False
        found.append("?" if token in _ANYS else f"${{{token}}}" if token in ("*", "?", "$") else token)
    return "".join(found)


@lru_cache(maxsize=4096)
def _tokens(pattern: str) -> tuple[str, ...]:
    return tuple(tokens(pattern))
