# SPDX-License-Identifier: Apache-2.0
"""Checks of data from files: small checks that combine, and JSON Schema. Pure.

A ``Shape`` takes a value and the place for messages, such as ``intents[3].user``, and raises ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

Shape = Callable[[Any, str], None]
_SHOWN = 80
_ACCOUNT_ID = re.compile("[0-9]{12}")


def text(longest: int, pattern: str = "", shortest: int = 0) -> Shape:
    """A text of ``shortest`` to ``longest`` characters that matches ``pattern`` as a whole, if given."""
    compiled = re.compile(pattern, re.ASCII) if pattern else None

    def check(value: Any, place: str) -> None:
        if not isinstance(value, str):
            raise ValueError(f"{place} must be a text, not {type(value).__name__}")
        if not shortest <= len(value) <= longest:
            raise ValueError(f"{place} must have {shortest} to {longest} characters, not {len(value)}")
        if compiled and not compiled.fullmatch(value):
            raise ValueError(f"{place} {value[:_SHOWN]!r} must match {pattern}")

    return check


#: The id of an AWS account.
account_id = text(12, _ACCOUNT_ID.pattern)


def is_account_id(value: object) -> TypeGuard[str]:
    """Whether ``value`` is the id of an AWS account."""
    return isinstance(value, str) and bool(_ACCOUNT_ID.fullmatch(value))


def one_of(*values: object) -> Shape:
    """One of ``values``, compared with its type: true is not 1."""

    def check(value: Any, place: str) -> None:
        if not any(type(value) is type(each) and value == each for each in values):
            raise ValueError(f"{place} must be one of {', '.join(map(repr, values))}")

    return check


def whole(smallest: int) -> Shape:
    """An integer of at least ``smallest``; no boolean."""

    def check(value: Any, place: str) -> None:
        if type(value) is not int or value < smallest:
            raise ValueError(f"{place} must be a whole number from {smallest}")

    return check


def maybe(shape: Shape) -> Shape:
    """``shape``, or null."""

    def check(value: Any, place: str) -> None:
        if value is not None:
            shape(value, place)

    return check


def listing(shape: Shape, longest: int) -> Shape:
    """A list of at most ``longest`` entries."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, list):
            raise ValueError(f"{place} must be a list, not {type(value).__name__}")
        if len(value) > longest:
            raise ValueError(f"{place} must have at most {longest} entries, not {len(value)}")
        for number, each in enumerate(value):
            shape(each, f"{place}[{number}]")

    return check


def record(
    required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None, others: bool = False
) -> Shape:
    """An object with the keys ``required``, possibly ``optional`` ones, and others only if ``others`` is true."""
    shapes = {**required, **(optional or {})}

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{place} must be an object, not {type(value).__name__}")
        if missing := sorted(required.keys() - value.keys()):
            raise ValueError(f"{place} lacks {', '.join(missing)}")
        if not others and (unknown := sorted(value.keys() - shapes.keys())):
            raise ValueError(f"{place} has {', '.join(map(repr, unknown))[:_SHOWN]}, which nothing reads")
        for key in shapes.keys() & value.keys():
            shapes[key](value[key], f"{place}.{key}")

    return check


def mapping(key: Shape, value_shape: Shape) -> Shape:
    """An object of any keys that match ``key``, with values that match ``value_shape``."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{place} must be an object, not {type(value).__name__}")
        for name, each in value.items():
            key(name, f"a key of {place}")
            value_shape(each, f"{place}[{name[:_SHOWN]}]")

    return check


def document(value: Any, place: str) -> None:
    """A policy document, decoded or as text. Its content is not checked here."""
    if not isinstance(value, dict | str):
        raise ValueError(f"{place} must be a policy document, not {type(value).__name__}")


def schema_problem(data: Any, schema: dict[str, Any]) -> str | None:
    """Where and how ``data`` violates ``schema`` (JSON Schema draft 2020-12); None if it is valid.

    None too if jsonschema is missing, as in AWS Lambda. There, only files that the same policy wrote are read.
    """
    try:
        from jsonschema import Draft202012Validator, ValidationError
    except ImportError:
        return None
    try:
        Draft202012Validator(schema).validate(data)
    except ValidationError as error:
        where = "".join(f"[{part!r}]" for part in error.absolute_path) or "the whole"
        return f"{where}: {error.message[:200]}"
    return None
