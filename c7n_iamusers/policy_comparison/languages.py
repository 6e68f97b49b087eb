# SPDX-License-Identifier: Apache-2.0
"""Sets of actions or resources: as elements of policies, and as intersections and differences of elements. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from c7n_iamusers.policy_comparison.globs import Budget, example, in_order, matches, without_variables

#: The patterns of every possible action (service and name) and every possible resource.
ACTIONS, RESOURCES = "?*:?*", "?*"


@dataclass(frozen=True)
class Element:
    """An Action or Resource element, or, ``negated``, a NotAction or NotResource element."""

    patterns: frozenset[str]
    negated: bool = False

    def matches(self, text: str) -> bool:
        """Whether the element applies to ``text`` for every value of its variables."""
        if self.negated:
            return not matches(self.patterns, text)
        return matches(without_variables(self.patterns), text)

    def includes(self, other: Element) -> bool:
        """Whether, by the two lists of patterns alone, everything in ``other`` is in this."""
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
    """The cost of trying every pattern. Unions with variables come first, since their own patterns must be tried."""
    return len(without_variables(union)) == len(union), len(union)
