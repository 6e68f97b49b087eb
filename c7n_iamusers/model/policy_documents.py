# SPDX-License-Identifier: Apache-2.0
"""Policy documents as they come: decoded, as JSON text, URL-encoded, with single values where lists may stand.

The grammar: "Grammar of the IAM JSON policy language" (IAM User Guide).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

Statement = Mapping[str, Any]


def parse_document(value: Any) -> Mapping[str, Any]:
    """A policy document, from a mapping, JSON text or URL-encoded JSON text (as IAM's own answers have it).

    Raises ValueError, saying what is wrong, for anything that is no policy.
    """
    document = decoded(value)
    if not isinstance(document, Mapping):
        raise ValueError(f"not a policy but {type(document).__name__}")
    if "Statement" not in document:
        raise ValueError("a policy without Statement")
    return document


def decoded(value: object) -> Any:
    """``value``, or what it holds where it is JSON text, URL-encoded or not. Raises ValueError for another text."""
    document: Any = value
    # Twice, since some tools store the text as a JSON string; unquoting plain JSON would change a %20 in it.
    for decode in (json.loads, json.loads, _unquoted):
        if isinstance(document, str):
            try:
                document = decode(document)
            except ValueError:
                continue
    if isinstance(document, str):
        raise ValueError("neither JSON nor URL-encoded JSON")
    return document


def statements(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of a document, one or many. Raises ValueError where one is no object."""
    found = listed(document["Statement"])
    if not all(isinstance(statement, Mapping) for statement in found):
        raise ValueError("a statement that is no object")
    return found


def listed(value: Any) -> tuple[Any, ...]:
    """The values of an element that may be single, a list, or missing."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def objects(value: Any) -> tuple[Mapping[str, Any], ...]:
    """As ``listed``, without what is no object."""
    return tuple(item for item in listed(value) if isinstance(item, Mapping))


def _unquoted(text: str) -> Any:
    return json.loads(unquote(text))
