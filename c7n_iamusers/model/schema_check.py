# SPDX-License-Identifier: Apache-2.0
"""Whether data keeps to a JSON Schema."""

from __future__ import annotations

from typing import Any


def schema_problem(data: Any, schema: dict[str, Any]) -> str | None:
    """Where ``data`` breaks ``schema`` (draft 2020-12) and how, in words; None where it doesn't.

    None too in AWS Lambda, whose archive carries c7n and this package but none of their libraries: there, only
    files are read that the same policy has written, and what is missing from one raises KeyError where it is used.
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
