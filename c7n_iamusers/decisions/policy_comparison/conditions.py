# SPDX-License-Identifier: Apache-2.0
"""Condition elements: their canonical form, which of two is the stricter, and what one says of a known value. Pure.

Rules: IAM User Guide, "Condition operators", "Multiple keys or values" and "Multivalued context keys".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.decisions.policy_comparison.automata import matches
from c7n_iamusers.decisions.policy_comparison.patterns import modern, substituted
from c7n_iamusers.model.policy_documents import listed

_IF_EXISTS = "IfExists"
_EITHER = frozenset({True, False})


@dataclass(frozen=True, order=True)
class Condition:
    """One operator on one key, which is in lower case since case makes no difference; ``values`` are sorted."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def negated(self) -> bool:
        """Whether all values must fail to match, instead of one matching."""
        return "Not" in self.operator

    @property
    def if_exists(self) -> bool:
        return self.operator.endswith(_IF_EXISTS)

    def __str__(self) -> str:
        return f"{self.operator} {self.key} {', '.join(self.values)}".rstrip()


def parse_conditions(element: Any, legacy: bool) -> frozenset[Condition]:
    """A Condition element; ``legacy``: of a policy whose version knows no variables.

    Raises ValueError where it is none.
    """
    if not isinstance(element, Mapping) or not all(isinstance(each, Mapping) for each in element.values()):
        raise ValueError("a Condition that is not operator -> key -> values")
    return frozenset(
        _condition(str(operator), str(key), listed(values), legacy)
        for operator, keys in element.items()
        for key, values in keys.items()
    )


def _condition(operator: str, key: str, values: Iterable[Any], legacy: bool) -> Condition:
    texts = {_text(value, legacy) for value in values}
    if operator.removesuffix(_IF_EXISTS) in ("Bool", "Null"):
        texts = {text.lower() for text in texts}
    return Condition(operator, key.lower(), tuple(sorted(texts)))


def _text(value: Any, legacy: bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueError(f"a condition's value that is {type(value).__name__}")
    return modern(str(value)) if legacy else str(value)


def implied(wanted: Iterable[Condition], given: Iterable[Condition]) -> bool:
    """Whether a request that meets all of ``given`` surely meets all of ``wanted``."""
    return all(any(_stricter(each, other) for each in given) for other in wanted)


def _stricter(condition: Condition, other: Condition) -> bool:
    same = condition.operator in (other.operator, other.operator.removesuffix(_IF_EXISTS))
    if condition.key != other.key or not same:
        return False
    values, others = set(condition.values), set(other.values)
    if condition.operator == "Null":
        return values == others
    return values >= others if condition.negated else values <= others


def outcomes(condition: Condition, possible: frozenset[str | None] | None) -> frozenset[bool]:
    """What ``condition`` can come to where its key has one of the ``possible`` values.

    None among them: the key may be missing from the request. None instead of them: nothing is known.
    """
    if possible is None or any(substituted(value, lambda *_: "") != value for value in condition.values):
        return _EITHER
    return frozenset(outcome for value in possible for outcome in _outcome(condition, value))


def _outcome(condition: Condition, value: str | None) -> frozenset[bool]:
    qualifier, _, name = condition.operator.rpartition(":")
    operator = name.removesuffix(_IF_EXISTS)
    if operator == "Null":
        return frozenset({("true" if value is None else "false") in condition.values})
    if value is None:
        return _of_missing_key(condition, qualifier)
    test = _TESTS.get(operator.replace("Not", ""))
    if test is None:
        return _EITHER
    return frozenset({any(test(pattern, value) for pattern in condition.values) != condition.negated})


def _of_missing_key(condition: Condition, qualifier: str) -> frozenset[bool]:
    if qualifier:
        if condition.if_exists or (qualifier == "ForAnyValue" and condition.negated):
            return _EITHER
        return frozenset({qualifier == "ForAllValues"})
    return frozenset({condition.if_exists or condition.negated})


def _equal(pattern: str, value: str) -> bool:
    return _plain(pattern) == value


def _same_but_case(pattern: str, value: str) -> bool:
    return _plain(pattern).lower() == value.lower()


def _alike(pattern: str, value: str) -> bool:
    return matches(frozenset({pattern}), value)


def _arn_alike(pattern: str, value: str) -> bool:
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(values) and all(map(_alike, patterns, values))


def _plain(pattern: str) -> str:
    for character in "*?$":
        pattern = pattern.replace(f"${{{character}}}", character)
    return pattern


#: Operators by name without Not; those that are missing here are not decided.
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _same_but_case,
    "StringLike": _alike,
    "ArnEquals": _arn_alike,
    "ArnLike": _arn_alike,
    "Bool": _same_but_case,
}
