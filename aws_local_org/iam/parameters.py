# SPDX-License-Identifier: Apache-2.0
"""Checks request parameters by botocore's model of IAM, and refuses them in IAM's own words.

The model has what the API reference calls "Length Constraints", "Pattern", "Valid Range" and "Valid Values", so one
rule checks user names, paths, tags, MaxItems and every status. The wording is of 2026, in which AWS no longer repeats
values, nor secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from aws_local_org.errors import validation_error

#: Java's \p{L}\p{Z}\p{N}, which Python's re lacks. \w adds the underscore, which all patterns allow anyway.
_UNICODE_CLASSES = r"\p{L}\p{Z}\p{N}"
_LETTERS_SPACES_DIGITS = r"\w \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

#: Patterns that IAM checks last, each with its own message.
_OWN_WORDS = {
    r"[\w+=,.@-]+": "It must contain only alphanumeric characters and/or the following: +=,.@_-",
    r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)": (
        "It must begin and end with / and contain only alphanumeric characters and/or / characters."
    ),
}


def check_parameters(operation: Any, parameters: dict[str, Any]) -> None:
    """Raise ValidationError unless the parameters satisfy the operation's input shape (a botocore OperationModel)."""
    if operation.input_shape is None:
        return
    complaints = list(_complaints(operation.input_shape, parameters, ""))
    if complaints:
        plural = "s" if len(complaints) > 1 else ""
        raise validation_error(
            f"{len(complaints)} validation error{plural} detected: {'; '.join(complaints)}"
        )
    for name, shape in operation.input_shape.members.items():
        words = _OWN_WORDS.get(shape.metadata.get("pattern", ""))
        if words and parameters.get(name) is not None and not _matches(shape, parameters[name]):
            raise validation_error(f"The specified value for {_place(name)} is invalid. {words}")


def _complaints(shape: Any, value: Any, where: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            place = f"{where}.{_place(name)}".lstrip(".")
            if value.get(name) is not None:
                yield from _complaints(member, value[name], place)
            elif name in shape.required_members:
                yield _failed(place, "Member must not be null")
        return
    for constraint in _broken(shape, value):
        yield _failed(where, constraint)
    if shape.type_name == "list":
        yield from _of_members(shape.member, value, where)


def _of_members(shape: Any, values: list[Any], where: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for index, item in enumerate(values, 1):
            yield from _complaints(shape, item, f"{where}.{index}.member")
    elif any(next(_broken(shape, item), None) for item in values):
        # for texts in a list, AWS names neither the wrong one nor the constraint
        yield _failed(where, f"Member must satisfy constraint: [{', '.join(_constraints(shape))}]")


def _broken(shape: Any, value: Any) -> Iterator[str]:
    """The constraints of a shape that a value does not satisfy."""
    numeric = shape.type_name in ("integer", "long")
    if numeric or shape.type_name in ("string", "list"):
        size = value if numeric else len(value)
        if size < shape.metadata.get("min", size) and shape.metadata.get("pattern") not in _OWN_WORDS:
            yield _bound(shape, "min")
        if size > shape.metadata.get("max", size):
            yield _bound(shape, "max")
    if shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        if pattern not in _OWN_WORDS and not _matches(shape, value):
            yield _pattern(pattern)
        if shape.enum and value not in shape.enum:
            yield "Member must satisfy enum value set"


def _constraints(shape: Any) -> Iterator[str]:
    """All constraints of a text in a list, in AWS's order."""
    yield from (_bound(shape, name) for name in ("max", "min") if name in shape.metadata)
    if pattern := shape.metadata.get("pattern"):
        yield _pattern(pattern)
    if shape.enum:
        yield "Member must satisfy enum value set"
    yield "Member must not be null"


def _bound(shape: Any, name: str) -> str:
    noun = "value" if shape.type_name in ("integer", "long") else "length"
    relation = "greater" if name == "min" else "less"
    return f"Member must have {noun} {relation} than or equal to {shape.metadata[name]}"


def _pattern(pattern: str) -> str:
    return f"Member must satisfy regular expression pattern: {pattern}"


def _matches(shape: Any, value: str) -> bool:
    pattern = shape.metadata.get("pattern")
    return not pattern or bool(_compiled(pattern).fullmatch(value))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    if _UNICODE_CLASSES in pattern:
        return re.compile(pattern.replace(_UNICODE_CLASSES, _LETTERS_SPACES_DIGITS))
    return re.compile(pattern, re.ASCII)  # Java's \w and \d are ASCII


def _failed(where: str, constraint: str) -> str:
    return f"Value at '{where}' failed to satisfy constraint: {constraint}"


def _place(member: str) -> str:
    return f"{member[0].lower()}{member[1:]}"
