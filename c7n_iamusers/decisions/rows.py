# SPDX-License-Identifier: Apache-2.0
"""The entries of a JSON or YAML list one by one, each with its line, which the usual parsers don't tell. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

#: The line that an entry begins on, from 1, and the entry.
Row = tuple[int, Any]


class NotInFormat(Exception):
    """The text as a whole is not of its format."""


def json_rows(text: str) -> Iterator[Row]:
    """The entries of a JSON array one by one, since json.loads does not tell their lines."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_duplicates)
    at = _skip(text, 0, " \t\r\n")
    if not text.strip():
        return
    if text[at] != "[":
        raise NotInFormat("must be a list of rules: [{...}, {...}]")
    at = _skip(text, at + 1, " \t\r\n")
    while text[at : at + 1] != "]":
        line = text.count("\n", 0, at) + 1
        try:
            row, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise NotInFormat(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
        except _Duplicate as error:
            raise NotInFormat(f"line {line}: {error}") from error
        yield line, row
        at = _next_entry(text, at)
    if text[at + 1 :].strip():
        raise NotInFormat(f"line {text.count(chr(10), 0, at) + 1}: there is more after the list")


def _next_entry(text: str, at: int) -> int:
    at = _skip(text, at, " \t\r\n")
    if text[at : at + 1] == "]":
        return at
    if text[at : at + 1] != ",":
        raise NotInFormat(f"line {text.count(chr(10), 0, at) + 1}: a comma or ] must follow a rule")
    following = _skip(text, at + 1, " \t\r\n")
    if text[following : following + 1] == "]":
        raise NotInFormat(f"line {text.count(chr(10), 0, at) + 1}: a rule must follow a comma")
    return following


def _skip(text: str, at: int, what: str) -> int:
    while at < len(text) and text[at] in what:
        at += 1
    return at


class _Duplicate(ValueError):
    """A key that stands twice in one rule, of which a parser would silently drop the first."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Duplicate(f"a key stands twice in one rule: {', '.join(key for key, _ in pairs)}")
    return found


def yaml_rows(text: str) -> Iterator[Row]:
    """The entries of a YAML sequence."""
    # PyYAML is not in an AWS Lambda archive, and only a list in YAML needs it.
    from c7n_iamusers.decisions.yaml_entries import entries

    return entries(text)
