# SPDX-License-Identifier: Apache-2.0
"""What is kept of the objects in large files: the members that are read, and one object of those that are equal. Pure.

Whoever writes a file may put anything beside what a run does: an object takes 25 times the memory of its characters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any


class Kept:
    """Keeps the members ``names`` of objects. Of equal ones there is one, which nobody may change."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._known: dict[Any, Mapping[str, Any]] = {}

    def of(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """``found`` as it is kept; also a ``hook`` of ``documents.read_json``."""
        names = self._names
        data = found if found.keys() <= names else {name: found[name] for name in found if name in names}
        try:
            return self._known.setdefault((*data, *map(_key, data.values())), data)
        except TypeError:  # it holds what no run writes there, and its reader refuses that
            return data


def _key(value: Any) -> Any:
    """What two values have in common only if they are equal. Objects in a list are kept ones."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return (list, *((dict, id(each)) if isinstance(each, dict) else (type(each), each) for each in value))
    return type(value), value


def plain(found: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether the members ``names`` of an object, as far as it has them, are texts, numbers, true, false or null."""
    return not any(isinstance(found.get(name), dict | list) for name in names)
