# SPDX-License-Identifier: Apache-2.0
"""What is kept of the objects in large files: the members that are read, and one object for all equal ones. Pure.

Somebody may add anything to what a run writes, and an object takes 25 times the memory of its characters.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


class Kept:
    """Keeps the members ``names`` of objects. Equal ones share one object, which nobody may change."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self.known: dict[Any, Mapping[str, Any]] = {}

    def of(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """``found`` as it is kept; also a ``hook`` of ``documents.read_json``."""
        names = self._names
        data = found if found.keys() <= names else {name: found[name] for name in found if name in names}
        try:
            return self.known.setdefault((*data, *map(_key, data.values())), data)
        except TypeError:  # it holds what no run writes there, and its reader refuses that
            return data


def _key(value: Any) -> Any:
    """A key that only equal values share. Objects in a list are kept ones."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return (list, *((dict, id(each)) if isinstance(each, dict) else _plain_key(each) for each in value))
    return _plain_key(value)


def _plain_key(value: Any) -> Any:
    """Numbers as text: the writer of a file could choose numbers with equal hashes, which would all be compared."""
    if isinstance(value, dict | list):
        raise TypeError("no text, number, true, false or null")
    return type(value), value if isinstance(value, str) else repr(value)


def size(value: Any, most: int) -> int:
    """About how many bytes ``value`` takes with all in it; counting ends beyond ``most``."""
    found, seen, todo = 0, set[int](), [value]
    while todo and found <= most:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        found += sys.getsizeof(each)
        if isinstance(each, Mapping):
            todo += [*each.keys(), *each.values()]
        elif isinstance(each, tuple | list | set | frozenset):
            todo += each
        elif is_dataclass(each):
            todo += [getattr(each, name.name) for name in fields(each)]
    return found


def plain(found: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether each of the members ``names`` that an object has is a text, a number, true, false or null."""
    return not any(isinstance(found.get(name), dict | list) for name in names)
