# SPDX-License-Identifier: Apache-2.0
"""Languages of wildcard patterns: what is in one and not in another, found by running their automata together.

Taking the states that are reachable together, breadth first, gives the shortest text in the difference, or
proves that there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import takewhile

from c7n_iamusers.decisions.policy_comparison.automata import Union, compiled
from c7n_iamusers.decisions.policy_comparison.patterns import ANY, STAR, tokens, variables

#: Far beyond what policies need; a pattern made to blow up is called unproven instead of running for hours.
_MOST_STATES = 20_000
#: Stands for all characters that no pattern mentions: the first that none does.
_OTHERS = "xyzqjkvw0123456789" + "".join(map(chr, range(0x100, 0x180)))


class TooComplex(Exception):
    """The question was given up; whoever asks must assume the worse answer."""


@lru_cache(maxsize=4096)
def without_variables(patterns: frozenset[str]) -> frozenset[str]:
    """Those of ``patterns`` whose text is all known."""
    return frozenset(each for each in patterns if not variables(each))


@lru_cache(maxsize=4096)
def in_order(patterns: frozenset[str]) -> tuple[str, ...]:
    """``patterns`` in an order that is always the same."""
    return tuple(sorted(patterns))


def example(pattern: str, within: tuple[frozenset[str], ...], without: frozenset[str]) -> str | None:
    """The shortest text that ``pattern`` and each union of ``within`` match and none of ``without`` does.

    None where there is none. A variable may be any text: so it counts as a star in ``pattern`` and
    ``within``, and nothing is taken away for it, except where ``pattern`` itself is in ``without``.
    Raises TooComplex.
    """
    if pattern in without:
        return None
    near = tuple(_near(pattern, union) for union in within)
    return _example(pattern, near, _near(pattern, without_variables(without)))


@lru_cache(maxsize=65536)
def _example(pattern: str, within: tuple[frozenset[str], ...], without: frozenset[str]) -> str | None:
    wanted = [compiled(frozenset({pattern})), *map(compiled, within)]
    return _shortest(wanted, compiled(without))


def _shortest(wanted: list[Union], unwanted: Union) -> str | None:
    alphabet = _alphabet([*wanted, unwanted])
    start = (tuple(union.start for union in wanted), unwanted.start)
    seen, queue = {start}, deque([("", start)])
    while queue:
        text, (states, bad) = queue.popleft()
        if bad & unwanted.final & unwanted.loops:
            continue  # whatever follows is unwanted as well
        if not bad & unwanted.final and _final(wanted, states):
            return text
        for character in wanted[0].next_characters(states[0], alphabet):
            following = tuple(_steps(wanted, states, character))
            state = (following, unwanted.step(bad, character))
            if all(following) and state not in seen:
                seen.add(state)
                queue.append((text + character, state))
        if len(seen) > _MOST_STATES:
            raise TooComplex
    return None


def _final(unions: list[Union], states: tuple[int, ...]) -> bool:
    return all(union.final & state for union, state in zip(unions, states, strict=True))


def _steps(unions: list[Union], states: tuple[int, ...], character: str) -> Iterator[int]:
    return (union.step(state, character) for union, state in zip(unions, states, strict=True))


def _alphabet(unions: list[Union]) -> str:
    known = set().union(*(union.moves for union in unions))
    other = next(character for character in _OTHERS if character not in known)
    return other + "".join(sorted(known))


def _near(pattern: str, union: frozenset[str]) -> frozenset[str]:
    """Those of ``union`` that can match a text that ``pattern`` matches, as far as their beginnings tell."""
    prefix = _prefix(pattern)
    return frozenset(
        each for each, other in _prefixes(union) if prefix.startswith(other) or other.startswith(prefix)
    )


@lru_cache(maxsize=4096)
def _prefixes(union: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple((each, _prefix(each)) for each in union)


@lru_cache(maxsize=65536)
def _prefix(pattern: str) -> str:
    """What every text that ``pattern`` matches begins with."""
    return "".join(takewhile(lambda token: token not in (ANY, STAR), tokens(pattern)))
