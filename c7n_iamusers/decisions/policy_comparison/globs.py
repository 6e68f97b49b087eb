# SPDX-License-Identifier: Apache-2.0
"""Languages of wildcard patterns: what is in one and not in another, found by running their automata together.

Taking the states that are reachable together, breadth first, gives the shortest text in the difference, or
proves that there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from c7n_iamusers.decisions.policy_comparison.automata import COLON, Union, compiled
from c7n_iamusers.decisions.policy_comparison.patterns import tokens, variables

#: Steps of work for one pattern, and for one question about two users' policies: see ``Budget``. Far beyond what
#: policies need; one made to blow up is called undecided instead of running for hours.
PATTERN_STEPS, QUESTION_STEPS = 200_000, 1_000_000
#: Bits of an automaton that count as one more step, for it is they that take the time in a large one.
_BITS_A_STEP = 2048
#: Stands for all characters that no pattern mentions: the first that none does.
_OTHERS = "xyzqjkvw0123456789" + "".join(map(chr, range(0x100, 0x180)))


class TooComplex(Exception):
    """The question was given up; whoever asks must assume the worse answer."""


class OutOfBudget(TooComplex):
    """So is whatever else was to be asked within the same budget."""


class Budget:
    """Steps of work for one question. Steps are counted, not timed: every machine gives up at the same one.

    What was found before and kept costs as much as it did then, so no answer depends on what was asked earlier.
    """

    def __init__(self, steps: int | None = None) -> None:
        self.left = QUESTION_STEPS if steps is None else steps

    def spend(self, steps: int) -> None:
        """Raises OutOfBudget where fewer steps are left."""
        self.left -= steps
        if self.left < 0:
            raise OutOfBudget


@dataclass(frozen=True)
class _Found:
    """The shortest text, None for none, and the steps it took; ``given_up``: they were too many."""

    text: str | None
    steps: int
    given_up: bool = False


@lru_cache(maxsize=4096)
def without_variables(patterns: frozenset[str]) -> frozenset[str]:
    """Those of ``patterns`` whose text is all known."""
    return frozenset(each for each in patterns if not variables(each))


@lru_cache(maxsize=4096)
def in_order(patterns: frozenset[str]) -> tuple[str, ...]:
    """``patterns`` in an order that is always the same."""
    return tuple(sorted(patterns))


def example(
    pattern: str, within: tuple[frozenset[str], ...], without: frozenset[str], budget: Budget
) -> str | None:
    """The shortest text that ``pattern`` and each union of ``within`` match and none of ``without`` does.

    None where there is none. A variable may be any text: so it counts as a star in ``pattern`` and
    ``within``, and nothing is taken away for it, except where ``pattern`` itself is in ``without``.
    Raises TooComplex.
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


def _shortest(wanted: list[Union], unwanted: Union) -> _Found:
    alphabet = _alphabet([*wanted, unwanted])
    start = (tuple(union.start for union in wanted), unwanted.start)
    seen, queue, steps = {start}, deque([("", start)]), 0
    weight = 1 + sum(union.final.bit_length() for union in (*wanted, unwanted)) // _BITS_A_STEP
    while queue:
        text, (states, bad) = queue.popleft()
        if bad & unwanted.final & unwanted.loops:
            continue  # whatever follows is unwanted as well
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


def _final(unions: list[Union], states: tuple[int, ...]) -> bool:
    return all(union.final & state for union, state in zip(unions, states, strict=True))


def _steps(unions: list[Union], states: tuple[int, ...], character: str) -> Iterator[int]:
    return (union.step(state, character) for union, state in zip(unions, states, strict=True))


def _alphabet(unions: list[Union]) -> str:
    known = {COLON}.union(*(union.moves for union in unions))
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
    return "".join(takewhile(lambda token: len(token) == 1, tokens(pattern)))
