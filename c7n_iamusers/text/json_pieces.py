# SPDX-License-Identifier: Apache-2.0
"""Large JSON, written in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def json_pieces(data: Mapping[str, Any], sort_keys: bool = False) -> Iterator[bytes]:
    """The text of ``json.dumps(data, indent=1, default=str)`` in pieces: one for each element of a list or iterator."""
    if not data:
        yield b"{}"
        return
    for number, name in enumerate(sorted(data) if sort_keys else data):
        yield f"{',' if number else '{'}\n {json.dumps(name)}: ".encode()
        if isinstance(data[name], (list, Iterator)):
            yield from _rows(data[name], sort_keys)
        else:
            yield _indented(data[name], 1, sort_keys)
    yield b"\n}"


def _rows(rows: Iterable[Any], sort_keys: bool) -> Iterator[bytes]:
    before, after = b"[", b"[]"
    for row in rows:
        yield before + b"\n  " + _indented(row, 2, sort_keys)
        before, after = b",", b"\n ]"
    yield after


def _indented(value: Any, by: int, sort_keys: bool) -> bytes:
    text = json.dumps(value, indent=1, default=str, sort_keys=sort_keys)
    return text.replace("\n", "\n" + " " * by).encode()
