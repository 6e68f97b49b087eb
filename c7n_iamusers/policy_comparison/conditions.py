# SPDX-License-Identifier: Apache-2.0
"""Condition elements: their canonical form, implication between conditions, and their outcome for known values. Pure.

Rules: "Condition operators", "Multiple keys or values" and "Multivalued context keys" (IAM User Guide).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from operator import eq, ge, gt, le, lt
from typing import Any

from c7n_iamusers.iam.policy_documents import listed
from c7n_iamusers.policy_comparison.budgets import OutOfTime, TooComplex
from c7n_iamusers.policy_comparison.patterns import (
    as_2012,
    escaped,
    matched_by,
    matches,
    substituted,
)

_IF_EXISTS = "IfExists"
_EITHER = frozenset({True, False})
_NULL = "Null"
_NUMBERS_AND_DATES = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
_BASES = (
    *(
        "StringEquals StringNotEquals StringEqualsIgnoreCase StringNotEqualsIgnoreCase StringLike StringNotLike".split()
    ),
    *(f"{kind}{relation}" for kind in ("Numeric", "Date") for relation in _NUMBERS_AND_DATES),
    *("Bool BinaryEquals IpAddress NotIpAddress ArnEquals ArnLike ArnNotEquals ArnNotLike".split()),
)
#: Operator in lower case -> its spelling in the User Guide, with or without IfExists and a set operator.
_OPERATORS: Mapping[str, str] = {
    name.lower(): name
    for base in _BASES
    for qualifier in ("", "ForAllValues:", "ForAnyValue:")
    for name in (f"{qualifier}{base}", f"{qualifier}{base}{_IF_EXISTS}")
} | {_NULL.lower(): _NULL}
#: The prefix of an unknown operator, so that it never equals a known one.
_UNKNOWN = "unknown operator "
#: The operator of a condition that stands for an unread document: "the request matches that document".
UNREAD = "what is said in"


@dataclass(frozen=True, order=True)
class Condition:
    """One operator on one key. ``operator``: as the User Guide writes it. ``key``: lower case. ``values``: sorted."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def negated(self) -> bool:
        """Whether no value may match, instead of at least one."""
        return "Not" in self.operator

    @property
    def is_known(self) -> bool:
        """Whether AWS documents the operator."""
        return not self.operator.startswith(_UNKNOWN)

    @property
    def if_exists(self) -> bool:
        return self.operator.endswith(_IF_EXISTS)

    def __str__(self) -> str:
        return f"{self.operator} {self.key} {', '.join(self.values)}".rstrip()


def parse_conditions(element: Any, legacy: bool) -> frozenset[Condition]:
    """The conditions of a Condition element. ``legacy``: of a policy with version 2008-10-17, without variables.

    Raises ValueError if it is malformed, or repeats an operator on a key in different case.
    """
    if not isinstance(element, Mapping) or not all(isinstance(each, Mapping) for each in element.values()):
        raise ValueError("a Condition that is not operator -> key -> values")
    found = {
        _condition(str(operator), str(key), listed(values), legacy)
        for operator, keys in element.items()
        for key, values in keys.items()
    }
    if len({(each.operator, each.key) for each in found}) < len(found):
        raise ValueError("a Condition with one operator on one key twice, in different case")
    return frozenset(found)


def _condition(text: str, key: str, values: Iterable[Any], legacy: bool) -> Condition:
    operator = _OPERATORS.get(text.lower(), f"{_UNKNOWN}{text}")
    texts = {_text(value, legacy) for value in values}
    if operator.rpartition(":")[2].removesuffix(_IF_EXISTS) in ("Bool", _NULL):
        texts = {text.lower() for text in texts}
    return Condition(operator, key.lower(), tuple(sorted(texts)))


def _text(value: Any, legacy: bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise ValueError(f"a condition's value that is {type(value).__name__}")
    return as_2012(str(value)) if legacy else str(value)


def implied(wanted: Iterable[Condition], given: Iterable[Condition]) -> bool:
    """Whether every request that meets all of ``given`` meets all of ``wanted``."""
    return all(any(_implies(each, other) for each in given) for other in wanted)


def _implies(condition: Condition, other: Condition) -> bool:
    if not condition.is_known:
        return condition == other
    same = condition.operator in (other.operator, other.operator.removesuffix(_IF_EXISTS))
    if condition.key != other.key or not same:
        return False
    values, others = set(condition.values), set(other.values)
    if condition.operator == _NULL:
        return values == others
    return values >= others if condition.negated else values <= others


def outcomes(condition: Condition, possible: frozenset[str | None] | None) -> frozenset[bool]:
    """The possible outcomes of ``condition`` if its key has one of the ``possible`` values.

    None as a value: the key can be missing from the request. None instead of a set: nothing is known.
    """
    unknown = possible is None or not condition.is_known
    if unknown or any(substituted(value, lambda *_: "") != value for value in condition.values):
        return _EITHER
    return frozenset(outcome for value in possible or () for outcome in _outcome(condition, value))


@lru_cache(maxsize=65536)
def outcomes_by_pattern(condition: Condition, possible: frozenset[str]) -> frozenset[bool]:
    """The possible outcomes of ``condition`` if its key is in the request and its value matches one of ``possible``.

    ``possible``: patterns without variables. A pattern of an ARN has no wildcard in its first five fields.
    """
    base = condition.operator.rpartition(":")[2].removesuffix(_IF_EXISTS)
    if base == _NULL:
        return frozenset({"false" in condition.values})
    if not condition.is_known or any(
        substituted(value, lambda *_: "") != value for value in condition.values
    ):
        return _EITHER
    tests = _PATTERN_TESTS.get(base.replace("Not", ""), ())
    try:
        hits = {hit for test in tests for pattern in possible for hit in test(pattern, condition.values)}
    except OutOfTime:
        raise
    except TooComplex:
        return _EITHER
    return frozenset(hit != condition.negated for hit in hits) or _EITHER


def _pattern_alike(pattern: str, values: Iterable[str]) -> frozenset[bool]:
    """Whether the texts of ``pattern`` match one of ``values``: True and False if only some do. Raises TooComplex."""
    return matched_by(pattern, frozenset(values))


def _pattern_equal(pattern: str, values: Iterable[str]) -> frozenset[bool]:
    return _pattern_alike(pattern, [escaped(_plain(value)) for value in values])


def _pattern_equal_but_case(pattern: str, values: Iterable[str]) -> frozenset[bool]:
    return _pattern_equal(pattern.lower(), [value.lower() for value in values])


def _pattern_of_arn(pattern: str, values: Iterable[str]) -> frozenset[bool]:
    """The same, each of the six components of an ARN by itself."""
    *known, last = pattern.split(":", 5)
    if len(known) < 5:
        return _EITHER
    found = (value.split(":", 5) for value in values)
    ends = [each[5] for each in found if len(each) == 6 and all(map(_alike, each, known))]
    return _pattern_alike(last, ends)


def _outcome(condition: Condition, value: str | None) -> frozenset[bool]:
    qualifier, _, name = condition.operator.rpartition(":")
    base = name.removesuffix(_IF_EXISTS)
    if base == _NULL:
        return frozenset({("true" if value is None else "false") in condition.values})
    if value is None:
        return _of_missing_key(condition, qualifier)
    tests = _TESTS.get(base.replace("Not", ""), ())
    try:
        met = {test(condition.values, value) for test in tests}
    except ValueError:  # an invalid date, or one beyond the year 9999
        return _EITHER
    return frozenset(hit != condition.negated for hit in met) or _EITHER


def _of_missing_key(condition: Condition, qualifier: str) -> frozenset[bool]:
    if qualifier:
        if condition.if_exists or (qualifier == "ForAnyValue" and condition.negated):
            return _EITHER
        return frozenset({qualifier == "ForAllValues"})
    return frozenset({condition.if_exists or condition.negated})


#: Whether a text meets one of the values of a condition. Raises ValueError if one of them has no meaning.
_Test = Callable[[tuple[str, ...], str], bool]


def _equal(values: Iterable[str], text: str) -> bool:
    return any(_plain(value) == text for value in values)


def _same_but_case(values: Iterable[str], text: str) -> bool:
    return any(_plain(value).lower() == text.lower() for value in values)


def _any_alike(values: Iterable[str], text: str) -> bool:
    return matches(frozenset(values), text)


def _alike(pattern: str, text: str) -> bool:
    return matches(frozenset({pattern}), text)


def _arn_alike(values: Iterable[str], text: str) -> bool:
    # What matches by component also matches as a whole, and one automaton tests that for all values.
    return _any_alike(values, text) and any(_components_alike(value, text) for value in values)


def _components_alike(pattern: str, text: str) -> bool:
    patterns, texts = pattern.split(":", 5), text.split(":", 5)
    return len(patterns) == len(texts) and all(map(_alike, patterns, texts))


def _in_order(holds: Callable[[datetime, datetime], bool]) -> _Test:
    return lambda values, text: any(holds(_moment(text), _moment(value)) for value in values)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _moment(text: str) -> datetime:
    """Of "one of the W3C implementations of the ISO 8601 date formats or epoch (UNIX) time". Raises ValueError."""
    if text.isascii() and text.isdecimal():
        try:
            return _EPOCH + timedelta(seconds=int(text))
        except OverflowError as error:
            raise ValueError(f"a time beyond the year 9999: {text}") from error
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _plain(pattern: str) -> str:
    for character in "*?$":
        pattern = pattern.replace(f"${{{character}}}", character)
    return pattern


#: "Each of the six colon-delimited components of the ARN is checked separately" ("Condition operators"). So a lone
#: ``*`` matches no ARN, although policies use it for any ARN. The outcome is certain only if both tests agree.
_ARNS: tuple[_Test, ...] = (_arn_alike, _any_alike)
#: The tests of ``outcomes_by_pattern``, in the form of ``_TESTS``.
_PATTERN_TESTS: Mapping[str, tuple[Callable[[str, Iterable[str]], frozenset[bool]], ...]] = {
    "StringEquals": (_pattern_equal,),
    "StringEqualsIgnoreCase": (_pattern_equal_but_case,),
    "StringLike": (_pattern_alike,),
    "ArnEquals": (_pattern_of_arn, _pattern_alike),
    "ArnLike": (_pattern_of_arn, _pattern_alike),
}
#: Operator without Not -> its tests, one for each interpretation. Other operators are undecided.
_TESTS: Mapping[str, tuple[_Test, ...]] = {
    "StringEquals": (_equal,),
    "StringEqualsIgnoreCase": (_same_but_case,),
    "StringLike": (_any_alike,),
    "ArnEquals": _ARNS,
    "ArnLike": _ARNS,
    "Bool": (_same_but_case,),
    "DateEquals": (_in_order(eq),),
    "DateGreaterThan": (_in_order(gt),),
    "DateGreaterThanEquals": (_in_order(ge),),
    "DateLessThan": (_in_order(lt),),
    "DateLessThanEquals": (_in_order(le),),
}
