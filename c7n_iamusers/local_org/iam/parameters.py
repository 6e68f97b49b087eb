# SPDX-License-Identifier: Apache-2.0
"""Request parameters against botocore's model of IAM, refused in IAM's own words.

The model carries what the API reference calls "Length Constraints", "Pattern", "Valid Range" and "Valid Values",
so user names, paths, tags, MaxItems and every status are checked by one rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from c7n_iamusers.local_org.iam.errors import validation_error

#: Java's \p{L}\p{Z}\p{N}, which Python's re lacks: \w is letters, digits and the underscore that all users add anyway.
_UNICODE_CLASSES = r"\p{L}\p{Z}\p{N}"
_LETTERS_SPACES_DIGITS = r"\w \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


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


def _complaints(shape: Any, value: Any, where: str) -> Iterator[str]:
    if shape.type_name == "structure":
        yield from _of_structure(shape, value, where)
        return
    yield from _of_size(shape, value, where)
    if shape.type_name == "list":
        for index, item in enumerate(value, 1):
            yield from _complaints(shape.member, item, f"{where}.{index}.member")
    elif shape.type_name == "string":
        yield from _of_text(shape, value, where)


def _of_structure(shape: Any, value: dict[str, Any], where: str) -> Iterator[str]:
    for name, member in shape.members.items():
        place = f"{where}.{name[0].lower()}{name[1:]}".lstrip(".")
        if value.get(name) is not None:
            yield from _complaints(member, value[name], place)
        elif name in shape.required_members:
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"


def _of_size(shape: Any, value: Any, where: str) -> Iterator[str]:
    numeric = shape.type_name in ("integer", "long")
    if not numeric and shape.type_name not in ("string", "list"):
        return
    size, noun = (value, "value") if numeric else (len(value), "length")
    if size < shape.metadata.get("min", size):
        yield _failed(
            shape, value, where, f"Member must have {noun} greater than or equal to {shape.metadata['min']}"
        )
    if size > shape.metadata.get("max", size):
        yield _failed(
            shape, value, where, f"Member must have {noun} less than or equal to {shape.metadata['max']}"
        )


def _of_text(shape: Any, value: str, where: str) -> Iterator[str]:
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield _failed(shape, value, where, f"Member must satisfy regular expression pattern: {pattern}")
    if shape.enum and value not in shape.enum:
        yield _failed(shape, value, where, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    if _UNICODE_CLASSES in pattern:
        return re.compile(pattern.replace(_UNICODE_CLASSES, _LETTERS_SPACES_DIGITS))
    return re.compile(pattern, re.ASCII)  # Java's \w and \d are ASCII


def _failed(shape: Any, value: Any, where: str, constraint: str) -> str:
    shown = "***" if shape.metadata.get("sensitive") else value
    return f"Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}"
